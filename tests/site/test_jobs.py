"""The queue does not keep what is over."""

import pytest
from django.db import connection

from leadloom.site.jobs import prune_queue

pytestmark = pytest.mark.django_db


def job(status: str, *, days_ago: int, worker: int | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id) VALUES ('sync', 'x', %s, %s) "
            "RETURNING id",
            [status, worker],
        )
        number = int(cursor.fetchone()[0])
        cursor.execute(
            "INSERT INTO procrastinate_events (job_id, type, at) "
            "VALUES (%s, 'started', now() - make_interval(days => %s))",
            [number, days_ago],
        )
        return number


def heard_of(*, hours_ago: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) "
            "VALUES (now() - make_interval(hours => %s)) RETURNING id",
            [hours_ago],
        )
        return int(cursor.fetchone()[0])


def test_what_waits_is_worked_on_or_has_just_failed_is_kept_and_the_rest_is_not() -> None:
    kept = {
        job("todo", days_ago=30),
        job("failed", days_ago=2),
        job("doing", days_ago=0, worker=heard_of(hours_ago=0)),
    }
    job("failed", days_ago=8)
    job("doing", days_ago=0, worker=heard_of(hours_ago=2))
    job("doing", days_ago=0)
    prune_queue()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM procrastinate_jobs")
        assert {row[0] for row in cursor.fetchall()} == kept
