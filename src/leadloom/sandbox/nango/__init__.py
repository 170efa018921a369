"""A small Nango beside the simulated CRM, so that connecting through it can be tested without an account.

Replies follow those recorded from Nango 0.71.4. Its tokens are good at the simulated CRM, are refreshed there, and fail
as the real ones do: 400 at the first refusal, 424 while it backs off.
"""

from collections.abc import Callable

from leadloom.sandbox.http import Reply, Request
from leadloom.sandbox.nango.controls import CONTROLS, send_webhook
from leadloom.sandbox.nango.environment import KEY, SIGNING_KEY, Environment, Issued, Provider, RefreshFailed
from leadloom.sandbox.nango.replies import refusal
from leadloom.sandbox.nango.routes import ROUTES, admit

PREFIX = "/_nango"
__all__ = ["KEY", "PREFIX", "SIGNING_KEY", "Issued", "Nango", "Provider", "RefreshFailed"]


class Nango:
    """Implements ``server.Side`` below ``/_nango``."""

    def __init__(self, make: Callable[[], Environment]) -> None:
        self._make = make
        self.environment = make()

    def reset(self) -> None:
        self.environment = self._make()

    async def answer(self, request: Request) -> Reply:
        path = request.path.removeprefix(PREFIX)
        inner = Request(request.method, path, request.raw_query, request.raw_headers, request.body)
        found = ROUTES.find(inner)
        if found is None:
            raise refusal(404, "not_found", "Not found")
        route, args = found
        admit(self.environment, inner, route.mark)
        try:
            return route.handler(self.environment, inner, args)
        finally:
            await self._send_events()

    async def control(self, request: Request) -> Reply | None:
        if (request.method, request.path) == ("POST", "/_control/nango/webhook"):
            return await send_webhook(self.environment, request)
        found = CONTROLS.find(request)
        if found is None:
            return None
        reply = found[0].handler(self.environment, request, found[1])
        await self._send_events()
        return reply

    async def _send_events(self) -> None:
        for event in self.environment.take_events():
            await self.environment.deliver(event)
