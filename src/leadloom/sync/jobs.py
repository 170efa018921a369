"""The jobs of the sync. Wiring only: ids in, one function called. Each is safe to run twice and safe to kill.

The work is imported when a job runs: web processes name these jobs and need nothing of what they do.
"""

from django.conf import settings
from procrastinate.contrib.django import app


@app.task(name="sync.run", queue="sync")
def sync_run(run_id: int, account_id: int) -> None:
    from leadloom.sync.work import do

    do(run_id, account_id)


@app.task(name="sync.round", queue="sync")
def sync_round(runs: list[list[int]]) -> None:
    from leadloom.sync.rounds import go_round

    go_round([(run_id, account_id) for run_id, account_id in runs])


@app.periodic(cron=settings.SYNC_SCHEDULE)
@app.task(name="sync.hourly", queue="schedule", queueing_lock="sync.hourly")
def sync_hourly(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate tells when it was due
    from leadloom.sync.due import start_due_runs

    start_due_runs()


@app.periodic(cron="* * * * *")
@app.task(name="sync.tick", queue="schedule", queueing_lock="sync.tick")
def sync_tick(timestamp: int) -> None:  # noqa: ARG001
    from leadloom.sync.due import ring_waiting_runs

    ring_waiting_runs()


@app.periodic(cron="33 3 * * *")
@app.task(name="sync.prune", queue="schedule", queueing_lock="sync.prune")
def sync_prune(timestamp: int) -> None:  # noqa: ARG001
    from leadloom.sync import prune

    prune.prune_runs()
    prune.prune_ids_met()
    prune.prune_buckets()
