"""Who may ask: personal API tokens that never end, and apps that people have let in.

A refresh token stays the same, is good for sixty days after its last use, and buys access tokens of an hour.
https://pipedrive.readme.io/docs/marketplace-oauth-authorization
"""

from dataclasses import dataclass, field
from hashlib import sha256

from leadloom.sandbox.clock import DAY_MS, Clock
from leadloom.sandbox.pipedrive.problems import grant_refused, problem
from leadloom.sandbox.pipedrive.staff import USERS, User

API_TOKEN = "5a4db0c0ffee5a4db0c0ffee5a4db0c0ffee5a4d"  # noqa: S105
CLIENT_ID = "sandbox5a4db0c0"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105
REFRESH_TOKEN = "13579246:25760681:sandboxrefresh"  # noqa: S105
LIFETIME_S = 3600
UNUSED_DAYS = 60
CODE_MS = 5 * 60_000
SCOPES = (
    "base", "contacts:read", "contacts:full", "contact-fields:full", "deals:read", "deals:full", "leads:read",
    "activities:read", "users:read", "recents:read", "search:read",
)  # fmt: skip


@dataclass(slots=True)
class Grant:
    """One installation of an app, or a person's own API token, whose ``refresh`` is None."""

    refresh: str | None
    used_ms: int
    user: User = USERS[0]
    """Sees what this person may see."""
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))
    is_revoked: bool = False


@dataclass(slots=True)
class Token:
    value: str
    grant: Grant
    expires_ms: int | None
    uses_left: int | None = None
    """Expires by itself after so many more requests."""

    @property
    def is_private(self) -> bool:
        return self.grant.refresh is None


@dataclass(frozen=True, slots=True)
class Code:
    grant: Grant
    redirect_uri: str | None
    expires_ms: int


class Tokens:
    """All credentials of one company."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made = 0
        self.lifetime_s = LIFETIME_S
        now = clock.now_ms()
        self.access: dict[str, Token] = {API_TOKEN: Token(API_TOKEN, Grant(None, now), None)}
        self.grants: dict[str, Grant] = {REFRESH_TOKEN: Grant(REFRESH_TOKEN, now)}
        self.codes: dict[str, Code] = {}

    def admit(self, *, api_token: str | None, bearer: str | None, scopes: tuple[str, ...]) -> Token:
        """Raises the 401 and the 403. An API token is no bearer, and an app's token no API token."""
        token = self.access.get(api_token or bearer or "")
        if token is None or token.is_private != bool(api_token):
            raise problem(401, "unauthorized access")
        self._wear(token)
        if token.expires_ms is not None and token.expires_ms <= self._clock.now_ms():
            raise problem(401, "unauthorized access")
        if scopes and not set(scopes) & set(token.grant.scopes):
            raise problem(403, "Scope and URL mismatch")
        return token

    def new_grant(self) -> Grant:
        grant = Grant(f"13579246:25760681:{self._scramble('refresh')[:40]}", self._clock.now_ms())
        self.grants[str(grant.refresh)] = grant
        return grant

    def new_code(self, redirect_uri: str | None = None) -> str:
        code = f"13579246.{self._scramble('code')[:40]}"
        self.codes[code] = Code(self.new_grant(), redirect_uri, self._clock.now_ms() + CODE_MS)
        return code

    def spend(self, code: str, redirect_uri: str) -> Token:
        """Raises the 400 of a code that is unknown, used, too old or of another address."""
        found = self.codes.pop(code, None)
        if found is None or found.expires_ms <= self._clock.now_ms():
            raise grant_refused(400, "invalid_grant", "Invalid grant: authorization code is invalid")
        if found.redirect_uri not in (None, redirect_uri):
            raise grant_refused(400, "invalid_grant", "Invalid grant: redirect_uri is invalid")
        return self.issue(found.grant)

    def new_private(self) -> Token:
        value = self._scramble("api token")[:40]
        self.access[value] = Token(value, Grant(None, self._clock.now_ms()), None)
        return self.access[value]

    def issue(self, grant: Grant) -> Token:
        """Their length varies: up to 768 characters must be kept."""
        block = self._scramble("access")
        value = f"v1u:{(block * 12)[: 300 + int(block[:2], 16)]}"
        self.access[value] = Token(value, grant, self._clock.now_ms() + self.lifetime_s * 1000)
        return self.access[value]

    def refresh(self, refresh: str) -> Token:
        """Raises the 400 of a refresh token that is unknown, withdrawn, or unused for too long."""
        now = self._clock.now_ms()
        grant = self.grants.get(refresh)
        if grant is None or grant.is_revoked or now - grant.used_ms >= UNUSED_DAYS * DAY_MS:
            raise grant_refused(400, "invalid_grant", "Invalid grant: refresh token is invalid")
        grant.used_ms = now
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

    def withdraw(self, refresh: str) -> None:
        """No further access tokens; those that are out live on."""
        grant = self.grants.get(refresh)
        if grant is not None:
            grant.is_revoked = True

    def expire(self, value: str, *, after_requests: int = 0) -> None:
        token = self.access[value]
        token.uses_left = after_requests or None
        if not after_requests:
            token.expires_ms = self._clock.now_ms()

    def _wear(self, token: Token) -> None:
        if token.uses_left is None:
            return
        token.uses_left -= 1
        if token.uses_left < 0:
            token.uses_left, token.expires_ms = None, self._clock.now_ms()

    def _scramble(self, kind: str) -> str:
        """Looks like a token, is the same in every run, opens nothing anywhere."""
        self._made += 1
        return sha256(f"pipedrive {kind} {self._made}".encode()).hexdigest()
