"""``leadloom up``: database, web and worker as one thing that starts and ends together."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from leadloom.site import env
from leadloom.site.supervisor import Supervisor, supervise
from leadloom.site.web import address_of, listen


def run_everything(host: str, port: int) -> None:
    """Until Ctrl-C. Raises PortTaken, EmbeddedError, DatabaseTrouble, SettingError or ChildFailed."""
    with listen(host, port) as sock:
        address = os.environ.setdefault("LEADLOOM_URL", address_of(sock))
        with supervise(os.environ, report) as supervisor, web_and_worker(supervisor, sock.fileno()) as setup:
            greet(address, setup)
            supervisor.watch()
            report("Stopping.")


@contextmanager
def web_and_worker(supervisor: Supervisor, listening: int) -> Iterator[str | None]:
    """Both are ready within the block, and end before the database does. They load while it starts and is migrated.

    Yields the path of the one-time set-up page, if nobody has set Leadloom up yet.
    """
    web = supervisor.start("web", "--fd", str(listening), keep_open=[listening], waits=True)
    worker = supervisor.start("worker", waits=True)
    from leadloom.site.database import bring_up_to_date, revive, running  # while they load

    def see_to_the_database() -> None:
        if revive():
            report("PostgreSQL had ended and was started again.")

    with running():
        supervisor.look_after(see_to_the_database)
        supervisor.go_on(os.environ)
        try:
            # Another's database is migrated only if its owner's role was given: then that is what it is for.
            if env.secret("DATABASE_OWNER_URL"):
                bring_up_to_date()
            told = json.loads(web.wait_until_ready())
            worker.wait_until_ready()
            yield told["setup"]
        finally:
            supervisor.end()


def greet(address: str, setup: str | None, echo: Callable[[str], None] = typer.echo) -> None:
    echo(f"\n  Leadloom is ready: {address}")
    if setup:
        echo(f"  Nobody has signed up yet. Make yourself the owner, once, here:\n\n    {address}{setup}")
    echo("\n  Press Ctrl-C to stop.\n")


def report(sentence: str) -> None:
    typer.echo(f"leadloom: {sentence}", err=True)
