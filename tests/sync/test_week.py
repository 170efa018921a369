"""A week of hours through the real queue: what the schedule leaves behind does not grow."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from croniter import croniter
from django.db import connection as db
from django.db.models import F
from procrastinate.contrib.django import app
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run
from leadloom.connections.secrets import seal
from leadloom.connections.services import connect_with_token
from leadloom.connections.vault import context_of
from leadloom.leads.models import RunContact
from leadloom.sandbox import Sandbox
from leadloom.sync.prune import prune_buckets, prune_ids_met, prune_runs
from leadloom.sync.work import work_on

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LAST_WEEK = datetime.now(UTC) - timedelta(days=8)
QUEUE = (
    "procrastinate_jobs", "procrastinate_events", "procrastinate_periodic_defers", "procrastinate_workers",
    "pace_buckets", "run_contacts",
)  # fmt: skip
AGES: dict[str, tuple[str, ...]] = {
    "sync_runs": ("created_at", "started_at", "finished_at"),
    "crm_connections": (
        "next_due_at",
        "last_synced_at",
        "gone_checked_at",
        "tables_read_at",
        "last_change_at",
        "sweep_due_at",
        "swept_at",
    ),
}


def rows(table: str) -> int:
    with db.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


def runs_of(members: list[Member]) -> int:
    total = 0
    for member in members:
        with account_scope(member.account_id):
            total += Run.objects.count()
    return total


def an_hour_passes(members: list[Member]) -> None:
    """Everything that has happened was an hour earlier."""
    with db.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_events SET at = at - %s", [HOUR])
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - %s", [HOUR])
        cursor.execute("UPDATE pace_buckets SET free_at = free_at - %s", [HOUR])
    for member in members:
        with account_scope(member.account_id):
            Run.objects.update(**{name: F(name) - HOUR for name in AGES["sync_runs"]})
            Connection.objects.update(**{name: F(name) - HOUR for name in AGES["crm_connections"]})


async def strike(began: datetime, ended: datetime) -> None:
    """Put the jobs of this hour's schedule into the queue, as a worker does, and work until it is empty.

    What strikes each minute strikes once: sixty times is no different, and slow.
    """
    connector: Any = app.connector
    with app.replace_connector(connector.get_worker_connector()):
        async with app.open_async():
            for periodic in app.periodic_registry.periodic_tasks.values():
                due = croniter(periodic.cron, began).get_next(datetime)
                if due <= ended:
                    timestamp = int(due.timestamp())
                    job = periodic.task.configure(task_kwargs={"timestamp": timestamp}).job
                    await app.job_manager.defer_periodic_job(
                        job=job, periodic_id=periodic.periodic_id, defer_timestamp=timestamp
                    )
            await app.run_worker_async(
                wait=False, concurrency=4, listen_notify=False, install_signal_handlers=False, delete_jobs="successful"
            )


@pytest.fixture
def tenants(committed: None) -> Callable[[Sandbox, int], list[Member]]:
    def open_many(box: Sandbox, count: int) -> list[Member]:
        members = [make_member(f"{number}@example.com", f"Tenant {number}") for number in range(count)]
        for member in members:
            connection, run = connect_with_token(
                account=member.account, member=member, provider="hubspot", token=box.token, base_url=box.url
            )
            assert work_on(run.pk, run.account_id).state == "done"
            connection.external_account_id = f"portal {member.pk}"  # each with a pace of its own
            connection.sealed_credentials = seal(box.token, context_of(connection))
            with account_scope(member.account_id):
                connection.save(update_fields=["external_account_id", "sealed_credentials"])
        return members

    return open_many


@pytest.mark.long
def test_the_queue_is_as_small_after_a_week_of_hours_as_after_a_day(
    tenants: Callable[[Sandbox, int], list[Member]],
) -> None:
    began = datetime(2100, 1, 4, tzinfo=UTC)  # a worker strikes by the real clock too, and forgets what is older
    queue: list[dict[str, int]] = []
    runs: list[int] = []
    with Sandbox(contacts=3, seed=7) as box:
        members = tenants(box, 2)
        sweep_in(timedelta(days=5), members)  # late enough not to be forgotten by the end
        for hour in range(7 * 24):
            if hour % 24 == 12:
                box.change(next(iter(box.contacts())).id, company=f"Changed on day {hour // 24}")
            an_hour_passes(members)
            box.advance(HOUR.total_seconds())
            asyncio.run(strike(began + hour * HOUR, began + (hour + 1) * HOUR))
            if hour % 24 == 23:
                queue.append({table: rows(table) for table in QUEUE})
                runs.append(runs_of(members))
    tasks = len(app.periodic_registry.periodic_tasks)
    assert all(queue[6][table] <= max(queue[0][table], 2 * tasks) <= 20 for table in QUEUE), queue
    with_outcomes = 7 * len(members)
    assert runs[6] <= 4 * 24 * len(members) + with_outcomes, "the quiet ones of three days until the night's pruning"
    assert runs[6] - runs[4] <= 24, "a day would add 48 if nothing were forgotten"
    assert sweeps(members) == [1, 1], "each was read whole once"


def sweep_in(wait: timedelta, members: list[Member]) -> None:
    for member in members:
        with account_scope(member.account_id):
            Connection.objects.update(sweep_due_at=datetime.now(UTC) + wait)


def sweeps(members: list[Member]) -> list[int]:
    found = []
    for member in members:
        with account_scope(member.account_id):
            found.append(Run.objects.filter(trigger="sweep", state="done").count())
    return found


@pytest.mark.django_db
def test_runs_that_found_nothing_are_forgotten_after_three_days_and_those_with_outcomes_never() -> None:
    connection = make_connection(make_member().account)
    old: dict[str, Any] = {"state": "done", "trigger": "cron", "created_at": LAST_WEEK}
    make_run(connection, **old, unchanged=2, seen=2)
    make_run(connection, **old | {"state": "failed"})
    make_run(connection, **old, strategy="preview", created=2, seen=2)
    kept = [
        make_run(connection, **old, created=1, seen=1),
        make_run(connection, **old, skipped=1, seen=1),
        make_run(connection, **old, gone=1),
        make_run(connection, **old | {"created_at": datetime.now(UTC) - DAY}),
        make_run(connection, **old | {"state": "waiting"}),
        make_run(connection, **old),  # the newest: a first import that failed goes on where it was
    ]
    assert prune_runs() == 3
    with account_scope(connection.account_id):
        assert set(Run.objects.values_list("pk", flat=True)) == {run.pk for run in kept}


@pytest.mark.django_db
def test_ids_met_by_an_overwrite_that_was_stopped_are_forgotten_and_those_of_one_under_way_are_not() -> None:
    connection = make_connection(make_member().account)
    stopped = make_run(connection, state="stopped", strategy="overwrite")
    under_way = make_run(connection, state="running", strategy="overwrite")
    with account_scope(connection.account_id):
        for run in (stopped, under_way):
            RunContact.objects.create(account_id=run.account_id, run=run, external_id="1")
        prune_ids_met()
        assert list(RunContact.objects.values_list("run_id", flat=True)) == [under_way.pk]


@pytest.mark.django_db
def test_a_pace_bucket_in_use_is_kept() -> None:
    with db.cursor() as cursor:
        cursor.execute("INSERT INTO pace_buckets VALUES ('idle', now() - interval '2 days'), ('used', now())")
    assert prune_buckets() == 1
