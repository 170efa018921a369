"""What AI Texter promises to those who are texted, to the texting service and to the customer."""

import socket
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError
from tests.factories import make_connection, make_lead, make_member, make_run
from tests.texter.receiver import Received
from tests.texter.situation import Texting

from leadloom.accounts.scope import account_scope
from leadloom.connections import secrets as seals
from leadloom.leads.models import Suppression
from leadloom.texter import deliver as delivering
from leadloom.texter import retries, services
from leadloom.texter.deliver import LEASE, deliver_due
from leadloom.texter.models import Delivery, DeliveryState, OffCode
from leadloom.texter.retries import LANES, Verdict

HELD, QUEUED, SENT, FAILED = DeliveryState.HELD, DeliveryState.QUEUED, DeliveryState.SENT, DeliveryState.FAILED


# A new lead is handed over, signed, once.


def test_a_new_lead_is_handed_over_as_a_signed_event(texting: Texting) -> None:
    lead = texting.lead(name="Zoë Ångström 🦊", phone="+14155550123", crm_owner="Olga")
    assert texting.collect() == 1
    texting.deliver_all()
    [request] = texting.service.received
    event = texting.verified(request)
    assert event["type"] == "lead.created"
    assert (event["data"]["id"], event["data"]["phone"], event["data"]["name"], event["data"]["owner"]) == (
        lead.pk,
        "+14155550123",
        "Zoë Ångström 🦊",
        "Olga",
    )
    assert request.headers["content-type"] == "application/json"
    assert texting.states() == [SENT]


def test_a_forged_signature_does_not_pass(texting: Texting) -> None:
    texting.deliver(texting.queue())
    [request] = texting.service.received
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 43 + "=").verify(request.body, request.headers)


def test_a_lead_is_handed_over_once_however_often_it_is_collected(texting: Texting) -> None:
    texting.lead()
    assert [texting.collect(), texting.collect(), texting.collect(only_new=True)] == [1, 0, 0]
    for _ in range(3):
        texting.deliver_all()
        texting.collect()
    assert len(texting.service.received) == 1


def test_the_event_tells_of_the_lead_as_it_is_when_it_is_sent(texting: Texting) -> None:
    delivery = texting.queue(name="Jon Smiht")
    with account_scope(texting.account.pk):
        delivery.lead.name = "John Smith"
        delivery.lead.save()
    texting.deliver(delivery)
    assert texting.verified(texting.service.received[0])["data"]["name"] == "John Smith"


# Who is never sent.


@pytest.mark.parametrize("asked", ["flag", "suppression"])
def test_who_opted_out_is_never_sent(texting: Texting, asked: str) -> None:
    lead = texting.lead(opted_out=asked == "flag")
    if asked == "suppression":
        suppress(texting, lead.phone)
    assert texting.collect() == 0


@pytest.mark.parametrize("asked", ["flag", "suppression"])
def test_who_opts_out_after_being_queued_is_never_sent(texting: Texting, asked: str) -> None:
    delivery = texting.queue()
    if asked == "suppression":
        suppress(texting, delivery.lead.phone)
    else:
        with account_scope(texting.account.pk):
            delivery.lead.opted_out = True
            delivery.lead.save()
    assert texting.deliver(delivery) is Verdict.HELD
    assert texting.service.received == []
    held = texting.again(delivery)
    assert (held.state, held.reason) == (HELD, "opted_out")


def test_who_opts_out_between_two_attempts_is_not_sent_again(texting: Texting) -> None:
    delivery = texting.queue()
    texting.service.status = 503
    texting.deliver(delivery)
    suppress(texting, delivery.lead.phone)
    texting.clock.pass_by(timedelta(hours=1))
    assert texting.deliver(delivery) is Verdict.HELD
    assert texting.again(delivery).state == HELD
    assert len(texting.service.received) == 1


def test_an_archived_lead_is_not_sent(texting: Texting) -> None:
    delivery = texting.queue()
    with account_scope(texting.account.pk):
        delivery.lead.archived_at = timezone.now()
        delivery.lead.save()
    assert texting.deliver(delivery) is Verdict.HELD
    assert texting.again(delivery).reason == "archived"


