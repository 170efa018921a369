"""The jobs of the sync. Wiring only: ids in, one function called. Each is safe to run twice and safe to kill."""

from django.conf import settings
from procrastinate.contrib.django import app

from leadloom.connections.models import Run, Trigger
from leadloom.sync.due import ring_waiting_runs, start_due_runs
from leadloom.sync.work import work_on


@app.task(name="sync.run", queue="sync")
def sync_run(run_id: int, account_id: int) -> None:
    try:
        work_on(run_id, account_id)
    except Run.DoesNotExist:
        return  # erased meanwhile: nothing is left to do


@app.periodic(cron=settings.SYNC_SCHEDULE)
@app.task(name="sync.hourly", queue="schedule", queueing_lock="sync.hourly")
def sync_hourly(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate tells when it was due
    start_due_runs(Trigger.CRON)


@app.periodic(cron="* * * * *")
@app.task(name="sync.tick", queue="schedule", queueing_lock="sync.tick")
def sync_tick(timestamp: int) -> None:  # noqa: ARG001
    ring_waiting_runs()
