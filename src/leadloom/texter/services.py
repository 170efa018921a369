"""What people do with AI Texter: switch it, say where to, change the secret, try it, release an import, try again.

Called inside the account's scope. Nothing here sends: it writes to the outbox and rings.
"""

import base64
import secrets
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from leadloom.accounts.models import Member
from leadloom.accounts.services import audit
from leadloom.connections import secrets as seals
from leadloom.connections.models import Connection
from leadloom.connections.services import release_import
from leadloom.errors import LeadloomError
from leadloom.site import outbound
from leadloom.texter.doorbell import ring_collect, ring_deliver
from leadloom.texter.models import Delivery, DeliveryState, Event, OffCode, TexterSettings

OLD_SECRET_SIGNS = timedelta(hours=24)
"""How long a replaced secret signs beside the new one, so that the receiver can change over without losing events."""
IN_FRONT = timedelta(days=3650)  # a test goes before whatever waits: somebody is looking at the page


class NotReady(LeadloomError):
    """Something must be set before this can be done; the sentence says what."""

    code = "not_ready"


def settings_of(account_id: int) -> TexterSettings:
    return TexterSettings.objects.get_or_create(account_id=account_id)[0]


def set_address(*, member: Member, address: str, resolve: outbound.Resolver | None = None) -> str | None:
    """Where to send. Answers the signing secret if this made the first one; it cannot be shown again.

    Raises outbound.BadAddress with a sentence for the form.
    """
    url = outbound.check_address(address, resolve=resolve)
    settings = _locked(member)
    if settings.url != url:
        settings.url, settings.failures, settings.probe_at = url, 0, None
        settings.save()
        _send_waiting_now(settings)
        audit(member.account, member.user, "texter.address_changed")
    return None if settings.sealed_secret else rotate_secret(member=member)


def rotate_secret(*, member: Member, now: datetime | None = None) -> str:
    """A new signing secret, shown once. The old one signs beside it for a day."""
    now = now or timezone.now()
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    settings = _locked(member)
    if settings.sealed_secret:
        settings.sealed_old_secret, settings.old_secret_until = settings.sealed_secret, now + OLD_SECRET_SIGNS
    settings.sealed_secret, settings.secret_made_at = seals.seal(secret, settings.seal_context), now
    settings.save()
    audit(member.account, member.user, "texter.secret_changed")
    return secret


def turn_on(*, member: Member, with_missed: bool = False, now: datetime | None = None) -> None:
    """Hand over leads that come from now on. ``with_missed``: also those that came since it was switched off.

    When it had switched itself off, nobody meant to stop, so the leads that came meanwhile are always included.
    Raises NotReady.
    """
    now = now or timezone.now()
    settings = _locked(member)
    if not settings.url or not settings.sealed_secret:
        raise NotReady("Enter the webhook address of your texting service first.")
    if settings.is_on:
        return
    if settings.since is None or (settings.off_code == OffCode.MEMBER and not with_missed):
        settings.since = now
    settings.is_on, settings.off_code = True, ""
    settings.switched_at, settings.switched_by = now, member
    settings.failures, settings.probe_at = 0, None
    settings.save()
    _send_waiting_now(settings)
    audit(member.account, member.user, "texter.on")
    ring_collect(settings.account_id)


def turn_off(*, member: Member, now: datetime | None = None) -> None:
    """Send nothing more. A request under way at this moment may still arrive."""
    settings = _locked(member)
    if not settings.is_on:
        return
    settings.is_on, settings.off_code = False, OffCode.MEMBER
    settings.switched_at, settings.switched_by = now or timezone.now(), member
    settings.save()
    audit(member.account, member.user, "texter.off")


def send_test(*, member: Member, now: datetime | None = None) -> Delivery:
    """Queue one ``test`` event, which carries nobody. Tried once; works while the texter is off. Raises NotReady."""
    settings = _locked(member)
    if not settings.url or not settings.sealed_secret:
        raise NotReady("Enter the webhook address of your texting service first.")
    delivery = Delivery.objects.create(
        account_id=member.account_id,
        event=Event.TEST,
        webhook_id=f"msg_{secrets.token_hex(16)}",
        created_by=member,
        next_attempt_at=(now or timezone.now()) - IN_FRONT,
    )
    audit(member.account, member.user, "texter.test_asked", f"delivery {delivery.pk}")
    ring_deliver(member.account_id, lanes=1)
    return delivery


def try_again(*, member: Member, delivery: Delivery, now: datetime | None = None) -> bool:
    """Give a delivery that was given up another full round, or send a waiting one now. False when it is neither."""
    again = Q(state=DeliveryState.FAILED, event=Event.LEAD_CREATED) | Q(state=DeliveryState.QUEUED, lease_until=None)
    changed = Delivery.objects.filter(again, account_id=member.account_id, pk=delivery.pk).update(
        state=DeliveryState.QUEUED, attempts=0, next_attempt_at=now or timezone.now(), ended_at=None
    )
    if changed:
        TexterSettings.objects.filter(pk=member.account_id).update(probe_at=None)
        audit(member.account, member.user, "texter.tried_again", f"delivery {delivery.pk}")
        ring_deliver(member.account_id, lanes=1)
    return bool(changed)


def release(*, member: Member, connection: Connection) -> None:
    """Let the leads of this connection's first import be handed over."""
    release_import(connection, member)
    ring_collect(member.account_id)


def _locked(member: Member) -> TexterSettings:
    settings_of(member.account_id)
    return TexterSettings.objects.select_for_update().get(account_id=member.account_id)


def _send_waiting_now(settings: TexterSettings) -> None:
    """What waits for its next attempt need not wait any longer: the cause may be mended."""
    waiting = Delivery.objects.filter(account_id=settings.account_id, state=DeliveryState.QUEUED, lease_until=None)
    waiting.filter(next_attempt_at__gt=timezone.now()).update(next_attempt_at=timezone.now())
    if settings.is_on:
        ring_deliver(settings.account_id)
