"""Who may ask: grants, their access tokens that end without a word, and what each may do.

A user can grant one app five times; one more ends the oldest, and nobody is told.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.salesforce.problems import problem, session_over
from leadloom.sandbox.salesforce.staff import ORG_ID

TOKEN = f"{ORG_ID[:15]}!sandbox.0123456789abcdef"
CLIENT_ID = "3MVG9.SANDBOXCLIENT"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105
REFRESH_TOKEN = "5Aep861.sandboxrefresh.0123456789abcdef"  # noqa: S105
LIFETIME_S = 7200
MOST_GRANTS = 5
SCOPES = ("api", "refresh_token", "id")


@dataclass(slots=True)
class Grant:
    """One consent. ``refresh`` is None for the token that is there from the start."""

    refresh: str | None
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))
    is_revoked: bool = False


@dataclass(slots=True)
class Token:
    value: str
    grant: Grant
    issued_ms: int
    expires_ms: int | None
    uses_left: int | None = None
    """Expires by itself after so many more requests."""


class Tokens:
    """All credentials of one organisation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lifetime_s = LIFETIME_S
        self.rotates = False
        """Whether each refresh brings a new refresh token and ends the old one."""
        self.most_grants = MOST_GRANTS
        self._made = 0
        self.access: dict[str, Token] = {TOKEN: Token(TOKEN, Grant(None), clock.now_ms(), None)}
        self.grants: dict[str, Grant] = {REFRESH_TOKEN: Grant(REFRESH_TOKEN)}
        self.codes: dict[str, tuple[Grant, int]] = {}
        """Each with when it is worth nothing any more."""

    def admit(self, bearer: str | None, scope: str) -> None:
        """Raises the 401. A token without the scope ``api`` is refused with a text of its own."""
        token = self.access.get(bearer or "")
        if token is None:
            raise session_over()
        self._wear(token)
        if not self.is_active(token):
            raise session_over()
        if scope and not {scope, "full"} & set(token.grant.scopes):
            raise problem(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API")

    def is_active(self, token: Token) -> bool:
        return token.expires_ms is None or token.expires_ms > self._clock.now_ms()

    def new_grant(self) -> Grant:
        self._made += 1
        grant = Grant(f"5Aep861.{_scramble(f'refresh {self._made}')}")
        assert grant.refresh
        self.grants[grant.refresh] = grant
        living = [one for one in self.grants.values() if not one.is_revoked]
        for oldest in living[: -self.most_grants]:
            self._end(oldest)
        return grant

    def new_code(self) -> str:
        self._made += 1
        code = f"aPrx.{_scramble(f'code {self._made}')}"
        self.codes[code] = self.new_grant(), self._clock.now_ms() + 15 * 60_000
        return code

    def grant_of(self, code: str) -> Grant | None:
        """Once."""
        grant, expires_ms = self.codes.pop(code, (None, 0))
        return grant if expires_ms > self._clock.now_ms() else None

    def issue(self, grant: Grant) -> Token:
        self._made += 1
        value = f"{ORG_ID[:15]}!{_scramble(f'access {self._made}')}"
        now = self._clock.now_ms()
        self.access[value] = Token(value, grant, now, now + self.lifetime_s * 1000)
        return self.access[value]

    def refresh(self, refresh: str) -> Token | None:
        """A new access token, or None for a dead grant."""
        grant = self.grants.get(refresh)
        if grant is None or grant.is_revoked:
            return None
        if self.rotates:
            del self.grants[refresh]
            self._made += 1
            grant.refresh = f"5Aep861.{_scramble(f'rotated {self._made}')}"
            self.grants[grant.refresh] = grant
        return self.issue(grant)

    def revoke(self, value: str) -> bool:
        """Ends a grant with all its tokens, or an access token alone. False when neither is known."""
        grant = self.grants.get(value)
        if grant is None:
            return self.access.pop(value, None) is not None
        self._end(grant)
        return True

    def expire(self, value: str, *, after_requests: int = 0) -> None:
        token = self.access[value]
        if after_requests:
            token.uses_left = after_requests
        else:
            token.expires_ms = self._clock.now_ms()

    def _end(self, grant: Grant) -> None:
        grant.is_revoked = True
        for token in [one for one in self.access.values() if one.grant is grant]:
            del self.access[token.value]

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
