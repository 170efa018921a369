"""A real PostgreSQL for every test, reached as the plain role the application runs as.

The server lives in a folder of its own for the session. Tests that commit (``committed``) empty the tables
afterwards; others roll back. Processes that share the tests between them (``-n``) have a server each, begun from a copy
of what the first process has migrated.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest

from leadloom.site.embedded import Embedded, postgres

MIGRATED = "LEADLOOM_TESTS_MIGRATED"
"""A data folder whose server has been migrated and stopped, to begin from."""

LITTLE = 4_000_000  # bytes

_folders = ExitStack()
_running = ExitStack()
_environment: dict[str, str] = {}
_admin_url = ""


def _start() -> None:
    """Start and migrate before Django reads its settings, and before the folders' own conftests import models."""
    if "DATABASE_URL" in os.environ:  # a subprocess of a test, or somebody's own server
        return
    folder = Path(_folders.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-tests-", dir="/tmp")))
    folder.chmod(0o755)
    migrated = os.environ.pop(MIGRATED, None)
    if migrated:  # PostgreSQL's files belong to another user when we are root
        subprocess.run(["cp", "-a", f"{migrated}/postgres", folder], check=True)
    server = _running.enter_context(postgres(folder))
    global _admin_url
    _admin_url = server.admin_url
    if not migrated:
        _relax(server)
    _environment.update(
        {
            "LEADLOOM_DATA_DIR": str(folder),
            "LEADLOOM_EMBEDDED": "true",
            "LEADLOOM_SECRET_KEY": "a-key-for-tests-alone-" + "x" * 32,
            "DATABASE_URL": server.app_url,
            "DATABASE_OWNER_URL": server.owner_url,
            "DJANGO_SETTINGS_MODULE": "leadloom.site.settings",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's sync API runs a loop in the test's thread
        }
    )
    os.environ |= _environment
    if not migrated:
        subprocess.run([sys.executable, "-m", "leadloom.site.migrate"], check=True)
    import django

    django.setup()
    _share_middleware()
    _hash_quickly()
    _trust_once()


def _trust_once() -> None:
    """Each client of HTTP would read anew whom this machine trusts, 50 ms each time, and most speak to 127.0.0.1."""
    import httpcore2

    httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)


def _hash_quickly() -> None:
    """Hashing is slow on purpose; here it would only be slow. Processes that tests start hash as ever."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    PBKDF2PasswordHasher.iterations = 1


def _share_middleware() -> None:
    """One chain of middleware for all test clients, as a server has one for all browsers. Each client would build its
    own, and look through the static files for it. A new one when a setting changes, unless it is one of ours: they are
    read when a request comes."""
    from django.conf import global_settings
    from django.core.signals import setting_changed
    from django.test.client import ClientHandler

    shared: dict[str, Any] = {}
    build = ClientHandler.load_middleware

    def load(handler: Any, is_async: bool = False) -> None:
        if is_async:
            build(handler, is_async)
            return
        if not shared:
            before = set(vars(handler))
            build(handler)
            shared.update({name: value for name, value in vars(handler).items() if name not in before})
        vars(handler).update(shared)

    ClientHandler.load_middleware = load  # type: ignore[method-assign]

    def forget(setting: str, **_: Any) -> None:
        if hasattr(global_settings, setting) or setting.startswith("WHITENOISE"):
            shared.clear()

    setting_changed.connect(forget, weak=False)


def pytest_configure(config: pytest.Config) -> None:
    """What Hypothesis makes up may take as long as it needs on this machine, as it may in CI."""
    settings, patient = hypothesis.settings, [hypothesis.HealthCheck.too_slow]
    usual = settings.get_profile(settings.get_current_profile_name())
    settings.register_profile("patient", usual, deadline=None, suppress_health_check=patient)
    settings.load_profile("patient")


def pytest_xdist_setupnodes() -> None:
    """Hand nothing on to processes that take a part of the tests but a copy: each starts a server of its own."""
    for name in _environment:
        del os.environ[name]
    if _environment:
        _stop()
        os.environ[MIGRATED] = _environment["LEADLOOM_DATA_DIR"]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, since tests of several processes mostly wait for them."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones first, and dealt out to all processes. Each is given a run of the list, as many tests as the
    others; who is done takes from the ends of their runs, where only short tests should be. Those stay as they stood,
    since the tests of a module may share what was started for them."""
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if item.get_closest_marker("long") or item.get_closest_marker("journey")]
    short = [item for item in items if item not in long]
    dealt: list[pytest.Item] = []
    for number in range(processes):
        run = (len(items) - len(dealt)) // (processes - number)
        own = long[number::processes]
        rest = max(run - len(own), 0)
        dealt += own + short[:rest]
        del short[:rest]
    items[:] = dealt + short


def pytest_unconfigure(config: pytest.Config) -> None:
    _stop()
    _folders.close()


def _stop() -> None:
    from django.db import connections

    connections.close_all()
    _running.close()


def _relax(server: Embedded) -> None:
    """Throw-away data needs no flush to disk."""
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


def _keep_compiled() -> None:
    """Tests start hundreds of processes. What one of them has compiled the others read, whatever is usual here."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


_keep_compiled()
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


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is kept because this machine was slow to give it: a test would see an older one, or fewer queries."""
    from leadloom.site import kept

    monkeypatch.setattr(kept, "QUICK_S", math.inf)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what comes after the waiting. Between two tries of a request a twentieth of the time passes that is
    counted; how long it is, is the business of ``test_patience.py``."""
    from leadloom.sync import patience, turn

    quick = partial(patience.Patient, sleep=lambda seconds: time.sleep(seconds / 20))
    monkeypatch.setattr(turn, "Patient", quick)


def _empty(owner_url: str) -> None:
    """Little is deleted by the superuser, in a tenth of the time it takes to truncate every table and index."""
    with psycopg.connect(_admin_url or owner_url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '20s'")
        for attempt in range(5):
            try:
                connection.execute(DELETE if _admin_url and _size(connection) < LITTLE else TRUNCATE)
                return
            except psycopg.errors.DeadlockDetected:  # with a page that a browser was still asking for
                if attempt == 4:
                    raise


def _size(connection: psycopg.Connection) -> int:
    found = connection.execute(
        "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    ).fetchone()
    assert found
    return int(found[0])


TRUNCATE = """
DO $$
BEGIN
    EXECUTE (
        SELECT format('TRUNCATE %s RESTART IDENTITY CASCADE', string_agg(format('%I', tablename), ', '))
        FROM pg_tables
        WHERE schemaname = 'public'
          AND tablename NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
    );
END $$
"""
# Waits for whoever still writes, as TRUNCATE does, before it looks. Neither triggers nor keys are asked: all goes.
DELETE = """
DO $$
DECLARE
    tables text[] := ARRAY(
        SELECT format('%I', tablename)
        FROM pg_tables
        WHERE schemaname = 'public'
          AND tablename NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
    );
    one text;
BEGIN
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', array_to_string(tables, ', '));
    PERFORM set_config('session_replication_role', 'replica', true);
    FOREACH one IN ARRAY tables LOOP
        EXECUTE format('DELETE FROM %s', one);
    END LOOP;
    PERFORM setval(pg_depend.objid::regclass, 1, false)
    FROM pg_depend
    JOIN pg_class ON pg_class.oid = pg_depend.objid AND pg_class.relkind = 'S'
    WHERE pg_depend.deptype IN ('a', 'i') AND pg_depend.refobjid = ANY (tables::regclass[]);
END $$
"""
