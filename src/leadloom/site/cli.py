"""The command line: ``leadloom``. Each command says in one function what it does; the work is in the parts.

A mistake that a user can make is answered with one sentence and exit code 1 (2 for a wrong argument or setting),
never with a traceback.
"""

import os
import signal
import sys
from enum import StrEnum
from typing import Annotated

import typer

from leadloom.site import lifeline
from leadloom.site.embedded import EmbeddedError
from leadloom.site.env import SettingError

app = typer.Typer(
    help="Leadloom keeps a sales team's leads in step with its CRM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Limit(StrEnum):
    real = "real"
    none = "none"


Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for every network.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """The console entry."""
    lifeline.hold()
    signal.signal(signal.SIGTERM, _interrupt)  # ends like Ctrl-C: whatever was started is stopped
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except SettingError as error:
        _complain(error, code=2)
    except Exception as error:
        if not _is_for_the_user(error):
            raise
        _complain(error, code=1)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _complain(error: Exception, *, code: int) -> None:
    sentence = " ".join(str(error).split())
    print(f"leadloom: {sentence}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _is_for_the_user(error: Exception) -> bool:
    from leadloom.errors import LeadloomError
    from leadloom.site.database import DatabaseTrouble
    from leadloom.site.operator import Unknown
    from leadloom.site.supervisor import ChildFailed
    from leadloom.site.web import PortTaken

    if isinstance(error, LeadloomError | DatabaseTrouble | EmbeddedError | Unknown | ChildFailed | PortTaken):
        return True
    if "django.db" not in sys.modules:
        return False
    from django.db import OperationalError

    return isinstance(error, OperationalError)


@app.command()
def up(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Start everything: web, worker, scheduler and, unless DATABASE_URL is set, the database."""
    from leadloom.site.up import run_everything

    run_everything(host, port)


@app.command()
def web(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    descriptor: Annotated[int | None, typer.Option("--fd", hidden=True)] = None,
) -> None:
    """Start one web process."""
    import socket

    from leadloom.site.database import load_django, ready
    from leadloom.site.web import address_of, listen, serve

    with socket.socket(fileno=descriptor) if descriptor is not None else listen(host, port) as sock:
        os.environ.setdefault("LEADLOOM_URL", address_of(sock))
        with ready(migrate=False):
            load_django()
            serve(sock)


@app.command()
def worker(
    concurrency: Annotated[int | None, typer.Option(min=1, help="Jobs at once; LEADLOOM_CONCURRENCY.")] = None,
) -> None:
    """Start one worker: it reads CRMs, keeps the schedule and hands new leads over."""
    from leadloom.site.database import load_django, ready

    with ready(migrate=False):
        load_django()
        from django.conf import settings

        from leadloom.site.worker import run_worker

        run_worker(concurrency or settings.WORKER_CONCURRENCY)


Crm = Annotated[str, typer.Option(help="Which CRM to simulate.")]
Contacts = Annotated[int, typer.Option(min=0, help="How many contacts it has.")]
Latency = Annotated[float, typer.Option("--latency-ms", min=0, help="After how many milliseconds it answers.")]
Limits = Annotated[Limit, typer.Option(help="Whether it keeps to the vendor's published limits.")]


@app.command()
def demo(
    crm: Crm = "hubspot",
    contacts: Contacts = 5_000,
    latency_ms: Latency = 150,
    limits: Limits = Limit.real,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="8000, or a free one if that is taken.")] = None,
    keep: Annotated[bool, typer.Option(help="Go on with the data of the last demo.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Do the main job without a browser and print its figures.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try Leadloom with a simulated CRM: nothing to set up, nothing leaves this machine."""
    from leadloom.site.demo import CrmWish, run_demo

    wish = CrmWish(crm, contacts, latency_ms, limits.value)
    if once:
        from leadloom.site.once import run_once

        raise typer.Exit(run_once(wish, as_json=as_json))
    run_demo(wish, port=port, keep=keep)


@app.command()
def sandbox(
    crm: Annotated[str, typer.Argument(help="Which CRM to simulate.")] = "hubspot",
    port: Port = 8040,
    contacts: Contacts = 500,
    latency_ms: Latency = 0,
    limits: Limits = Limit.real,
    seed: Annotated[int, typer.Option(help="The same seed makes the same contacts.")] = 1,
    descriptor: Annotated[int | None, typer.Option("--fd", hidden=True)] = None,
) -> None:
    """Start a simulated CRM alone, for trying things out."""
    from leadloom.site.demo import CrmWish, serve_sandbox

    serve_sandbox(CrmWish(crm, contacts, latency_ms, limits.value), seed=seed, port=port, descriptor=descriptor)


@app.command()
def migrate() -> None:
    """Bring the database to this version's tables, as the role of DATABASE_OWNER_URL."""
    from leadloom.site.database import ready

    with ready(migrate=True):
        typer.echo("The database is up to date.")
