"""An hour of many tenants: every connection is due, real workers make each one's pass, most find nothing changed.

Each account has one HubSpot connection of its own, imported already, with a token, a bookmark and a pace of its own.
The simulated CRM behind them is one. All sizes are measured one after the other in the same database, side by side.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg

from bench.report import Row, Wish

if TYPE_CHECKING:
    from leadloom.sandbox import Sandbox

SIZES = (100, 1_000, 10_000)
CONTACTS = 5
WATCHED = 800  # connections in the hour whose statements are counted, which is not timed: logging costs
OVERLAP_S = 600  # longer than any provider reads back
LONGEST_S = 3600
QUEUE = ("procrastinate_jobs", "procrastinate_events", "procrastinate_periodic_defers")


@dataclass(frozen=True, slots=True)
class Hour:
    """What one hour of so many connections came to."""

    connections: int
    seconds: float
    starting_s: float
    worker_cpu_s: float
    postgres_cpu_s: float
    crm_cpu_s: float
    requests: int
    commits: int
    wal_bytes: int
    worker_peak_mb: float
    refresh_waited_s: float
    """Of somebody who pressed Refresh when half the passes were made."""
    left: dict[str, int]

    @property
    def told(self) -> str:
        each = 1000 / self.connections
        parts = f"{self.worker_cpu_s * each:.1f} worker + {self.postgres_cpu_s * each:.1f} PostgreSQL"
        return f"{self.cpu_ms:.1f} ms = {parts}"

    @property
    def cpu_ms(self) -> float:
        return (self.worker_cpu_s + self.postgres_cpu_s) * 1000 / self.connections


def measure(wish: Wish) -> list[Row]:
    most = wish.connections or 1_000
    sizes = sorted({*(size for size in SIZES if size < most), most})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        street = stack.enter_context(open_street(folder, latency_ms=wish.latency_ms))
        hours = []
        for size in sizes:
            street.settle(size)
            with street.workers(wish.workers or 1):
                street.hour(of=10)  # a worker's first pass loads what all others use
                hours.append(street.hour(changed=wish.changed))
        with street.workers(1):
            statements = street.statements_of_an_hour(of=min(WATCHED, most))
    return [*_rows(hours, wish.changed), Row("statements a quiet connection", f"{statements:.0f}")]


def _rows(hours: list[Hour], changed: int) -> list[Row]:
    rows = []
    target = "-" if changed else "<= 20 ms"
    kind = f"{changed} changed each" if changed else "nothing changed"
    for hour in hours:
        name, each = f"{hour.connections:,} connections, {kind}", 1 / hour.connections
        requests = f"{hour.requests * each:.2f}"
        left = ", ".join(f"{count:,} {table.removeprefix('procrastinate_')}" for table, count in hour.left.items())
        rows += [
            Row(f"{name}: CPU each", hour.told, target),
            Row(f"{name}: of a core, if hourly", f"{hour.cpu_ms * hour.connections / 36_000:.2f} %"),
            Row(f"{name}: requests each", requests, "1 to 2"),
            Row(f"{name}: commits and WAL each", f"{hour.commits * each:.1f}, {hour.wal_bytes * each / 1000:.1f} kB"),
            Row(f"{name}: wall", f"{hour.seconds:.1f} s, all started after {hour.starting_s:.1f} s"),
            Row(f"{name}: a Refresh in the middle waits", f"{hour.refresh_waited_s:.2f} s"),
            Row(f"{name}: peak memory of a worker", f"{hour.worker_peak_mb:.0f} MB", "<= 180 MB"),
            Row(f"{name}: left in the queue", left),
        ]
    last = hours[-1]
    rows.append(
        Row(
            f"10,000 an hour, as {last.connections:,} cost",
            f"{last.cpu_ms * 10_000 / 36_000:.1f} % of a core",
            "< 30 %",
        )
    )
    return rows


@contextmanager
def open_street(folder: Path, *, latency_ms: float) -> "Iterator[Street]":
    """Database, simulated CRM and one connection that has been imported; stopped again at the end."""
    from leadloom.sandbox import Sandbox
    from leadloom.site.embedded import postgres

    with postgres(folder) as server, Sandbox(contacts=CONTACTS, latency_ms=latency_ms, own_process=True) as box:
        os.environ |= {
            "LEADLOOM_DATA_DIR": str(folder),
            "LEADLOOM_EMBEDDED": "true",
            "DATABASE_URL": server.app_url,
            "DATABASE_OWNER_URL": server.owner_url,
            "DJANGO_SETTINGS_MODULE": "leadloom.site.settings",
            "LEADLOOM_LOG_LEVEL": "warning",
        }
        subprocess.run([sys.executable, "-m", "leadloom.site.migrate"], check=True)
        import django

        django.setup()
        from django.db import connections

        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            try:
                yield Street(box, admin)
            finally:
                connections.close_all()


class Street:
    """Many accounts alike. The rows of all but the first are copies: a first import is another measurement's."""

    def __init__(self, box: "Sandbox", admin: psycopg.Connection) -> None:
        self._box, self._admin = box, admin
        self._crm = psutil.Process(box.pid)
        [(data,)] = admin.execute("SHOW data_directory").fetchall()
        self._data = Path(data)
        self._server = psutil.Process(int((self._data / "postmaster.pid").read_text().splitlines()[0]))
        self._workers: list[psutil.Process] = []
        self._changes = 0
        self._account, self._connection = self._import_one()

    def _import_one(self) -> tuple[int, int]:
        from leadloom.accounts.scope import account_scope
        from leadloom.accounts.services import open_account
        from leadloom.connections.services import connect_with_token, request_run
        from leadloom.sync.work import work_on

        member = open_account(name="Bench", email="bench@example.com", password="only for this run")
        connection, run = connect_with_token(
            account=member.account, member=member, provider="hubspot", token=self._box.token, base_url=self._box.url
        )
        work_on(run.pk, run.account_id)
        self._box.advance(OVERLAP_S)
        with account_scope(member.account_id):
            connection.refresh_from_db()
            run, _ = request_run(connection=connection, trigger="manual")
        if work_on(run.pk, run.account_id).state != "done":
            raise SystemExit("the first import failed")
        self._admin.execute("DELETE FROM procrastinate_jobs")
        return member.account_id, connection.pk

    def settle(self, size: int) -> None:
        """Let the street have so many accounts."""
        from leadloom.connections.secrets import seal

        new = self._admin.execute(_ACCOUNTS, {"like": self._account, "count": size - self._size()}).fetchall()
        sealed = [
            (account, f"portal-{account}", seal(self._box.token, f"connection:{account}:hubspot:portal-{account}"))
            for (account,) in new
        ]
        with self._admin.transaction(), self._admin.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE new_tenants (account bigint, portal text, sealed bytea) ON COMMIT DROP")
            with cursor.copy("COPY new_tenants FROM STDIN") as copy:
                for row in sealed:
                    copy.write_row(row)
            values = {"like": self._account, "connection": self._connection}
            for table, statement in (
                ("crm_connections", _CONNECTIONS),
                ("leads", _LEADS),
                ("source_contacts", _CONTACTS),
            ):
                [(columns,)] = cursor.execute(_COLUMNS, [table]).fetchall()
                cursor.execute(statement.format(columns=columns).encode(), values)
        self._admin.execute("VACUUM ANALYZE")

    @contextmanager
    def workers(self, count: int) -> Iterator[None]:
        from leadloom.sync.finish import is_worker_alive

        started = [subprocess.Popen([sys.executable, "-m", "leadloom.site", "worker"]) for _ in range(count)]
        self._workers = [psutil.Process(worker.pid) for worker in started]
        try:
            while self._value("SELECT count(*) FROM procrastinate_workers") < count or not is_worker_alive():
                if any(worker.poll() is not None for worker in started):
                    raise SystemExit("a worker did not start")
                time.sleep(0.1)
            yield
        finally:
            for worker in started:
                worker.send_signal(signal.SIGTERM)
            for worker in started:
                worker.wait(30)
            self._admin.execute("DELETE FROM procrastinate_workers")

    def hour(self, *, of: int | None = None, changed: int = 0) -> Hour:
        """The schedule strikes, and so many connections are due: all of them when no number is given."""
        if changed:
            self._changes += 1
            for contact in list(islice(self._box.contacts(), changed)):
                self._box.change(contact.id, company=f"Changed for the benchmark {self._changes}")
        last = self._value("SELECT coalesce(max(id), 0) FROM sync_runs")
        self._admin.execute(_DUE, [of])
        before, began = self._spent(), time.monotonic()
        starting_s = self._strike()
        self._await(f"{_ACTIVE} > {(of or self._size()) // 2}", began)
        refresh = self._press_refresh()
        self._await(f"{_ACTIVE} > 0", began)
        seconds = time.monotonic() - began
        worker, postgres, crm, commits, wal = (now - then for now, then in zip(self._spent(), before, strict=True))
        done, requests, others = self._admin.execute(_DONE, [last]).fetchall()[0]
        if others or not done:
            raise SystemExit(f"{done} runs are done, {others} are not")
        left = {table: self._value(f"SELECT count(*) FROM {table}") for table in QUEUE}
        return Hour(
            done,
            seconds,
            starting_s,
            worker,
            postgres,
            crm,
            requests,
            int(commits),
            int(wal),
            self._peak_mb(),
            self._waited(*refresh),
            left,
        )

    def statements_of_an_hour(self, *, of: int) -> float:
        """How many statements a connection costs, as the server logs them."""
        log = self._data / "log"
        self.hour(of=10)
        self._set("log_statement", "all")
        size = log.stat().st_size
        hour = self.hour(of=of)
        self._set("log_statement", "none")
        with log.open("rb") as file:
            file.seek(size)
            text = file.read()
        return (text.count(b"LOG:  statement: ") + text.count(b"LOG:  execute ")) / hour.connections

    def _set(self, name: str, value: str) -> None:
        self._admin.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        self._admin.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)

    def _strike(self) -> float:
        """Have the hourly job done; answers how long it took."""
        from leadloom.sync.jobs import sync_hourly

        began = time.monotonic()
        sync_hourly.configure().defer(timestamp=int(time.time()))
        while self._value("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'sync.hourly'"):
            time.sleep(0.05)
        return time.monotonic() - began

    def _await(self, goes_on: str, began: float) -> None:
        while self._value(f"SELECT ({goes_on})::integer"):
            if time.monotonic() - began > LONGEST_S:
                raise SystemExit("the hour takes more than an hour")
            time.sleep(0.2)

    def _press_refresh(self) -> tuple[int, float]:
        """Of the first connection, whether or not its hourly pass is made already; answers the run, and when."""
        from leadloom.accounts.scope import account_scope
        from leadloom.connections.models import Connection
        from leadloom.connections.services import request_run

        pressed = time.time()
        with account_scope(self._account):
            run, _ = request_run(connection=Connection.objects.get(pk=self._connection), trigger="manual")
        return run.pk, pressed

    def _waited(self, run: int, pressed: float) -> float:
        query = "SELECT extract(epoch FROM started_at) FROM sync_runs WHERE id = %s"
        [(started,)] = self._admin.execute(query, [run]).fetchall()
        return max(0.0, float(started) - pressed)

    def _size(self) -> int:
        return self._value("SELECT count(*) FROM crm_connections")

    def _value(self, query: str) -> int:
        [(value,)] = self._admin.execute(query.encode()).fetchall()
        return int(value)

    def _spent(self) -> tuple[float, float, float, float, float]:
        """CPU seconds of workers, PostgreSQL and CRM; transactions; bytes of WAL."""
        self._admin.execute("SELECT pg_stat_force_next_flush()")
        commits = self._value("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        wal = self._value("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        ended = self._server.cpu_times()
        alive = sum(_cpu_s(child) for child in self._server.children(recursive=True))
        postgres = ended.user + ended.system + ended.children_user + ended.children_system + alive
        return sum(map(_cpu_s, self._workers)), postgres, _cpu_s(self._crm), commits, wal

    def _peak_mb(self) -> float:
        """The most memory any worker ever held, as the kernel counts it."""
        peaks = []
        for worker in self._workers:
            status = Path(f"/proc/{worker.pid}/status").read_text()
            peaks.append(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
        return max(peaks)


def _cpu_s(process: psutil.Process) -> float:
    try:
        spent = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(spent.user + spent.system)


_ACCOUNTS = """
INSERT INTO accounts (name, region, created_at)
SELECT name, region, created_at FROM accounts, generate_series(1, %(count)s) WHERE id = %(like)s
RETURNING id
"""

_CONNECTIONS = """
INSERT INTO crm_connections ({columns})
SELECT {columns} FROM (
    SELECT (jsonb_populate_record(c, jsonb_build_object(
        'id', nextval(pg_get_serial_sequence('crm_connections', 'id')), 'account_id', n.account,
        'external_account_id', n.portal, 'created_by_id', NULL, 'sealed_credentials', n.sealed))).*
    FROM crm_connections c, new_tenants n WHERE c.id = %(connection)s
) copied
"""

_LEADS = """
INSERT INTO leads ({columns})
SELECT {columns} FROM (
    SELECT (jsonb_populate_record(l, jsonb_build_object(
        'id', nextval(pg_get_serial_sequence('leads', 'id')), 'account_id', n.account, 'crm_connection_id', c.id))).*
    FROM leads l, new_tenants n JOIN crm_connections c ON c.account_id = n.account WHERE l.account_id = %(like)s
) copied
"""

_CONTACTS = """
INSERT INTO source_contacts ({columns})
SELECT {columns} FROM (
    SELECT (jsonb_populate_record(s, jsonb_build_object(
        'account_id', n.account, 'connection_id', c.id, 'lead_id', l.id))).*
    FROM source_contacts s, new_tenants n
    JOIN crm_connections c ON c.account_id = n.account
    JOIN leads l ON l.account_id = n.account
    WHERE s.account_id = %(like)s AND l.crm_id = s.external_id
) copied
"""

_COLUMNS = """
SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'
"""

_DUE = """
UPDATE crm_connections SET next_due_at = clock_timestamp()
    + CASE WHEN id <= (SELECT coalesce(max(id), 0) FROM (SELECT id FROM crm_connections ORDER BY id LIMIT %s) f)
           THEN interval '0' ELSE interval '1 hour' END
"""

_ACTIVE = "(SELECT count(*) FROM sync_runs WHERE state IN ('queued', 'running', 'waiting'))"

_DONE = """
SELECT count(*) FILTER (WHERE state = 'done'), coalesce(sum(requests), 0), count(*) FILTER (WHERE state <> 'done')
FROM sync_runs WHERE id > %s AND trigger = 'cron'
"""
