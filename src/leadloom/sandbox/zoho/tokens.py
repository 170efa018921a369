"""Who may ask: grants, their access tokens of an hour, and what each may read.

Refresh tokens are not rotated. Ten access tokens in ten minutes may be had for one, and fifteen live at once: the
sixteenth ends the oldest (https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html).
"""

from dataclasses import dataclass, field
from hashlib import sha256

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.pace import RollingWindow
from leadloom.sandbox.zoho.problems import problem

TOKEN = "1000.5a9d0b0xsandbox.0123456789abcdef"  # noqa: S105
CLIENT_ID = "1000.SANDBOXCLIENT"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105
REFRESH_TOKEN = "1000.sandboxrefresh.0123456789abcdef"  # noqa: S105
LIFETIME_S = 3600
MOST_LIVE = 15
REFRESHES, REFRESHES_PER_S = 10, 600
SCOPES = (
    "ZohoCRM.modules.ALL",
    "ZohoCRM.users.READ",
    "ZohoCRM.org.READ",
    "ZohoCRM.settings.fields.READ",
    "ZohoCRM.settings.modules.READ",
    "ZohoCRM.coql.READ",
    "ZohoCRM.bulk.READ",
)


@dataclass(slots=True)
class Grant:
    """One consent. ``refresh`` is None for the token that is there from the start."""

    refresh: str | None
    window: RollingWindow
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))
    is_revoked: bool = False


@dataclass(slots=True)
class Token:
    value: str
    grant: Grant
    expires_ms: int | None
    uses_left: int | None = None
    """Expires by itself after so many more requests."""


class TooManyRefreshes(Exception):
    """Further access tokens are refused for the rest of the ten minutes."""


class Tokens:
    """All credentials of one organisation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lifetime_s = LIFETIME_S
        self._made = 0
        self.access: dict[str, Token] = {TOKEN: Token(TOKEN, self._grant(None), None)}
        self.grants: dict[str, Grant] = {REFRESH_TOKEN: self._grant(REFRESH_TOKEN)}
        self.codes: dict[str, Grant] = {}

    def _grant(self, refresh: str | None) -> Grant:
        return Grant(refresh, RollingWindow(REFRESHES, REFRESHES_PER_S, lambda: self._clock.now_ms() / 1000))

    def admit(self, authorization: str, scopes: tuple[str, ...]) -> None:
        """Raises the 401. ``scopes``: any one of them is enough."""
        kind, _, value = authorization.partition(" ")
        token = self.access.get(value.strip()) if kind in ("Zoho-oauthtoken", "Bearer") else None
        if token is None:
            raise problem(401, "INVALID_TOKEN", "invalid oauth token")
        self._wear(token)
        if token.expires_ms is not None and token.expires_ms <= self._clock.now_ms():
            raise problem(401, "INVALID_TOKEN", "invalid oauth token")
        if scopes and not set(scopes) & set(token.grant.scopes):
            raise problem(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")

    def new_grant(self) -> Grant:
        self._made += 1
        grant = self._grant(f"1000.{_scramble(f'refresh {self._made}')}")
        assert grant.refresh
        self.grants[grant.refresh] = grant
        return grant

    def new_code(self) -> str:
        self._made += 1
        code = f"1000.{_scramble(f'code {self._made}')}"
        self.codes[code] = self.new_grant()
        return code

    def issue(self, grant: Grant) -> Token:
        self._made += 1
        value = f"1000.{_scramble(f'access {self._made}')}"
        self.access[value] = Token(value, grant, self._clock.now_ms() + self.lifetime_s * 1000)
        of_grant = [one for one in self.access.values() if one.grant is grant]
        for oldest in of_grant[:-MOST_LIVE]:
            del self.access[oldest.value]
        return self.access[value]

    def refresh(self, refresh: str) -> Token | None:
        """A new access token, or None for a dead grant. Raises TooManyRefreshes."""
        grant = self.grants.get(refresh)
        if grant is None or grant.is_revoked:
            return None
        if not grant.window.take():
            raise TooManyRefreshes
        return self.issue(grant)

    def revoke(self, value: str) -> bool:
        """Ends a grant with all its tokens, or an access token alone. False when neither is known."""
        grant = self.grants.get(value)
        if grant is None:
            return self.access.pop(value, None) is not None
        grant.is_revoked = True
        for token in [one for one in self.access.values() if one.grant is grant]:
            del self.access[token.value]
        return True

    def expire(self, value: str, *, after_requests: int = 0) -> None:
        token = self.access[value]
        if after_requests:
            token.uses_left = after_requests
        else:
            token.expires_ms = self._clock.now_ms()

    def _wear(self, token: Token) -> None:
        if token.uses_left is None:
            return
        if token.uses_left == 0:
            token.uses_left = None
            token.expires_ms = self._clock.now_ms()
        else:
            token.uses_left -= 1


def _scramble(text: str) -> str:
    """Looks like a token, is the same in every run, opens nothing anywhere."""
    block = sha256(text.encode()).hexdigest()
    return f"{block[:32]}.{block[32:]}"
