"""A first import as fast as it goes: a simulated HubSpot without latency or limits, one real worker, PostgreSQL."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.house import open_house
from bench.report import Row, Wish


def measure(wish: Wish) -> list[Row]:
    contacts = wish.contacts or 100_000
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        house = stack.enter_context(open_house(folder, contacts=contacts, latency_ms=wish.latency_ms))
        first = house.connect()
        each = 1e6 / first.seen
        return [
            Row(
                f"{contacts:,} contacts: a second",
                f"{first.seen / first.seconds:,.0f} ({first.seconds:.1f} s)",
                ">= 20,000",
            ),
            Row("first lead in the database", f"{first.first_lead_s:.2f} s", "<= 1.0 s on the page"),
            Row("seen = created+linked+skipped+…", first.told, "equal"),
            Row("CPU of the worker", f"{first.worker_cpu_s:.1f} s, {first.worker_cpu_s * each:.0f} µs a contact"),
            Row("CPU of PostgreSQL", f"{first.postgres_cpu_s:.1f} s, {first.postgres_cpu_s * each:.0f} µs a contact"),
            Row("CPU of the simulated CRM", f"{first.crm_cpu_s:.1f} s, {first.crm_cpu_s * each:.0f} µs a contact"),
            Row("peak memory of the worker", f"{house.worker_peak_mb:.0f} MB", "<= 180 MB"),
            Row("WAL a contact", f"{first.wal_bytes / first.seen:,.0f} bytes"),
            Row("tables and indexes a contact", f"{house.stored_bytes / first.seen:,.0f} bytes"),
        ]
