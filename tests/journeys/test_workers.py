"""Workers that die or are told to go in the middle of a run: others take over, nothing is lost, nothing doubled."""

from collections.abc import Callable

import pytest
from tests.journeys.conftest import Until, Worker

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.leads.models import Lead, SourceContact
from leadloom.sandbox import Sandbox

pytestmark = pytest.mark.journey

CONTACTS = 3000


def assert_complete(connection: Connection, run: Run, box: Sandbox) -> None:
    assert run.seen == run.created + run.updated + run.unchanged + run.linked + run.skipped + run.failed == CONTACTS
    with account_scope(connection.account_id):
        kept = set(SourceContact.objects.values_list("external_id", flat=True))
        assert kept == {contact.id for contact in box.contacts()}
        leads = Lead.objects.filter(archived_at=None)
        phones = list(leads.exclude(phone=None).values_list("phone", flat=True))
        assert len(phones) == len(set(phones))
        assert leads.count() == run.created
        for outcome in ("created", "linked", "skipped", "failed"):
            assert SourceContact.objects.filter(outcome=outcome).count() == getattr(run, outcome)


def test_a_killed_worker_repeats_a_page_but_loses_none_and_another_takes_over_within_half_a_minute(
    start_worker: Callable[[], Worker], connect: Callable[[Sandbox], tuple[Connection, Run]], until: Until
) -> None:
    with Sandbox(contacts=CONTACTS, latency_ms=60) as box:
        first = start_worker()
        connection, run = connect(box)
        until(run, lambda run: run.pages >= 6)
        first.kill()
        held = until(run, lambda run: run.state == RunState.RUNNING, within_s=1)
        start_worker()
        until(run, lambda run: run.pages > held.pages, within_s=30)
        run = until(run, lambda run: run.state == RunState.DONE)
        assert_complete(connection, run, box)


def test_a_deploy_hands_a_run_over_at_its_next_page(
    start_worker: Callable[[], Worker], connect: Callable[[Sandbox], tuple[Connection, Run]], until: Until
) -> None:
    with Sandbox(contacts=CONTACTS, latency_ms=60) as box:
        old = start_worker()
        connection, run = connect(box)
        until(run, lambda run: run.pages >= 6)
        new = start_worker()
        old.stop()
        assert old.process.returncode == 0
        with account_scope(run.account_id):
            handed_over = Run.objects.get(pk=run.pk)
        assert handed_over.lease_token is None or new.process.poll() is None
        run = until(run, lambda run: run.state == RunState.DONE)
        assert_complete(connection, run, box)
