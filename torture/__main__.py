"""``make torture``: kills, faults, crowds and broken lines, and whether every promise is kept through them.

``make torture`` runs everything within a quarter of an hour; ``make torture ARGS="crash --kills 20"`` one torture at a
size. What is left to chance comes from ``--seed``, which is printed. Ends with 1 when a promise was broken.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.report import machine

from torture.report import SHOWN, Wish, suffer

TORTURES = ("crash", "faults", "concurrency", "machines")
BY_NAME = ("pooler",)  # only when it is named
TOGETHER: Mapping[str, Mapping[str, Any]] = {"crash": {"minutes": 2}, "faults": {"short": True}}
"""What a torture is asked for when all are, so that they end within a quarter of an hour on two cores."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="torture",
        help=f"of {', '.join(TORTURES)}; all when none is named. Or {', '.join(BY_NAME)}",
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    for name, usual in Wish.options().items():
        if isinstance(usual, bool):
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument(f"--{name}", type=type(usual), default=usual)
    said = parser.parse_args()
    if unknown := set(said.names) - {*TORTURES, *BY_NAME}:
        parser.error(f"no such torture: {', '.join(sorted(unknown))}")
    wish = Wish(**{name: getattr(said, name) for name in Wish.options()})
    print(f"{machine()}, seed {wish.seed}", flush=True)
    told: dict[str, object] = {"machine": machine(), "command": sys.argv[1:]}
    is_kept = True
    for name in said.names or TORTURES:
        asked = wish if said.names else replace(wish, **_bounded(wish, TOGETHER.get(name, {})))
        began = time.monotonic()
        print(f"\n{name}", flush=True)
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # Django is set up once a process
            verdict = alone.submit(suffer, name, asked).result()
        for broken in verdict.broken[:SHOWN]:
            print(f"  BROKEN: {broken}", flush=True)
        print(f"  {len(verdict.broken)} promises broken ({time.monotonic() - began:.0f} s)", flush=True)
        is_kept = is_kept and not verdict.broken
        told[name] = verdict.as_json()
        if said.json:
            said.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if is_kept else 1


def _bounded(wish: Wish, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Of these sizes, those that nobody asked for otherwise."""
    return {name: size for name, size in sizes.items() if not getattr(wish, name)}


if __name__ == "__main__":
    sys.exit(main())
