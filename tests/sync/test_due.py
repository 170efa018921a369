"""The hour comes, workers die, jobs get lost: what starts runs and what rescues them."""

import json
from datetime import UTC, datetime, timedelta
from threading import Thread

import psycopg
import pytest
from django.db import connection as db
from django.db import connections
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope, system_scope
from leadloom.connections.models import Connection, Run, RunState, State, Trigger
from leadloom.connections.services import pause, request_run
from leadloom.sync.doorbell import PRIORITY
from leadloom.sync.due import DueReport, ring_waiting_runs, start_due_runs

PAST = datetime.now(UTC) - timedelta(hours=1)


def rung_for() -> list[int]:
    """The runs that jobs name."""
    with db.cursor() as cursor:
        cursor.execute("SELECT args FROM procrastinate_jobs WHERE status = 'todo'")
        told = [json.loads(args) for (args,) in cursor.fetchall()]
    return sorted(run for args in told for run, _ in args.get("runs", [(args.get("run_id"), 0)]))


def run_of(report: DueReport, connection: Connection) -> int | None:
    return next(result.run_id for result in report.results if result.connection_id == connection.pk)


@pytest.mark.django_db
def test_every_active_connection_that_is_due_gets_a_run_and_no_other() -> None:
    alice, charlie = make_member(), make_member("charlie@example.com", "Charlie's")
    due = make_connection(alice.account, next_due_at=PAST)
    due_too = make_connection(charlie.account, next_due_at=None)
    make_connection(alice.account, external_account_id="2", next_due_at=datetime.now(UTC) + timedelta(minutes=30))
    make_connection(alice.account, external_account_id="3", next_due_at=PAST, state=State.PAUSED)
    make_connection(alice.account, external_account_id="4", next_due_at=PAST, is_active=False)
    make_connection(alice.account, external_account_id="5", next_due_at=PAST, state=State.NEEDS_RECONNECT)
    report = start_due_runs()
    assert {result.connection_id for result in report.results} == {due.pk, due_too.pk}
    assert (report.total, report.queued, report.failed) == (2, 2, 0)


def kinds(report: DueReport) -> dict[int, str]:
    """What was started, by connection."""
    found = {}
    for result in report.results:
        with account_scope(result.account_id):
            found[result.connection_id] = Run.objects.get(pk=result.run_id).trigger
    return found


@pytest.mark.django_db
def test_a_connection_is_swept_when_that_is_due_and_checked_for_changes_until_then() -> None:
    account = make_member().account
    now = datetime.now(UTC)
    due = make_connection(account, next_due_at=PAST, bookmark="x", sweep_due_at=now)
    not_yet = make_connection(
        account, external_account_id="2", next_due_at=PAST, bookmark="x", sweep_due_at=now + timedelta(hours=1)
    )
    never_read = make_connection(account, external_account_id="3", next_due_at=PAST, sweep_due_at=now)
    assert kinds(start_due_runs()) == {due.pk: "sweep", not_yet.pk: "cron", never_read.pk: "cron"}


@pytest.mark.django_db
def test_no_more_than_one_in_six_is_swept_in_one_round_the_longest_overdue_first() -> None:
    account = make_member().account
    made = [
        make_connection(
            account, external_account_id=f"{hours}", next_due_at=PAST, bookmark="x",
            sweep_due_at=datetime.now(UTC) - timedelta(hours=hours),
        )
        for hours in range(18)
    ]  # fmt: skip
    started = kinds(start_due_runs())
    assert len(started) == 18
    assert {pk for pk, trigger in started.items() if trigger == "sweep"} == {one.pk for one in made[-3:]}


