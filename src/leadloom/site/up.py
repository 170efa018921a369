"""``leadloom up``: database, web and worker as one thing that starts and ends together."""

import json
import os
from collections.abc import Callable

import typer

from leadloom.site import env
from leadloom.site.database import bring_up_to_date, running
from leadloom.site.supervisor import Supervisor, supervise
from leadloom.site.web import address_of, listen


def run_everything(host: str, port: int) -> None:
    """Until Ctrl-C. Raises PortTaken, EmbeddedError, DatabaseTrouble, SettingError or ChildFailed."""
    with listen(host, port) as sock:
        address = os.environ.setdefault("LEADLOOM_URL", address_of(sock))
        with running(), supervise(os.environ, report) as supervisor:
            setup = start_web_and_worker(supervisor, sock.fileno())
            greet(address, setup)
            supervisor.watch()
            report("Stopping.")


def start_web_and_worker(supervisor: Supervisor, listening: int) -> str | None:
    """Start both at once; they load while the database is brought up to date.

    Answers the path of the one-time set-up page, if nobody has set Leadloom up yet.
    """
    web = supervisor.start("web", "--fd", str(listening), keep_open=[listening])
    worker = supervisor.start("worker")
    # Another's database is migrated here only if its owner's role was given: then that is what it is for.
    if env.secret("DATABASE_OWNER_URL"):
        bring_up_to_date()
    told = json.loads(web.wait_until_ready())
    worker.wait_until_ready()
    setup: str | None = told["setup"]
    return setup


def greet(address: str, setup: str | None, echo: Callable[[str], None] = typer.echo) -> None:
    echo(f"\n  Leadloom is ready: {address}")
    if setup:
        echo(f"  Nobody has signed up yet. Make yourself the owner, once, here:\n\n    {address}{setup}")
    echo("\n  Press Ctrl-C to stop.\n")


def report(sentence: str) -> None:
    typer.echo(f"leadloom: {sentence}", err=True)
