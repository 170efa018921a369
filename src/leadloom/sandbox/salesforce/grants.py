"""Salesforce's sign-in as Nango uses it, called directly. Implements ``nango.Provider``.

A token reply tells no expiry. Nango asks the introspection for it, and so knows what it does not tell.
"""

from leadloom.sandbox.http import Json
from leadloom.sandbox.nango import Issued, RefreshFailed
from leadloom.sandbox.salesforce.hub import Hub
from leadloom.sandbox.salesforce.oauth import token_body
from leadloom.sandbox.salesforce.staff import MY_DOMAIN
from leadloom.sandbox.salesforce.tokens import Token


class SalesforceGrants:
    """Each connection gets a grant of its own, until there are too many."""

    name = "salesforce"

    def __init__(self, hub: Hub) -> None:
        self._tokens = hub.tokens

    def install(self) -> Issued:
        return self._issued(self._tokens.issue(self._tokens.new_grant()))

    def refresh(self, refresh_token: str) -> Issued:
        issued = self._tokens.refresh(refresh_token)
        if issued is None:
            raise RefreshFailed
        return self._issued(issued)

    def revoke(self, refresh_token: str) -> None:
        self._tokens.revoke(refresh_token)

    def expire(self, access_token: str) -> None:
        if access_token in self._tokens.access:
            self._tokens.expire(access_token)

    def connection_config(self) -> dict[str, Json]:
        return {"instance_url": MY_DOMAIN}

    def _issued(self, token: Token) -> Issued:
        assert token.grant.refresh
        raw = token_body(token, MY_DOMAIN)
        return Issued(token.value, token.grant.refresh, self._tokens.lifetime_s, raw=raw)
