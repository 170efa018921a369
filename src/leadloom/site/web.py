"""The web process: uvicorn serving the ASGI application, on an address of its own or a socket that ``up`` opened."""

import errno
import json
import resource
import socket
from collections.abc import Callable

import uvicorn

from leadloom.site.complaint import Complaint

MOST_DESCRIPTORS = 65_536  # each open dashboard is one; many systems start a process with 1,024
GRACE_S = 3  # open event streams would otherwise hold up every restart; browsers come back by themselves


class PortTaken(Complaint):
    """The message says which address is in use and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Port 0 takes a free one. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise PortTaken(_why(host, port, error)) from error
    sock.listen(2048)
    return sock


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Is Leadloom running already? Choose another with --port, or --port 0."
    if error.errno == errno.EACCES:
        return f"Port {port} may not be used by this user. Choose one above 1023 with --port."
    return f"Cannot listen on {host}, port {port}: {error.strerror or error}."


def address_of(sock: socket.socket) -> str:
    """The address to open in a browser."""
    host, port = sock.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{shown}:{port}"


def serve(sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT. Django's settings can be read already. Raises DatabaseTrouble."""
    from django.conf import settings

    from leadloom.accounts.setup import setup_path

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # empty where nobody collected: files come from the parts
    from leadloom.site.asgi import application
    from leadloom.site.database import await_migrations
    from leadloom.site.lifeline import tell

    _allow_descriptors()
    _load_ahead()
    await_migrations()
    setup = setup_path()
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,  # Django reads them, if LEADLOOM_BEHIND_PROXY says that a proxy sets them
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=75,  # longer than the idle time of the usual proxies, so that they are the ones to close
    )
    _Server(config, on_started=lambda: tell(json.dumps({"setup": setup}))).run([sock])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


def _allow_descriptors() -> None:
    """As many as the system lets this process have, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MOST_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _load_ahead() -> None:
    """Import every view now, so that the first visitor does not wait for it."""
    from django.db import connection
    from django.urls import get_resolver

    _ = get_resolver().url_patterns
    connection.close()
