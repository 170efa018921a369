"""The command line: ``leadloom``. Each command says in one function what it does; the work is in the parts.

A mistake that a user can make is answered with one sentence and exit code 1 (2 for a wrong argument or setting),
never with a traceback.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from leadloom.site import lifeline
from leadloom.site.complaint import Complaint
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


class How(StrEnum):
    append = "append"
    overwrite = "overwrite"
    preview = "preview"


Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for every network.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")]
STDIN = "-"
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """The console entry."""
    lifeline.hold()
    if not lifeline.is_environment_awaited():  # till then nothing is started, and SIGTERM may end it on the spot
        _end_in_order()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except SettingError as error:
        _complain(error, code=2)
    except Complaint as error:
        _complain(error, code=1)
    except Exception as error:
        if not _is_for_the_user(error):
            raise
        _complain(error, code=1)


def _end_in_order() -> None:
    """From here on SIGTERM does what Ctrl-C does: whatever was started is stopped."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _complain(error: Exception, *, code: int) -> None:
    sentence = " ".join(str(error).split())
    print(f"leadloom: {sentence}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _is_for_the_user(error: Exception) -> bool:
    """What the CRM or the database says. Named here by class, so that a start need not import them."""
    from leadloom.errors import LeadloomError
    from leadloom.providers.catalogue import UnknownProvider

    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, LeadloomError | UnknownProvider) or "OperationalError" in names


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
    from leadloom.site.ahead import load_web

    load_web()
    lifeline.await_environment()
    _end_in_order()
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
    from leadloom.site.ahead import load_worker

    load_worker()
    lifeline.await_environment()
    _end_in_order()
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


@app.command()
def connect(
    provider: Annotated[str, typer.Argument(help="The CRM, such as hubspot.")],
    token: Annotated[str, typer.Option(help="Its access token; - reads it from standard input.")] = STDIN,
    account: Annotated[str, typer.Option(help="The account's name or id, if there are several.")] = "",
    base_url: Annotated[str, typer.Option(help="Another host than the CRM's own, such as a sandbox.")] = "",
    beside: Annotated[
        list[str] | None, typer.Option("--with", help="What the CRM asks for beside the token: name=value.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Connect a CRM with an access token, and start the first import."""
    typed = dict(one.partition("=")[::2] for one in beside or [])
    secret = _typed_token() if token == STDIN else token
    with _operator():
        from leadloom.site import operator

        found, run = operator.connect(
            account=operator.find_account(account), provider=provider, token=secret, base_url=base_url, typed=typed
        )
        answer = {"connection": found.pk, "run": run.pk, "account": found.account_id}
        _show([answer] if not as_json else answer, as_json=as_json)


@app.command()
def sync(
    connection: Annotated[int, typer.Option(help="Its id: see leadloom connections.")],
    strategy: Annotated[How, typer.Option(help="overwrite also archives who left.")] = How.append,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the end; 0 only starts it.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Read a connection's changes now. Exit code 1 if the run failed, 3 if it has not ended within --wait."""
    with _operator():
        from leadloom.connections.models import RunState, Strategy
        from leadloom.site import operator

        run = operator.sync(operator.find_connection(connection), strategy=Strategy(strategy), wait_s=wait)
        answer = operator.describe(run)
        _show([answer] if not as_json else answer, as_json=as_json)
        if run.state in (RunState.FAILED, RunState.STOPPED):
            raise typer.Exit(1)
        if wait and run.state != RunState.DONE:
            raise typer.Exit(3)


@app.command()
def connections(as_json: AsJson = False) -> None:
    """List all connections and how they are."""
    with _operator():
        from leadloom.site import operator

        _show(operator.connections(), as_json=as_json)


@app.command()
def runs(
    connection: Annotated[int | None, typer.Option(help="Of this connection alone.")] = None,
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List sync runs with what they counted."""
    with _operator():
        from leadloom.site import operator

        _show(operator.runs(connection_id=connection, most=most), as_json=as_json)


@app.command()
def check() -> None:
    """Look at settings, database, queue, Nango and every connection: a line each, exit code 1 if one is wrong."""
    with _operator():
        from leadloom.site.checks import run_checks

        raise typer.Exit(0 if run_checks(typer.echo) else 1)


@app.command("setup-link")
def setup_link() -> None:
    """Print the link that makes the first person the owner; it works until somebody has signed up."""
    with _operator():
        from django.conf import settings

        from leadloom.accounts.setup import setup_path

        path = setup_path()
        if path is None:
            raise Complaint("Somebody has signed up already. Further people come by invitation.")
        typer.echo(f"{settings.LEADLOOM_URL}{path}")


@app.command("new-password")
def new_password(email: Annotated[str, typer.Argument(help="Whose password was forgotten.")]) -> None:
    """Give somebody a new password, and end their sessions."""
    with _operator():
        from leadloom.accounts.services import replace_password

        password = replace_password(email)
        if password is None:
            raise Complaint("Nobody signs in with this e-mail address.")
        typer.echo(password)


@app.command("rotate-secrets")
def rotate_secrets() -> None:
    """Seal stored credentials again with the first key of LEADLOOM_SECRET_KEY."""
    with _operator():
        from leadloom.connections.rotation import reseal_all

        told = reseal_all()
        typer.echo(f"{told.sealed} sealed again; {told.current} were sealed with the first key already.")
        if told.lost:
            raise Complaint(f"{told.lost} cannot be opened with any key given: put the key they were sealed with back.")


def _typed_token() -> str:
    """From a pipe, or asked for without showing it: arguments can be listed by every user of the machine."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("Access token", hide_input=True)
        return asked.strip()
    return sys.stdin.readline().strip()


@contextmanager
def _operator() -> Iterator[None]:
    """A database and models, for a command that looks or acts once. Warnings only, so that output can be piped."""
    os.environ.setdefault("LEADLOOM_LOG_LEVEL", "warning")
    from leadloom.site.database import load_django, ready

    with ready(migrate=False):
        load_django()
        from django.db import connection

        try:
            yield
        finally:
            connection.close()


def _show(found: Sequence[Mapping[str, object]] | Mapping[str, object], *, as_json: bool) -> None:
    """JSON, or aligned columns with a heading."""
    if as_json or isinstance(found, Mapping):
        typer.echo(json.dumps(found, indent=2))
        return
    if not found:
        typer.echo("There is none.")
        return
    heads = [name for name in found[0] if any(row[name] not in (None, "") for row in found)]
    rows = [heads, *[["" if row[name] is None else str(row[name]) for name in heads] for row in found]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
