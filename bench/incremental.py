"""Refreshing what was imported: nothing changed, some changed, a fifth changed, all changed in the same instant."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.house import Pass, open_house
from bench.report import Row, Wish


def measure(wish: Wish) -> list[Row]:
    contacts = wish.contacts or 100_000
    some = wish.changed or 100
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        house = stack.enter_context(open_house(folder, contacts=contacts, latency_ms=wish.latency_ms))
        house.connect()
        house.settle()
        nothing = house.refresh()
        house.change(some)
        few = house.refresh()
        house.change(contacts // 5)
        fifth = house.refresh()
        house.change_all_at_once()
        everything = house.refresh()
    return [
        Row("nothing changed", _brief(nothing), "1 to 2 requests"),
        Row("nothing changed: CPU of the worker", f"{nothing.worker_cpu_s * 1000:.0f} ms", "<= 20 ms"),
        Row(f"{some:,} of {contacts:,} changed", _brief(few), "<= 3 requests, <= 1 s"),
        Row("a fifth changed", _long(fifth)),
        Row("all changed at one timestamp", _long(everything)),
    ]


def _brief(done: Pass) -> str:
    return f"{done.requests} requests, {done.seconds * 1000:.0f} ms"


def _long(done: Pass) -> str:
    return f"{done.seen:,} in {done.seconds:.1f} s, {done.requests} requests"
