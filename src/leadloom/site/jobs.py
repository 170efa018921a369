"""Housekeeping of what belongs to no part: the queue's finished and abandoned jobs, and sessions that have ended."""

from procrastinate.contrib.django import app

KEPT_DAYS = 7  # failed jobs, for looking into
SILENT_HOURS = 1  # a job whose worker has been silent for so long is nobody's; the rows it was about are the truth


@app.periodic(cron="23 3 * * *")
@app.task(name="site.prune", queue="schedule", queueing_lock="site.prune")
def prune_job(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate tells when it was due
    from django.core.management import call_command

    prune_queue()
    call_command("clearsessions")


def prune_queue() -> int:
    """Delete jobs that ended days ago, and those that died with their worker. Answers how many."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM procrastinate_jobs j
            WHERE (j.status IN ('succeeded', 'failed', 'cancelled', 'aborted')
                   AND NOT EXISTS (SELECT FROM procrastinate_events e WHERE e.job_id = j.id
                                   AND e.at > now() - make_interval(days => %(days)s)))
               OR (j.status = 'doing'
                   AND NOT EXISTS (SELECT FROM procrastinate_workers w WHERE w.id = j.worker_id
                                   AND w.last_heartbeat > now() - make_interval(hours => %(hours)s)))
            """,
            {"days": KEPT_DAYS, "hours": SILENT_HOURS},
        )
        deleted: int = cursor.rowcount
        return deleted
