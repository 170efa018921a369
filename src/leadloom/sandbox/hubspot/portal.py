"""The simulated HubSpot as a whole: who may pass, what is counted, which handler answers."""

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Refusal, Reply, Request, as_json
from leadloom.sandbox.hubspot import listing, lookups, oauth, objects, search
from leadloom.sandbox.hubspot.controls import HUBSPOT_CONTROLS
from leadloom.sandbox.hubspot.hub import ROUTES, Hub
from leadloom.sandbox.hubspot.problems import correlation_id, problem

_HANDLERS = (listing, search, objects, lookups, oauth)  # importing them fills ROUTES
_SENTENCES = {
    423: "The resource is locked.",
    429: "You have reached your ten_secondly_rolling limit.",
    477: "This account is being migrated between data centers.",
    500: "Internal error",
    503: "Service is temporarily unavailable",
}


class HubSpot:
    """Implements ``server.Dialect``."""

    def __init__(self, *, contacts: int, seed: int, limits: str, now_ms: int | None, remembers: bool = False) -> None:
        self._contacts, self._seed, self._remembers = contacts, seed, remembers
        self.clock = Clock(now_ms)
        self.hub = Hub(contacts=contacts, seed=seed, limits=limits, clock=self.clock, remembers=remembers)

    def reset(self) -> None:
        """The contacts and credentials of the start; the clock goes on."""
        lag, mode = self.hub.store.index_lag_s, self.hub.limits.mode
        self.clock.date_skew_s = 0
        self.hub = Hub(
            contacts=self._contacts, seed=self._seed, limits=mode, clock=self.clock, remembers=self._remembers
        )
        self.hub.store.index_lag_s = lag

    def answer(self, request: Request) -> Reply:
        found = ROUTES.find(request)
        if found is None:
            raise problem(404, None, f"Unable to find {request.method} {request.path}")
        route, args = found
        gate = route.mark
        if gate.bucket == "open":
            return route.handler(self.hub, request, args)
        self.hub.tokens.admit(request.bearer, gate.scopes)
        headers = self.hub.limits.admit(gate.bucket)
        headers.append((b"x-hubspot-correlation-id", correlation_id().encode()))
        try:
            reply = route.handler(self.hub, request, args)
        except Refusal as refusal:
            refusal.reply.headers.extend(headers)
            raise
        reply.headers.extend(headers)
        return reply

    def control(self, request: Request) -> Reply | None:
        found = HUBSPOT_CONTROLS.find(request)
        return None if found is None else found[0].handler(self.hub, request, found[1])

    def error_body(self, status: int) -> bytes:
        body = {"status": "error", "message": _SENTENCES.get(status, "error"), "correlationId": correlation_id()}
        if status == 429:
            body |= {"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}
        return as_json(body)
