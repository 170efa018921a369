"""Hand one lead over: claim the delivery, check the gate again, send without a transaction open, write down what came.

Safe to run twice: a delivery is claimed under a lock, with a lease. Safe to kill: once the lease has run out the
delivery is tried again under the same webhook id, so a receiver may meet an event twice and knows it by its id. What is
never sent twice is a delivery whose success was written down; what is never sent at all is a lead whose gate is shut.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.models import Q
from django.utils import timezone

from leadloom.accounts.scope import account_scope
from leadloom.connections import secrets as seals
from leadloom.leads.models import Lead
from leadloom.site import outbound
from leadloom.texter import payload, retries
from leadloom.texter.gate import reason_for
from leadloom.texter.models import Delivery, DeliveryAttempt, DeliveryState, Event, OffCode, TexterSettings
from leadloom.texter.retries import LANES, Result, Verdict

log = structlog.get_logger()

LEASE = timedelta(minutes=2)  # a request ends after 15 s; the rest is for slow names and a slow machine

type Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Claim:
    """Everything needed to send, so that no transaction stays open meanwhile."""

    account_id: int
    delivery_id: int
    token: uuid.UUID
    webhook_id: str
    url: str
    secrets: tuple[str, ...]
    body: bytes
    personal: tuple[str, ...]


def deliver(*, account_id: int, delivery_id: int, clock: Clock = timezone.now) -> Verdict | None:
    """Try once, if it is due and may be sent. None when it is not its turn."""
    claim = _claim(account_id, delivery_id, clock())
    if not isinstance(claim, Claim):
        return claim
    result = _send(claim, clock())
    _write_down(claim, result, clock())
    log.info(
        "texter.attempt",
        account=account_id,
        delivery=delivery_id,
        status=result.status,
        ms=result.ms,
        verdict=result.verdict.name.lower(),
    )
    return result.verdict


def deliver_due(account_id: int, *, budget: timedelta, clock: Clock = timezone.now) -> bool:
    """Deliver what is due, one after the other, until nothing is or the time is up. True when there may be more."""
    until = clock() + budget
    turned_away = 0
    while clock() < until:
        delivery_id = _next_due(account_id, clock())
        if delivery_id is None:
            return False
        if deliver(account_id=account_id, delivery_id=delivery_id, clock=clock) is None:
            turned_away += 1
            if turned_away > LANES:
                return False  # others are at it, and there is no room beside them
    return True


def _next_due(account_id: int, now: datetime) -> int | None:
    with account_scope(account_id):
        settings = TexterSettings.objects.filter(account_id=account_id).first()
        if settings is None:
            return None
        due = Delivery.objects.filter(account_id=account_id, state=DeliveryState.QUEUED, next_attempt_at__lte=now)
        due = due.filter(Q(lease_until=None) | Q(lease_until__lte=now))
        if not settings.is_on or (settings.probe_at and settings.probe_at > now):
            due = due.filter(event=Event.TEST)
        return due.order_by("next_attempt_at").values_list("id", flat=True).first()


def _claim(account_id: int, delivery_id: int, now: datetime) -> Claim | Verdict | None:
    """Take the delivery for us alone and read what to send, in one short transaction."""
    with account_scope(account_id):
        settings = TexterSettings.objects.select_for_update().filter(account_id=account_id).first()
        if settings is None or not settings.url or not settings.sealed_secret:
            return None
        delivery = _due(account_id, delivery_id, now)
        if delivery is None or not _has_room(settings, delivery, now):
            return None
        secrets = _secrets(settings, now)
        if not secrets:
            _switch_off(settings, OffCode.UNSEALABLE, now)
            return None
        lead = None
        if delivery.lead_id is not None:
            # Waits for an opt-out that is being written at this moment, and then sees it.
            lead = Lead.objects.select_for_update(no_key=True).filter(pk=delivery.lead_id).first()
            reason = reason_for(lead.pk) if lead else "archived"
            if lead is None or reason:
                _hold(delivery, reason, now)
                return Verdict.HELD
        delivery.attempts += 1
        delivery.lease_token = uuid.uuid4()
        delivery.lease_until = now + LEASE
        delivery.save(update_fields=["attempts", "lease_token", "lease_until"])
        return Claim(
            account_id=account_id,
            delivery_id=delivery.pk,
            token=delivery.lease_token,
            webhook_id=delivery.webhook_id,
            url=settings.url,
            secrets=secrets,
            body=payload.lead_created(lead) if lead else payload.test_message(delivery.created_at),
            personal=tuple(payload.personal_values(lead)) if lead else (),
        )


def _due(account_id: int, delivery_id: int, now: datetime) -> Delivery | None:
    return (
        Delivery.objects.select_for_update(skip_locked=True)
        .filter(Q(lease_until=None) | Q(lease_until__lte=now))
        .filter(account_id=account_id, pk=delivery_id, state=DeliveryState.QUEUED, next_attempt_at__lte=now)
        .first()
    )


def _has_room(settings: TexterSettings, delivery: Delivery, now: datetime) -> bool:
    """The settings row is locked, so that two workers cannot both take the last place."""
    if delivery.event == Event.TEST:
        return True
    if not settings.is_on or (settings.probe_at and settings.probe_at > now):
        return False
    under_way = Delivery.objects.filter(
        account_id=settings.account_id, state=DeliveryState.QUEUED, lease_until__gt=now
    ).count()
    return under_way < (LANES if settings.failures < retries.PATIENCE else 1)


def _hold(delivery: Delivery, reason: str, now: datetime) -> None:
    delivery.state = DeliveryState.HELD
    delivery.reason = reason
    delivery.ended_at = now
    delivery.lease_token = delivery.lease_until = None
    delivery.save(update_fields=["state", "reason", "ended_at", "lease_token", "lease_until"])


def _secrets(settings: TexterSettings, now: datetime) -> tuple[str, ...]:
    """What signs now, the newest first. Empty when the key that sealed it is gone."""
    sealed = [settings.sealed_secret]
    if settings.old_secret_until and settings.old_secret_until > now:
        sealed.append(settings.sealed_old_secret)
    opened = []
    for one in filter(None, sealed):
        with suppress(seals.CannotOpen):
            opened.append(seals.open_sealed(bytes(one), settings.seal_context))
    return tuple(opened)


def _send(claim: Claim, now: datetime) -> Result:
    headers = payload.signed_headers(webhook_id=claim.webhook_id, at=now, body=claim.body, secrets=claim.secrets)
    started = time.monotonic()
    try:
        reply = outbound.post(claim.url, body=claim.body, headers=headers)
    except (outbound.BadAddress, outbound.NotDelivered) as error:
        return Result(status=None, ms=round((time.monotonic() - started) * 1000), error=str(error))
    if 200 <= reply.status < 300:
        return Result(status=reply.status, ms=reply.ms)
    return Result(
        status=reply.status,
        ms=reply.ms,
        error=retries.sentence_for(reply.status),
        reply=payload.masked_excerpt(reply.body, claim.personal),
        retry_after=_retry_after(reply.headers.get("retry-after", "")),
    )


def _retry_after(text: str) -> timedelta | None:
    with suppress(ValueError, OverflowError):
        return timedelta(seconds=max(0, int(text)))
    return None


def _write_down(claim: Claim, result: Result, now: datetime) -> None:
    """Log the attempt, and move the delivery on if it is still ours to move."""
    with account_scope(claim.account_id):
        settings = TexterSettings.objects.select_for_update().get(account_id=claim.account_id)
        delivery = Delivery.objects.select_for_update().filter(pk=claim.delivery_id).first()
        if delivery is None:  # its lead was deleted meanwhile
            return
        DeliveryAttempt.objects.create(
            account_id=claim.account_id,
            delivery=delivery,
            status=result.status,
            ms=result.ms,
            reply=result.reply,
            error=result.error,
        )
        is_ours = delivery.lease_token == claim.token
        if delivery.state == DeliveryState.QUEUED and (is_ours or result.verdict is Verdict.TAKEN):
            _move_on(delivery, result, now)
        _judge_receiver(settings, result, now)


def _move_on(delivery: Delivery, result: Result, now: datetime) -> None:
    delivery.lease_token = delivery.lease_until = None
    delivery.last_status = result.status
    delivery.last_error = result.error
    again = None if delivery.event == Event.TEST else retries.next_attempt(delivery.attempts, result, now=now)
    if result.verdict is Verdict.TAKEN:
        delivery.state, delivery.ended_at = DeliveryState.SENT, now
    elif result.verdict is Verdict.GONE and delivery.event == Event.LEAD_CREATED:
        delivery.attempts, delivery.next_attempt_at = 0, now  # waits for a working address
    elif again is None:
        delivery.state, delivery.ended_at = DeliveryState.FAILED, now
    else:
        delivery.next_attempt_at = again
    delivery.save()


def _judge_receiver(settings: TexterSettings, result: Result, now: datetime) -> None:
    if result.verdict is Verdict.UNREACHED:
        settings.failures += 1
        settings.probe_at = retries.rest_until(settings.failures, now=now)
    else:
        settings.failures, settings.probe_at = 0, None
    settings.save()
    if result.verdict is Verdict.GONE:
        _switch_off(settings, OffCode.GONE, now)


def _switch_off(settings: TexterSettings, code: OffCode, now: datetime) -> None:
    if not settings.is_on:
        return
    settings.is_on, settings.off_code = False, code
    settings.switched_at, settings.switched_by = now, None
    settings.save()
    log.warning("texter.switched_itself_off", account=settings.account_id, why=str(code))