@pytest.mark.django_db
def test_a_sweep_gives_way_to_every_other_job() -> None:
    assert PRIORITY[Trigger.SWEEP] < min(value for trigger, value in PRIORITY.items() if trigger != Trigger.SWEEP)
    swept = make_connection(make_member().account, next_due_at=PAST, bookmark="x", sweep_due_at=PAST)
    report = start_due_runs()
    assert rung_for() == [run_of(report, swept)]
    with db.cursor() as cursor:
        cursor.execute("SELECT priority FROM procrastinate_jobs")
        assert cursor.fetchall() == [(PRIORITY[Trigger.SWEEP],)]


def test_one_connection_that_cannot_start_never_stops_the_rest(committed: None, owner_url: str) -> None:
    alice = make_member()
    broken = make_connection(alice.account, next_due_at=PAST)
    fine = make_connection(alice.account, external_account_id="2", next_due_at=PAST)
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
        owner.execute(
            f"""
            CREATE TRIGGER refuse BEFORE INSERT ON sync_runs
            FOR EACH ROW WHEN (NEW.connection_id = {broken.pk}) EXECUTE FUNCTION refuse()
            """.encode()
        )
        try:
            report = start_due_runs()
        finally:
            owner.execute("DROP FUNCTION refuse CASCADE")
    assert {result.connection_id: bool(result.error) for result in report.results} == {broken.pk: True, fine.pk: False}
    assert rung_for() == [run_of(report, fine)]


@pytest.mark.django_db
def test_a_connection_that_is_due_and_has_a_run_joins_it() -> None:
    connection = make_connection(make_member().account, next_due_at=PAST)
    under_way = make_run(connection, state="running")
    [result] = start_due_runs().results
    assert (result.run_id, result.joined) == (under_way.pk, True)
    assert rung_for() == [], "somebody works on it already"


@pytest.mark.django_db
def test_the_runs_of_an_hour_share_jobs_and_each_is_named_once() -> None:
    alice, charlie = make_member(), make_member("charlie@example.com", "Charlie's")
    for number in range(70):
        make_connection((alice, charlie)[number % 2].account, external_account_id=f"{number}", next_due_at=PAST)
    report = start_due_runs()
    assert report.queued == 70
    assert rung_for() == sorted(result.run_id or 0 for result in report.results)
    with db.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_jobs")
        assert cursor.fetchone() == (35,)
    with account_scope(alice.account_id):
        assert {run.account_id for run in Run.objects.all()} == {alice.account_id}
        assert Run.objects.filter(state=RunState.QUEUED, trigger="cron").count() == 35


