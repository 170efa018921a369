"""The texter's jobs. Wiring only: each is safe to run twice and to kill, and carries ids alone.

The work is imported when a job runs: web processes name these jobs and need nothing of what they do.
"""

from datetime import timedelta

from procrastinate.contrib.django import app

QUEUE = "texter"
TURN = timedelta(seconds=5)
"""How long one job sends before it goes back into the queue, behind the jobs of other accounts."""


@app.task(name="texter.collect", queue=QUEUE)
def collect_job(*, account_id: int) -> None:
    from leadloom.texter.collect import collect
    from leadloom.texter.doorbell import ring_deliver

    if collect(account_id):
        ring_deliver(account_id)


@app.task(name="texter.deliver", queue=QUEUE)
def deliver_job(*, account_id: int) -> None:
    from leadloom.texter.deliver import deliver_due
    from leadloom.texter.doorbell import ring_deliver
    from leadloom.texter.due import soon

    if deliver_due(account_id, budget=TURN):
        ring_deliver(account_id)
    elif wait := soon(account_id):
        ring_deliver(account_id, after=wait)


@app.periodic(cron="* * * * *")
@app.task(name="texter.tick", queue=QUEUE, queueing_lock="texter.tick")
def tick_job(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate tells when it was due
    """Each minute: the newest leads of every account that is on, and what is due."""
    from leadloom.texter import due
    from leadloom.texter.doorbell import ring_deliver

    due.collect_new_leads()
    for account_id in due.accounts_due():
        ring_deliver(account_id)


@app.periodic(cron="13 * * * *")
@app.task(name="texter.sweep", queue=QUEUE, queueing_lock="texter.sweep")
def sweep_job(timestamp: int) -> None:  # noqa: ARG001
    """Each hour: all leads of every account that is on, in a job of its own."""
    from leadloom.texter.doorbell import ring_collect
    from leadloom.texter.due import accounts_on

    for account_id in accounts_on():
        ring_collect(account_id)


@app.periodic(cron="41 3 * * *")
@app.task(name="texter.prune", queue=QUEUE, queueing_lock="texter.prune")
def prune_job(timestamp: int) -> None:  # noqa: ARG001
    from leadloom.texter.due import prune

    prune()