def test_a_lead_without_a_phone_is_handed_over_once_it_has_one(texting: Texting) -> None:
    lead = texting.lead(phone=None)
    assert texting.collect() == 0
    with account_scope(texting.account.pk):
        lead.phone = "+14155550124"
        lead.save()
    assert texting.collect() == 1


def test_a_held_lead_that_may_be_texted_after_all_keeps_its_webhook_id(texting: Texting) -> None:
    delivery = texting.queue()
    with account_scope(texting.account.pk):
        delivery.lead.archived_at = timezone.now()
        delivery.lead.save()
    texting.deliver(delivery)
    with account_scope(texting.account.pk):
        delivery.lead.archived_at = None
        delivery.lead.save()
    assert texting.collect() == 1
    texting.clock.now = timezone.now() + timedelta(seconds=5)
    texting.deliver(delivery)
    assert texting.again(delivery).state == SENT
    assert texting.service.received[0].headers["webhook-id"] == delivery.webhook_id


def test_leads_from_before_the_switch_are_left_alone(texting: Texting) -> None:
    texting.lead(created_at=timezone.now() - timedelta(hours=2))
    assert texting.collect() == 0


# The first import waits for a person.


def test_a_first_import_waits_until_someone_releases_it(texting: Texting) -> None:
    crm = make_connection(texting.account)
    first = make_run(crm, is_first=True, state="done")
    imported = texting.lead(created_run_id=first.pk)
    later = texting.lead(created_run_id=make_run(crm, trigger="cron", state="done").pk)
    assert texting.collect() == 1
    texting.deliver_all()
    assert [texting.verified(request)["data"]["id"] for request in texting.service.received] == [later.pk]

    with account_scope(texting.account.pk):
        services.release(member=texting.member, connection=crm)
    assert texting.collect() == 1
    texting.deliver_all()
    assert texting.verified(texting.service.received[-1])["data"]["id"] == imported.pk


def test_a_release_counts_for_leads_from_before_the_switch_too(texting: Texting) -> None:
    crm = make_connection(texting.account)
    first = make_run(crm, is_first=True, state="done")
    texting.lead(created_run_id=first.pk, created_at=timezone.now() - timedelta(days=3))
    with account_scope(texting.account.pk):
        services.release(member=texting.member, connection=crm)
    assert texting.collect() == 1


def test_releasing_one_crm_does_not_release_another(texting: Texting) -> None:
    released, kept = make_connection(texting.account), make_connection(texting.account, external_account_id="2")
    for crm in (released, kept):
        texting.lead(created_run_id=make_run(crm, is_first=True, state="done").pk)
    with account_scope(texting.account.pk):
        services.release(member=texting.member, connection=released)
    assert texting.collect() == 1


# The switch.


def test_off_sends_nothing_and_collects_nothing(texting: Texting) -> None:
    delivery = texting.queue()
    turn_off(texting)
    texting.lead()
    assert texting.collect() == 0
    assert texting.deliver(delivery) is None
    assert not deliver_due(texting.account.pk, budget=timedelta(seconds=5), clock=timezone.now)
    assert texting.service.received == []


def test_switched_on_again_it_leaves_alone_who_came_meanwhile(texting: Texting) -> None:
    turn_off(texting)
    texting.lead()
    turn_on(texting)
    assert texting.collect() == 0


def test_switched_on_again_it_takes_who_came_meanwhile_if_asked_to(texting: Texting) -> None:
    turn_off(texting)
    texting.lead()
    turn_on(texting, with_missed=True)
    assert texting.collect() == 1


def test_410_switches_it_off_and_loses_nobody(texting: Texting) -> None:
    delivery = texting.queue()
    texting.service.status = 410
    assert texting.deliver(delivery) is Verdict.GONE
    off = texting.settings()
    assert (off.is_on, off.off_code) == (False, OffCode.GONE)
    texting.lead()  # comes while it is off
    texting.service.status = 200
    turn_on(texting)
    texting.collect()
    texting.clock.now = timezone.now() + timedelta(seconds=5)
    texting.deliver_all()
    assert texting.states() == [SENT, SENT]


