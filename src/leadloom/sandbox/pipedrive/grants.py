"""Pipedrive's sign-in as Nango uses it, called directly. Implements ``nango.Provider``."""

from leadloom.sandbox.http import Json, Refusal
from leadloom.sandbox.nango import Issued, RefreshFailed
from leadloom.sandbox.pipedrive.hub import Hub
from leadloom.sandbox.pipedrive.staff import API_DOMAIN
from leadloom.sandbox.pipedrive.tokens import Token


class PipedriveGrants:
    """Each connection gets a grant of its own."""

    name = "pipedrive"

    def __init__(self, hub: Hub) -> None:
        self._tokens = hub.tokens

    def install(self) -> Issued:
        return self._issued(self._tokens.issue(self._tokens.new_grant()))

    def refresh(self, refresh_token: str) -> Issued:
        try:
            return self._issued(self._tokens.refresh(refresh_token))
        except Refusal as refusal:
            raise RefreshFailed from refusal

    def revoke(self, refresh_token: str) -> None:
        self._tokens.withdraw(refresh_token)

    def expire(self, access_token: str) -> None:
        if access_token in self._tokens.access:
            self._tokens.expire(access_token)

    def connection_config(self) -> dict[str, Json]:
        return {"api_domain": API_DOMAIN}

    def _issued(self, token: Token) -> Issued:
        assert token.grant.refresh
        return Issued(token.value, token.grant.refresh, self._tokens.lifetime_s)
