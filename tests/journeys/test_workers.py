"""Workers that die or are told to go in the middle of a run: others take over, nothing is lost, nothing doubled."""

import time
from collections.abc import Callable

import pytest
from tests.factories import make_connection, make_run
from tests.journeys.conftest import Until, Worker

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState, Trigger
from leadloom.connections.secrets import seal
from leadloom.connections.vault import context_of
from leadloom.leads.models import Lead, SourceContact
from leadloom.sandbox import Sandbox
from leadloom.sync.doorbell import ring_for_many

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


def test_a_worker_killed_while_it_reads_in_several_places_loses_no_contact(
    start_worker: Callable[[], Worker], connect: Callable[[Sandbox], tuple[Connection, Run]], until: Until
) -> None:
    with Sandbox(contacts=CONTACTS, latency_ms=250) as box:
        first = start_worker()
        connection, run = connect(box)
        until(run, lambda run: bool(run.cursor) and len(run.cursor.get("gaps", ())) >= 2)
        first.kill()
        start_worker()
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


def test_a_deploy_does_not_wait_for_a_crm_that_drips_and_neither_does_the_next_worker(
    start_worker: Callable[[], Worker], connect: Callable[[Sandbox], tuple[Connection, Run]], until: Until
) -> None:
    """Nobody is there to take the run when its lease runs out: it is given back, or still called running."""
    with Sandbox(contacts=CONTACTS, latency_ms=60) as box:
        old = start_worker()
        connection, run = connect(box)
        until(run, lambda run: run.pages >= 6)
        box.fault("slow", times=None, path="/crm", seconds=100)
        time.sleep(1)  # every thread is now at a reply that takes its time
        held = until(run, lambda run: run.state == RunState.RUNNING)
        old.stop()
        given_back = until(run, lambda run: run.state == RunState.QUEUED and run.lease_token is None, within_s=5)
        assert given_back.pages >= held.pages
        box.clear_faults()
        start_worker()
        run = until(run, lambda run: run.state == RunState.DONE)
        assert_complete(connection, run, box)


def test_when_a_worker_is_killed_in_the_middle_of_an_hour_another_makes_every_pass_that_is_left(
    start_worker: Callable[[], Worker], connect: Callable[[Sandbox], tuple[Connection, Run]], until: Until
) -> None:
    with Sandbox(contacts=3, latency_ms=200) as box:
        connection, _ = connect(box)
        hour = [pass_of_another_crm_account(connection, box, number) for number in range(24)]
        ring_for_many([(run.pk, run.account_id) for run in hour], trigger=Trigger.CRON, most=6)
        first = start_worker()
        until(hour[2], lambda run: run.state == RunState.DONE)
        first.kill()
        assert any(run.state == RunState.QUEUED for run in again(hour)), "some had not begun"
        start_worker()
        for run in hour:
            until(run, lambda run: run.state == RunState.DONE, within_s=60)


def pass_of_another_crm_account(like: Connection, box: Sandbox, number: int) -> Run:
    other = make_connection(like.account, external_account_id=f"portal {number}", base_url=box.url)
    other.sealed_credentials = seal(box.token, context_of(other))
    with account_scope(like.account_id):
        other.save()
    return make_run(other, trigger=Trigger.CRON, is_first=True)


def again(runs: list[Run]) -> list[Run]:
    with account_scope(runs[0].account_id):
        return list(Run.objects.filter(pk__in=[run.pk for run in runs]))
