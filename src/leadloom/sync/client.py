"""Asking a CRM over HTTP: adds host and credential, keeps the pace, names what went wrong.

Knows no vendor: the provider says which headers carry the credential and what a refusal means. A token that ran out
is renewed once per request. Nothing here logs a URL's query, a body or a header.
"""

import socket
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import httpx2

from leadloom.errors import NeedsReconnect, TokenExpired, TryLater, Unreachable, Unreadable
from leadloom.providers.base import Provider, Reply, Request

TIMEOUT = httpx2.Timeout(30, connect=5)  # a first packet that is lost is sent again after one second, and after three
LARGEST_REPLY = 64 * 1024 * 1024  # bytes; a page of 200 contacts with megabyte notes still fits
MOST_CONNECTIONS = 128
KEPT_OPEN_S = 4.0  # less than servers wait before they hang up, or a request might meet a line that is being closed
NETWORK_PAUSE = timedelta(seconds=2)


@cache
def _http() -> httpx2.Client:
    """One for the whole process: tenants of one vendor share its open connections, and nothing else. Whom we trust is
    read from disk once. No cookie is kept, since it might name a tenant to the vendor when another one asks."""
    return httpx2.Client(
        timeout=TIMEOUT,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=KEPT_OPEN_S),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


LINE = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 4, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 12_000}
"""A line that is cut tells nobody: while we wait for a reply, the kernel asks whether the other end is still there.
Some systems do not have all of these, and wait for the reply alone."""


def _watch_the_line(event: str, told: Mapping[str, Any]) -> None:
    if event == "connection.connect_tcp.complete":
        line: socket.socket = told["return_value"].get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in LINE.items():
            if option := getattr(socket, name, None):
                line.setsockopt(socket.IPPROTO_TCP, option, value)


def _query(request: Request) -> str:
    """Written once here: the library would take the address apart a second time to put it in."""
    return f"?{urlencode(request.query, quote_via=quote)}" if request.query else ""


class Pace(Protocol):
    """Holds a request back until the vendor's limit has room for it."""

    def wait(self, pool: str) -> None: ...

    def learn(self, request: Request, reply: Reply) -> None:
        """Take the vendor's own word on its limits."""


class Unpaced:
    """For single requests outside a run, such as testing a credential."""

    def wait(self, pool: str) -> None:
        pass

    def learn(self, request: Request, reply: Reply) -> None:
        pass


class CrmClient:
    """Sends a provider's requests. Safe to use from several threads.

    ``token(force)`` gives the credential; ``force`` asks for a fresh one because the last was refused.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        base_url: str,
        token: Callable[[bool], str],
        pace: Pace | None = None,
    ) -> None:
        self.provider = provider
        self.requests = 0
        self.clock_skew = timedelta(0)
        """The vendor's clock minus ours, as of the last reply."""
        self._base = base_url.rstrip("/")
        self._token = token
        self._pace = pace or Unpaced()

    @property
    def host(self) -> str:
        return urlsplit(self._base).hostname or ""

    def send(self, request: Request) -> Reply:
        """The reply; its status is 2xx or accepted by the request. Raises the LeadloomError that says what next."""
        try:
            return self._attempt(request, self._token(False))
        except TokenExpired:
            pass
        try:
            return self._attempt(request, self._token(True))
        except TokenExpired as refused_again:
            raise NeedsReconnect(str(refused_again), detail=refused_again.detail) from refused_again

    def _attempt(self, request: Request, token: str) -> Reply:
        self._pace.wait(request.pool)
        reply = self._exchange(request, token)
        self._pace.learn(request, reply)
        if 200 <= reply.status < 300 or reply.status in request.accept:
            return reply
        raise self.provider.explain(reply, now=datetime.now(UTC) + self.clock_skew)

    def _exchange(self, request: Request, token: str) -> Reply:
        if not request.path.startswith("/"):
            # Vendors say where to go on, and ``@evil.example/`` or ``.evil.example/`` behind a host is another host.
            raise Unreadable(f"{self.provider.name} told us to go on at a place that is none.", detail="path without /")
        self.requests += 1
        try:
            with _http().stream(
                request.method,
                f"{self._base}{request.path}{_query(request)}",
                json=request.body if request.method == "POST" else None,
                headers={**request.headers, **self.provider.authorization(token)},
                extensions={"trace": _watch_the_line},
            ) as response:
                body = self._read(response)
        except httpx2.RequestError as error:
            sentence = f"{self.provider.name} could not be reached. We try again shortly."
            detail = f"{type(error).__name__} at {self.host}{request.path}"
            if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise Unreachable(sentence, after=NETWORK_PAUSE, detail=detail) from error
            raise TryLater(sentence, after=NETWORK_PAUSE, code="vendor_down", detail=detail) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        self._note_clock(headers.get("date", ""))
        return Reply(response.status_code, headers, body)

    def _read(self, response: httpx2.Response) -> bytes:
        chunks, size, deadline = [], 0, time.monotonic() + 120
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > LARGEST_REPLY or time.monotonic() > deadline:
                raise Unreadable(
                    f"{self.provider.name} sent a page that is too large or too slow to read.",
                    detail=f"{size} bytes read",
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _note_clock(self, date: str) -> None:
        try:
            theirs = parsedate_to_datetime(date)
        except (TypeError, ValueError):
            return
        if theirs.tzinfo is not None:
            # The header has whole seconds: half a second is the best guess at the rest.
            self.clock_skew = theirs + timedelta(milliseconds=500) - datetime.now(UTC)
