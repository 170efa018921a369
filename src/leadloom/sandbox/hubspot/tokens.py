"""Who may ask: static private-app tokens, OAuth grants with their short-lived access tokens, and what each may read.

An access token that was issued lives on when its refresh token is revoked, as at HubSpot.
"""

from dataclasses import dataclass, field
from hashlib import sha512

from leadloom.sandbox.clock import Clock, iso
from leadloom.sandbox.http import Json, Refusal, json_reply
from leadloom.sandbox.hubspot.problems import problem

PRIVATE_TOKEN = "pat-na1-sandbox"  # noqa: S105
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105
REFRESH_TOKEN = "na1-sandbox-refresh"  # noqa: S105
LIFETIME_S = 1800
TOKEN_LENGTH = 588  # of a recorded access token
SCOPES = (
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.owners.read",
    "crm.schemas.contacts.read",
)


@dataclass(slots=True)
class Grant:
    """One installation of an app. ``refresh`` is None for a private app."""

    refresh: str | None
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))
    revoked: bool = False
    uninstalled: bool = False


@dataclass(slots=True)
class Token:
    value: str
    grant: Grant
    expires_ms: int | None
    uses_left: int | None = None
    """Expires by itself after so many more requests: for a run that outlives its token."""


class Tokens:
    """All credentials of one portal."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lifetime_s = LIFETIME_S
        self._made = 0
        self.access: dict[str, Token] = {PRIVATE_TOKEN: Token(PRIVATE_TOKEN, Grant(None), None)}
        self.grants: dict[str, Grant] = {REFRESH_TOKEN: Grant(REFRESH_TOKEN)}
        self.codes: dict[str, Grant] = {}

    def admit(self, bearer: str | None, scopes: tuple[str, ...]) -> None:
        """Raises the 401 or 403 that HubSpot would answer. ``scopes``: any one of them is enough."""
        token = self.access.get(bearer or "")
        if token is None:
            raise _unknown()
        self._wear(token)
        now = self._clock.now_ms()
        if token.expires_ms is not None and token.expires_ms <= now:
            raise _expired(token.expires_ms, now)
        if scopes and not set(scopes) & set(token.grant.scopes):
            raise _forbidden(scopes)

    def new_grant(self) -> Grant:
        self._made += 1
        grant = Grant(f"na1-{_scramble(f'refresh {self._made}')[:36]}")
        assert grant.refresh
        self.grants[grant.refresh] = grant
        return grant

    def new_code(self) -> str:
        self._made += 1
        code = f"na1-code-{_scramble(f'code {self._made}')[:32]}"
        self.codes[code] = self.new_grant()
        return code

    def issue(self, grant: Grant) -> Token:
        self._made += 1
        value = _scramble(f"access {self._made}")
        token = Token(value, grant, self._clock.now_ms() + self.lifetime_s * 1000)
        self.access[value] = token
        return token

    def refresh(self, refresh: str) -> Token:
        """A new access token, or the 400 of a dead grant."""
        grant = self.grants.get(refresh)
        if grant is not None and grant.uninstalled:
            raise oauth_refusal("BAD_HUB", "access_denied", "missing or unknown hub id")
        if grant is None or grant.revoked:
            raise oauth_refusal("BAD_REFRESH_TOKEN", "invalid_grant", "refresh token is invalid, expired or revoked")
        return self.issue(grant)

    def revoke(self, value: str) -> bool:
        """Ends a refresh token's grant, or an access token alone. False when neither is known."""
        if (grant := self.grants.get(value)) is not None:
            grant.revoked = True
            return True
        return self.access.pop(value, None) is not None

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


def oauth_refusal(status: str, error: str, description: str) -> Refusal:
    """The token endpoint's own shape, seen with ``BAD_REFRESH_TOKEN``, ``BAD_HUB`` and ``BAD_CLIENT_ID``."""
    body: dict[str, Json] = {
        "status": status,
        "message": description,
        "error": error,
        "error_description": description,
    }
    return Refusal(json_reply(400, body))


def _unknown() -> Refusal:
    return problem(
        401,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more "
        "details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        headers=[(b"x-hubspot-auth-failure", b"401 Unauthorized")],
    )


def _expired(expired_ms: int, now_ms: int) -> Refusal:
    seconds = (now_ms - expired_ms) // 1000
    return problem(
        401,
        "EXPIRED_AUTHENTICATION",
        f"The OAuth token used to make this call expired {seconds} second(s) ago.",
        context={"expire time": [iso(expired_ms)]},
    )


def _forbidden(scopes: tuple[str, ...]) -> Refusal:
    """``context`` stands at the top level here, not under ``errors``: seen in 2026."""
    return problem(
        403,
        "MISSING_SCOPES",
        "One or more of the following scopes are required.",
        context={"requiredGranularScopes": list(scopes)},
        links={"scopes": "https://developers.hubspot.com/scopes"},
    )


def _scramble(text: str) -> str:
    """Looks like a token, is the same in every run, opens nothing anywhere."""
    block = sha512(text.encode()).hexdigest()
    return (block * (TOKEN_LENGTH // len(block) + 1))[:TOKEN_LENGTH]
