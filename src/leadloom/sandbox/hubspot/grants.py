"""HubSpot's sign-in as Nango uses it, called directly. Implements ``nango.Provider``."""

from leadloom.sandbox.http import Json, Refusal
from leadloom.sandbox.hubspot.hub import Hub
from leadloom.sandbox.hubspot.records import PORTAL
from leadloom.sandbox.hubspot.tokens import Token
from leadloom.sandbox.nango import Issued, RefreshFailed


class HubSpotGrants:
    """Each connection gets a grant of its own."""

    name = "hubspot"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def install(self) -> Issued:
        return self._issued(self._hub.tokens.issue(self._hub.tokens.new_grant()))

    def refresh(self, refresh_token: str) -> Issued:
        try:
            return self._issued(self._hub.tokens.refresh(refresh_token))
        except Refusal as refusal:
            raise RefreshFailed from refusal

    def revoke(self, refresh_token: str) -> None:
        self._hub.tokens.revoke(refresh_token)

    def expire(self, access_token: str) -> None:
        if access_token in self._hub.tokens.access:
            self._hub.tokens.expire(access_token)

    def connection_config(self) -> dict[str, Json]:
        return {"portalId": PORTAL}

    def _issued(self, token: Token) -> Issued:
        assert token.grant.refresh
        return Issued(token.value, token.grant.refresh, self._hub.tokens.lifetime_s)
