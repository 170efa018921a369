"""A run undone by a real worker, killed in the middle of it."""

import time
from collections.abc import Callable

import pytest
from django.db.models import Count
from tests.journeys.conftest import Until, Worker

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.leads.models import Lead, LeadChange, Undo
from leadloom.leads.undo import undo_run
from leadloom.sandbox import Sandbox

pytestmark = pytest.mark.journey

CONTACTS = 6000


def test_an_undo_whose_worker_is_killed_is_ended_by_another_and_nothing_is_undone_twice(
    start_worker: Callable[[], Worker],
    connect: Callable[[Sandbox], tuple[Connection, Run]],
    alice: Member,
    until: Until,
) -> None:
    def ask(is_so: Callable[[Undo], bool]) -> Undo:
        deadline = time.monotonic() + 60
        while True:
            with account_scope(alice.account_id):
                undo = Undo.objects.get()
            if is_so(undo):
                return undo
            assert time.monotonic() < deadline, f"{undo.step} {undo.archived}"
            time.sleep(0.01)

    with Sandbox(contacts=CONTACTS, seed=7) as box:
        first = start_worker()
        _, run = connect(box)
        until(run, lambda run: run.state == RunState.DONE)
    with account_scope(alice.account_id):
        made = Lead.objects.filter(archived_at=None).count()
        run.refresh_from_db()
        undo_run(run=run, account=alice.account, user=alice.user, member=alice)
    assert made > CONTACTS / 2
    ask(lambda undo: undo.archived > 0)
    first.kill()
    left = ask(lambda _: True)
    start_worker()
    done = ask(lambda undo: undo.is_done)
    with account_scope(alice.account_id):
        assert not Lead.objects.filter(archived_at=None).exists()
        noted = LeadChange.objects.filter(undo=done).values("lead_id").annotate(n=Count("pk"))
        assert (done.archived, len(noted), {one["n"] for one in noted}) == (made, made, {1})
    assert left.archived < made, "the first worker had ended it before it was killed"
