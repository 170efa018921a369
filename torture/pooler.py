"""Leadloom behind PgBouncer, in session mode and in transaction mode: what works, and what is late or lost."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.report import Row

from torture.hosts import DATABASE_PORT, House, open_house
from torture.machines import LATENCY_MS, announce, await_end, open_dashboard
from torture.network import reason_against
from torture.report import Verdict, Wish

POOLER_PORT = 6432
CONTACTS = 4_000


def suffer(wish: Wish) -> Verdict:
    """An import and its dashboard in either mode. Raises DrillFailed where a contact is lost."""
    verdict = Verdict()
    reason = reason_against() or ("" if shutil.which("pgbouncer") else "there is no pgbouncer here")
    if reason:
        verdict.tell("behind PgBouncer: not measured", reason)
        return verdict
    with tempfile.TemporaryDirectory(prefix="leadloom-torture-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with open_house(folder, contacts=wish.contacts or CONTACTS, latency_ms=LATENCY_MS) as house:
            house.services.pop("web").stop()
            for mode in ("session", "transaction"):
                with _pgbouncer(house, folder, mode):
                    for row in _behind(house, mode):
                        verdict.tell(row.what, row.figure, row.target)
    return verdict


def _behind(house: House, mode: str) -> list[Row]:
    rows: list[Row] = []
    house.service("web", "web", "--host", "0.0.0.0", "--port", "8000")
    house.until(lambda: house.answers("/readyz"), "the web answers", within_s=90)
    house.start_workers("worker1")
    try:
        which = house.connect()
        with open_dashboard(house, which) as dashboard:
            began = house.until(lambda: house.run(which.run)["state"] != "queued", "the run begins", within_s=60)
            await_end(house, which)
            house.check_complete(which)
            time.sleep(2)
            heard = dashboard.words
            announce(house, which)
            time.sleep(3)
            hears = dashboard.words > heard
        again = house.connect()
        rang = house.until(lambda: house.run(again.run)["state"] != "queued", "the next run begins", within_s=60)
        await_end(house, again)
        house.check_complete(again)
        held = house.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'leadloom_app'")
        rows = [
            Row(f"{mode} mode: two imports", "complete"),
            Row(f"{mode} mode: a run begins after", f"{began:.1f} s, {rang:.1f} s"),
            Row(f"{mode} mode: an open dashboard hears what happens", "yes" if hears else "no"),
            Row(f"{mode} mode: connections at the server", f"{held}"),
        ]
    finally:
        for host in ("worker1", "web"):
            house.services.pop(host).stop()
        house.admin.execute("DELETE FROM procrastinate_workers")
    return rows


@contextmanager
def _pgbouncer(house: House, folder: Path, mode: str) -> Iterator[None]:
    """Beside the database, set as docs/operations.md says: what it cannot hand on, such as our options, it ignores."""
    address = house.network.address("db", "data")
    settings = folder / f"pgbouncer-{mode}.ini"
    settings.write_text(
        f"[databases]\nleadloom = host={address} port={DATABASE_PORT} dbname=leadloom user=leadloom_app\n"
        f"[pgbouncer]\nlisten_addr = 0.0.0.0\nlisten_port = {POOLER_PORT}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 60\nmax_client_conn = 500\n"
        "ignore_startup_parameters = options\n"
    )
    settings.chmod(0o644)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    log = (folder / f"pgbouncer-{mode}.log").open("wb")
    process = subprocess.Popen(
        house.network.command("db", *as_nobody, "pgbouncer", str(settings)), stdout=log, stderr=log
    )
    house.database_port = POOLER_PORT
    try:
        time.sleep(1)
        yield
    finally:
        house.database_port = DATABASE_PORT
        process.terminate()
        process.wait(20)
        log.close()
