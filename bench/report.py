"""What a measurement is asked for and what it answers."""

import os
import platform
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside the number it should reach."""

    what: str
    figure: str
    target: str = "-"

    def __str__(self) -> str:
        return f"{self.what:60} {self.figure:>34}   target {self.target}"


@dataclass(frozen=True, slots=True)
class Wish:
    """Sizes somebody asked for, and of which CRM; 0 and nothing leave the choice to the measurement."""

    contacts: int = 0
    changed: int = 0
    latency_ms: int = 0
    rounds: int = 0
    leads: int = 0
    accounts: int = 0
    leads_each: int = 0
    connections: int = 0
    workers: int = 0
    streams: int = 0
    crm: str = ""

    @classmethod
    def options(cls) -> dict[str, int | str]:
        """Their names and what they are when nobody asks."""
        return {field.name: field.default for field in fields(cls)}


def measure(name: str, wish: Wish) -> list[Row]:
    """What one measurement of this folder finds."""
    rows: list[Row] = import_module(f"bench.{name}").measure(wish)
    return rows


def as_json(rows: list[Row]) -> list[dict[str, str]]:
    return [asdict(row) for row in rows]


def machine() -> str:
    """The machine in a line: without it a figure says nothing."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Python {platform.python_version()}"
