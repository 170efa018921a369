"""How long a run lies still after whoever worked on it was killed: watched in the run rows, from beside."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Lease:
    token: str | None
    until: float
    state: str


@dataclass(frozen=True, slots=True)
class Orphan:
    """A run that may have been the victim's."""

    run: int
    lease: Lease
    victim: str
    killed_at: float


@dataclass(frozen=True, slots=True)
class Takeover:
    run: int
    victim: str
    seconds: float
    database_was_killed_too: bool


class Watch:
    """Looks at every active run several times a second. A run is the victim's when nobody renews its lease after the
    kill; it is taken over when another token holds it."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._orphans: list[Orphan] = []
        self._leases: Mapping[int, Lease] = {}
        self._database_killed_at: list[float] = []
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self.takeovers: list[Takeover] = []
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def killed(self, victim: str) -> None:
        """Called at the moment of the kill."""
        now = time.monotonic()
        with self._lock:
            if victim == "postgresql":
                self._database_killed_at.append(now)
            held = {run: lease for run, lease in self._leases.items() if lease.state == "running" and lease.token}
            self._orphans += [Orphan(run, lease, victim, now) for run, lease in held.items()]

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def longest(self, victim: str, *, alone: bool) -> float:
        """Seconds; ``alone``: only where the database lived all the while."""
        return max(
            (
                one.seconds
                for one in self.takeovers
                if one.victim == victim and not (alone and one.database_was_killed_too)
            ),
            default=0.0,
        )

    def _look(self) -> None:
        database: psycopg.Connection[Any] | None = None
        while not self._is_over.wait(LOOK_EVERY_S):
            try:
                database = database or psycopg.connect(self._admin_url, autocommit=True)
                rows = database.execute(_ACTIVE).fetchall()
            except psycopg.Error:
                database = None
                continue
            with self._lock:
                self._leases = {run: Lease(token, until, state) for run, token, until, state in rows}
                self._orphans = [one for one in self._orphans if not self._is_settled(one)]

    def _is_settled(self, orphan: Orphan) -> bool:
        now = self._leases.get(orphan.run)
        if now is None or now.state != "running":
            return True  # it ended, or was put back: whoever did that was alive
        if now.token == orphan.lease.token:
            return now.until > orphan.lease.until and orphan.victim != "postgresql"  # renewed: not the victim's
        at = time.monotonic()
        too = any(orphan.killed_at < killed <= at for killed in self._database_killed_at)
        self.takeovers.append(Takeover(orphan.run, orphan.victim, at - orphan.killed_at, too))
        return True


_ACTIVE = """
SELECT id, lease_token::text, coalesce(extract(epoch FROM lease_until), 0)::float, state
FROM sync_runs WHERE state IN ('queued', 'running', 'waiting')
"""
