"""A whole house whose parts can be killed: PostgreSQL, workers and the web, each a process of its own.

Whatever ends, however it ends, is started again at once, as an operator's supervisor would. The simulated CRM survives:
it plays the outside world.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from leadloom.site import lifeline

_LIFELINE = os.pipe()
"""Whatever happens to us: the children end when the other end of it closes."""

CLI = (sys.executable, "-m", "leadloom.site")
PATIENCE_S = 600.0  # of a machine that has other things to do
CRON_SECRET = "struck-by-the-torture-alone"
LOG_TO = "TORTURE_LOG"
"""Names a file for what the processes log. Without it they say nothing: most of it is what a kill makes of them."""


class Child:
    """One process that is started again when it has ended."""

    def __init__(self, *args: str, environment: Mapping[str, str], keep_open: tuple[int, ...] = ()) -> None:
        self._args, self._environment = args, {**environment, lifeline.LIFELINE: str(_LIFELINE[0])}
        self._keep_open = (*keep_open, _LIFELINE[0])
        self.ended_by_itself = 0
        self._is_wanted = True
        self._is_killed = False
        self._lock = threading.Lock()
        self.process = self._start()
        threading.Thread(target=self._keep_alive, daemon=True).start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """As the kernel does when memory is short: no goodbye."""
        with self._lock:
            self._is_killed = True
            self.process.kill()

    def stop(self) -> float:
        """As a deploy does. Answers how long it took."""
        self._is_wanted = False
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - began

    def _start(self) -> subprocess.Popen[bytes]:
        with Path(os.environ.get(LOG_TO, os.devnull)).open("ab") as log:
            return subprocess.Popen(
                [*CLI, *self._args],
                env=self._environment,
                pass_fds=self._keep_open,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def _keep_alive(self) -> None:
        while self._is_wanted:
            self.process.wait()
            with self._lock:
                if not self._is_wanted:
                    return
                if not self._is_killed:
                    self.ended_by_itself += 1
                    time.sleep(0.5)  # as a supervisor that does not want to spin
                self._is_killed = False
                self.process = self._start()


class Server:
    """The embedded PostgreSQL of a folder."""

    def __init__(self, folder: Path, admin_url: str) -> None:
        self._folder = folder
        self.admin_url = admin_url

    def kill(self) -> float:
        """SIGKILL to the postmaster, then a start on the same data. Answers after how long it took connections."""
        from leadloom.site import embedded

        pid = embedded.postmaster(self._folder)
        assert pid, "PostgreSQL does not run"
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        until(lambda: embedded.postmaster(self._folder) is None, "the killed PostgreSQL has ended", every_s=0.05)
        embedded.start_again(self._folder)
        insist(lambda: psycopg.connect(self.admin_url).close())
        return time.monotonic() - began


class House:
    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.workers: list[Child] = []
        self.web: Child | None = None
        self.address = ""

    def add_workers(self, count: int, *, concurrency: int = 8) -> list[Child]:
        """Started together, and answered once all of them listen."""
        last = self.value("SELECT coalesce(max(id), 0) FROM procrastinate_workers")
        started = [Child("worker", "--concurrency", str(concurrency), environment=os.environ) for _ in range(count)]
        self.workers += started
        query = "SELECT count(*) FROM procrastinate_workers WHERE id > %s"
        until(lambda: self.value(query, last) >= count, "the workers listen")
        return started

    def remove_worker(self, worker: Child) -> float:
        self.workers.remove(worker)
        return worker.stop()

    @contextmanager
    def open_web(self) -> Iterator[str]:
        """The socket is ours, so that a killed web process costs those who come nothing but time."""
        with socket.create_server(("127.0.0.1", 0), backlog=512) as sock:
            self.address = f"http://127.0.0.1:{sock.getsockname()[1]}"
            environment = {**os.environ, "LEADLOOM_URL": self.address}
            self.web = Child("web", "--fd", str(sock.fileno()), environment=environment, keep_open=(sock.fileno(),))
            try:
                yield self.address
            finally:
                self.web.stop()

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        """As its superuser, whom no wall stops."""
        with psycopg.connect(self.server.admin_url, autocommit=True) as connection:
            yield connection

    def value(self, query: str, *values: object) -> Any:
        """Asked until it is answered."""

        def ask() -> Any:
            with self.database() as database:
                row = database.execute(query.encode(), values).fetchone()
            return row[0] if row else None

        return insist(ask)

    def deadlocks(self) -> int:
        return int(self.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))


@contextmanager
def open_house(folder: Path, **environment: str) -> Iterator[House]:
    """PostgreSQL, started and migrated; workers and web are added. All of it ends with the block."""
    from leadloom.site.database import bring_up_to_date
    from leadloom.site.embedded import postgres

    with postgres(folder) as embedded:
        os.environ |= {
            "LEADLOOM_DATA_DIR": str(folder),
            "LEADLOOM_EMBEDDED": "true",
            "DATABASE_URL": embedded.app_url,
            "DATABASE_OWNER_URL": embedded.owner_url,
            "DJANGO_SETTINGS_MODULE": "leadloom.site.settings",
            "LEADLOOM_LOG_LEVEL": "info" if LOG_TO in os.environ else "error",
            "CRON_SECRET": CRON_SECRET,
            **environment,
        }
        bring_up_to_date()
        import django

        django.setup()
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # of kills it would tell at length
        from django.db import connections

        house = House(folder, Server(folder, embedded.admin_url))
        try:
            yield house
        finally:
            for worker in list(house.workers):
                house.remove_worker(worker)
            with suppress(Exception):  # of a database that was just killed: the house is closing
                connections.close_all()


def insist[T](act: Callable[[], T], *, within_s: float = PATIENCE_S) -> T:
    """Do it, again and again while the database is away."""
    from django.db import InterfaceError, OperationalError, close_old_connections, connection

    deadline = time.monotonic() + within_s
    while True:
        try:
            return act()
        except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError):
            if time.monotonic() > deadline:
                raise
            if not connection.in_atomic_block:
                close_old_connections()
            time.sleep(0.2)


def until(is_so: Callable[[], bool], what: str, *, within_s: float = PATIENCE_S, every_s: float = 0.3) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {within_s:.0f} s it was not so that {what}")
        time.sleep(every_s)
