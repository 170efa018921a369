"""Ring for a run: put a job that names it into the queue. The run row is the truth; the job may be lost or doubled."""

import structlog
from django.db import Error, transaction
from procrastinate.exceptions import ProcrastinateException

from leadloom.connections.models import Run, Trigger

log = structlog.get_logger()

PRIORITY = {Trigger.MANUAL: 30, Trigger.CONNECT: 20, Trigger.WEBHOOK: 10, Trigger.CRON: 0, Trigger.SWEEP: -10}
"""A person who waits goes before a first import, and both before the hourly pass."""

RESUMED = -5  # a long run that made way for others comes back behind them


def ring(run: Run, *, priority: int | None = None) -> None:
    """Ask a worker to look at this run. Never raises: a ring that fails is repeated by the next tick."""
    from leadloom.sync.jobs import sync_run

    try:
        with transaction.atomic():  # its own savepoint: a failed ring must not abort the caller's work
            sync_run.configure(priority=PRIORITY[Trigger(run.trigger)] if priority is None else priority).defer(
                run_id=run.pk, account_id=run.account_id
            )
    except (Error, ProcrastinateException) as error:
        log.warning("sync.ring_failed", run=run.pk, account=run.account_id, error=type(error).__name__)
