"""Several workers on several machines, and lines between them that break, slow down and come back.

Every drill begins with a first import that one worker holds, does something to its lines, and ends by counting: each
contact is there once, and the run's own counts say so. What is measured is how long people waited meanwhile.
"""

import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import httpx2
import psycopg
from bench.report import Row

from torture.hosts import CONCURRENCY, WORKERS, DrillFailed, House, Import, open_house
from torture.network import reason_against
from torture.report import Verdict, Wish

CONTACTS = 12_000
TAKEOVER_S = 30
READERS = 24
LATENCY_MS = 60
PAGES_FIRST = 5  # so many are saved before anything happens


def suffer(wish: Wish) -> Verdict:
    """Every drill, in one house. What a drill finds broken, it says; the others are still done."""
    verdict = Verdict()
    if reason := reason_against():
        verdict.tell("several machines: not measured", reason)
        return verdict
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # told to end, it cleans up as after an error
    with tempfile.TemporaryDirectory(prefix="leadloom-torture-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with open_house(folder, contacts=wish.contacts or CONTACTS, latency_ms=LATENCY_MS) as house:
            for drill in DRILLS:
                try:
                    for row in drill(house):
                        verdict.tell(row.what, row.figure, row.target)
                except DrillFailed as error:
                    verdict.require(False, f"{drill.__name__}: {error}")
    return verdict


def cut_from_the_database(house: House) -> list[Row]:
    """In the middle of a run, between pages or within one: wherever it is."""
    return _cut(house, "data", name="cut from the database")


def cut_from_everything(house: House) -> list[Row]:
    return _cut(house, "data", "world", name="cut from database and CRM")


def cut_from_the_crm(house: House) -> list[Row]:
    return _cut(house, "world", name="cut from the CRM")


def cut_within_a_transaction(house: House) -> list[Row]:
    """The worst moment: the server still holds the run's row for somebody it will never hear of again."""
    with under_way(house) as (which, holder):
        cut_while_it_writes(house, holder)
        rows = until_others_go_on(house, which, holder, "cut within a page's transaction")
        return [*rows, *_healed(house, which, holder, "data")]


def frozen_within_a_transaction(house: House) -> list[Row]:
    """The machine stands still, as one that is moved: its connections are alive, and it holds the run's row."""
    with under_way(house) as (which, holder):
        process = house.services[holder].process
        assert process is not None
        with psycopg.connect(house.admin_url) as blocker:
            blocker.execute("LOCK TABLE source_contacts IN SHARE MODE")
            _await_blocked(house)
            process.send_signal(signal.SIGSTOP)
        try:
            rows = until_others_go_on(house, which, holder, "frozen within a page's transaction")
        finally:
            process.send_signal(signal.SIGCONT)
        return [*rows, *_healed(house, which, holder)]


def slowed_down(house: House) -> list[Row]:
    """A thin line to the database: the worker keeps what it holds, and nobody takes it from a worker that lives."""
    with under_way(house) as (which, holder):
        how = house.network.slow(holder, "data")
        before, began = house.run(which.run), time.monotonic()
        time.sleep(12)
        after, took = house.run(which.run), time.monotonic() - began
        is_kept = before["lease_token"] == after["lease_token"]
        house.network.quicken(holder, "data")
        await_end(house, which)
        house.check_complete(which)
        return [
            Row(f"slowed ({how}): contacts a second meanwhile", f"{(after['seen'] - before['seen']) / took:,.0f}"),
            Row("slowed: the run stays with its worker", "yes" if is_kept else "no"),
        ]


def told_to_stop(house: House) -> list[Row]:
    """A deploy, in the middle of a page; and while the CRM lets each reply drip for a minute and a half."""
    rows = [_handed_over(house, "told to stop: handed over after")]
    try:
        rows.append(_handed_over(house, "told to stop at a CRM that drips: handed over after", drips=True))
    finally:
        house.crm("DELETE", "faults")
    return rows


def _handed_over(house: House, what: str, *, drips: bool = False) -> Row:
    with under_way(house) as (which, holder):
        if drips:
            house.crm("POST", "faults", kind="slow", times=None, path="/crm", seconds=90)
            time.sleep(2)
        process, before = house.services[holder].process, house.run(which.run)
        assert process is not None
        process.terminate()
        took = house.until(lambda: house.run(which.run)["lease_token"] != before["lease_token"], "it is handed over")
        if drips:
            house.crm("DELETE", "faults")
        await_end(house, which)
        house.check_complete(which)
    return Row(what, f"{took:.1f} s", "< 5 s")


def web_cut_from_the_database(house: House) -> list[Row]:
    """An open dashboard hears nothing for a while, and then everything again, by itself."""
    with under_way(house) as (which, _), open_dashboard(house, which) as dashboard:
        house.until(lambda: dashboard.words > 0, "the dashboard hears of the run", within_s=30)
        house.network.cut("web", "data")
        began = time.monotonic()
        lives = house.until(lambda: _status(house, "/healthz") == 200, "the process says that it lives", within_s=15)
        told = house.until(lambda: _status(house, "/readyz") == 503, "it says that it is not ready", within_s=60)
        await_end(house, which)
        time.sleep(max(0.0, 40 - (time.monotonic() - began)))  # long enough for what would only show late
        heard = dashboard.words
        house.network.heal("web", "data")
        back = time.monotonic()
        house.until(lambda: _status(house, "/readyz") == 200, "the web is ready again", within_s=60)
        ready = time.monotonic() - back
        house.until(lambda: dashboard.look_agains > 0, "the dashboard is told to look again", within_s=60)
        looked = time.monotonic() - back
        announce(house, which)
        house.until(lambda: dashboard.words > heard, "the dashboard hears again", within_s=30)
        house.check_complete(which)
        return [
            Row("web cut from the database: /healthz answers after", f"{lives:.1f} s"),
            Row("web cut from the database: /readyz says so after", f"{told:.1f} s"),
            Row("line back: /readyz is well after", f"{ready:.1f} s", "<= 30 s"),
            Row("line back: an open dashboard looks again after", f"{looked:.1f} s", "<= 30 s"),
        ]


def back_in_service(house: House) -> list[Row]:
    """A worker that was cut off hears the bell again: a job is begun at once, not at the next look."""
    house.start_workers("worker1")
    try:
        house.network.cut("worker1", "data")
        time.sleep(45)
        house.network.heal("worker1", "data")
        healed = time.monotonic()
        which = house.connect()
        house.until(lambda: house.run(which.run)["pages"] > 0, "the healed worker begins", within_s=60)
        first = time.monotonic() - healed
        await_end(house, which)
        house.check_complete(which)
        again = house.connect()
        heard = house.until(lambda: house.run(again.run)["state"] != "queued", "it hears the bell", within_s=30)
        await_end(house, again)
        return [
            Row("line back after 45 s: its first page is saved after", f"{first:.1f} s", "<= 30 s"),
            Row("  processes started again meanwhile", f"{house.services['worker1'].restarts}"),
            Row("from then on a run begins after", f"{heard:.2f} s"),
        ]
    finally:
        _send_home(house)


def connections_held(house: House) -> list[Row]:
    """By whom, as the database counts them: at rest, and with more to do than each may do at once."""
    house.start_workers("worker1")
    try:
        time.sleep(5)
        at_rest = _connections(house)
        most: dict[str, int] = {}
        imports = [house.connect() for _ in range(CONCURRENCY + 2)]
        with ThreadPoolExecutor(READERS) as readers, open_dashboard(house, imports[0]):
            end = time.monotonic() + 25
            reading = [readers.submit(_read_until, house, imports[0], end) for _ in range(READERS)]
            while time.monotonic() < end:
                for host, count in _connections(house).items():
                    most[host] = max(most.get(host, 0), count)
                time.sleep(0.1)
            pages = sum(reader.result() for reader in reading)
        for one in imports:
            await_end(house, one)
        return [
            Row("connections of a worker at rest", f"{at_rest.get('worker1', 0)}"),
            Row(f"connections of a worker with {CONCURRENCY} jobs at once, at most", f"{most.get('worker1', 0)}"),
            Row("connections of a web process at rest", f"{at_rest.get('web', 0)}"),
            Row(
                f"connections of a web process with {READERS} readers ({pages} pages), at most", f"{most.get('web', 0)}"
            ),
        ]
    finally:
        _send_home(house)


def _connections(house: House) -> dict[str, int]:
    by_address = {house.network.address(host, "data"): host for host in ("web", *WORKERS)}
    query: LiteralString = """
        SELECT host(client_addr), count(*) FROM pg_stat_activity WHERE client_addr IS NOT NULL GROUP BY 1
    """
    return {by_address.get(address, address): count for address, count in house.admin.execute(query).fetchall()}


def _read_until(house: House, which: Import, end: float) -> int:
    pages = 0
    while time.monotonic() < end:
        _page_s(house, which)
        pages += 1
    return pages


DRILLS: tuple[Callable[[House], list[Row]], ...] = (
    cut_from_the_database,
    cut_within_a_transaction,
    frozen_within_a_transaction,
    cut_from_everything,
    cut_from_the_crm,
    slowed_down,
    told_to_stop,
    web_cut_from_the_database,
    back_in_service,
    connections_held,
)


@contextmanager
def under_way(house: House, *, workers: int = len(WORKERS)) -> Iterator[tuple[Import, str]]:
    """A first import under way at one worker, with others that have nothing to do. Every line is whole afterwards."""
    house.start_workers(*WORKERS[:workers])
    try:
        which = house.connect()
        house.until(lambda: house.run(which.run)["pages"] >= PAGES_FIRST, "the run is under way")
        holder = ""

        def is_found() -> bool:
            nonlocal holder
            holder = next(iter(house.talkers()), "")
            return bool(holder)

        house.until(is_found, "a worker talks to the CRM", within_s=20)
        yield which, holder
    finally:
        _send_home(house)


def _send_home(house: House) -> None:
    for host in WORKERS:
        if host in house.services:
            house.network.heal(host, "data", "world")
            service = house.services.pop(host)
            service.stop()
            service.log.close()
    house.admin.execute("DELETE FROM procrastinate_workers")


def _cut(house: House, *networks: str, name: str) -> list[Row]:
    with under_way(house) as (which, holder):
        house.network.cut(holder, *networks)
        rows = until_others_go_on(house, which, holder, name)
        return [*rows, *_healed(house, which, holder, *networks)]


def cut_while_it_writes(house: House, holder: str) -> None:
    with psycopg.connect(house.admin_url) as blocker:
        blocker.execute("LOCK TABLE source_contacts IN SHARE MODE")
        _await_blocked(house)
        house.network.cut(holder, "data")


def _await_blocked(house: House) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'source_contacts'::regclass"
    house.until(lambda: house.value(waiting) > 0, "a page waits within its transaction", within_s=30)


def until_others_go_on(house: House, which: Import, holder: str, name: str) -> list[Row]:
    """How long the run stood still until another worker saved a page, and how pages of the site did meanwhile."""
    time.sleep(0.3)
    began, stood = time.monotonic(), house.run(which.run)
    pages: list[float] = []
    while True:
        now = house.run(which.run)
        is_new = now["lease_token"] not in (None, stood["lease_token"])
        if is_new and now["pages"] > stood["pages"] and house.talkers() - {holder}:
            break
        if time.monotonic() - began > 200:
            raise DrillFailed(f"{name}: nobody took over in 200 s: {now['state']} {now['error']}")
        pages.append(_page_s(house, which))
    took = time.monotonic() - began
    return [
        Row(f"{name}: another worker saves the next page after", f"{took:.1f} s", f"<= {TAKEOVER_S} s"),
        Row(f"{name}: slowest of {len(pages)} pages of the site meanwhile", f"{max(pages or [0]) * 1000:.0f} ms"),
    ]


def _healed(house: House, which: Import, holder: str, *networks: str) -> list[Row]:
    """The line comes back while the run goes on elsewhere, so that whoever thinks it is still alone has its chance."""
    house.network.heal(holder, *networks)
    healed = time.monotonic()
    await_end(house, which)
    house.until(lambda: house.workers_heard_of() >= len(WORKERS), "every worker is heard of", within_s=120)
    back = time.monotonic() - healed
    house.check_complete(which)
    restarts = house.services[holder].restarts
    return [Row("  healed: all three workers are heard of again within", f"{back:.1f} s, {restarts} restarts")]


def await_end(house: House, which: Import) -> None:
    house.until(lambda: house.run(which.run)["state"] in ("done", "failed", "stopped"), "the run ends")


def _page_s(house: House, which: Import) -> float:
    """Somebody looks at Recent Threads."""
    with house.browser() as browser:
        browser.cookies.update(dict(which.cookies))
        began = time.monotonic()
        answer = browser.get("/")
        if answer.status_code != 200 or "Recent Threads" not in answer.text:
            raise DrillFailed(f"the dashboard answers {answer.status_code}")
        return time.monotonic() - began


def _status(house: House, path: str) -> int:
    try:
        with house.browser() as browser:
            return browser.get(path, timeout=40).status_code
    except httpx2.HTTPError:
        return 0


def announce(house: House, which: Import) -> None:
    word = {"account": which.account, "kind": "lead", "lead": 1}
    house.admin.execute("SELECT pg_notify('leadloom_live', %s)", [json.dumps(word)])


@dataclass(slots=True)
class Dashboard:
    """What an open one has heard."""

    words: int = 0
    look_agains: int = 0
    streams: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def hear(self, line: str) -> None:
        if not line.startswith("data: "):
            return
        word: dict[str, Any] = json.loads(line.removeprefix("data: "))
        self.words += bool(word)
        self.look_agains += word.get("kind") == "look_again"


@contextmanager
def open_dashboard(house: House, which: Import) -> Iterator[Dashboard]:
    """A browser that comes back when its stream ends, as browsers do."""
    dashboard = Dashboard()

    def watch() -> None:
        while not dashboard.is_over.is_set():
            try:
                with house.browser() as browser:
                    browser.cookies.update(dict(which.cookies))
                    with browser.stream("GET", "/live", timeout=20) as response:
                        dashboard.streams += 1
                        for line in response.iter_lines():
                            dashboard.hear(line)
                            if dashboard.is_over.is_set():
                                return
            except httpx2.HTTPError:
                pass
            dashboard.is_over.wait(2)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield dashboard
    finally:
        dashboard.is_over.set()
        thread.join(25)
