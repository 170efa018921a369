"""Seeing a run through for somebody who waits for its result: watch a worker do it or, without one, do it here."""

import time
from datetime import UTC, datetime, timedelta

import structlog
from django.db import close_old_connections, connection

from leadloom.connections.models import Run, RunState
from leadloom.sync.heard import SILENT
from leadloom.sync.wait import POLL_S, wait_for
from leadloom.sync.work import work_on

log = structlog.get_logger()


def finish_within(run_id: int, account_id: int, seconds: float) -> Run:
    """The run once it has ended, or as it stands after ``seconds``; what was not done goes on at the next call.

    Called outside any scope: the run must be committed. A bug met on the way has become the run's ending.
    """
    if is_worker_alive():
        return wait_for(run_id, account_id, seconds, sleep=_sleep)
    return _work_here(run_id, account_id, time.monotonic() + seconds)


def is_worker_alive() -> bool:
    """Has any worker process been heard of lately?"""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM procrastinate_workers WHERE last_heartbeat > %s)",
            [datetime.now(UTC) - SILENT],
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def _work_here(run_id: int, account_id: int, deadline: float) -> Run:
    run = wait_for(run_id, account_id, 0)
    while run.is_active and (left := deadline - time.monotonic()) > 0:
        if run.state == RunState.WAITING and run.resume_at and run.resume_at > datetime.now(UTC):
            _sleep(min(POLL_S, left))
            run = wait_for(run_id, account_id, 0)
            continue
        try:
            run = work_on(run_id, account_id, budget=timedelta(seconds=left))
        except Exception as error:  # noqa: BLE001 - the run has it as its ending, and the log the traceback
            log.warning("sync.failed_here", run=run_id, account=account_id, error=type(error).__name__)
            return wait_for(run_id, account_id, 0)
        if run.is_active:  # somebody else's, or waiting
            _sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))
    return run


def _sleep(seconds: float) -> None:
    """Holds no database connection meanwhile: many may wait, and the pool is small."""
    close_old_connections()
    time.sleep(seconds)
