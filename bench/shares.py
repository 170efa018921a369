"""Where the time of a first import goes: the same code, one thing after another, each with its CPU in microseconds.

Python's parts are the CPU of this thread; PostgreSQL's are the CPU of the one backend it talks to, as the kernel counts
it. Read ahead, pacing, jobs and the other processes are left out: ``backfill`` has those.
"""

import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.house import House, open_house
from bench.report import Row, Wish

CONTACTS_A_SAVE = 2000


class Shares:
    """CPU seconds by part, of this thread and of a PostgreSQL backend."""

    def __init__(self) -> None:
        self.ours: defaultdict[str, float] = defaultdict(float)
        self.theirs: defaultdict[str, float] = defaultdict(float)
        self.backend = 0  # process id

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        ours, theirs = time.thread_time(), self._backend_s()
        try:
            yield
        finally:
            self.ours[part] += time.thread_time() - ours
            self.theirs[part] += self._backend_s() - theirs

    def _backend_s(self) -> float:
        if not self.backend:
            return 0.0
        return int(Path(f"/proc/{self.backend}/schedstat").read_text().split()[0]) / 1e9


def measure(wish: Wish) -> list[Row]:
    contacts = wish.contacts or 50_000
    shares = Shares()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        house = stack.enter_context(open_house(folder, contacts=contacts, latency_ms=0, has_worker=False))
        _import(house, shares)
    rows = []
    for part in shares.ours:
        ours, theirs = (spent[part] * 1e6 / contacts for spent in (shares.ours, shares.theirs))
        rows.append(Row(part, f"{ours:6.1f} µs   PostgreSQL {theirs:6.1f} µs"))
    ours, theirs = (sum(spent.values()) * 1e6 / contacts for spent in (shares.ours, shares.theirs))
    rows.append(Row("in all, a contact", f"{ours:6.1f} µs   PostgreSQL {theirs:6.1f} µs", "<= 50 µs each side"))
    return rows


def _import(house: House, shares: Shares) -> None:
    from django.db import connection

    from leadloom.accounts.scope import account_scope
    from leadloom.leads import store
    from leadloom.sync.engine import first_cursor, read_tables
    from leadloom.sync.turn import take_turn

    run = house.begin()
    turn = take_turn(run.pk, run.account_id, uuid.uuid4(), is_lost=lambda: False, deadline=None)
    assert turn is not None, "nobody else works here"
    feed = turn.provider.everything()
    read_tables(turn.provider.tables(), turn.source, turn.mapper.tables)
    with connection.cursor() as db:
        db.execute("SELECT pg_backend_pid()")
        shares.backend = db.fetchall()[0][0]
    _watch(store, shares)
    cursor: Any = first_cursor(feed, bookmark=None, now=turn.now)
    waiting: list[Any] = []
    created = 0
    while cursor is not None:
        with shares.of("fetch"):
            reply = turn.source.send(feed.request(cursor))
        with shares.of("parse"):
            page = feed.read(cursor, reply)
        with shares.of("map, with phones and names of companies"):
            waiting += turn.mapper.map(page.records, turn.source)
        cursor = page.next
        if len(waiting) < CONTACTS_A_SAVE and cursor is not None:
            continue
        scope = account_scope(turn.run.account_id)
        scope.__enter__()
        created += store.write_contacts(turn.target, waiting).outcomes["created"]
        with shares.of("commit"):
            scope.__exit__(None, None, None)
        with shares.of("ANALYZE"):
            store.keep_statistics_fresh(created)
        waiting = []


def _watch(store: Any, shares: Shares) -> None:
    """Count what each statement of the store spends."""
    run, copy = store._run, store._copy

    def counted(name: str, values: Any) -> Any:
        with shares.of(name):
            return run(name, values)

    def counted_copy(*given: Any) -> None:
        with shares.of("hash and COPY"):
            copy(*given)

    store._run, store._copy = counted, counted_copy
