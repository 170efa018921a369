"""One Nango environment: connections to the simulated CRM, their tokens and refreshes, its webhooks. No routes here."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

import httpx2

from leadloom.sandbox.clock import Clock, iso
from leadloom.sandbox.http import Json, Refusal
from leadloom.sandbox.nango.replies import offset_iso, refusal
from leadloom.sandbox.pace import RollingWindow

KEY = "5f0c1a52-7b7e-4c53-9f0e-6d2a8c1b4e77"
SIGNING_KEY = "0b6f5d0e-2a55-4f0c-8b9b-3a1c7e9d2f10"  # a setting of its own: it differs from the key once rotated
REFRESH_BEFORE_MS = 15 * 60_000
BACK_OFF_MS = 30_000
SESSION_MS = 30 * 60_000
_TEXT = "The external API returned an error when trying to refresh the access token. Please try again later."


@dataclass(slots=True)
class Issued:
    """A fresh credential from the CRM's token endpoint."""

    access_token: str
    refresh_token: str
    expires_in: int
    raw: Mapping[str, Json] | None = None
    """The token reply, of a CRM that does not tell there when a token ends: Nango learns it by introspection, and
    tells its readers no more than the reply did."""


class RefreshFailed(Exception):
    """The CRM's token endpoint said no, or was not well: Nango cannot tell these apart."""


class Provider(Protocol):
    """The CRM's side of OAuth, called directly."""

    name: str

    def install(self) -> Issued: ...

    def refresh(self, refresh_token: str) -> Issued:
        """Raises RefreshFailed."""

    def revoke(self, refresh_token: str) -> None: ...

    def expire(self, access_token: str) -> None: ...

    def connection_config(self) -> dict[str, Json]: ...


@dataclass(slots=True)
class Link:
    """A connection, as Nango calls it."""

    number: int
    connection_id: str
    key: str
    tags: dict[str, str]
    end_user: dict[str, Json] | None
    access_token: str
    refresh_token: str | None
    expires_ms: int
    raw: dict[str, Json]
    created_ms: int
    updated_ms: int
    config: dict[str, Json]
    metadata: dict[str, Json] = field(default_factory=dict)
    failed_ms: int | None = None
    log_id: str = ""
    tells_expiry: bool = True


@dataclass(slots=True)
class Session:
    tags: dict[str, str]
    end_user: dict[str, Json] | None
    allowed: list[str] | None
    expires_ms: int
    reconnects: Link | None = None


