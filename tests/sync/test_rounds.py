"""Runs that share a job: none waits for another, and none is lost with it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection as db
from tests.factories import make_connection, make_member, make_run
from tests.sync.conftest import Connect

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run, RunState, Trigger
from leadloom.providers.catalogue import UnknownProvider
from leadloom.sandbox import Sandbox
from leadloom.sync import rounds
from leadloom.sync.doorbell import ring, ring_for_many
from leadloom.sync.due import _waiting_runs
from leadloom.sync.rounds import go_round, size_of_rounds
from leadloom.sync.stopping import event as stopping

PAST = datetime.now(UTC) - timedelta(minutes=1)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, a round looks for those in a hurry only where a test says so."""
    monkeypatch.setattr(rounds, "LOOK_EVERY_S", 3600)


@pytest.fixture
def stop() -> Iterator[None]:
    stopping.set()
    yield
    stopping.clear()


def unknown_crms(member: Member, count: int) -> list[Run]:
    """Runs that end at once, as failed."""
    made = []
    for number in range(count):
        connection = make_connection(member.account, provider="nosuch", external_account_id=f"{number}")
        made.append(make_run(connection, trigger="cron"))
    return made


def names(runs: list[Run]) -> list[tuple[int, int]]:
    return [(run.pk, run.account_id) for run in runs]


def rounds_waiting() -> list[list[int]]:
    with db.cursor() as cursor:
        cursor.execute("SELECT args FROM procrastinate_jobs WHERE task_name = 'sync.round' AND status = 'todo'")
        return [[run for run, _ in json.loads(args)["runs"]] for (args,) in cursor.fetchall()]


def states(member: Member) -> list[str]:
    with account_scope(member.account_id):
        return list(Run.objects.order_by("pk").values_list("state", flat=True))


def test_a_run_that_fails_does_not_stop_the_rest_of_its_round(alice: Member, box: Sandbox, connect: Connect) -> None:
    [broken] = unknown_crms(alice, 1)
    _, fine = connect(box, work=False)
    with pytest.raises(UnknownProvider):
        go_round(names([broken, fine]))
    assert states(alice) == [RunState.FAILED, RunState.DONE]


def test_a_round_gives_way_to_whoever_is_in_a_hurry(alice: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LOOK_EVERY_S", 0)
    runs = unknown_crms(alice, 3)
    refresh = make_run(make_connection(alice.account), trigger="manual")
    with account_scope(alice.account_id):
        ring(refresh)
    with pytest.raises(UnknownProvider):
        go_round(names(runs))
    assert states(alice)[:3] == [RunState.FAILED, RunState.QUEUED, RunState.QUEUED]
    assert rounds_waiting() == [[run.pk for run in runs[1:]]]


def test_a_round_does_not_give_way_to_its_like(alice: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LOOK_EVERY_S", 0)
    runs = unknown_crms(alice, 3)
    ring_for_many(names(runs[2:]), trigger=Trigger.CRON, most=1)
    with pytest.raises(UnknownProvider):
        go_round(names(runs[:2]))
    assert states(alice) == [RunState.FAILED, RunState.FAILED, RunState.QUEUED]


def test_a_worker_that_is_told_to_stop_gives_the_rest_of_its_round_back(alice: Member, stop: None) -> None:
    runs = unknown_crms(alice, 3)
    with pytest.raises(UnknownProvider):
        go_round(names(runs))
    assert rounds_waiting() == [[run.pk for run in runs[1:]]]


def test_a_run_that_takes_long_does_not_hold_up_the_rest_of_its_round(
    alice: Member, box: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadloom.sync.lease.RENEW_S", 0.01)
    box.set_latency(300)
    _, long = connect(box, work=False)
    others = unknown_crms(alice, 2)
    go_round(names([long, *others]))
    assert states(alice) == [RunState.DONE, RunState.QUEUED, RunState.QUEUED]
    assert rounds_waiting() == [[run.pk for run in others]]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("heard_of", "is_rung_for"),
    [
        pytest.param(timedelta(seconds=1), False, id="its worker lives and will come to it"),
        pytest.param(timedelta(seconds=20), True, id="its worker has died"),
    ],
)
def test_the_runs_of_a_round_are_rung_for_only_when_its_worker_has_died(heard_of: timedelta, is_rung_for: bool) -> None:
    [run] = unknown_crms(make_member(), 1)
    with account_scope(run.account_id):
        Run.objects.update(created_at=PAST)
    ring_for_many(names([run]), trigger=Trigger.CRON, most=1)
    assert _waiting_runs() == [], "its job waits"
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - %s) RETURNING id", [heard_of]
        )
        [(worker,)] = cursor.fetchall()
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s", [worker])
    assert [waiting.run_id for waiting in _waiting_runs()] == ([run.pk] if is_rung_for else [])


def test_few_runs_are_not_kept_together_and_many_share_no_more_than_a_moments_work() -> None:
    assert [size_of_rounds(runs) for runs in (0, 1, 31, 64, 1_000_000)] == [1, 1, 1, 2, 25]
