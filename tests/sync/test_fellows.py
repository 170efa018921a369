"""A worker that cannot reach a CRM hands the run on to one that may, once; then the CRM is away for everybody."""

import pytest
from django.db import connection as db
from tests.sync.conftest import Connect

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.sandbox import Sandbox
from leadloom.sync import fellows
from leadloom.sync.work import work_on

pytestmark = pytest.mark.usefixtures("hurried")

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def run(connect: Connect, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Of a CRM that this machine has no way to."""
    monkeypatch.setattr(fellows, "_unreached", {})
    connection, run = connect(box, work=False)
    with account_scope(connection.account_id):
        Connection.objects.filter(pk=connection.pk).update(base_url=NOBODY)
    return run


def workers(count: int) -> None:
    with db.cursor() as cursor:
        for _ in range(count):
            cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")


def test_who_cannot_reach_the_crm_hands_the_run_on_and_keeps_away_from_it(run: Run) -> None:
    workers(2)
    handed = work_on(run.pk, run.account_id)
    assert (handed.state, handed.lease_token, handed.retries) == (RunState.QUEUED, None, 1)
    again = work_on(run.pk, run.account_id)
    assert (again.state, again.requests) == (RunState.QUEUED, handed.requests), "not asked again from here"


def test_when_the_next_worker_does_not_reach_it_either_the_run_waits_and_says_why(run: Run) -> None:
    workers(2)
    work_on(run.pk, run.account_id)
    fellows._unreached.clear()  # another process
    waits = work_on(run.pk, run.account_id)
    assert (waits.state, waits.error_code) == (RunState.WAITING, "vendor_down")
    assert waits.resume_at is not None


def test_the_next_worker_goes_on_where_the_last_one_could_not(run: Run, box: Sandbox, alice: Member) -> None:
    workers(2)
    work_on(run.pk, run.account_id)
    fellows._unreached.clear()  # another process, and its line is whole
    with account_scope(run.account_id):
        Connection.objects.filter(pk=run.connection_id).update(base_url=box.url)
    done = work_on(run.pk, run.account_id)
    assert (done.state, done.seen) == (RunState.DONE, 350)
