"""Staying under a vendor's published limits, together: one bucket per CRM account, shared by all workers.

Slots are reserved in PostgreSQL a few at a time (about one statement a second), then spent locally. What the vendor's
own headers say replaces the published figure. The bucket knows keys and times only, nothing about customers.
"""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.db import connection

from leadloom.providers.base import Limit, Provider, Reply, Request

BURST = 2  # requests that may go at once after a pause; kept small, so that rolling windows stay under the limit
SPARE = 2  # one may reach the vendor a little later than the next, and one that proves a credential is not paced
SLOWER = 1.04  # so much where a limit is too small to spare one
RESERVE_FOR = timedelta(milliseconds=500)  # how far ahead one reservation reaches
UNPACED_BELOW = timedelta(milliseconds=2)  # a limit this high needs no bucket


class SharedPace:
    """The pace of one run. Several runs on the same CRM account share their buckets through the key."""

    def __init__(self, provider: Provider, key: str, *, wait: Callable[[float], None]) -> None:
        self._provider = provider
        self._key = hashlib.sha256(f"{provider.slug}:{key}".encode()).hexdigest()[:32]
        self._limits: dict[str, Limit] = dict(provider.limits)
        self._slots: Mapping[str, deque[float]] = {pool: deque() for pool in self._limits}
        self._latest: dict[str, float] = {}
        self._lock = threading.Lock()
        self._wait = wait
        self.waited_s = 0.0

    def wait(self, pool: str) -> None:
        """Return when a request of this pool may go."""
        with self._lock:
            at = self._next_slot(pool)
        delay = at - time.monotonic()
        if delay > 0:
            self.waited_s += delay
            self._wait(delay)

    def learn(self, request: Request, reply: Reply) -> None:
        announced = self._provider.allowance(reply)
        if announced is not None and request.pool == "api":
            with self._lock:
                self._limits["api"] = announced
        if reply.status == 429:
            with self._lock:
                self._slots[request.pool].clear()

    def _next_slot(self, pool: str) -> float:
        limit = self._limits[pool]
        interval = spacing(limit)
        if interval < UNPACED_BELOW:
            return 0.0
        slots = self._slots[pool]
        burst = burst_of(limit)
        if not slots:
            count = max(1, int(RESERVE_FOR / interval))
            start = time.monotonic() + _reserve(f"{self._key}:{pool}", interval, count, burst)
            slots.extend(start + i * interval.total_seconds() for i in range(count))
        at = slots.popleft()
        if not burst:  # a slot that was missed is not made up for by two requests at once
            at = max(at, self._latest.get(pool, 0.0) + interval.total_seconds())
            self._latest[pool] = max(at, time.monotonic())
        return at


def burst_of(limit: Limit) -> int:
    """How many requests may go at once after a pause."""
    return min(BURST, limit.requests // 10)


def spacing(limit: Limit) -> timedelta:
    """The time between requests at which no rolling window can hold more than the limit, a burst included."""
    spare = SPARE if limit.requests >= 50 else 0
    steady = max(1, limit.requests - burst_of(limit) - spare)
    slower = 1 if spare else SLOWER  # division rounds; a limit must not be rounded up
    return limit.per / steady * slower + timedelta(microseconds=1)


def _reserve(key: str, interval: timedelta, count: int, burst: int) -> float:
    """Reserve ``count`` slots; answers how many seconds from now the first one is (negative: some are free at once)."""
    try:
        free_at = _move_free_at(key, interval, count, burst=burst)
    finally:
        if not connection.in_atomic_block:
            connection.close()  # this thread asks about once a second: the pool has better uses for it meanwhile
    return free_at - count * interval.total_seconds()


def _move_free_at(key: str, interval: timedelta, count: int, *, burst: int) -> float:
    """Move the bucket's next free moment; answers how many seconds from now it lies."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO pace_buckets AS b (key, free_at)
            VALUES (%(key)s, clock_timestamp() + make_interval(secs => (%(count)s - %(burst)s) * %(seconds)s))
            ON CONFLICT (key) DO UPDATE
            SET free_at = greatest(b.free_at, clock_timestamp() - make_interval(secs => %(burst)s * %(seconds)s))
                          + make_interval(secs => %(count)s * %(seconds)s)
            RETURNING extract(epoch FROM free_at - clock_timestamp())
            """,
            {"key": key, "count": count, "burst": burst, "seconds": interval.total_seconds()},
        )
        row = cursor.fetchone()
    assert row
    return float(row[0])
