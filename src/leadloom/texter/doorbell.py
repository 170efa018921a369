"""Ring for the texter's jobs. The outbox is the truth: a ring that is lost costs a minute, until the next tick."""

from datetime import timedelta
from typing import Any

import structlog
from django.db import Error, transaction
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.tasks import Task
from procrastinate.types import TimeDeltaParams

from leadloom.texter.jobs import collect_job, deliver_job
from leadloom.texter.retries import LANES

log = structlog.get_logger()


def ring_collect(account_id: int) -> None:
    """Look for leads to hand over. Never raises; two rings before the job starts are one."""
    _ring(collect_job, f"texter.collect:{account_id}", account_id=account_id)


def ring_deliver(account_id: int, *, lanes: int = LANES, after: timedelta | None = None) -> None:
    """Send what is due, in a few jobs side by side; or, after a while, in one."""
    if after is not None:
        _ring(deliver_job, f"texter.deliver:{account_id}:later", after=after, account_id=account_id)
        return
    for lane in range(lanes):
        _ring(deliver_job, f"texter.deliver:{account_id}:{lane}", account_id=account_id)


def _ring(task: "Task[Any, Any, Any]", lock: str, *, after: timedelta | None = None, **ids: int) -> None:
    schedule: TimeDeltaParams | None = {"seconds": round(after.total_seconds())} if after else None
    try:
        with transaction.atomic():  # its own savepoint: a failed ring must not abort the caller's work
            task.configure(queueing_lock=lock, schedule_in=schedule).defer(**ids)
    except AlreadyEnqueued:
        pass
    except (Error, ConnectorException) as error:
        log.warning("texter.ring_failed", error=type(error).__name__, **ids)