def test_it_cannot_be_switched_on_without_an_address(db: None) -> None:
    member = make_member()
    with account_scope(member.account_id), pytest.raises(services.NotReady, match="webhook address"):
        services.turn_on(member=member)


# Retries.


def test_a_failure_is_repeated_with_the_same_id_and_a_fresh_signature(texting: Texting) -> None:
    texting.service.statuses = [500]
    delivery = texting.queue()
    assert texting.deliver(delivery) is Verdict.UNREACHED
    assert texting.deliver(delivery) is None  # not before its time
    texting.clock.pass_by(timedelta(seconds=6))
    assert texting.deliver(delivery) is Verdict.TAKEN
    first, second = texting.service.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery.webhook_id
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    texting.verified(second)
    assert [(one.status, bool(one.error)) for one in texting.attempts(delivery)] == [(500, True), (200, False)]


def test_it_gives_up_after_a_little_more_than_a_day_and_says_why(texting: Texting) -> None:
    texting.service.status = 422
    delivery = texting.queue()
    began = texting.clock.now
    for _ in range(20):
        texting.deliver(delivery)
        delivery = texting.again(delivery)
        if delivery.state != QUEUED:
            break
        texting.clock.now = delivery.next_attempt_at
    assert delivery.state == FAILED
    assert "refused" in delivery.last_error
    assert len(texting.service.received) == len(retries.WAITS) + 1 == 8
    assert timedelta(hours=27) < texting.clock.now - began < timedelta(hours=31)


def test_a_given_up_lead_is_sent_again_when_someone_says_so(texting: Texting) -> None:
    delivery = texting.queue()
    with account_scope(texting.account.pk):
        Delivery.objects.filter(pk=delivery.pk).update(state=FAILED, attempts=8, ended_at=timezone.now())
        assert services.try_again(member=texting.member, delivery=delivery)
    texting.clock.now = timezone.now()
    assert texting.deliver(delivery) is Verdict.TAKEN
    with account_scope(texting.account.pk):
        assert not services.try_again(member=texting.member, delivery=delivery)
    assert texting.again(delivery).state == SENT


def test_a_receiver_may_ask_for_more_time(texting: Texting) -> None:
    texting.service.status = 429
    texting.service.reply_headers = {"Retry-After": "900"}
    delivery = texting.queue()
    texting.deliver(delivery)
    assert texting.again(delivery).next_attempt_at >= texting.clock.now + timedelta(seconds=900)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_a_failure_that_says_what_to_do(texting: Texting, status: int) -> None:
    texting.service.status = status
    texting.service.reply_headers = {"Location": texting.service.url}
    delivery = texting.queue()
    texting.deliver(delivery)
    assert len(texting.service.received) == 1
    assert "final address" in texting.again(delivery).last_error


# Dead endpoints cost their own leads time and nobody else's.


def test_a_dead_service_is_left_alone_for_a_while(texting: Texting) -> None:
    texting.service.status = 500
    deliveries = [texting.queue() for _ in range(6)]
    for delivery in deliveries:
        texting.deliver(delivery)
    assert len(texting.service.received) == retries.PATIENCE
    assert not deliver_due(texting.account.pk, budget=timedelta(seconds=5), clock=texting.clock)
    assert len(texting.service.received) == retries.PATIENCE
    texting.service.status = 200
    texting.clock.pass_by(timedelta(minutes=1))
    for delivery in deliveries:
        texting.deliver(delivery)
    assert texting.settings().failures == 0


def test_many_who_opted_out_do_not_stand_in_the_way_of_the_next(texting: Texting) -> None:
    queued = [texting.queue() for _ in range(20)]
    for delivery in queued[:19]:
        suppress(texting, delivery.lead.phone)
    deliver_due(texting.account.pk, budget=timedelta(minutes=1), clock=texting.clock)
    assert texting.states() == [HELD] * 19 + [SENT]