def test_schedulers_that_strike_at_the_same_moment_start_each_run_once(committed: None) -> None:
    account = make_member().account
    due = [make_connection(account, external_account_id=f"{number}", next_due_at=PAST).pk for number in range(100)]
    reports: list[DueReport] = []

    def strike() -> None:
        try:
            reports.append(start_due_runs())
        finally:
            connections.close_all()

    threads = [Thread(target=strike) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.failed for report in reports] == [0] * 4
    with account_scope(account.pk):
        assert sorted(Run.objects.values_list("connection_id", flat=True)) == due
        assert rung_for() == sorted(Run.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_starting_the_hour_leaves_no_account_in_scope() -> None:
    make_connection(make_member().account, next_due_at=PAST)
    start_due_runs()
    assert Run.objects.count() == 0


@pytest.mark.django_db
def test_a_run_whose_job_was_lost_is_rung_for_once_and_not_again_while_the_job_waits() -> None:
    connection = make_connection(make_member().account)
    run = make_run(connection, state="queued")
    with account_scope(run.account_id):
        Run.objects.filter(pk=run.pk).update(created_at=PAST)
    assert ring_waiting_runs() == 1
    assert ring_waiting_runs() == 0
    assert rung_for() == [run.pk]


def test_of_workers_that_look_for_lost_jobs_at_once_one_rings(committed: None) -> None:
    run = make_run(make_connection(make_member().account), state="queued")
    with account_scope(run.account_id):
        Run.objects.filter(pk=run.pk).update(created_at=PAST)
    rung: list[int] = []

    def look() -> None:
        try:
            rung.append(ring_waiting_runs())
        finally:
            connections.close_all()

    threads = [Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(rung) == 1
    assert rung_for() == [run.pk]


@pytest.mark.django_db
def test_lost_jobs_of_an_hour_are_rung_for_together_and_a_persons_alone() -> None:
    account = make_member().account
    runs = [
        make_run(make_connection(account, external_account_id=f"{number}"), state="queued", trigger="cron")
        for number in range(64)
    ]
    refresh = make_run(make_connection(account, external_account_id="refresh"), state="queued", trigger="manual")
    with account_scope(account.pk):
        Run.objects.update(created_at=PAST)
    assert ring_waiting_runs() == 65
    assert rung_for() == [*(run.pk for run in runs), refresh.pk]
    with db.cursor() as cursor:
        cursor.execute("SELECT priority, count(*) FROM procrastinate_jobs GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [(PRIORITY[Trigger.CRON], 32), (PRIORITY[Trigger.MANUAL], 1)]


@pytest.mark.django_db
def test_a_ring_that_fails_does_not_undo_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from leadloom.sync import jobs

    connection = make_connection(make_member().account)
    monkeypatch.setattr(jobs.sync_run, "name", "x" * 1000)  # longer than the queue's column takes
    with account_scope(connection.account_id):
        run, joined = request_run(connection=connection, trigger="manual")
        assert not joined
        assert Run.objects.filter(pk=run.pk).exists()


@pytest.mark.django_db
def test_a_second_request_joins_the_run_under_way() -> None:
    connection = make_connection(make_member().account)
    with account_scope(connection.account_id):
        first, _ = request_run(connection=connection, trigger="manual")
        second, joined = request_run(connection=connection, trigger="cron")
    assert (second.pk, joined) == (first.pk, True)


@pytest.mark.django_db
def test_a_person_who_joins_an_hourly_run_that_waits_for_its_turn_brings_it_to_the_front() -> None:
    account = make_member().account
    hour = [make_connection(account, external_account_id=f"{number}", next_due_at=PAST) for number in range(3)]
    start_due_runs()
    with account_scope(account.pk):
        run, joined = request_run(connection=hour[2], trigger="manual")
        request_run(connection=hour[1], trigger="cron")
    assert joined
    with db.cursor() as cursor:
        cursor.execute("SELECT args ->> 'run_id' FROM procrastinate_jobs ORDER BY priority DESC, id LIMIT 1")
        assert cursor.fetchone() == (str(run.pk),)
        cursor.execute("SELECT count(*) FROM procrastinate_jobs")
        assert cursor.fetchone() == (4,)


@pytest.mark.django_db
def test_pausing_stops_the_run_under_way() -> None:
    connection = make_connection(make_member().account)
    with account_scope(connection.account_id):
        run, _ = request_run(connection=connection, trigger="manual")
        pause(connection)
        run.refresh_from_db()
        connection.refresh_from_db()
    assert (run.state, connection.state) == (RunState.STOPPED, State.PAUSED)


def test_fifty_requests_at_the_same_moment_make_one_run(committed: None) -> None:
    member: Member = make_member()
    connection = make_connection(member.account)
    got: list[int] = []

    def press_refresh() -> None:
        try:
            with account_scope(connection.account_id):
                got.append(request_run(connection=connection, trigger="manual")[0].pk)
        finally:
            connections.close_all()

    threads = [Thread(target=press_refresh) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 50
    assert len(set(got)) == 1


@pytest.mark.django_db
def test_the_scheduler_sees_ids_of_all_accounts_and_may_write_none() -> None:
    connection = make_connection(make_member().account)
    with system_scope(), db.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM crm_connections")
        assert cursor.fetchone() == (1,)
        cursor.execute("UPDATE crm_connections SET bookmark = 'x' WHERE id = %s", [connection.pk])
        assert cursor.rowcount == 0
        cursor.execute("SELECT count(*) FROM leads")
        assert cursor.fetchone() == (0,)
