"""The jobs with the real worker and queue: who rings whom, and that nobody has to ring twice."""

from datetime import timedelta

import grimp
import pytest
from django.utils import timezone
from procrastinate.contrib.django import app
from tests.texter.situation import Texting

from leadloom.accounts.scope import account_scope
from leadloom.sync.signals import run_ended
from leadloom.texter import due, services
from leadloom.texter.doorbell import ring_collect, ring_deliver
from leadloom.texter.jobs import QUEUE, tick_job
from leadloom.texter.models import DeliveryAttempt, DeliveryState

SENT, QUEUED = DeliveryState.SENT, DeliveryState.QUEUED


def work() -> None:
    """Do every job that is in the queue, and those they ring for, in a real worker."""
    with app.replace_connector(app.connector.get_worker_connector()) as worker:
        worker.run_worker(queues=[QUEUE], wait=False, install_signal_handlers=False, listen_notify=False)


def test_the_end_of_a_run_hands_its_leads_over(texting_for_real: Texting) -> None:
    texting = texting_for_real
    for _ in range(5):
        texting.lead()
    run_ended.send(sender=None, account_id=texting.account.pk, run_id=1)
    work()
    assert texting.states() == [SENT] * 5
    assert len({request.headers["webhook-id"] for request in texting.service.received}) == 5


def test_the_minute_tick_finds_leads_that_nobody_rang_for(texting_for_real: Texting) -> None:
    texting_for_real.lead(created_run_id=None)
    tick_job.defer(timestamp=0)
    work()
    assert texting_for_real.states() == [SENT]


def test_the_minute_tick_looks_only_at_accounts_whose_leads_are_new(texting: Texting) -> None:
    lead = texting.lead(created_at=timezone.now() - timedelta(hours=1))
    assert due.accounts_with_new_leads() == [texting.account.pk], "not looked at yet"
    texting.collect()
    assert due.accounts_with_new_leads() == []
    with account_scope(texting.account.pk):
        lead.created_at = timezone.now() - timedelta(minutes=2)
        lead.save(update_fields=["created_at"])
    assert due.accounts_with_new_leads() == [texting.account.pk], "one that came before it may not be visible yet"


def test_the_minute_tick_repeats_what_is_due_again(texting_for_real: Texting) -> None:
    texting = texting_for_real
    texting.service.statuses = [503]
    texting.clock.now = timezone.now() - timedelta(minutes=2)
    texting.lead()
    texting.collect()
    with account_scope(texting.account.pk):
        services.Delivery.objects.update(next_attempt_at=texting.clock.now)
    texting.deliver_all()
    assert texting.states() == [QUEUED]
    tick_job.defer(timestamp=0)
    work()
    assert texting.states() == [SENT]


def test_a_test_is_sent_by_the_worker_soon_after_the_button(texting_for_real: Texting) -> None:
    texting = texting_for_real
    with account_scope(texting.account.pk):
        services.send_test(member=texting.member)
    work()
    assert texting.states() == [SENT]


def test_rings_before_a_job_has_started_are_one(texting_for_real: Texting) -> None:
    account = texting_for_real.account.pk
    work()
    for _ in range(3):
        ring_collect(account)
        ring_deliver(account, lanes=1)
    jobs = app.job_manager.list_jobs(queue=QUEUE, status="todo")
    assert sorted(job.task_name for job in jobs) == ["texter.collect", "texter.deliver"]


def test_a_second_ring_inside_a_transaction_does_no_harm(texting: Texting) -> None:
    with account_scope(texting.account.pk):
        ring_collect(texting.account.pk)
        ring_collect(texting.account.pk)
        assert services.settings_of(texting.account.pk).is_on  # the transaction still answers


def test_an_account_that_is_off_has_no_work(texting: Texting) -> None:
    texting.queue()
    assert due.accounts_due(timezone.now() + timedelta(minutes=1)) == [texting.account.pk]
    with account_scope(texting.account.pk):
        services.turn_off(member=texting.member)
    assert due.accounts_due(timezone.now() + timedelta(minutes=1)) == []
    assert due.accounts_on() == []


def test_old_attempts_are_forgotten_and_deliveries_are_not(texting: Texting) -> None:
    delivery = texting.queue()
    texting.deliver(delivery)
    due.prune(timezone.now() + due.KEPT + timedelta(minutes=1))
    with account_scope(texting.account.pk):
        assert DeliveryAttempt.objects.count() == 0
    assert texting.states() == [SENT]
    assert texting.collect() == 0


@pytest.mark.parametrize("writer", ["sync", "leads", "providers"])
@pytest.mark.parametrize("sender", ["texter", "site.outbound"])
def test_what_writes_leads_has_no_way_to_what_sends(writer: str, sender: str) -> None:
    """Not even through others, or by an import inside a function."""
    graph = grimp.build_graph("leadloom")
    ways = graph.find_shortest_chains(importer=f"leadloom.{writer}", imported=f"leadloom.{sender}", as_packages=True)
    assert ways == set()