class Environment:
    """One environment with one integration, named for its provider."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.clock = clock
        self.provider = provider
        self.key = KEY
        self.signing_key = SIGNING_KEY
        self.webhook_url = ""
        self.failing_refreshes = 0
        self.limit = RollingWindow(None, 60, lambda: self.clock.now_ms() / 1000)
        self.links: dict[str, Link] = {}
        self.sessions: dict[str, Session] = {}
        self._made = 0
        self._events: list[dict[str, Json]] = []

    def connect(
        self,
        *,
        tags: dict[str, str],
        end_user: dict[str, Json] | None = None,
        connection_id: str | None = None,
        key: str | None = None,
    ) -> Link:
        """A new connection with a grant of its own at the CRM; an id that exists is overwritten, tags and all."""
        issued = self.provider.install()
        now = self.clock.now_ms()
        old = self.links.get(connection_id or "")
        self._made += 1
        link = Link(
            number=old.number if old else self._made,
            connection_id=connection_id or f"dbfd2906-db6f-46e3-b78c-{self._made:012x}",
            key=key or self.provider.name,
            tags=tags,
            end_user=end_user,
            access_token="",
            refresh_token=None,
            expires_ms=0,
            raw={},
            created_ms=old.created_ms if old else now,
            updated_ms=now,
            config=self.provider.connection_config(),
        )
        self._store(link, issued)
        self.links[link.connection_id] = link
        self._announce(link, "override" if old else "creation")
        return link

    def refresh(self, link: Link, *, forced: bool) -> None:
        """Raises the 400 of a failed refresh, or the 424 of the back-off after it, which a forced one ignores."""
        now = self.clock.now_ms()
        if link.failed_ms is not None and now - link.failed_ms < BACK_OFF_MS and not forced:
            raise self._no_credentials(link, 424, "A recent refresh attempt failed. Backing off before retrying.")
        if link.refresh_token is None or (not forced and link.expires_ms - now >= REFRESH_BEFORE_MS):
            return
        try:
            if self.failing_refreshes:
                self.failing_refreshes -= 1
                raise RefreshFailed
            self._store(link, self.provider.refresh(link.refresh_token))
        except RefreshFailed:
            link.failed_ms = now
            link.log_id = f"{now}_sandbox"
            self._announce(link, "refresh", {"type": "refresh_token_external_error", "description": _TEXT})
            raise self._no_credentials(link, 400, _TEXT) from None

    def disconnect(self, link: Link) -> None:
        del self.links[link.connection_id]
        if link.refresh_token and link.metadata.get("skipTokenRevocation") is not True:
            self.provider.revoke(link.refresh_token)

    def signed(self, body: bytes) -> dict[str, str]:
        return {
            "content-type": "application/json",
            "x-nango-signature": sha256(self.signing_key.encode() + body).hexdigest(),
            "x-nango-hmac-sha256": hmac.new(self.signing_key.encode(), body, sha256).hexdigest(),
        }

    async def deliver(self, event: dict[str, Json], url: str | None = None) -> int:
        """Sends one webhook and returns the status, 0 when nobody answered. The real one repeats after 3 and 6 s."""
        body = json.dumps(event, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        target = url or self.webhook_url
        try:
            async with httpx2.AsyncClient(timeout=20, trust_env=False) as client:
                reply = await client.post(target, content=body, headers=self.signed(body))
        except httpx2.TransportError:
            return 0
        return reply.status_code

    def new_session(self, session: Session) -> Json:
        self._made += 1
        token = "nango_connect_session_" + sha256(f"session {self._made}".encode()).hexdigest()
        self.sessions[token] = session
        return {
            "token": token,
            "connect_link": f"http://127.0.0.1:3009/?session_token={token}",
            "expires_at": iso(session.expires_ms),
        }

    def body_of(self, link: Link, *, credentials: dict[str, Json]) -> dict[str, Json]:
        return {
            **self.summary(link),
            "connection_config": link.config,
            "webhook_url_override": None,
            "created_at": offset_iso(link.created_ms),
            "updated_at": offset_iso(link.updated_ms),
            "last_fetched_at": offset_iso(self.clock.now_ms()),
            "credentials": credentials,
        }

    def summary(self, link: Link) -> dict[str, Json]:
        errors: list[Json] = [] if link.failed_ms is None else [{"type": "auth", "log_id": link.log_id}]
        return {
            "id": link.number,
            "connection_id": link.connection_id,
            "provider_config_key": link.key,
            "provider": self.provider.name,
            "errors": errors,
            "end_user": link.end_user,
            "tags": link.tags,
            "metadata": link.metadata,
        }

    def event(self, link: Link, operation: str, error: Json = None) -> dict[str, Json]:
        """The body of an ``auth`` webhook."""
        body: dict[str, Json] = {
            "type": "auth",
            "from": "nango",
            "operation": operation,
            "success": error is None,
            "connectionId": link.connection_id,
            "providerConfigKey": link.key,
            "provider": self.provider.name,
            "authMode": "OAUTH2",
            "environment": "dev",
            "tags": link.tags,
        }
        if link.end_user is not None:
            body["endUser"] = {"endUserId": link.end_user.get("id"), "endUserEmail": link.end_user.get("email")}
        return body if error is None else {**body, "error": error}

    def _store(self, link: Link, issued: Issued) -> None:
        now = self.clock.now_ms()
        link.access_token, link.refresh_token = issued.access_token, issued.refresh_token
        link.expires_ms = now + issued.expires_in * 1000
        link.tells_expiry = issued.raw is None
        if issued.raw is not None:
            link.raw = dict(issued.raw)
        else:
            link.raw = {
                "token_type": "bearer",
                "access_token": issued.access_token,
                "expires_in": issued.expires_in,
                "expires_at": iso(link.expires_ms),
            }
        link.updated_ms = now
        link.failed_ms = None

    def _announce(self, link: Link, operation: str, error: Json = None) -> None:
        if self.webhook_url:
            self._events.append(self.event(link, operation, error))

    def take_events(self) -> list[dict[str, Json]]:
        events, self._events = self._events, []
        return events

    def _no_credentials(self, link: Link, status: int, message: str) -> Refusal:
        payload: Json = {"connection": self.body_of(link, credentials={})}
        return refusal(status, "invalid_credentials", message, payload=payload)
