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

from leadloom.errors import BadRequest, NeedsReconnect, TryLater, Unreadable

ACCOUNT_TAG = "leadloom_account"
"""Names the account a connection was made for. An id that a browser sends proves nothing; the tag does."""

REFUSED = "grant_refused"
"""Code of the TryLater that a refused refresh is: a revoked grant and a vendor's bad minute look the same."""

REFRESH_BACKOFF = timedelta(seconds=35)  # Nango itself does not ask the vendor again for 30 s


@dataclass(frozen=True, slots=True)
class ConnectSession:
    token: str
    expires_at: str


@dataclass(frozen=True, slots=True, repr=False)
class NangoConnection:
    access_token: str
    expires_in_s: float | None
    """Seconds left, or None when the vendor's tokens do not expire."""
    tags: Mapping[str, str]
    provider: str
    config: Mapping[str, Any]


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
        return _session(body)

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
        return _session(body)

    def connection(self, connection_id: str, config_key: str, *, force_refresh: bool = False) -> NangoConnection:
        """The connection with a token that is good now. A refused refresh is TryLater with code ``grant_refused``."""
        query = {"provider_config_key": config_key}
        if force_refresh:
            query["force_refresh"] = "true"
        body = self._call("GET", f"/connections/{quote(connection_id, safe='')}", query=query)
        credentials = body.get("credentials")
        given = credentials if isinstance(credentials, dict) else {}
        token = given.get("access_token") or given.get("apiKey") or given.get("token")
        if not isinstance(token, str) or not token:
            raise Unreadable("Nango gave no token for this connection.", detail=f"type {given.get('type')}")
        tags = body.get("tags")
        config = body.get("connection_config")
        return NangoConnection(
            access_token=token,
            expires_in_s=_seconds_left(given.get("expires_at")),
            tags={str(key): str(value) for key, value in tags.items()} if isinstance(tags, dict) else {},
            provider=str(body.get("provider", "")),
            config=config if isinstance(config, dict) else {},
        )

    def delete(self, connection_id: str, config_key: str) -> None:
        """End the grant upstream. One that is gone already is fine."""
        try:
            self._call(
                "DELETE", f"/connections/{quote(connection_id, safe='')}", query={"provider_config_key": config_key}
            )
        except NeedsReconnect:
            return

    def integrations(self) -> list[str]:
        """The integrations set up at Nango: also a cheap test of the key."""
        found = self._call("GET", "/integrations").get("data")
        return [str(one.get("unique_key")) for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
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
        parsed = _json(reply.content)
        if reply.is_success:
            return parsed
        raise _explain(reply, parsed)


def _explain(reply: httpx2.Response, body: dict[str, Any]) -> Exception:
    error = body.get("error")
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    detail = f"nango status {reply.status_code} {code}"
    if reply.status_code == 429 or reply.status_code >= 500:
        seconds = reply.headers.get("retry-after", "")
        after = timedelta(seconds=int(seconds)) if seconds.isdigit() else timedelta(seconds=10)
        return TryLater("The sign-in service is busy. We try again.", after=after, code="vendor_down", detail=detail)
    if code == "invalid_credentials" or reply.status_code == 424:
        # A revoked grant and a vendor's bad minute look the same here.
        return TryLater(
            "The CRM did not renew the sign-in. We try again shortly.",
            after=REFRESH_BACKOFF,
            code=REFUSED,
            detail=detail,
        )
    if reply.status_code == 404 or code in ("not_found", "unknown_connection"):
        return NeedsReconnect(
            "This connection no longer exists. Reconnect to go on; your leads are kept.", detail=detail
        )
    return BadRequest("The sign-in service did not accept our request. Ask whoever runs this site.", detail=detail)


def _session(body: dict[str, Any]) -> ConnectSession:
    data = body.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("token"), str):
        raise Unreadable("The sign-in service gave no session. Try again.")
    return ConnectSession(token=data["token"], expires_at=str(data.get("expires_at", "")))


def _json(content: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(content) if content else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def _seconds_left(expires_at: Any) -> float | None:
    """Nango writes ISO times, ending in Z or in +00:00."""
    if not isinstance(expires_at, str):
        return None
    try:
        at = datetime.fromisoformat(expires_at)
    except ValueError:
        return None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
