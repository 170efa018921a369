"""The HTTP shell around a simulated vendor: latency, faults, counting, the clock's ``Date``. Knows no vendor.

/_control/…        steers the sandbox (control.py)
/_texting/inbox    a texting service that records deliveries (texting.py)
/_nango/…          a small Nango, if the vendor has one (nango.py)
anything else      the vendor
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.faults import Fault, FaultBook, shuffled
from leadloom.sandbox.http import Refusal, Reply, Request, json_reply
from leadloom.sandbox.stats import Stats
from leadloom.sandbox.texting import TextingService

log = logging.getLogger("leadloom.sandbox")

type Send = Callable[[dict[str, Any]], Awaitable[None]]
type Receive = Callable[[], Awaitable[dict[str, Any]]]

HTML = b"text/html; charset=utf-8"
_TRANSPORT = "leadloom.transport"
_NO_BODY = frozenset({204, 304})


class Dialect(Protocol):
    """A simulated vendor."""

    clock: Clock

    def answer(self, request: Request) -> Reply: ...

    def control(self, request: Request) -> Reply | None:
        """Requests below ``/_control`` that are about this vendor's data; None when there is no such thing."""

    def error_body(self, status: int) -> bytes:
        """What the vendor says with this status when it is not well."""

    def reset(self) -> None: ...


class Side(Protocol):
    """Something else that answers below a prefix of its own."""

    async def answer(self, request: Request) -> Reply: ...

    async def control(self, request: Request) -> Reply | None: ...

    def reset(self) -> None: ...


