"""The simulated Pipedrive as a whole: who may pass, what is counted, which handler answers."""

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Refusal, Reply, Request, as_json
from leadloom.sandbox.pipedrive import lookups, oauth, persons, recents, writing
from leadloom.sandbox.pipedrive.controls import CONTROLS
from leadloom.sandbox.pipedrive.hub import ROUTES, Hub
from leadloom.sandbox.pipedrive.problems import problem

_HANDLERS = (persons, lookups, recents, oauth, writing)  # importing them fills ROUTES
_SENTENCES = {429: "request over limit", 502: "Bad gateway", 503: "Service unavailable"}


class Pipedrive:
    """Implements ``server.Dialect``."""

    def __init__(self, *, contacts: int, seed: int, limits: str, now_ms: int | None, remembers: bool = False) -> None:
        self._contacts, self._seed, self._remembers = contacts, seed, remembers
        self.clock = Clock(now_ms)
        self.hub = self._make(limits)

    def _make(self, limits: str) -> Hub:
        return Hub(contacts=self._contacts, seed=self._seed, limits=limits, clock=self.clock, remembers=self._remembers)

    def reset(self) -> None:
        """The persons and credentials of the start; the clock goes on."""
        self.clock.date_skew_s = 0
        self.hub = self._make(self.hub.limits.mode)

    def answer(self, request: Request) -> Reply:
        found = ROUTES.find(request)
        if found is None:
            raise problem(404, "Unknown method .")
        route, args = found
        gate = route.mark
        if gate.is_open:
            return route.handler(self.hub, request, args)
        api_token = request.headers.get("x-api-token")
        token = self.hub.tokens.admit(api_token=api_token, bearer=request.bearer, scopes=gate.scopes)
        headers = self.hub.limits.admit(token.value, gate.cost, is_private=token.is_private)
        try:
            writing.refuse_unpaid(self.hub)
            reply = route.handler(self.hub, request, args)
        except Refusal as refusal:
            refusal.reply.headers.extend(headers)
            raise
        return Reply(reply.status, reply.body, reply.content_type, [*reply.headers, *headers])

    def control(self, request: Request) -> Reply | None:
        found = CONTROLS.find(request)
        return None if found is None else found[0].handler(self.hub, request, found[1])

    def error_body(self, status: int) -> bytes:
        return as_json({"success": False, "error": _SENTENCES.get(status, "Server error"), "errorCode": status})
