"""``make bench``: a first import, a pass with nothing changed and a pass with a hundred changes, with a real worker
process, a simulated HubSpot in a process of its own and the embedded PostgreSQL, all on this machine. Before them the
whole main job over HTTP, as ``leadloom demo --once`` runs it, for the time to the first lead.

``make bench ARGS="--contacts 10000 --latency-ms 150"`` for other sizes.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.house import House, open_house


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    figure: str
    target: str


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--changed", type=int, default=100)
    wish = parser.parse_args()
    first_lead = measure_first_lead()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        folder.chmod(0o755)  # as root, PostgreSQL runs as a user of its own and must reach its folder
        house = stack.enter_context(open_house(folder, contacts=wish.contacts, latency_ms=wish.latency_ms))
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {house.postgres}")
        print(f"{wish.contacts:,} contacts, source latency {wish.latency_ms:g} ms, one worker\n")
        for row in (first_lead, *measure(house, wish.changed)):
            print(f"{row.what:52} {row.figure:>34}   target {row.target}")


def measure_first_lead() -> Row:
    """From sending POST /api/crm/connect until GET /api/threads answers a lead, the CRM answering after 150 ms."""
    leadloom = Path(sys.executable).with_name("leadloom")
    command = [leadloom, "demo", "--once", "--json", "--contacts", "5000", "--latency-ms", "150", "--limits", "real"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(printed.strip().splitlines()[-1])
    return Row(
        "connect to first lead over HTTP, 5,000 contacts, 150 ms", f"{figures['first_lead_s']:.2f} s", "<= 1.0 s"
    )


def measure(house: House, changed: int) -> list[Row]:
    first = house.connect()
    nothing = house.refresh()
    house.change(changed)
    some = house.refresh()
    wal = house.wal_bytes / max(1, first.seen)
    return [
        Row(
            "first import: contacts a second", f"{first.seen / first.seconds:,.0f} ({first.seconds:.1f} s)", ">= 20,000"
        ),
        Row(
            "first import: connect to first lead in the database", f"{first.first_lead_s:.2f} s", "<= 1.0 s on the page"
        ),
        Row("first import: seen = created+linked+skipped+…", first.told, "equal"),
        Row("first import: WAL a contact", f"{wal:,.0f} bytes", "-"),
        Row("worker: CPU seconds, all passes", f"{house.worker_cpu_s:.1f}", "-"),
        Row("worker: peak memory", f"{house.worker_peak_mb:.0f} MB", "<= 180 MB"),
        Row("nothing changed", f"{nothing.requests} requests, {nothing.seconds * 1000:.0f} ms", "1 to 2 requests"),
        Row(f"{changed} changed", f"{some.requests} requests, {some.seconds * 1000:.0f} ms", "<= 3 requests, <= 1 s"),
    ]


if __name__ == "__main__":
    main()
