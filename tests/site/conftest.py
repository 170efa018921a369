"""``leadloom`` as an operator starts it: real processes, each test with a data folder of its own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

CLI = (sys.executable, "-m", "leadloom.site")
NOT_OURS = ("DATABASE_", "LEADLOOM_", "NANGO_", "DJANGO_", "CRON_", "SYNC_", "METRICS_")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """As on a fresh machine: nothing of this test process's own settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    return {**clean, "LEADLOOM_DATA_DIR": str(folder), "LEADLOOM_LOG_LEVEL": "warning", **more}


def processes_of(folder: Path) -> list[psutil.Process]:
    """Everything that runs for this data folder: ours by their environment, PostgreSQL by its arguments."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            told = [*process.cmdline(), process.environ().get("LEADLOOM_DATA_DIR", "")]
        except psutil.Error:
            continue
        if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in told):
            found.append(process)
    return found


def nothing_runs_for(folder: Path, *, within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while processes_of(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Started:
    """A long-running ``leadloom`` command, ended with the test whatever happens."""

    def __init__(self, *args: str, folder: Path, prefix: Sequence[str] = (), **more: str) -> None:
        self.folder = folder
        self.output = ""
        self.process = subprocess.Popen(
            [*prefix, *CLI, *args],
            env=environment(folder, **more),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, pattern: str, *, within_s: float = 240) -> re.Match[str]:
        """Wait until it has printed this."""
        assert self.process.stdout
        deadline = time.monotonic() + within_s
        while not (found := re.search(pattern, self.output)):
            line = self.process.stdout.readline()
            assert line, f"it ended, having said: {self.output}"
            assert time.monotonic() < deadline, f"{pattern!r} did not come: {self.output}"
            self.output += line
        return found

    def address(self) -> str:
        return self.until(r"is ready: (http://\S+)")[1]

    def end(self, number: signal.Signals = signal.SIGINT, *, within_s: float = 20) -> int:
        """Ask it to end. Answers its exit code."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=within_s)
        self.output += rest
        return self.process.returncode

    def child(self, name: str) -> psutil.Process:
        return next(one for one in psutil.Process(self.process.pid).children() if name in one.cmdline())


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder; whatever still runs in it is ended. Its name is short: a Unix socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="leadloom-site-", dir="/tmp", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o755)
        yield place
        for process in processes_of(place):
            process.kill()
        nothing_runs_for(place)


@pytest.fixture
def start(folder: Path) -> Callable[..., Started]:
    def start_one(*args: str, **more: str) -> Started:
        return Started(*args, folder=folder, **more)

    return start_one


@pytest.fixture
def run(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A command that ends by itself."""

    def run_one(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLI, *args], env=environment(folder, **more), cwd=folder, capture_output=True, text=True, timeout=240
        )

    return run_one
