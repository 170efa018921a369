"""A first import from a CRM that answers slowly and allows little, and the refresh after it: how much of what it allows
is used. ``--crm`` names the CRM.

The simulated CRM has its vendor's real limits and 150 ms of latency. A share is the pool's requests over what the
vendor would have allowed in the time from the run's start to its end.
"""

import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.house import House, open_house
from bench.report import Row, Wish

CHANGED, DELETED, MERGED = 100, 10, 5


def measure(wish: Wish) -> list[Row]:
    contacts = wish.contacts or 20_000
    latency_ms = wish.latency_ms or 150
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        house = stack.enter_context(open_house(folder, contacts=contacts, latency_ms=0, crm=wish.crm or "hubspot"))
        return _measure(house, contacts, latency_ms)


def _measure(house: House, contacts: int, latency_ms: int) -> list[Row]:
    from django.test import override_settings

    house.prepare()
    house.box.set_latency(latency_ms)
    house.box.set_limits("real")
    house.box.reset_stats()
    with override_settings(SANDBOX_UNPACED=False):
        first = house.connect()
    return [
        Row(f"{house.box.crm}: {contacts:,} contacts at {latency_ms} ms, real limits", f"{first.seconds:.1f} s"),
        Row("contacts a second", f"{first.seen / first.seconds:,.0f}"),
        Row("first lead in the database", f"{first.first_lead_s:.2f} s", "<= 1.0 s on the page"),
        *_shares(house, first.seconds),
        Row("seen = created+linked+skipped+…", first.told, "equal"),
        *_refreshes(house),
    ]


def _shares(house: House, seconds: float) -> list[Row]:
    from leadloom.sandbox.kinds import kind

    simulated, asked = kind(house.box.crm), house.box.stats()
    requests = Counter[str]()
    for path, count in asked.paths.items():
        requests[simulated.pool_of(path)] += count
    rows = [
        Row(
            f"share of the allowed rate: {pool}",
            f"{requests[pool] / seconds / allowed:.1%} ({requests[pool]} requests)",
            ">= 95 %",
        )
        for pool, allowed in simulated.allowed_per_s.items()
    ]
    if not rows:  # no rate is published, only calls of a day
        rows.append(Row("requests of the first import", f"{asked.requests}"))
    rows.append(Row("refused with 429", f"{asked.refused}", "none counted as failure"))
    rows.append(Row("most requests in ten seconds, all pools", f"{asked.peak_per_ten_seconds}"))
    return rows


def _refreshes(house: House) -> list[Row]:
    house.settle()
    house.change(CHANGED)
    house.take_away(deleted=DELETED, merged=MERGED)
    house.box.reset_stats()
    done = house.refresh()
    return [
        Row(
            f"{CHANGED} changed, {DELETED} deleted, {MERGED} merged",
            f"{done.requests} requests, {done.seconds:.2f} s, {done.seen} read",
        )
    ]
