"""``make bench``: how fast Leadloom is, beside the numbers it should reach and beside its peers.

``make bench`` runs everything; ``make bench ARGS="backfill --contacts 10000"`` one measurement at a size. Each
measurement is a module here; it starts what it needs (PostgreSQL, a simulated CRM, a worker, the web) and stops it.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from bench.report import Wish, as_json, machine, measure

MEASUREMENTS = (
    "first_lead",
    "backfill",
    "shares",
    "incremental",
    "throttled",
    "tenants",
    "pages",
    "dashboards",
    "start",
    "peers",
    "growth",
)


def main() -> None:
    there = [name for name in MEASUREMENTS if find_spec(f"bench.{name}")]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="measurement", help=f"of {', '.join(there)}; all when none is named"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    for name, usual in Wish.options().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(usual), default=usual)
    said = parser.parse_args()
    if unknown := set(said.names) - set(there):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    wish = Wish(**{name: getattr(said, name) for name in Wish.options()})
    print(machine(), flush=True)
    figures: dict[str, object] = {"machine": machine(), "command": sys.argv[1:]}
    for name in said.names or there:
        began = time.monotonic()
        print(f"\n{name}", flush=True)
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # Django is set up once a process
            rows = alone.submit(measure, name, wish).result()
        for row in rows:
            print(f"  {row}", flush=True)
        print(f"  ({time.monotonic() - began:.0f} s)", flush=True)
        figures[name] = as_json(rows)
        if said.json:
            said.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
