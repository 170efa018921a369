"""Zoho's sign-in as Nango uses it, called directly. Implements ``nango.Provider``."""

from leadloom.sandbox.http import Json
from leadloom.sandbox.nango import Issued, RefreshFailed
from leadloom.sandbox.zoho.hub import Hub
from leadloom.sandbox.zoho.oauth import ACCOUNTS, API_DOMAIN
from leadloom.sandbox.zoho.tokens import Token, TooManyRefreshes


class ZohoGrants:
    """Each connection gets a grant of its own."""

    name = "zoho-crm"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def install(self) -> Issued:
        return self._issued(self._hub.tokens.issue(self._hub.tokens.new_grant()))

    def refresh(self, refresh_token: str) -> Issued:
        try:
            issued = self._hub.tokens.refresh(refresh_token)
        except TooManyRefreshes as many:
            raise RefreshFailed from many
        if issued is None:
            raise RefreshFailed
        return self._issued(issued)

    def revoke(self, refresh_token: str) -> None:
        self._hub.tokens.revoke(refresh_token)

    def expire(self, access_token: str) -> None:
        if access_token in self._hub.tokens.access:
            self._hub.tokens.expire(access_token)

    def connection_config(self) -> dict[str, Json]:
        return {"extension": "com", "api_domain": API_DOMAIN, "accounts-server": ACCOUNTS}

    def _issued(self, token: Token) -> Issued:
        assert token.grant.refresh
        return Issued(token.value, token.grant.refresh, self._hub.tokens.lifetime_s)