def test_refusals_of_one_lead_do_not_hold_up_the_next(texting: Texting) -> None:
    texting.service.statuses = [422] * 5
    for _ in range(5):
        texting.deliver(texting.queue())
    assert texting.deliver(texting.queue()) is Verdict.TAKEN


def test_an_unreachable_service_leaves_a_sentence_in_the_log(texting: Texting, settings: object) -> None:
    delivery = texting.queue()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with account_scope(texting.account.pk):
        services.set_address(member=texting.member, address=f"http://127.0.0.1:{port}/")
    texting.clock.now = timezone.now()
    assert texting.deliver(delivery) is Verdict.UNREACHED
    [attempt] = texting.attempts(delivery)
    assert (attempt.status, attempt.error) == (None, "No connection could be made.")


def test_an_address_that_turned_inward_is_not_called(texting: Texting, settings: object) -> None:
    delivery = texting.queue()
    settings.ALLOW_PRIVATE_URLS = False  # type: ignore[attr-defined]
    assert texting.deliver(delivery) is Verdict.UNREACHED
    assert texting.service.received == []


# Several workers, killed workers.


def test_two_workers_at_one_lead_send_once(texting_for_real: Texting) -> None:
    texting = texting_for_real
    delivery = texting.queue()
    both = threading.Barrier(2)
    verdicts: list[object] = []

    def work() -> None:
        both.wait()
        verdicts.append(texting.deliver(delivery))
        connections.close_all()

    in_threads(work, work)
    assert len(texting.service.received) == 1
    assert sorted(verdicts, key=str) == [None, Verdict.TAKEN]


def test_no_more_than_a_few_requests_go_to_one_service_at_a_time(texting_for_real: Texting) -> None:
    texting = texting_for_real
    deliveries = [texting.queue() for _ in range(LANES + 3)]
    taken = threading.Barrier(LANES)
    texting.service.on_request = lambda _request: taken.wait(10)  # answers once all lanes are in use
    verdicts: list[object] = []

    def work(delivery: Delivery) -> None:
        verdicts.append(texting.deliver(delivery))
        connections.close_all()

    in_threads(*[lambda one=one: work(one) for one in deliveries])
    assert texting.service.most_at_once == LANES
    assert verdicts.count(Verdict.TAKEN) == LANES


