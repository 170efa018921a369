"""The simulated Zoho CRM as a whole: who may pass, what is counted, which handler answers."""

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Refusal, Reply, Request, as_json
from leadloom.sandbox.zoho import bulk, coql, listing, lookups, oauth, writing
from leadloom.sandbox.zoho.controls import CONTROLS
from leadloom.sandbox.zoho.hub import ROUTES, Hub
from leadloom.sandbox.zoho.problems import problem

_HANDLERS = (listing, coql, bulk, lookups, oauth, writing)  # importing them fills ROUTES
_CODES = {
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_ERROR",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
}


class Zoho:
    """Implements ``server.Dialect``."""

    def __init__(self, *, contacts: int, seed: int, limits: str, now_ms: int | None, remembers: bool = False) -> None:
        self._contacts, self._seed, self._remembers = contacts, seed, remembers
        self.clock = Clock(now_ms)
        self.hub = self._make(limits)

    def _make(self, limits: str) -> Hub:
        return Hub(contacts=self._contacts, seed=self._seed, limits=limits, clock=self.clock, remembers=self._remembers)

    def reset(self) -> None:
        """The people and credentials of the start; the clock goes on."""
        self.clock.date_skew_s = 0
        self.hub = self._make(self.hub.limits.mode)

    def answer(self, request: Request) -> Reply:
        found = ROUTES.find(request)
        if found is None:
            raise problem(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")
        route, args = found
        if route.mark.is_open:
            return route.handler(self.hub, request, args)
        self.hub.tokens.admit(request.headers.get("authorization", ""), route.mark.scopes)
        headers = self.hub.limits.admit(request.at_once, route.mark.credits)
        try:
            reply = route.handler(self.hub, request, args)
        except Refusal as refusal:
            refusal.reply.headers.extend(headers)
            raise
        return Reply(reply.status, reply.body, reply.content_type, [*reply.headers, *headers])

    def control(self, request: Request) -> Reply | None:
        found = CONTROLS.find(request)
        return None if found is None else found[0].handler(self.hub, request, found[1])

    def error_body(self, status: int) -> bytes:
        code = _CODES.get(status, "INTERNAL_ERROR")
        return as_json({"code": code, "details": {}, "message": "error", "status": "error"})
