"""An upgrade while people work: the tables are tomorrow's already, and yesterday's worker still syncs."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.journeys.conftest import Until, Worker
from tests.journeys.test_workers import CONTACTS, assert_complete

from leadloom.connections.models import Connection, Run, RunState
from leadloom.sandbox import Sandbox

pytestmark = pytest.mark.journey

ROOT = Path(__file__).resolve().parents[2]
# What the rules of tests/migrations.py let through, on the tables that a worker writes to.
GROWS = ("crm_connections", "sync_runs", "leads", "source_contacts", "run_contacts", "lead_changes")
TOMORROW = "ADD COLUMN tomorrow_text text NOT NULL DEFAULT '', ADD COLUMN tomorrow_at timestamptz"


@pytest.fixture
def yesterday(tmp_path: Path) -> str:
    """Where the last release's code is; before there is one, that of the commit before the newest migration."""
    tag = _git("describe", "--tags", "--abbrev=0")
    newest = _git("log", "--diff-filter=A", "-1", "--format=%H", "--", "src/leadloom/*/migrations/0*.py")
    commit = tag or (_git("rev-parse", "--verify", "--quiet", f"{newest}^") if newest else "")
    if not commit:
        pytest.skip("no history here: this needs a checkout that is not shallow")
    archive = tmp_path / "yesterday.tar"
    assert _git("archive", f"--output={archive}", commit, "src") == ""
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True)
    return str(tmp_path / "src")


def _git(*args: str) -> str:
    try:
        done = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no git here")
    return done.stdout.strip() if done.returncode == 0 else ""


@contextmanager
def tomorrow(owner_url: str) -> Iterator[None]:
    """The tables have grown; afterwards they are as they were."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("SET lock_timeout = '30s'")
        try:
            for table in GROWS:
                owner.execute(f"ALTER TABLE {table} {TOMORROW}".encode())
            yield
        finally:
            for table in GROWS:
                for column in ("tomorrow_text", "tomorrow_at"):
                    owner.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}".encode())


def test_yesterdays_worker_goes_on_while_the_tables_become_tomorrows(
    yesterday: str,
    owner_url: str,
    start_worker: Callable[..., Worker],
    connect: Callable[[Sandbox], tuple[Connection, Run]],
    until: Until,
) -> None:
    with Sandbox(contacts=CONTACTS, latency_ms=60) as box:
        old = start_worker(PYTHONPATH=yesterday, LEADLOOM_EMBEDDED="false")
        connection, run = connect(box)
        until(run, lambda run: run.pages >= 4)
        with tomorrow(owner_url):
            grown = until(run, lambda run: run.pages > 0)
            until(run, lambda run: run.pages > grown.pages or run.state == RunState.DONE)
            old.stop()
            assert old.process.returncode == 0
            start_worker()
            run = until(run, lambda run: run.state == RunState.DONE, within_s=150)
        assert_complete(connection, run, box)
