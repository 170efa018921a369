"""The simulated GoHighLevel as a whole: who may pass, what is counted, which handler answers."""

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.gohighlevel import contacts, lookups, oauth, opportunities, search
from leadloom.sandbox.gohighlevel.controls import CONTROLS
from leadloom.sandbox.gohighlevel.hub import ROUTES, Hub
from leadloom.sandbox.gohighlevel.problems import problem, trace_id
from leadloom.sandbox.http import Refusal, Reply, Request, as_json

_HANDLERS = (search, contacts, opportunities, lookups, oauth)  # importing them fills ROUTES; the search goes first
VERSIONS = ("2021-07-28", "2021-04-15", "v3")
_SENTENCES = {429: "Too Many Requests", 500: "Internal server error", 503: "Service Unavailable"}


class GoHighLevel:
    """Implements ``server.Dialect``."""

    def __init__(self, *, contacts: int, seed: int, limits: str, now_ms: int | None, remembers: bool = False) -> None:
        self._contacts, self._seed, self._remembers = contacts, seed, remembers
        self.clock = Clock(now_ms)
        self.hub = self._new_hub(limits)

    def _new_hub(self, limits: str) -> Hub:
        return Hub(contacts=self._contacts, seed=self._seed, limits=limits, clock=self.clock, remembers=self._remembers)

    def reset(self) -> None:
        """The contacts and credentials of the start; the clock goes on."""
        lag = self.hub.store.index_lag_s
        self.clock.date_skew_s = 0
        self.hub = self._new_hub(self.hub.limits.mode)
        self.hub.store.index_lag_s = lag

    def answer(self, request: Request) -> Reply:
        found = ROUTES.find(request)
        if found is None:
            raise problem(404, f"Cannot {request.method} {request.path}")
        route, args = found
        gate = route.mark
        if gate.is_open:
            return route.handler(self.hub, request, args)
        version = request.headers.get("version", "")
        if version not in VERSIONS:
            raise problem(401, "version header was not found." if not version else "version header is invalid")
        if version == "v3" and not gate.is_v3:
            raise problem(404, f"Cannot {request.method} {request.path}")
        token = self.hub.tokens.admit(request.bearer, gate.scope)
        if token.grant.location is None and gate.scope.startswith("contacts"):
            raise problem(403, "The token does not have access to this location.")
        headers = self.hub.limits.admit()
        try:
            reply = route.handler(self.hub, request, args)
        except Refusal as refusal:
            refusal.reply.headers.extend(headers)
            raise
        reply.headers.extend(headers)
        return reply

    def control(self, request: Request) -> Reply | None:
        found = CONTROLS.find(request)
        return None if found is None else found[0].handler(self.hub, request, found[1])

    def error_body(self, status: int) -> bytes:
        message = _SENTENCES.get(status, "Something went wrong")
        return as_json({"statusCode": status, "message": message, "traceId": trace_id()})
