"""A round: runs that one job makes, one after the other. Most hourly passes find nothing, and a job costs more.

Nobody waits for a round's end: when a more urgent job waits, when the worker is told to stop, or when one run takes
long, the runs that are left go back into the queue.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence

import structlog
from django.db import InterfaceError, OperationalError
from django.db import connection as db

from leadloom.connections.models import Trigger
from leadloom.sync.doorbell import PRIORITY, ring_for_many
from leadloom.sync.stopping import event as stopping
from leadloom.sync.work import do

log = structlog.get_logger()

SHARES = 32  # an hour is divided into so many rounds at least, for all workers to have some
MOST = 25  # runs a round
LOOK_EVERY_S = 0.25


def size_of_rounds(runs: int) -> int:
    return max(1, min(MOST, runs // SHARES))


def go_round(runs: Sequence[tuple[int, int]]) -> None:
    """Make these runs, given by id and account. One that fails does not stop the rest; the first bug is raised."""
    rest = _Rest(runs)
    first: Exception | None = None
    looked = time.monotonic()
    while (run := rest.next()) is not None:
        try:
            do(*run, when_long=rest.give_back)
        except (OperationalError, InterfaceError):
            raise  # the database is away: the tick rings for those that are left
        except Exception as error:  # noqa: BLE001 - the run has it as its ending, and the log the traceback
            first = first or error
        if stopping.is_set():
            rest.give_back()
        elif time.monotonic() - looked >= LOOK_EVERY_S:
            looked = time.monotonic()
            if _somebody_is_in_a_hurry():
                rest.give_back()
    if first is not None:
        raise first


class _Rest:
    """What is left of a round. Safe to use from the thread that renews a long run's lease."""

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self._runs = deque(runs)
        self._lock = threading.Lock()

    def next(self) -> tuple[int, int] | None:
        with self._lock:
            return self._runs.popleft() if self._runs else None

    def give_back(self) -> None:
        with self._lock:
            runs = list(self._runs)
            self._runs.clear()
        if runs:
            ring_for_many(runs, trigger=Trigger.CRON, most=MOST)


def _somebody_is_in_a_hurry() -> bool:
    with db.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'todo' AND priority > %s
                           AND (scheduled_at IS NULL OR scheduled_at <= now()))
            """,
            [PRIORITY[Trigger.CRON]],
        )
        row = cursor.fetchone()
    return bool(row and row[0])
