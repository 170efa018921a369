"""The database a command works on: the one that DATABASE_URL names, or the embedded one, started or shared.

Whoever enters ``ready`` finds DATABASE_URL in the environment, for Django in this process and for children.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import sql

from leadloom.site import env, lifeline
from leadloom.site.complaint import Complaint
from leadloom.site.embedded import in_use, postgres, postmaster, start_again
from leadloom.site.turns import take_turn

EMBEDDED = "LEADLOOM_EMBEDDED"
UPGRADE = 46  # a turn; 42 to 45 guard creation, migration, first set-up and the demo
MIGRATING_S = 600  # how long children wait for the parent's migrations


class DatabaseTrouble(Complaint):
    """The database cannot be used. The message says why and what to do."""


@contextmanager
def ready(*, migrate: bool) -> Iterator[None]:
    """A database that can be used. The embedded one is always migrated; another only if asked: its owner decides.

    Raises EmbeddedError, DatabaseTrouble or SettingError.
    """
    with running():
        if migrate or _is_own():
            bring_up_to_date()
        yield


@contextmanager
def running() -> Iterator[None]:
    """A database that answers, whatever its tables. Raises EmbeddedError, DatabaseTrouble or SettingError."""
    check_settings()
    if env.secret("DATABASE_URL"):
        _knock()
        with _shared():
            yield
        return
    with postgres(env.data_dir()) as server:
        os.environ |= {"DATABASE_URL": server.app_url, "DATABASE_OWNER_URL": server.owner_url, EMBEDDED: "true"}
        yield


def revive() -> bool:
    """Start the embedded server again when it has ended though it is in use: killed for memory, say. Answers whether it
    had. Raises EmbeddedError."""
    if not env.boolean(EMBEDDED, False) or postmaster(env.data_dir()) is not None:
        return False
    start_again(env.data_dir())
    return True


def _is_own() -> bool:
    """Did this process, not its parent, start or join the embedded database?"""
    return env.boolean(EMBEDDED, False) and not lifeline.has_parent()


def _knock() -> None:
    """One try with a short patience: a pool would ask for twenty seconds before it says the same."""
    try:
        psycopg.connect(env.secret("DATABASE_URL"), connect_timeout=10).close()
    except psycopg.Error as error:
        raise DatabaseTrouble(f"The database that DATABASE_URL names cannot be reached: {error}") from error


@contextmanager
def _shared() -> Iterator[None]:
    """A child process uses its parent's embedded server, and counts among those that keep it running."""
    if not env.boolean(EMBEDDED, False):
        yield
        return
    with in_use(env.data_dir()):
        yield


def check_settings() -> None:
    """Read all settings once, to fail before anything is started. Raises SettingError."""
    name = "leadloom.site.settings"
    import_module(name)
    if not env.secret("DATABASE_URL"):
        del sys.modules[name]  # Django shall read them again, when it is known where the database is


def bring_up_to_date() -> None:
    """Migrate, in a process of its own because it runs as another role. Raises DatabaseTrouble.

    A note on the database says which version's tables it has, so that the usual start need not ask Django.
    """
    owner_url = env.secret("DATABASE_OWNER_URL") or env.secret("DATABASE_URL")
    try:
        with psycopg.connect(owner_url, autocommit=True) as connection:
            if _noted(connection) == _version():
                return
            take_turn(connection, UPGRADE)  # of two first starts one waits
            if _noted(connection) == _version():
                return
            _migrate()
            _note(connection, _version())
    except psycopg.OperationalError as error:
        raise DatabaseTrouble(f"The database cannot be reached: {error}") from error


def _migrate() -> None:
    done = subprocess.run([sys.executable, "-m", "leadloom.site.migrate"], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason was given"]
        raise DatabaseTrouble(f"The database could not be brought to this version: {lines[-1]}")


def _version() -> str:
    """Changes whenever there may be a migration to run."""
    package = Path(__file__).resolve().parent.parent
    ours = sorted(str(path.relative_to(package)) for path in package.glob("*/migrations/[0-9]*.py"))
    others = [f"{name} {version(name)}" for name in ("django", "procrastinate")]
    return "leadloom " + hashlib.sha256("\n".join([*ours, *others]).encode()).hexdigest()[:16]


def _noted(connection: psycopg.Connection) -> str | None:
    found = connection.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    return found[0] if found else None


def _note(connection: psycopg.Connection, text: str) -> None:
    name = sql.Identifier(connection.info.dbname)
    with suppress(psycopg.errors.InsufficientPrivilege):  # tables' owner, but not the database's: we just ask each time
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(text)))


def load_django() -> None:
    """Make models usable in this process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadloom.site.settings")
    import django

    django.setup()


def await_migrations() -> None:
    """Return once the tables are this version's. A child of ``up`` waits for its parent to bring them there; it has
    loaded everything else meanwhile. Anybody else is refused. Raises DatabaseTrouble."""
    deadline = time.monotonic() + (MIGRATING_S if lifeline.has_parent() else 0)
    while missing := unapplied_migrations():
        if time.monotonic() > deadline:
            raise DatabaseTrouble(
                f"The database lacks {len(missing)} migration(s) of this version, the first is {missing[0]}. "
                "Run: leadloom migrate"
            )
        time.sleep(0.05)


def unapplied_migrations() -> list[str]:
    """What this version has and the database has not, as ``app.name``."""
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connection)
    return [f"{app}.{name}" for app, name in loader.disk_migrations if (app, name) not in loader.applied_migrations]
