"""A texting service for tests: a small web server that keeps what it was sent and answers as it was told."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers ``status`` with ``reply`` and ``reply_headers``; ``statuses`` go first, one each."""

    port: int = 0
    status: int = 200
    statuses: list[int] = field(default_factory=list)
    reply: bytes = b"ok"
    reply_headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    on_request: Any = None
    """Called with the request before the answer goes out."""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/leads"


@contextmanager
def receiver(*, tls: ssl.SSLContext | None = None, **fields: Any) -> Iterator[Receiver]:
    told = Receiver(**fields)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Received(self.path, {name.lower(): text for name, text in self.headers.items()}, body)
            with told.lock:
                told.received.append(request)
                told.at_once += 1
                told.most_at_once = max(told.most_at_once, told.at_once)
                status = told.statuses.pop(0) if told.statuses else told.status
            try:
                if told.on_request:
                    told.on_request(request)
                self.send_response(status)
                for name, text in {"Content-Length": str(len(told.reply)), **told.reply_headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(told.reply)
            except OSError:
                pass  # the caller had heard enough
            finally:
                with told.lock:
                    told.at_once -= 1

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
