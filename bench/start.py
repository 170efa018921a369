"""How big an installation is and how soon it serves: wheel, install, imports, and ``leadloom up`` to the first page.

Installed as a user would, from the wheel and the lock file, into a folder that is thrown away. CPU is counted over all
processes, PostgreSQL's included. Python's compiled files are left to Python: the first start makes them, unless the
installation did, and an environment with PYTHONDONTWRITEBYTECODE would make them at every start anew.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from bench.report import Row, Wish

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = ("DATABASE_", "LEADLOOM_", "NANGO_", "DJANGO_", "CRON_", "SYNC_", "METRICS_", "PYTHON", "VIRTUAL_ENV")
BIGGEST = 6


@dataclass(frozen=True, slots=True)
class Start:
    """``leadloom up`` from its first instruction until a browser has its first page."""

    seconds: float
    cpu_s: float
    memory: dict[str, float]  # MB by process, pages that processes share divided among them

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.cpu_s:.2f} s CPU"


def measure(wish: Wish) -> list[Row]:
    rounds = wish.rounds or 3
    with tempfile.TemporaryDirectory(prefix="leadloom-bench-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        return _measure(folder, rounds)


def _measure(folder: Path, rounds: int) -> list[Row]:
    wheel = _build(folder / "dist")
    requirements = folder / "requirements.txt"
    _uv("export", "--locked", "--no-dev", "--no-emit-project", "--quiet", "--output-file", str(requirements))
    place = folder / "installed"
    install_s = _install(place, requirements, wheel)
    parts = _sizes(place)
    leadloom = place / "bin" / "leadloom"
    first = _up(leadloom, folder / "first")
    fresh = [_up(leadloom, folder / f"fresh-{number}") for number in range(rounds)]
    again = [_up(leadloom, folder / "first") for _ in range(rounds)]
    biggest = ", ".join(f"{part} {size / 2**20:.0f}" for part, size in parts.most_common(BIGGEST))
    memory = again[-1].memory
    return [
        Row("wheel", f"{wheel.stat().st_size / 2**10:,.0f} KB"),
        Row("installed, without Python itself", f"{sum(parts.values()) / 2**20:,.0f} MB in {install_s:.0f} s"),
        Row(f"the {BIGGEST} biggest packages, MB", biggest),
        Row("compiled files the first start adds", f"{_compiled(place) / 2**20:,.0f} MB"),
        Row("leadloom --help", _cpu_of(leadloom, "--help", folder=folder / "first", rounds=rounds), "<= 0.3 s CPU"),
        Row("leadloom check, server to be started", _cpu_of(leadloom, "check", folder=folder / "first", rounds=rounds)),
        Row("leadloom migrate, nothing to do", _cpu_of(leadloom, "migrate", folder=folder / "first", rounds=rounds)),
        Row("up to the first page: just installed, empty folder", str(first), "<= 10 s"),
        Row("up to the first page: empty folder", str(_quickest(fresh)), "<= 3 s"),
        Row("up to the first page: again", str(_quickest(again)), "<= 1.5 s"),
        Row("memory when idle", ", ".join(f"{part} {size:.0f} MB" for part, size in memory.items())),
    ]


def _build(folder: Path) -> Path:
    _uv("build", "--wheel", "--quiet", "--out-dir", str(folder))
    [wheel] = folder.glob("*.whl")
    return wheel


def _install(place: Path, requirements: Path, wheel: Path) -> float:
    began = time.monotonic()
    _uv("venv", "--quiet", "--python", "3.13", str(place))
    into = ("pip", "install", "--quiet", "--link-mode", "copy", "--python", str(place / "bin" / "python"))
    _uv(*into, "--require-hashes", "-r", str(requirements))
    _uv(*into, "--no-deps", str(wheel))
    return time.monotonic() - began


def _uv(*args: str) -> None:
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    subprocess.run([uv, *args], cwd=ROOT, env=_environment(), check=True, stdout=subprocess.DEVNULL)


def _environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    return {**clean, "LEADLOOM_LOG_LEVEL": "warning", **more}


def _sizes(place: Path) -> Counter[str]:
    """Bytes by package as its own list of files has them, the rest under its top folder."""
    [libraries] = (place / "lib").glob("python*/site-packages")
    sizes: Counter[str] = Counter()
    for file in libraries.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            top = file.relative_to(libraries).parts[0]
            sizes[re.sub(r"(-[\d.]+(\.\w+)*\.dist-info|\.libs|\.\w+)$", "", top)] += file.stat().st_size
    return sizes


def _compiled(place: Path) -> int:
    return sum(file.stat().st_size for file in place.rglob("*.pyc"))


def _cpu_of(leadloom: Path, command: str, *, folder: Path, rounds: int) -> str:
    """The quickest of some runs, with all its children."""
    best_cpu_s = best_s = float("inf")
    for _ in range(rounds):
        began, before = time.monotonic(), os.times()
        environment = _environment(LEADLOOM_DATA_DIR=str(folder))
        subprocess.run([leadloom, command], env=environment, check=False, capture_output=True, cwd=folder)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        best_cpu_s, best_s = min(best_cpu_s, spent), min(best_s, time.monotonic() - began)
    return f"{best_s:.2f} s, {best_cpu_s:.2f} s CPU"


def _quickest(starts: list[Start]) -> Start:
    return min(starts, key=lambda start: start.seconds)


def _up(leadloom: Path, folder: Path) -> Start:
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    with _running(leadloom, folder) as up:
        assert up.stdout
        address = next(found[1] for line in up.stdout if (found := re.search(r"is ready: (http://\S+)", line)))
        page = httpx2.get(address, follow_redirects=True, trust_env=False, timeout=60)
        page.raise_for_status()
        seconds = time.monotonic() - began
        processes = _processes(up, folder)
        cpu_s = sum(_cpu_with_ended(process) for found in processes.values() for process in found)
        memory = {part: sum(map(_memory, found)) for part, found in processes.items()}
    return Start(seconds, cpu_s, memory)


@contextmanager
def _running(leadloom: Path, folder: Path) -> "Iterator[subprocess.Popen[str]]":
    environment = _environment(LEADLOOM_DATA_DIR=str(folder))
    up = subprocess.Popen(
        [leadloom, "up", "--port", "0"],
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield up
    finally:
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=60)


def _processes(up: "subprocess.Popen[str]", folder: Path) -> dict[str, list[psutil.Process]]:
    supervisor = psutil.Process(up.pid)
    found = {"supervisor": [supervisor]}
    for child in supervisor.children():
        found[next(word for word in ("web", "worker") if word in child.cmdline())] = [child]
    server = psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]))
    return {**found, "PostgreSQL": [server, *server.children(recursive=True)]}


def _cpu_with_ended(process: psutil.Process) -> float:
    """Of a process and of those it has waited for; those still alive are counted by themselves."""
    with suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))
    return 0.0


def _memory(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess, AttributeError):
        return float(process.memory_full_info().pss) / 2**20
    return 0.0
