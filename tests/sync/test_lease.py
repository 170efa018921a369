"""Who works on a run, on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.errors import SyncStopped
from leadloom.sync.due import _waiting_runs
from leadloom.sync.lease import claim, hold

pytestmark = pytest.mark.django_db

PAST, FUTURE = datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def connection() -> Connection:
    return make_connection(make_member().account)


def test_of_two_workers_that_hear_one_job_only_one_gets_the_run(connection: Connection) -> None:
    run = make_run(connection, state="queued")
    assert claim(run.pk, run.account_id) is not None
    assert claim(run.pk, run.account_id) is None


@pytest.mark.parametrize(
    ("state", "fields", "may_claim"),
    [
        pytest.param("queued", {}, True, id="waits for a worker"),
        pytest.param("running", {"lease_until": FUTURE}, False, id="somebody lives and works on it"),
        pytest.param("running", {"lease_until": PAST}, True, id="its worker has died"),
        pytest.param("waiting", {"resume_at": FUTURE}, False, id="the CRM asked us to wait"),
        pytest.param("waiting", {"resume_at": PAST}, True, id="the wait is over"),
        pytest.param("done", {}, False, id="done"),
        pytest.param("failed", {}, False, id="failed"),
        pytest.param("stopped", {}, False, id="stopped by a person"),
    ],
)
def test_a_run_is_taken_only_when_it_is_due_and_nobody_holds_it(
    connection: Connection, state: str, fields: dict[str, datetime], may_claim: bool
) -> None:
    run = make_run(connection, state=state, **fields)
    with account_scope(connection.account_id):
        Run.objects.filter(pk=run.pk).update(created_at=PAST)
    assert (run.pk in [waiting.run_id for waiting in _waiting_runs()]) is may_claim, "and the tick rings for just those"
    assert (claim(run.pk, run.account_id) is not None) is may_claim


def test_a_worker_that_was_only_asleep_writes_nothing_after_another_took_over(connection: Connection) -> None:
    run = make_run(connection, state="queued")
    asleep = claim(run.pk, run.account_id)
    assert asleep
    with account_scope(connection.account_id):
        Run.objects.filter(pk=run.pk).update(lease_until=PAST)
    awake = claim(run.pk, run.account_id)
    assert awake
    with account_scope(connection.account_id):
        hold(run.pk, run.account_id, awake)
        with pytest.raises(SyncStopped):
            hold(run.pk, run.account_id, asleep)


def test_a_run_stopped_by_a_person_is_not_written_to_any_more(connection: Connection) -> None:
    run = make_run(connection, state="queued")
    token = claim(run.pk, run.account_id)
    assert token
    with account_scope(connection.account_id):
        Run.objects.filter(pk=run.pk).update(state=RunState.STOPPED)
        with pytest.raises(SyncStopped):
            hold(run.pk, run.account_id, token)


def test_another_accounts_run_cannot_be_claimed(connection: Connection) -> None:
    run = make_run(connection, state="queued")
    charlie = make_member("charlie@example.com", "Charlie's")
    assert claim(run.pk, charlie.account_id) is None


def test_an_unknown_lease_holds_nothing(connection: Connection) -> None:
    run = make_run(connection, state="queued")
    with account_scope(connection.account_id), pytest.raises(SyncStopped):
        hold(run.pk, run.account_id, uuid4())
