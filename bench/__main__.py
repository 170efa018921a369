"""``make bench``: run the main job in a few weathers and print what it took beside what it should take.

``python -m bench first-lead`` runs one of them. Each is a ``leadloom demo --once``: real processes, throw-away data.
"""

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LEADLOOM = Path(sys.executable).with_name("leadloom")


@dataclass(frozen=True, slots=True)
class Weather:
    """One way a CRM can be, and what we want of it."""

    what: str
    args: tuple[str, ...]
    figure: str
    target: str


WEATHERS = {
    "first-lead": Weather(
        "first lead, CRM answers after 150 ms",
        ("--contacts", "5000", "--latency-ms", "150", "--limits", "real"),
        "first_lead_s",
        "<= 1.0 s",
    ),
    "backfill": Weather(
        "100,000 contacts, unthrottled",
        ("--contacts", "100000", "--latency-ms", "0", "--limits", "none"),
        "contacts_per_s",
        ">= 20,000/s",
    ),
    "memory": Weather(
        "worker's peak memory over 100,000",
        ("--contacts", "100000", "--latency-ms", "0", "--limits", "none"),
        "peak_rss_mb",
        "<= 180 MB",
    ),
}


def measure(args: tuple[str, ...]) -> dict[str, object]:
    done = subprocess.run(
        [LEADLOOM, "demo", "--once", "--json", *args], stdout=subprocess.PIPE, stderr=sys.stderr, text=True, check=False
    )
    if not done.stdout:
        sys.exit(f"bench: leadloom demo --once ended with {done.returncode}")
    figures: dict[str, object] = json.loads(done.stdout)
    return figures


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in WEATHERS]
    if unknown:
        sys.exit(f"bench: there is no {unknown[0]!r}. There is: {', '.join(WEATHERS)}")
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}\n")
    print(f"{'what':40} {'measured':>12}   target")
    known: dict[tuple[str, ...], dict[str, object]] = {}
    for name in names or WEATHERS:
        weather = WEATHERS[name]
        if weather.args not in known:
            known[weather.args] = measure(weather.args)
        print(f"{weather.what:40} {known[weather.args][weather.figure]!s:>12}   {weather.target}", flush=True)
    for args, figures in known.items():
        print(f"\nleadloom demo --once {' '.join(args)}\n  {json.dumps(figures)}")


if __name__ == "__main__":
    main(sys.argv[1:])
