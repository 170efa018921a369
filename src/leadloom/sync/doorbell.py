"""Ring for runs: put a job that names them into the queue. The run row is the truth; the job may be lost or doubled.

Jobs are written on the caller's own connection to the database: they come to be with the run, or not at all.
"""

from collections.abc import Sequence
from itertools import batched

import structlog
from django.db import Error, transaction
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import JobDeferrer
from procrastinate.manager import JobManager
from procrastinate.types import JSONDict

from leadloom.connections.models import Run, Trigger

log = structlog.get_logger()

PRIORITY = {Trigger.MANUAL: 30, Trigger.CONNECT: 20, Trigger.WEBHOOK: 10, Trigger.CRON: -2, Trigger.SWEEP: -10}
"""A person who waits goes before a first import, and both, with all other jobs, before the hourly pass."""

RESUMED = -5  # a long run that made way for others comes back behind them

_queue = JobManager(DjangoConnector())


def ring(run: Run, *, priority: int | None = None) -> None:
    """Ask a worker to look at this run. Never raises: a ring that fails is repeated by the next tick."""
    from leadloom.sync.jobs import sync_run

    try:
        with transaction.atomic():  # its own savepoint: a failed ring must not abort the caller's work
            job = sync_run.configure(priority=PRIORITY[Trigger(run.trigger)] if priority is None else priority)
            here(job).defer(run_id=run.pk, account_id=run.account_id)
    except (Error, ProcrastinateException) as error:
        log.warning("sync.ring_failed", run=run.pk, account=run.account_id, error=type(error).__name__)


def ring_for_many(runs: Sequence[tuple[int, int]], *, trigger: Trigger, most: int) -> None:
    """Ask for these runs, given by id and account, in rounds of at most so many. Never raises either."""
    from leadloom.sync.jobs import sync_round

    try:
        with transaction.atomic():
            job = sync_round.configure(priority=PRIORITY[trigger])
            rounds: list[JSONDict] = [{"runs": [list(run) for run in some]} for some in batched(runs, most)]
            here(job).batch_defer(*rounds)
    except (Error, ProcrastinateException) as error:
        log.warning("sync.ring_failed", runs=len(runs), error=type(error).__name__)


def here(job: JobDeferrer) -> JobDeferrer:
    """Inside a worker a job would else go to the queue by another connection, before the run it names is there."""
    job.job_manager = _queue
    return job