def test_a_killed_worker_repeats_the_lead_under_the_same_id_once_its_lease_is_over(
    texting: Texting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the request went out and before the answer was written down: the worst moment."""
    delivery = texting.queue()

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(delivering, "_write_down", killed)
        with pytest.raises(Killed):
            texting.deliver(delivery)
    assert texting.deliver(delivery) is None  # still leased
    texting.clock.pass_by(LEASE)
    assert texting.deliver(delivery) is Verdict.TAKEN
    ids = [request.headers["webhook-id"] for request in texting.service.received]
    assert ids == [delivery.webhook_id] * 2
    assert texting.deliver(delivery) is None


def test_no_transaction_stays_open_while_the_service_thinks(texting_for_real: Texting) -> None:
    texting = texting_for_real
    delivery = texting.queue()
    open_ones: list[bool] = []

    def look(_request: Received) -> None:
        with account_scope(texting.account.pk):  # this thread's own connection
            lead = type(delivery.lead).objects.select_for_update(nowait=True).get(pk=delivery.lead_id)
            open_ones.append(lead is None)
        connections.close_all()

    texting.service.on_request = look
    texting.deliver(delivery)
    assert open_ones == [False]


# Secrets and what is kept.


def test_the_secret_is_sealed_in_the_database(texting: Texting) -> None:
    with account_scope(texting.account.pk), connection.cursor() as cursor:
        cursor.execute("SELECT sealed_secret, texter_settings::text FROM texter_settings")
        sealed, row = cursor.fetchone()
    key = texting.secret.removeprefix("whsec_")
    assert key.encode() not in bytes(sealed)
    assert key not in row


def test_a_lost_server_key_switches_it_off_and_loses_nobody(texting: Texting, settings: Any) -> None:
    delivery = texting.queue()
    settings.SECRET_KEYS = ["another-key-" + "y" * 40]
    assert texting.deliver(delivery) is None
    assert (texting.settings().is_on, texting.settings().off_code) == (False, OffCode.UNSEALABLE)
    with account_scope(texting.account.pk):
        texting.secret = services.rotate_secret(member=texting.member)
    turn_on(texting)
    texting.clock.now = timezone.now()
    assert texting.deliver(delivery) is Verdict.TAKEN
    texting.verified(texting.service.received[0])


def test_a_sealed_secret_is_of_no_use_in_another_account(texting: Texting) -> None:
    sealed = bytes(texting.settings().sealed_secret or b"")
    with pytest.raises(seals.CannotOpen):
        seals.open_sealed(sealed, "texter:999")


def test_a_changed_secret_signs_beside_the_old_one_for_a_day(texting: Texting) -> None:
    with account_scope(texting.account.pk):
        new = services.rotate_secret(member=texting.member)
    texting.deliver(texting.queue())
    [request] = texting.service.received
    for secret in (texting.secret, new):
        Webhook(secret).verify(request.body, request.headers)
    with account_scope(texting.account.pk):
        later = texting.clock.now + timedelta(hours=25)
        assert delivering._secrets(texting.settings(), later) == (new,)


def test_the_log_keeps_nothing_personal_of_what_the_service_wrote_back(texting: Texting) -> None:
    texting.service.status = 400
    texting.service.reply = (
        b'{"error":"Jane Roe (jane.roe@example.com) at +1 415 555 0199 / 14155550199 is invalid: region"}'
    )
    delivery = texting.queue(name="Jane Roe", phone="+14155550199", email="jane.roe@example.com")
    texting.deliver(delivery)
    [attempt] = texting.attempts(delivery)
    assert "invalid: region" in attempt.reply
    for personal in ("Jane", "Roe", "jane", "415", "0199", "example.com"):
        assert personal not in attempt.reply


# The test button.


def test_a_test_carries_nobody_and_works_while_off(texting: Texting) -> None:
    turn_off(texting)
    delivery = send_test(texting)
    assert texting.deliver(delivery) is Verdict.TAKEN
    event = texting.verified(texting.service.received[0])
    assert event["type"] == "test"
    assert set(event["data"]) == {"message"}


def test_a_test_is_tried_once_and_goes_first(texting: Texting) -> None:
    for _ in range(3):
        texting.queue()
    texting.service.status = 500
    delivery = send_test(texting)
    deliver_due(texting.account.pk, budget=timedelta(seconds=1), clock=ticking(texting))
    assert texting.verified(texting.service.received[0])["type"] == "test"
    assert texting.again(delivery).state == FAILED


# Accounts are apart.


def test_another_accounts_leads_are_never_mixed_in(texting: Texting) -> None:
    charlie = make_member("charlie@example.net", "Charlie & Co")
    make_lead(charlie.account)
    assert texting.collect() == 0
    with account_scope(charlie.account_id):
        assert Delivery.objects.count() == 0
        assert services.settings_of(charlie.account_id).url == ""


def suppress(texting: Texting, phone: str | None) -> None:
    with account_scope(texting.account.pk):
        Suppression.objects.create(account=texting.account, phone=phone, reason="stop_message")


def turn_off(texting: Texting) -> None:
    with account_scope(texting.account.pk):
        services.turn_off(member=texting.member)


def turn_on(texting: Texting, **options: bool) -> None:
    """A little later, so that who is there already came before."""
    with account_scope(texting.account.pk):
        services.turn_on(member=texting.member, now=timezone.now() + timedelta(milliseconds=5), **options)


def send_test(texting: Texting) -> Delivery:
    with account_scope(texting.account.pk):
        return services.send_test(member=texting.member)


def ticking(texting: Texting) -> object:
    """Each look at the clock takes a tenth of a second."""

    def now() -> object:
        texting.clock.pass_by(timedelta(seconds=0.1))
        return texting.clock.now

    return now


def in_threads(*works: object) -> None:
    threads = [threading.Thread(target=work, daemon=True) for work in works]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
