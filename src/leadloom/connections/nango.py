"""Nango's REST API, as far as signing in needs it: sessions for the browser, and the token of a connection.

We fetch the token and call the CRM ourselves; Nango's proxy and syncs are not used. Facts checked against Nango 0.71
(https://nango.dev/docs/reference/api). Nothing here logs a token or a body.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
from django.conf import settings

from leadloom.errors import BadRequest, LeadloomError, NeedsReconnect, TryLater, Unreadable

ACCOUNT_TAG = "leadloom_account"
"""Names the account a connection was made for. An id that a browser sends proves nothing; the tag does."""

REFUSED = "grant_refused"
"""Code of the TryLater that a refused refresh is: a revoked grant and a vendor's bad minute look the same."""

LONGEST_PAUSE = timedelta(hours=1)
REFRESH_BACKOFF = timedelta(seconds=35)  # Nango itself does not ask the vendor again for 30 s


class ConnectSession(msgspec.Struct, frozen=True):
    token: str
    expires_at: str = ""

    def __repr__(self) -> str:
        return f"ConnectSession(expires_at={self.expires_at!r})"


@dataclass(frozen=True, slots=True, repr=False)
class NangoConnection:
    access_token: str
    expires_in_s: float | None
    """Seconds left, or None when the vendor's tokens do not expire."""
    tags: Mapping[str, str]
    provider: str
    config: Mapping[str, Any]


class _Credentials(msgspec.Struct, frozen=True):
    """Of any type: what is missing is not this type's."""

    type: str = ""
    access_token: str = ""
    api_key: str = msgspec.field(default="", name="apiKey")
    token: str = ""
    expires_at: str | None = None

    def __repr__(self) -> str:
        return f"_Credentials(type={self.type!r})"


class _Connection(msgspec.Struct, frozen=True):
    provider: str
    credentials: _Credentials
    tags: dict[str, str] | None = None
    connection_config: dict[str, Any] | None = None


class _Session(msgspec.Struct, frozen=True):
    data: ConnectSession


class _Integration(msgspec.Struct, frozen=True):
    unique_key: str


class _Integrations(msgspec.Struct, frozen=True):
    data: list[_Integration]


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    error: _Problem = _Problem()


class Nango:
    """One call each. Raises TryLater, NeedsReconnect, Unreadable, or BadRequest when our key or settings are wrong."""

    def __init__(self, *, host: str = "", secret_key: str = "") -> None:
        self._host = host or settings.NANGO_HOST
        self._key = secret_key or settings.NANGO_SECRET_KEY
        if not self._key:
            raise BadRequest("Sign-in through Nango is not set up here. Ask whoever runs this site.")

    def connect_session(self, *, account_id: int, user_id: int, email: str, integration: str) -> ConnectSession:
        """A session with which this account's browser may connect one CRM, for 30 minutes."""
        body = self._call(
            "POST",
            "/connect/sessions",
            body={
                "end_user": {"id": str(user_id), "email": email},
                "organization": {"id": str(account_id)},
                "tags": {ACCOUNT_TAG: str(account_id)},
                "allowed_integrations": [integration],
            },
        )
        return _read(body, _Session).data

    def reconnect_session(
        self, *, account_id: int, user_id: int, email: str, connection_id: str, integration: str
    ) -> ConnectSession:
        """As above, for a connection that exists. Tags are replaced by those sent, so they are sent again."""
        body = self._call(
            "POST",
            "/connect/sessions/reconnect",
            body={
                "connection_id": connection_id,
                "integration_id": integration,
                "end_user": {"id": str(user_id), "email": email},
                "organization": {"id": str(account_id)},
                "tags": {ACCOUNT_TAG: str(account_id)},
            },
        )
        return _read(body, _Session).data

    def connection(self, connection_id: str, config_key: str, *, force_refresh: bool = False) -> NangoConnection:
        """The connection with a token that is good now. A refused refresh is TryLater with code ``grant_refused``."""
        query = {"provider_config_key": config_key}
        if force_refresh:
            query["force_refresh"] = "true"
        found = _read(self._call("GET", _path(connection_id), query=query), _Connection)
        given = found.credentials
        token = given.access_token or given.api_key or given.token
        if not token:
            raise Unreadable("The sign-in service gave no token for this connection.", detail=f"type {given.type}")
        return NangoConnection(
            access_token=token,
            expires_in_s=_seconds_left(given.expires_at),
            tags=found.tags or {},
            provider=found.provider,
            config=found.connection_config or {},
        )

    def delete(self, connection_id: str, config_key: str) -> None:
        """End the grant upstream. One that is gone already is fine."""
        try:
            self._call("DELETE", _path(connection_id), query={"provider_config_key": config_key})
        except NeedsReconnect:
            return

    def integrations(self) -> list[str]:
        """The integrations set up at Nango: also a cheap test of the key."""
        return [one.unique_key for one in _read(self._call("GET", "/integrations"), _Integrations).data]

    def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> bytes:
        try:
            reply = httpx2.request(
                method,
                f"{self._host}{path}",
                params=dict(query) if query else None,
                json=body,
                headers={"authorization": f"Bearer {self._key}"},
                timeout=httpx2.Timeout(20, connect=5),
            )
        except httpx2.RequestError as error:
            raise TryLater(
                "The sign-in service could not be reached. We try again shortly.",
                after=timedelta(seconds=5),
                code="vendor_down",
                detail=type(error).__name__,
            ) from error
        if reply.is_success:
            return reply.content
        raise _explain(reply)


def _path(connection_id: str) -> str:
    """An id that a browser sent must stay one step of the path."""
    if connection_id in ("", ".", ".."):
        raise NeedsReconnect("This sign-in is not known. Connect again.")
    return f"/connections/{quote(connection_id, safe='')}"


def _read[Shape](content: bytes, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The message of a ValidationError names a path and types, never a value.
        detail = str(error) if isinstance(error, msgspec.ValidationError) else "not JSON"
        raise Unreadable("The sign-in service gave an answer we cannot read. Try again.", detail=detail) from error


def _explain(reply: httpx2.Response) -> LeadloomError:
    try:
        code = msgspec.json.decode(reply.content, type=_Refusal).error.code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        code = ""
    detail = f"nango status {reply.status_code} {code}"
    if reply.status_code == 429 or reply.status_code >= 500:
        after = _retry_after(reply.headers.get("retry-after", ""))
        return TryLater("The sign-in service is busy. We try again.", after=after, code="vendor_down", detail=detail)
    if code == "invalid_credentials" or reply.status_code == 424:
        # A revoked grant and a vendor's bad minute look the same here.
        return TryLater(
            "The CRM did not renew the sign-in. We try again shortly.",
            after=REFRESH_BACKOFF,
            code=REFUSED,
            detail=detail,
        )
    if code in ("not_found", "unknown_connection"):  # not any 404: a wrong NANGO_HOST is no customer's fault
        return NeedsReconnect(
            "This connection no longer exists. Reconnect to go on; your leads are kept.", detail=detail
        )
    return BadRequest("The sign-in service did not accept our request. Ask whoever runs this site.", detail=detail)


def _retry_after(header: str) -> timedelta:
    if not header.isdecimal():
        return timedelta(seconds=10)
    return min(timedelta(seconds=int(header[:9])), LONGEST_PAUSE)


def _seconds_left(expires_at: str | None) -> float | None:
    """Nango writes ISO times, ending in Z or in +00:00."""
    if not expires_at:
        return None
    try:
        at = datetime.fromisoformat(expires_at)
    except ValueError:
        return None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
