"""GoHighLevel's sign-in as Nango uses it, called directly. Implements ``nango.Provider``."""

from leadloom.sandbox.gohighlevel.hub import Hub
from leadloom.sandbox.gohighlevel.staff import COMPANY, LOCATION
from leadloom.sandbox.gohighlevel.tokens import Token
from leadloom.sandbox.http import Json, Refusal
from leadloom.sandbox.nango import Issued, RefreshFailed


class GoHighLevelGrants:
    """Each connection gets a grant of its own, for the location."""

    name = "highlevel"

    def __init__(self, hub: Hub) -> None:
        self._tokens = hub.tokens

    def install(self) -> Issued:
        return self._issued(self._tokens.issue(self._tokens.new_grant()))

    def refresh(self, refresh_token: str) -> Issued:
        try:
            return self._issued(self._tokens.renew(refresh_token))
        except Refusal as refusal:
            raise RefreshFailed from refusal

    def revoke(self, refresh_token: str) -> None:
        grant = self._tokens.by_refresh.get(refresh_token)
        if grant is not None:
            self._tokens.end(grant, access_too=False)

    def expire(self, access_token: str) -> None:
        if access_token in self._tokens.access:
            self._tokens.expire(access_token)

    def connection_config(self) -> dict[str, Json]:
        return {"locationId": LOCATION, "companyId": COMPANY}

    def _issued(self, token: Token) -> Issued:
        assert token.grant.refresh
        return Issued(token.value, token.grant.refresh, self._tokens.lifetime_s)
