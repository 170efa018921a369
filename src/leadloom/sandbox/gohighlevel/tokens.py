"""Who may ask: private integration tokens that never end, and sign-ins whose refresh token is spent by using it."""

from dataclasses import dataclass, field
from hashlib import sha256

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.gohighlevel.problems import grant_refused, problem
from leadloom.sandbox.gohighlevel.staff import LOCATION

PRIVATE_TOKEN = "pit-sandbox"  # noqa: S105
CLIENT_ID = "66f2b7c1d94e3a5b8c7d6e5f-sandbox"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105
REFRESH_TOKEN = "sandbox-refresh"  # noqa: S105
LIFETIME_S = 86_399
SCOPES = (
    "contacts.readonly",
    "contacts.write",
    "locations.readonly",
    "locations/customFields.readonly",
    "users.readonly",
    "opportunities.readonly",
    "opportunities.write",
    "businesses.readonly",
    "oauth.write",
    "oauth.readonly",
)


@dataclass(slots=True)
class Grant:
    """One installation of an app, in a location or in the whole agency. ``refresh`` is the one token that renews it."""

    refresh: str | None
    location: str | None = LOCATION
    """None: the agency's, which opens no contacts by itself."""
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))
    is_over: bool = False


@dataclass(slots=True)
class Token:
    value: str
    grant: Grant
    expires_ms: int | None
    uses_left: int | None = None
    """Expires by itself after so many more requests: for a run that outlives its token."""


class Tokens:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made = 0
        self.lifetime_s = LIFETIME_S
        first = Grant(REFRESH_TOKEN)
        self.by_refresh: dict[str, Grant] = {REFRESH_TOKEN: first}
        self.access: dict[str, Token] = {PRIVATE_TOKEN: Token(PRIVATE_TOKEN, Grant(None), None)}
        self.codes: dict[str, Grant] = {}

    def admit(self, bearer: str | None, scope: str) -> Token:
        """Raises the 401 that GoHighLevel answers, a missing permission included."""
        token = self.access.get(bearer or "")
        if token is None:
            raise problem(401, "Invalid JWT")
        self._wear(token)
        if token.expires_ms is not None and token.expires_ms <= self._clock.now_ms():
            raise problem(401, "The token has expired")
        if scope and scope not in token.grant.scopes:
            raise problem(401, "The token is not authorized for this scope.")
        return token

    def new_grant(self, *, location: str | None = LOCATION) -> Grant:
        grant = Grant(self._new("refresh"), location)
        self.by_refresh[str(grant.refresh)] = grant
        return grant

    def new_code(self, *, location: str | None = LOCATION) -> str:
        code = self._new("code")[:40]
        self.codes[code] = self.new_grant(location=location)
        return code

    def issue(self, grant: Grant) -> Token:
        value = self._new("access")
        self.access[value] = Token(value, grant, self._clock.now_ms() + self.lifetime_s * 1000)
        return self.access[value]

    def renew(self, refresh: str) -> Token:
        """A new pair; the old refresh token is dead from now on. Raises the 400 of one that is unknown or spent."""
        grant = self.by_refresh.pop(refresh, None)
        if grant is None or grant.is_over:
            raise grant_refused("invalid_grant", "Invalid grant: refresh token is invalid")
        grant.refresh = self._new("refresh")
        self.by_refresh[grant.refresh] = grant
        return self.issue(grant)

    def end(self, grant: Grant, *, access_too: bool) -> None:
        """Withdrawn; an uninstalled app also loses the access tokens it holds."""
        grant.is_over = True
        if access_too:
            self.access = {value: one for value, one in self.access.items() if one.grant is not grant}

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

    def _new(self, kind: str) -> str:
        """Looks like a token, is the same in every run, opens nothing anywhere."""
        self._made += 1
        return sha256(f"gohighlevel {kind} {self._made}".encode()).hexdigest() * (6 if kind == "access" else 1)
