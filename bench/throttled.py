"""A first import from a CRM that answers slowly and allows little: how much of what it allows is used.

The simulated HubSpot has its real limits (110 requests in ten seconds, 5 searches a second) and 150 ms of latency. A
share is the pool's requests over what the vendor would have allowed in the time from the run's start to its end.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.house import House, open_house
from bench.report import Row, Wish

ALLOWED_PER_S = {"list and look-ups": 11.0, "search": 5.0}


def measure(wish: Wish) -> list[Row]:
    contacts = wish.contacts or 20_000
    latency_ms = wish.latency_ms or 150
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        house = stack.enter_context(open_house(folder, contacts=contacts, latency_ms=0))
        return _measure(house, contacts, latency_ms)


def _measure(house: House, contacts: int, latency_ms: int) -> list[Row]:
    from django.test import override_settings

    house.prepare()
    house.box.set_latency(latency_ms)
    house.box.set_limits("real")
    house.box.reset_stats()
    with override_settings(SANDBOX_UNPACED=False):
        first = house.connect()
    asked = house.box.stats()
    searches = sum(count for path, count in asked.paths.items() if path.endswith("/search"))
    requests = {"list and look-ups": asked.requests - searches, "search": searches}
    rows = [
        Row(f"{contacts:,} contacts at {latency_ms} ms, real limits", f"{first.seconds:.1f} s"),
        Row("contacts a second", f"{first.seen / first.seconds:,.0f}"),
        Row("first lead in the database", f"{first.first_lead_s:.2f} s", "<= 1.0 s on the page"),
    ]
    for pool, count in requests.items():
        share = count / first.seconds / ALLOWED_PER_S[pool]
        rows.append(Row(f"share of the allowed rate: {pool}", f"{share:.1%} ({count} requests)", ">= 95 %"))
    rows.append(Row("refused with 429", f"{asked.refused}", "none counted as failure"))
    rows.append(Row("most requests in ten seconds, searches included", f"{asked.peak_per_ten_seconds}"))
    rows.append(Row("seen = created+linked+skipped+…", first.told, "equal"))
    return rows
