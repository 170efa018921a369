"""Leadloom beside its peers and beside the floor: one simulated CRM, one PostgreSQL, turn and turn about.

What they do differs: only Leadloom reads phone numbers, matches people, makes leads and explains each record; the peers
copy records. Each runs in a process of its own, so that its CPU and memory are its own; PostgreSQL's is that of the
whole server meanwhile. Theirs includes the start of their programs; Leadloom's worker is up already, as it is in
service, and its memory is the most it held since then. More contacts make that difference smaller. How many rows each
has kept is counted afterwards, of Leadloom the contacts its run has seen: who reads less is not faster. The plain loop
keeps fewer rows than contacts, as it puts those with one number or e-mail into one.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from bench.house import House, open_house
from bench.peers.installed import DLT, SINGER, NotInstalled, environment
from bench.report import Row, Wish

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Spent:
    """What one turn cost."""

    seconds: float
    cpu_s: float
    postgres_cpu_s: float
    peak_mb: float
    kept: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contestant finds the CRM and PostgreSQL."""

    house: House
    folder: Path
    turn: int

    @property
    def properties(self) -> str:
        from leadloom.providers.crms.hubspot import provider

        return ",".join(provider._properties)

    @property
    def schema(self) -> str:
        return f"turn_{self.turn}"


def measure(wish: Wish) -> list[Row]:
    contacts, rounds = wish.contacts or 20_000, wish.rounds or 3
    spent: dict[str, list[Spent]] = {}
    missing: list[Row] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        house = stack.enter_context(open_house(folder, contacts=contacts, latency_ms=0))
        house.prepare()
        lines = folder / "lines"
        stage(house, lines)
        turns: dict[str, Callable[[Place], Spent]] = {
            "Leadloom": leadloom,
            "dlt": dlt,
            "Singer tap and target-postgres": singer,
            "plain loop": plain_loop,
            "floor: fetch and throw away": fetch,
            "floor: COPY of prepared rows": lambda place: copy(place, lines),
        }
        for turn in range(rounds):
            for name, run in list(turns.items()):
                place = Place(house, folder / f"{name.split()[0]}-{turn}".replace(":", ""), turn)
                place.folder.mkdir(exist_ok=True)
                try:
                    spent.setdefault(name, []).append(run(place))
                except NotInstalled as why:
                    del turns[name]
                    missing.append(Row(name, f"not installed: {why}"))
    middle = {name: _median(runs) for name, runs in spent.items() if runs}
    ours = middle["Leadloom"]
    rows = [
        Row(
            name,
            f"{contacts / one.seconds:7,.0f}/s, {one.seconds / ours.seconds:5.2f} x ours; {one.peak_mb:3.0f} MB; CPU"
            f" {one.cpu_s * 1e6 / contacts:4.0f} + {one.postgres_cpu_s * 1e6 / contacts:3.0f} µs a contact;"
            f" {one.kept:,.0f} rows kept",
        )
        for name, one in middle.items()
    ]
    return [
        *rows,
        *missing,
        Row("medians of", f"{rounds} rounds, {contacts:,} contacts; CPU is its own + PostgreSQL's"),
        Row("not alike", "the peers' figures include the start of their programs, Leadloom's worker is up"),
    ]


def _median(runs: list[Spent]) -> Spent:
    return Spent(*(statistics.median(getattr(one, name) for one in runs) for name in Spent.__slots__))


def leadloom(place: Place) -> Spent:
    """A first import of an account of its own, by the worker that runs."""
    done = place.house.newcomer().connect()
    return Spent(done.seconds, done.worker_cpu_s, done.postgres_cpu_s, place.house.worker_peak_mb, done.seen)


def dlt(place: Place) -> Spent:
    python = environment("dlt", DLT) / "python"
    house = place.house
    told = [house.crm_url, house.crm_token, house.admin_url, f"dlt_{place.schema}", str(place.folder), place.properties]
    return _timed(house, [[str(python), str(HERE / "dlt_loads.py"), *told]], (f"dlt_{place.schema}", "contacts"))


