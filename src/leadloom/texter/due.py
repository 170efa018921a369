"""Which accounts have something to do. Across accounts it reads ids alone; the work is done account by account."""

from datetime import datetime, timedelta

import structlog
from django.db import Error, connection
from django.utils import timezone

from leadloom.accounts.models import Account
from leadloom.accounts.scope import account_scope, system_scope
from leadloom.texter.collect import collect
from leadloom.texter.models import Delivery, DeliveryAttempt, DeliveryState, TexterSettings

log = structlog.get_logger()

SOON = timedelta(minutes=1)  # what lies further ahead is the tick's
RECENT_MINUTES = 10
KEPT = timedelta(days=30)
"""How long attempts stay in the log. Deliveries stay for ever: they are what makes a hand-over happen once."""


def collect_new_leads() -> None:
    """The newest leads of every account that is on and has any. One account's trouble is not another's."""
    for account_id in accounts_with_new_leads():
        try:
            collect(account_id, only_new=True)
        except Error:
            log.exception("texter.collect_failed", account=account_id)


def accounts_due(now: datetime | None = None) -> list[int]:
    """Whose outbox has something to send now."""
    with system_scope(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT d.account_id
            FROM texter_deliveries d JOIN texter_settings s USING (account_id)
            WHERE d.state = 'queued' AND d.next_attempt_at <= %(now)s
                AND (d.lease_until IS NULL OR d.lease_until <= %(now)s)
                AND (d.event = 'test' OR (s.is_on AND (s.probe_at IS NULL OR s.probe_at <= %(now)s)))
            ORDER BY 1
            """,
            {"now": now or timezone.now()},
        )
        return [row[0] for row in cursor.fetchall()]


def accounts_on() -> list[int]:
    with system_scope():
        return list(TexterSettings.objects.filter(is_on=True).order_by("pk").values_list("pk", flat=True))


def accounts_with_new_leads() -> list[int]:
    """Who is on and has leads that were not looked at, or that came lately: one may become visible late."""
    with system_scope(), connection.cursor() as cursor:
        cursor.execute("SELECT leadloom_accounts_with_new_leads(make_interval(mins => %s))", [RECENT_MINUTES])
        return [int(account) for (account,) in cursor.fetchall()]


def is_on(account_id: int) -> bool:
    with account_scope(account_id):
        return TexterSettings.objects.filter(account_id=account_id, is_on=True).exists()


def soon(account_id: int, now: datetime | None = None) -> timedelta | None:
    """How long until the account's next delivery, if that is before the next tick would notice."""
    now = now or timezone.now()
    with account_scope(account_id):
        settings = TexterSettings.objects.filter(account_id=account_id, is_on=True).first()
        if settings is None:
            return None
        queued = Delivery.objects.filter(account_id=account_id, state=DeliveryState.QUEUED, lease_until=None)
        at = queued.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    if at is None:
        return None
    wait = max(at, settings.probe_at or at, now + timedelta(seconds=1)) - now
    return wait if wait <= SOON else None


def prune(now: datetime | None = None) -> None:
    """Forget old attempts."""
    before = (now or timezone.now()) - KEPT
    with system_scope():
        accounts = list(Account.objects.order_by("pk").values_list("pk", flat=True))
    for account_id in accounts:
        with account_scope(account_id):
            DeliveryAttempt.objects.filter(account_id=account_id, at__lt=before).delete()
