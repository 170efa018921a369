"""``leadloom demo``: everything that ``up`` starts, a simulated CRM beside it, and a person who is signed in already.

In a folder of its own, whatever DATABASE_URL says: the demo never touches real data. It starts afresh each time unless
told to keep what is there.
"""

import json
import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import typer

from leadloom.errors import BadRequest
from leadloom.site import env
from leadloom.site.database import EMBEDDED
from leadloom.site.embedded import in_use, is_in_use
from leadloom.site.supervisor import Child, Supervisor, supervise
from leadloom.site.up import report, web_and_worker
from leadloom.site.web import PortTaken, address_of, listen

LOOPBACK = "127.0.0.1"
USUAL_PORT = 8000
OURS = ("postgres", "postgres.users", "postgres.lock", "secret.key", "static")  # what a data folder holds


@dataclass(frozen=True, slots=True)
class CrmWish:
    """Which CRM to simulate, and how it behaves."""

    crm: str = "hubspot"
    contacts: int = 5_000
    latency_ms: float = 150
    limits: str = "real"

    def check(self) -> None:
        """Raises BadRequest."""
        from leadloom.sandbox.kinds import kind

        try:
            kind(self.crm)
        except ValueError as unknown:
            raise BadRequest(str(unknown)) from unknown


def run_demo(wish: CrmWish, *, port: int | None, keep: bool) -> None:
    """Until Ctrl-C."""
    wish.check()
    folder = env.data_dir() / "demo"
    if is_in_use(folder):
        raise PortTaken(f"A demo is running in {folder} already. Stop it first, or set LEADLOOM_DATA_DIR.")
    if not keep:
        start_afresh(folder)
    with _listen(port) as web, listen(LOOPBACK, 0) as crm:
        key = prepare_environment(folder, wish, web=web, crm=crm)
        with supervise(os.environ, report) as supervisor:
            start_sandbox(supervisor, wish, crm)
            with web_and_worker(supervisor, web.fileno()):
                _greet(address_of(web), key, wish)
                supervisor.watch()
                report("Stopping.")


def prepare_environment(folder: Path, wish: CrmWish, *, web: socket.socket, crm: socket.socket) -> str:
    """What this process and its children shall find in the environment. Answers the key that signs in."""
    from leadloom.sandbox.kinds import kind

    for name in ("DATABASE_URL", "DATABASE_URL_FILE", "DATABASE_OWNER_URL", "LEADLOOM_SECRET_KEY", EMBEDDED):
        os.environ.pop(name, None)  # somebody's real ones
    key = secrets.token_urlsafe(24)
    os.environ |= {
        "LEADLOOM_DATA_DIR": str(folder.resolve()),
        "LEADLOOM_URL": address_of(web),
        "LEADLOOM_SANDBOX_URL": address_of(crm),
        "LEADLOOM_SANDBOX_CRM": wish.crm,
        "LEADLOOM_SANDBOX_TOKEN": kind(wish.crm).token,
        "LEADLOOM_SANDBOX_TOLD": json.dumps(dict(kind(wish.crm).told)),
        "LEADLOOM_SANDBOX_UNPACED": "true" if wish.limits == "none" else "false",
        "LEADLOOM_DEMO_KEY": key,
        "LEADLOOM_ALLOW_PRIVATE_URLS": "true",  # the simulated texting service lives on this machine
    }
    os.environ.setdefault("LEADLOOM_LOG_LEVEL", "warning")
    return key


def start_sandbox(supervisor: Supervisor, wish: CrmWish, crm: socket.socket) -> Child:
    """The simulated CRM as a child, ready to answer. The socket stays open if it crashes and is started again."""
    return supervisor.start(
        "sandbox", wish.crm,
        "--fd", str(crm.fileno()),
        "--contacts", str(wish.contacts),
        "--latency-ms", str(wish.latency_ms),
        "--limits", wish.limits,
        keep_open=[crm.fileno()],
    )  # fmt: skip


def serve_sandbox(wish: CrmWish, *, seed: int, port: int, descriptor: int | None) -> None:
    """The simulated CRM alone, until Ctrl-C. Raises PortTaken or BadRequest."""
    from leadloom.sandbox.kinds import kind
    from leadloom.sandbox.server import make_server
    from leadloom.sandbox.serving import make_app

    wish.check()
    with socket.socket(fileno=descriptor) if descriptor is not None else listen(LOOPBACK, port) as sock:
        if descriptor is None:
            address = address_of(sock)
            typer.echo(
                f"A simulated {wish.crm} with {wish.contacts:,} contacts: {address} (Ctrl-C stops it)\n"
                f"Connect it: echo {kind(wish.crm).token} | leadloom connect {wish.crm} --base-url {address}"
                + "".join(f" --with {name}={value}" for name, value in kind(wish.crm).told.items())
            )
        app = make_app(
            wish.crm,
            contacts=wish.contacts,
            latency_ms=wish.latency_ms,
            limits=wish.limits,
            seed=seed,
            now_ms=None,
        )
        make_server(app).run([sock])


def start_afresh(folder: Path) -> None:
    """Remove an earlier demo's data, and nothing else that may be in the folder."""
    with in_use(folder):
        pass  # a killed demo may have left its server running: the last to leave stops it
    for name in OURS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _listen(port: int | None) -> socket.socket:
    if port is not None:
        return listen(LOOPBACK, port)
    try:
        return listen(LOOPBACK, USUAL_PORT)
    except PortTaken:
        return listen(LOOPBACK, 0)


def _greet(address: str, key: str, wish: CrmWish) -> None:
    from leadloom.providers.catalogue import provider

    typer.echo(
        f"\n  The demo is ready. Open this address; it signs you in:\n\n    {address}/demo?key={key}\n\n"
        f"  Then press Connect CRM and choose the sandbox. Behind it: a simulated {provider(wish.crm).name}\n"
        f"  with {wish.contacts:,} contacts, answering after {wish.latency_ms:g} ms. Nothing leaves this machine.\n\n"
        "  Press Ctrl-C to stop. The next demo starts afresh.\n"
    )