class Shell:
    """The ASGI application."""

    def __init__(self, dialect: Dialect, *, latency_ms: float, seed: int, sides: dict[str, Side] | None = None) -> None:
        from leadloom.sandbox.control import CONTROLS

        self.dialect = dialect
        self.latency_ms = latency_ms
        self.faults = FaultBook(seed)
        self.stats = Stats()
        self.texting = TextingService()
        self.sides = sides or {}
        self._controls = CONTROLS
        self._frozen: dict[str, Reply] = {}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read(receive)
        request = Request(scope["method"], scope["path"], scope["query_string"], scope["headers"], body)
        if request.path.startswith("/_"):
            await self._send(send, await self._beside(request))
        else:
            await self._vendor(scope, request, receive, send)

    async def _beside(self, request: Request) -> Reply:
        try:
            if request.path.startswith("/_control/"):
                return await self._control(request)
            if request.path.startswith("/_texting/"):
                return self.texting.answer(request)
            for prefix, side in self.sides.items():
                if request.path.startswith(f"{prefix}/"):
                    return await side.answer(request)
        except Refusal as refusal:
            return refusal.reply
        except Exception as error:
            log.exception("control %s %s failed", request.method, request.path)
            return json_reply(500, {"error": f"{type(error).__name__}: {error}"})
        return json_reply(404, {"error": "nothing here"})

    async def _control(self, request: Request) -> Reply:
        found = self._controls.find(request)
        if found is not None:
            route, args = found
            return route.handler(self, request, args)
        for side in self.sides.values():
            if (reply := await side.control(request)) is not None:
                return reply
        return self.dialect.control(request) or json_reply(404, {"error": f"no control {request.path}"})

    async def _vendor(self, scope: dict[str, Any], request: Request, receive: Receive, send: Send) -> None:
        request.at_once = self.stats.began(request.method, request.path)
        status = 0
        try:
            fault = self.faults.pick(request)
            if self.latency_ms:
                await asyncio.sleep(self.latency_ms / 1000)
            if fault is None:
                reply = self._answer(request)
                status = reply.status
                await self._send(send, reply)
            else:
                status = await self._misbehave(fault, scope, request, receive, send)
        finally:
            self.stats.ended(status)

    def _answer(self, request: Request) -> Reply:
        try:
            return self.dialect.answer(request)
        except Refusal as refusal:
            return refusal.reply
        except Exception:
            log.exception("%s %s failed in the sandbox", request.method, request.path)
            return Reply(500, self.dialect.error_body(500))

    async def _misbehave(
        self, fault: Fault, scope: dict[str, Any], request: Request, receive: Receive, send: Send
    ) -> int:
        if fault.kind == "drop":
            scope[_TRANSPORT].abort()
            await receive()
            return 0
        if fault.kind == "hang":
            await _until_gone(receive, fault.seconds)
            scope[_TRANSPORT].abort()
            await receive()
            return 0
        if fault.kind == "cut":
            await self._cut_off(self._answer(request), scope, receive, send)
            return 0
        if fault.kind == "slow":
            reply = self._answer(request)
            await self._drip(reply, send, fault.seconds)
            return reply.status
        reply = self._spoiled(fault, request)
        await self._send(send, reply)
        return reply.status

    def _spoiled(self, fault: Fault, request: Request) -> Reply:
        if fault.kind.isdecimal():
            status = int(fault.kind)
            reply = (
                Reply(502, b"<html><h1>502 Bad Gateway</h1></html>", HTML)
                if status == 502
                else Reply(status, self.dialect.error_body(status))
            )
            if fault.retry_after is not None:
                reply.headers.append((b"retry-after", str(fault.retry_after).encode()))
            return reply
        if fault.kind == "html":
            return Reply(200, b"<!doctype html><title>Maintenance</title><p>We will be back soon.", HTML)
        if fault.kind == "repeat":
            return self._frozen.setdefault(_question(request), self._answer(request))
        reply = self._answer(request)
        if fault.kind == "shuffle":
            return Reply(reply.status, shuffled(reply.body), reply.content_type, reply.headers)
        if fault.kind == "cut_json":
            return Reply(reply.status, reply.body[: len(reply.body) * 2 // 3], headers=reply.headers)
        return Reply(reply.status, b'{"results": [undefined, NaN,]}', headers=reply.headers)

    async def _send(self, send: Send, reply: Reply) -> None:
        await send({"type": "http.response.start", "status": reply.status, "headers": self._headers(reply)})
        await send({"type": "http.response.body", "body": reply.body})

    def _headers(self, reply: Reply) -> list[tuple[bytes, bytes]]:
        headers = [(b"date", self.dialect.clock.http_date()), *reply.headers]
        if reply.status not in _NO_BODY:
            headers.append((b"content-type", reply.content_type))
            headers.append((b"content-length", str(len(reply.body)).encode()))
        return headers

    async def _cut_off(self, reply: Reply, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": reply.status, "headers": self._headers(reply)})
        await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})
        await asyncio.sleep(0.01)
        scope[_TRANSPORT].abort()
        await receive()

    async def _drip(self, reply: Reply, send: Send, seconds: float) -> None:
        await send({"type": "http.response.start", "status": reply.status, "headers": self._headers(reply)})
        size = max(1, len(reply.body) // 20)
        for start in range(0, len(reply.body), size):
            await asyncio.sleep(seconds / 20)
            await send({"type": "http.response.body", "body": reply.body[start : start + size], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def reset(self) -> None:
        """As at the start, but for latency and limits."""
        self.faults.clear()
        self.stats.reset()
        self.texting.reset()
        self._frozen.clear()
        self.dialect.reset()
        for side in self.sides.values():
            side.reset()

    def clear_faults(self) -> None:
        self.faults.clear()
        self._frozen.clear()


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _until_gone(receive: Receive, seconds: float) -> None:
    try:
        await asyncio.wait_for(receive(), seconds)
    except TimeoutError:
        return


class _Protocol(HttpToolsProtocol):
    """Hands the connection to the application, so that a fault can drop it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[_TRANSPORT] = self.transport


def listen(port: int) -> socket.socket:
    """A listening socket on the loopback address alone. Port 0 takes a free one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(512)
    return sock


def make_server(app: Shell) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


_WHAT_IS_ASKED = ("archived", "sort", "sorts", "sort_by", "sort_direction", "sort_order")


def _question(request: Request) -> str:
    """What is asked, whatever the place in it: a page that comes again is one of the same list, in the same order."""
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        body = None
    told = {**request.query, **(body if isinstance(body, dict) else {})}
    return f"{request.path} {[told.get(name) for name in _WHAT_IS_ASKED]}"