def singer(place: Place) -> Spent:
    programs = environment("singer", SINGER)
    house = place.house
    tap, target = place.folder / "tap.json", place.folder / "target.json"
    tap.write_text(json.dumps({"url": house.crm_url, "token": house.crm_token, "properties": place.properties}))
    target.write_text(
        json.dumps({"sqlalchemy_url": _sqlalchemy(house.admin_url), "default_target_schema": f"singer_{place.schema}"})
    )
    return _timed(
        house,
        [
            [str(programs / "python"), str(HERE / "singer_tap.py"), "--config", str(tap)],
            [str(programs / "target-postgres"), "--config", str(target)],
        ],
        (f"singer_{place.schema}", "contacts"),
    )


def plain_loop(place: Place) -> Spent:
    house = place.house
    told = [house.crm_url, house.crm_token, house.admin_url, f"plain_{place.schema}", place.properties]
    return _timed(house, [[sys.executable, str(HERE / "plain_loop.py"), *told]], (f"plain_{place.schema}", "leads"))


def fetch(place: Place) -> Spent:
    house = place.house
    told = [house.crm_url, house.crm_token, place.properties]
    return _timed(house, [[sys.executable, str(HERE / "floor_fetch.py"), *told]])


def copy(place: Place, lines: Path) -> Spent:
    told = [str(lines), place.house.admin_url, f"copy_{place.schema}"]
    table = (f"copy_{place.schema}", "contacts")
    return _timed(place.house, [[sys.executable, str(HERE / "floor_copy.py"), *told]], table)


def _timed(house: House, pipeline: list[list[str]], table: tuple[str, str] | None = None) -> Spent:
    """Run the commands, each reading what the one before it writes, and count them all together."""
    postgres, began = house.postgres_cpu_s, time.monotonic()
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as words:
        for number, command in enumerate(pipeline):
            running.append(
                subprocess.Popen(
                    command,
                    stdin=running[-1].stdout if running else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if number < len(pipeline) - 1 else words,
                    stderr=words,
                )
            )
        for process in running:
            if process.stdout:
                process.stdout.close()
        peaks = _watch_memory([process.pid for process in running])
        cpu = 0.0
        for process in running:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu += used.ru_utime + used.ru_stime
        seconds = time.monotonic() - began
        if any(process.returncode for process in running):
            words.seek(0)
            raise SystemExit(f"{pipeline[-1][:2]} failed: {words.read()[-3000:].decode(errors='replace')}")
    postgres = house.postgres_cpu_s - postgres
    return Spent(seconds, cpu, postgres, sum(peaks.values()), _count(house, table) if table else 0)


def _count(house: House, table: tuple[str, str]) -> int:
    with psycopg.connect(house.admin_url) as db:
        [(rows,)] = db.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table))).fetchall()
    return int(rows)


def _watch_memory(pids: list[int]) -> dict[int, float]:
    """The most megabytes each process has held, filled in while they live. What the kernel tells their parent at the
    end counts the parent's own memory, from before the program was loaded."""
    peaks = dict.fromkeys(pids, 0.0)

    def look() -> None:
        alive = set(pids)
        while alive:
            time.sleep(0.05)
            for pid in list(alive):
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    status = ""
                found = re.search(r"VmHWM:\s+(\d+) kB", status)
                if found:
                    peaks[pid] = max(peaks[pid], int(found[1]) / 1024)
                else:
                    alive.discard(pid)

    threading.Thread(target=look, daemon=True).start()
    return peaks


def stage(house: House, folder: Path) -> None:
    """The very lines that Leadloom stages, prepared before any clock starts."""
    from datetime import UTC, datetime

    from leadloom.leads.staging import staged_line
    from leadloom.providers.base import CrmAccount
    from leadloom.providers.crms.hubspot import provider

    folder.mkdir()
    now = datetime.now(UTC)
    account = CrmAccount(external_id="1", name="", facts={})
    lines: list[bytes] = []
    number = 0
    for records in house.pages():
        for record in records:
            contact = provider.contact(record, tables={}, account=account, region="US")
            lines.append(staged_line(contact, ordinal=len(lines), now=now, new_since=now))
        if len(lines) >= 2000:
            (folder / f"{number:06}").write_bytes(b"".join(lines))
            lines, number = [], number + 1
    (folder / f"{number:06}").write_bytes(b"".join(lines))


def _sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
