"""The check that CI makes: has Leadloom moved away from the floor?

In one run it measures the CPU of a first import (worker and PostgreSQL) and that of the floor: fetching every page and
throwing it away, and COPY of prepared rows. Only their ratio is judged, and only far beyond what was noted in
``ratio.json``: a slow or busy machine is slow at both. Run: ``python -m bench.ratio [--note]``.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

NOTED = Path(__file__).with_name("ratio.json")
MARGIN = 2.0
CONTACTS = 10_000


def judge(ratio: float, noted: float, margin: float = MARGIN) -> bool:
    """Whether this may pass: no more than ``margin`` times as far from the floor as noted."""
    return ratio <= noted * margin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--note", action="store_true", help="write what is measured to ratio.json")
    wish = parser.parse_args()
    ours, floor = measure()
    ratio = ours / floor
    if wish.note:
        NOTED.write_text(json.dumps({"ratio": round(ratio, 2)}) + "\n")
    noted = json.loads(NOTED.read_text())["ratio"]
    print(f"CPU of {CONTACTS:,} contacts: {ours:.2f} s, floor {floor:.2f} s: {ratio:.2f} times, {noted:.2f} noted")
    if not judge(ratio, noted):
        sys.exit(f"a first import costs more than {MARGIN:g} times what it did, beside the floor of this very run")


def measure() -> tuple[float, float]:
    """CPU seconds of a first import, and of the floor."""
    from bench.house import open_house
    from bench.peers import Place, copy, fetch, leadloom, stage

    with tempfile.TemporaryDirectory(prefix="leadloom-bench-") as name:
        folder = Path(name)
        with open_house(folder, contacts=CONTACTS, latency_ms=0) as house:
            house.prepare()
            stage(house, folder / "lines")
            place = Place(house, folder, 0)
            spent = [leadloom(place), fetch(place), copy(place, folder / "lines")]
    ours, *floor = (one.cpu_s + one.postgres_cpu_s for one in spent)
    return ours, sum(floor)


if __name__ == "__main__":
    main()
