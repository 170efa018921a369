"""A real PostgreSQL for every test, reached as the plain role the application runs as.

The server lives in a folder of its own for the session. Tests that commit (``committed``) empty the tables
afterwards; others roll back.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from leadloom.site.embedded import Embedded, postgres

_running = ExitStack()


def _start() -> None:
    """Start and migrate before Django reads its settings, and before the folders' own conftests import models."""
    if "DATABASE_URL" in os.environ:  # a subprocess of a test, or somebody's own server
        return
    folder = Path(_running.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-tests-", dir="/tmp")))
    folder.chmod(0o755)
    server = _running.enter_context(postgres(folder))
    _relax(server)
    os.environ |= {
        "LEADLOOM_DATA_DIR": str(folder),
        "LEADLOOM_EMBEDDED": "true",
        "LEADLOOM_SECRET_KEY": "a-key-for-tests-alone-" + "x" * 32,
        "DATABASE_URL": server.app_url,
        "DATABASE_OWNER_URL": server.owner_url,
        "DJANGO_SETTINGS_MODULE": "leadloom.site.settings",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's sync API runs a loop in the test's thread
    }
    subprocess.run([sys.executable, "-m", "leadloom.site.migrate"], check=True)
    import django

    django.setup()


def pytest_unconfigure(config: pytest.Config) -> None:
    from django.db import connections

    connections.close_all()
    _running.close()


def _relax(server: Embedded) -> None:
    """Throw-away data needs no flush to disk."""
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


_start()


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The database is there already, migrated by its owner."""


@pytest.fixture(scope="session")
def owner_url() -> str:
    return os.environ["DATABASE_OWNER_URL"]


@pytest.fixture
def committed(django_db_blocker: pytest.FixtureRequest, owner_url: str) -> Iterator[None]:
    """For tests whose work other processes or threads must see: really commits, and empties every table after."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        try:
            yield
        finally:
            from django.db import connections

            connections.close_all()
            _empty(owner_url)


def _empty(owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        tables = connection.execute(
            """
            SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables
            WHERE schemaname = 'public'
              AND tablename NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
            """
        ).fetchone()
        assert tables
        connection.execute("SET lock_timeout = '20s'")
        connection.execute(f"TRUNCATE {tables[0]} RESTART IDENTITY CASCADE".encode())
