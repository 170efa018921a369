"""The simulated Salesforce as a whole: who may pass, what is counted, which handler answers."""

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Refusal, Reply, Request, as_json
from leadloom.sandbox.salesforce import bulk, composite, describing, oauth, query, replication, writing
from leadloom.sandbox.salesforce.controls import CONTROLS
from leadloom.sandbox.salesforce.hub import LATEST, OLDEST, ROUTES, Hub
from leadloom.sandbox.salesforce.problems import not_found, problem

_HANDLERS = (oauth, query, bulk, replication, describing, composite, writing)  # importing them fills ROUTES
LONGEST_URL = 16_384
_TOO_LONG = b"<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>"
_CODES = {
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "SERVER_UNAVAILABLE",
}


class Salesforce:
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
        if len(request.target) > LONGEST_URL:
            return Reply(414, _TOO_LONG, b"text/html;charset=iso-8859-1")
        found = ROUTES.find(request)
        if found is None:
            raise not_found()
        route, args = found
        if route.mark.is_open:
            return route.handler(self.hub, request, args)
        self.hub.tokens.admit(request.bearer, route.mark.scope)
        if not route.mark.is_counted:
            return route.handler(self.hub, request, args)
        if not OLDEST <= float(args[0]) <= LATEST:
            raise not_found()
        headers = self.hub.limits.admit(request.at_once)
        try:
            if not self.hub.is_api_enabled:
                raise problem(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization.")
            self.hub.weather.strike(request)
            reply = route.handler(self.hub, request, args)
        except Refusal as refusal:
            refusal.reply.headers.extend(headers)
            raise
        if reply.status == 204:  # such replies tell nothing
            return reply
        return Reply(reply.status, reply.body, reply.content_type, [*reply.headers, *headers])

    def control(self, request: Request) -> Reply | None:
        found = CONTROLS.find(request)
        return None if found is None else found[0].handler(self.hub, request, found[1])

    def error_body(self, status: int) -> bytes:
        code = _CODES.get(status, "UNKNOWN_EXCEPTION")
        return as_json([{"message": "An unexpected error occurred.", "errorCode": code}])
