"""What the page shows. Reads only; called inside the account's scope."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Count, Max, Q, QuerySet

from leadloom.connections.models import Connection
from leadloom.leads.models import Lead
from leadloom.site.kept import Kept
from leadloom.texter.gate import LEADS, LISTED, REASON, REASONS, Reason
from leadloom.texter.models import Delivery, DeliveryState, Event, TexterSettings

PAGE = 12

# Handed over is handed over: an opt-out after that is not somebody "held back".
_WAITING_LEADS = f"""
    FROM {LEADS}
    WHERE l.account_id = %(account)s AND l.archived_at IS NULL
        AND NOT EXISTS (
            SELECT FROM texter_deliveries d
            WHERE d.account_id = l.account_id AND d.lead_id = l.id AND d.state IN ('sent', 'failed')
        )
"""


@dataclass(frozen=True, slots=True)
class HeldLead:
    id: int
    name: str
    phone: str
    email: str
    reason: Reason
    created_at: datetime


@dataclass(frozen=True, slots=True)
class HeldImport:
    """A connection whose first import nobody has released yet, and how many leads a release would hand over."""

    connection_id: int
    provider: str
    name: str
    leads: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many leads are held back for each reason, and the first imports among them."""

    by_reason: dict[str, int]
    imports: list[HeldImport]


_tallies: Kept[int, Tally] = Kept()


def tally(account_id: int) -> Tally:
    """How many leads wait and why. Counted anew after a sync, a new lead, a hand-over, a release or a change of the
    settings; else, in an account so large that counting takes long, at most twenty times as old as counting took."""
    connections = Connection.objects.filter(account_id=account_id)
    settings = TexterSettings.objects.filter(account_id=account_id)
    version = (
        list(connections.order_by("pk").values_list("last_synced_at", "released_at")),
        list(settings.values_list()),
        ended(account_id),
        Lead.objects.filter(account_id=account_id).aggregate(newest=Max("pk")),
    )
    return _tallies.get(account_id, version, lambda: _tally(account_id))


def _tally(account_id: int) -> Tally:
    """One pass over the account's leads."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {REASON} AS reason, c.id, c.provider, c.external_account_name, count(*)
            {_WAITING_LEADS} GROUP BY 1, 2, 3, 4 ORDER BY 2
            """,
            {"account": account_id},
        )
        rows = cursor.fetchall()
    by_reason = dict.fromkeys(("", *LISTED, "before", "archived"), 0)
    for reason, *_, leads in rows:
        by_reason[reason] += leads
    return Tally(by_reason, [HeldImport(*rest) for reason, *rest in rows if reason == "first_import"])


def held_leads(account_id: int, *, reason: str = "", before: int | None = None) -> list[HeldLead]:
    """Newest first, one page and one more if there is another page."""
    wanted = [reason] if reason in LISTED else list(LISTED)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT * FROM (
                SELECT l.id, l.name, coalesce(l.phone, '') AS phone, l.email, {REASON} AS reason, l.created_at
                {_WAITING_LEADS} AND (%(before)s::bigint IS NULL OR l.id < %(before)s)
            ) held
            WHERE reason = ANY(%(reasons)s) ORDER BY id DESC LIMIT {PAGE + 1}
            """,  # noqa: S608 - no outside text
            {"account": account_id, "before": before, "reasons": wanted},
        )
        return [
            HeldLead(pk, name, phone, email, REASONS[code], created_at)
            for pk, name, phone, email, code, created_at in cursor.fetchall()
        ]


def waiting(account_id: int) -> tuple[int, list[Delivery]]:
    """How many are in the outbox, and the next few."""
    queued = Delivery.objects.filter(account_id=account_id, state=DeliveryState.QUEUED)
    return queued.count(), list(queued.select_related("lead").order_by("next_attempt_at")[:10])


def ended(account_id: int) -> dict[str, int]:
    """How many leads were handed over, and how many given up."""
    leads = Delivery.objects.filter(account_id=account_id, event=Event.LEAD_CREATED)
    found = dict(leads.values_list("state").annotate(Count("id")).order_by())
    return {state: found.get(state, 0) for state in (DeliveryState.SENT, DeliveryState.FAILED)}


def log(account_id: int, *, before: int | None = None) -> list[Delivery]:
    """What ended, latest first; one page and one more if there is another page. ``before`` is the last one shown."""
    ended = Delivery.objects.filter(account_id=account_id).exclude(state=DeliveryState.QUEUED)
    if before is not None:
        ended = _after(ended, before)
    return list(ended.select_related("lead").order_by("-ended_at", "-id")[: PAGE + 1])


def _after(ended: QuerySet[Delivery], before: int) -> QuerySet[Delivery]:
    last = ended.filter(pk=before).values_list("ended_at", flat=True).first()
    if last is None:
        return ended
    return ended.filter(Q(ended_at__lt=last) | Q(ended_at=last, pk__lt=before))
