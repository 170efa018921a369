"""A whole house to measure in: database, simulated CRM and worker, each a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched, islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import httpx2
import psutil
import psycopg

if TYPE_CHECKING:
    from leadloom.accounts.models import Member
    from leadloom.connections.models import Run
    from leadloom.providers.base import Record
    from leadloom.sandbox import Sandbox

LONGEST_S = 3600
OVERLAP_S = 600  # longer than any provider reads back


@dataclass(frozen=True, slots=True)
class Pass:
    """What one run came to."""

    seconds: float
    seen: int
    requests: int
    first_lead_s: float
    told: str
    worker_cpu_s: float
    postgres_cpu_s: float
    crm_cpu_s: float
    wal_bytes: int


@contextmanager
def open_house(
    folder: Path, *, contacts: int, latency_ms: float, has_worker: bool = True, crm: str = "hubspot"
) -> "Iterator[House]":
    """Everything started and migrated, and stopped again at the end. Without a worker, this process does its work."""
    from leadloom.sandbox import Sandbox
    from leadloom.sandbox.kinds import kind
    from leadloom.site.embedded import postgres

    with (
        postgres(folder) as server,
        Sandbox(crm, contacts=contacts, latency_ms=latency_ms, own_process=True, remembers=True) as box,
    ):
        os.environ |= {
            "LEADLOOM_DATA_DIR": str(folder),
            "LEADLOOM_EMBEDDED": "true",
            "DATABASE_URL": server.app_url,
            "DATABASE_OWNER_URL": server.owner_url,
            "DJANGO_SETTINGS_MODULE": "leadloom.site.settings",
            "LEADLOOM_SANDBOX_URL": box.url,
            "LEADLOOM_SANDBOX_CRM": crm,
            "LEADLOOM_SANDBOX_TOKEN": box.token,
            "LEADLOOM_SANDBOX_TOLD": json.dumps(dict(kind(crm).told)),
            "LEADLOOM_SANDBOX_UNPACED": "true",
            "LEADLOOM_LOG_LEVEL": "warning",
        }
        subprocess.run([sys.executable, "-m", "leadloom.site.migrate"], check=True)
        import django

        django.setup()
        from django.db import connections

        try:
            if has_worker:
                with _worker() as worker:
                    yield House(box, worker, server.admin_url)
            else:
                yield House(box, psutil.Process(), server.admin_url)
        finally:
            connections.close_all()


@contextmanager
def _worker() -> Iterator[psutil.Process]:
    worker = subprocess.Popen([sys.executable, "-m", "leadloom.site", "worker"])
    try:
        _await(worker)
        process = psutil.Process(worker.pid)
        _await_rest(process)
        yield process
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)


def _await(worker: subprocess.Popen[bytes]) -> None:
    """Until the worker listens: its start is not what is measured."""
    from leadloom.sync.finish import is_worker_alive

    while not is_worker_alive():
        if worker.poll() is not None:
            raise SystemExit("the worker did not start")
        time.sleep(0.1)


def _await_rest(process: psutil.Process) -> None:
    """Until it does nothing: what it still loads in the background is not what is measured."""
    before, now = -1.0, _cpu_s(process)
    while now - before > 0.02:
        time.sleep(0.5)
        before, now = now, _cpu_s(process)


class House:
    def __init__(self, box: "Sandbox", worker: psutil.Process, admin_url: str) -> None:
        from leadloom.accounts.services import open_account

        self._box = box
        self._worker = worker
        self._admin_url = admin_url
        self._member = open_account(name="Bench", email="bench@example.com", password="only for this run")
        self._crm = psutil.Process(box.pid)
        self._times = 0
        self._accounts = 0
        self._is_prepared = False

    @property
    def crm_url(self) -> str:
        return self._box.url

    @property
    def crm_token(self) -> str:
        return self._box.token

    @property
    def admin_url(self) -> str:
        return self._admin_url

    @property
    def box(self) -> "Sandbox":
        return self._box

    @property
    def member(self) -> "Member":
        return self._member

    def newcomer(self) -> "House":
        """The same house for another account."""
        from leadloom.accounts.services import open_account

        self._accounts += 1
        email = f"bench{self._accounts}@example.com"
        self._member = open_account(name=f"Bench {self._accounts}", email=email, password="only for this run")
        return self

    def connect(self) -> Pass:
        self.prepare()
        before = self._spent()
        return self._finish(self.begin(), before)

    def begin(self) -> "Run":
        """A connection and its first run, which nobody has waited for."""
        from leadloom.accounts.scope import account_scope
        from leadloom.connections.services import connect_to_sandbox

        account = self._member.account
        with account_scope(account.pk):
            self._connection, run = connect_to_sandbox(account=account, member=self._member, provider=self._box.crm)
        return run

    def prepare(self) -> None:
        """Have the CRM write its pages before the clock starts: its processor would not be on this machine."""
        if not self._is_prepared and self._box.crm == "hubspot":
            for _ in self.pages():
                pass
        self._is_prepared = True

    def pages(self) -> "Iterator[Sequence[Record]]":
        """The pages of the CRM's list, asked for as the provider does."""
        from leadloom.providers.crms.hubspot import CONTACTS, LIST_SIZE, provider

        asked = {"limit": str(LIST_SIZE), "properties": ",".join(provider._properties), "archived": "false"}
        after = ""
        with httpx2.Client(base_url=self._box.url, headers=dict(provider.authorization(self._box.token))) as http:
            while True:
                query = asked | ({"after": after} if after else {})
                page = http.get(f"{CONTACTS}?{urlencode(query, quote_via=quote)}").raise_for_status().json()
                yield page["results"]
                after = page.get("paging", {}).get("next", {}).get("after", "")
                if not after:
                    return

    def refresh(self) -> Pass:
        from leadloom.accounts.scope import account_scope
        from leadloom.connections.services import request_run

        before = self._spent()
        with account_scope(self._member.account_id):
            self._connection.refresh_from_db()
            run, _ = request_run(connection=self._connection, trigger="manual")
        return self._finish(run, before)

    def settle(self) -> None:
        """Let the overlap of the next passes be over: what was imported a moment ago is read again for a while."""
        self._box.advance(OVERLAP_S)
        for _ in range(2):  # the first learns that the CRM's clock has moved
            self.refresh()

    def change(self, count: int) -> None:
        """Each at an instant of its own, as people do it."""
        from leadloom.sandbox.kinds import kind

        self._times += 1
        values = {kind(self._box.crm).company: f"Changed for the benchmark {self._times}"}
        for contact in list(islice(self._box.contacts(), count)):
            self._box.change(contact.id, **values)

    def take_away(self, *, deleted: int, merged: int) -> None:
        """Delete so many contacts, and merge so many others with one more each."""
        ids = [contact.id for contact in islice(self._box.contacts(), deleted + 2 * merged)]
        for contact_id in ids[:deleted]:
            self._box.archive(contact_id)
        for winner, loser in batched(ids[deleted:], 2, strict=True):
            self._box.merge(winner, loser)

    def change_all_at_once(self) -> None:
        """All with one timestamp, as an import into the CRM does it."""
        self._times += 1
        self._box.bulk_change(self._box.count(), company=f"Changed at once {self._times}")

    def _spent(self) -> tuple[float, float, float, int]:
        return _cpu_s(self._worker), self.postgres_cpu_s, _cpu_s(self._crm), self._wal()

    def _finish(self, run: "Run", before: tuple[float, float, float, int]) -> Pass:
        from leadloom.sync.wait import wait_for

        run = wait_for(run.pk, run.account_id, LONGEST_S)
        if run.state != "done" or run.finished_at is None:
            raise SystemExit(f"the run ended as {run.state}: {run.error} {run.error_detail}")
        first = (run.first_lead_at - run.created_at).total_seconds() if run.first_lead_at else float("nan")
        others = run.updated + run.unchanged + run.failed
        told = f"{run.seen:,} = {run.created:,}+{run.linked:,}+{run.skipped:,}+{others:,}"
        after = self._spent()
        worker, postgres, crm = (after[i] - before[i] for i in range(3))
        seconds = (run.finished_at - run.created_at).total_seconds()
        return Pass(seconds, run.seen, run.requests, first, told, worker, postgres, crm, after[3] - before[3])

    @property
    def postgres(self) -> str:
        with psycopg.connect(self._admin_url) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return f"PostgreSQL {row[0]}" if row else "PostgreSQL"

    @property
    def postgres_cpu_s(self) -> float:
        """Of the server and all its children, also those that have ended."""
        with psycopg.connect(self._admin_url) as connection:
            [(folder,)] = connection.execute("SHOW data_directory").fetchall()
        server = psutil.Process(int((Path(folder) / "postmaster.pid").read_text().splitlines()[0]))
        ended = server.cpu_times()
        alive = sum(_cpu_s(child) for child in server.children(recursive=True))
        return float(ended.user + ended.system + ended.children_user + ended.children_system + alive)

    @property
    def stored_bytes(self) -> int:
        """Leads and source contacts with their indexes."""
        with psycopg.connect(self._admin_url) as connection:
            [(size,)] = connection.execute(
                "SELECT pg_total_relation_size('leads') + pg_total_relation_size('source_contacts')"
            ).fetchall()
        return int(size)

    @property
    def worker_peak_mb(self) -> float:
        """The most memory the worker ever held, as the kernel counts it."""
        for line in Path(f"/proc/{self._worker.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return float("nan")

    def _wal(self) -> int:
        with psycopg.connect(self._admin_url) as connection:
            row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").fetchone()
        return int(row[0]) if row else 0


def _cpu_s(process: psutil.Process) -> float:
    try:
        spent = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(spent.user + spent.system)
