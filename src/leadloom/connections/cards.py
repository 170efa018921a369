"""What the dashboard says of each connection: one word, one sentence, one button, and its figures.

Reads only; called inside the account's scope. The wording is decided by ``tell``, which asks nobody anything.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db.models import Count, Max, Q, Sum

from leadloom.accounts.models import Account
from leadloom.connections.models import ACTIVE, Connection, Run, RunState, State, Strategy
from leadloom.connections.proof import Proof, proof_of
from leadloom.leads.models import Lead, Outcome, SourceContact
from leadloom.site.kept import Kept
from leadloom.site.templatetags.look import crm_name


@dataclass(frozen=True, slots=True)
class Told:
    """One state, for people."""

    word: str
    tone: str
    """``ok``, ``info``, ``warn``, ``bad`` or ``quiet``: the badge's colour."""
    sentence: str
    button: str
    """``refresh``, ``resume``, ``reconnect``, ``again`` or ``progress``."""


@dataclass(frozen=True, slots=True)
class Counts:
    leads: Mapping[int, int] = field(default_factory=dict)
    by_hand: int = 0
    not_imported: Mapping[int, int] = field(default_factory=dict)
    to_review: Mapping[int, int] = field(default_factory=dict)

    @property
    def all_leads(self) -> int:
        return sum(self.leads.values()) + self.by_hand


@dataclass(frozen=True, slots=True)
class Card:
    connection: Connection
    told: Told
    run: Run | None
    """The run under way."""
    leads: int
    not_imported: int
    to_review: int
    requests_today: int
    proof: Proof | None

    @property
    def is_first_import(self) -> bool:
        return self.run is not None and self.run.is_first

    @property
    def may_be_released(self) -> bool:
        """Somebody may hand the leads of the first import over to AI Texter."""
        return self.connection.released_at is None and self.connection.last_synced_at is not None

    @property
    def rate(self) -> int:
        """Contacts a second since the run began."""
        if self.run is None or self.run.started_at is None:
            return 0
        elapsed = (datetime.now(UTC) - self.run.started_at).total_seconds()
        return round(self.run.seen / elapsed) if elapsed > 0 else 0

    @property
    def first_lead_s(self) -> float | None:
        if self.run is None or self.run.first_lead_at is None:
            return None
        return (self.run.first_lead_at - self.run.created_at).total_seconds()


def cards_of(account: Account, counts: Counts | None = None) -> list[Card]:
    """The active connections, the oldest first. A handful of queries, however many connections there are; one counting
    less if the page has the ``counts`` already."""
    connections = list(
        Connection.objects.filter(account_id=account.pk, is_active=True)
        .defer("tables", "sealed_credentials")
        .order_by("pk")
    )
    if not connections:
        return []
    runs = {
        run.connection_id: run for run in Run.objects.filter(account_id=account.pk, state__in=ACTIVE).defer("cursor")
    }
    counts = counts or counts_of(account)
    requests = requests_today(account)
    return [
        Card(
            connection=connection,
            told=tell(connection, runs.get(connection.pk)),
            run=runs.get(connection.pk),
            leads=counts.leads.get(connection.pk, 0),
            not_imported=counts.not_imported.get(connection.pk, 0),
            to_review=counts.to_review.get(connection.pk, 0),
            requests_today=requests.get(connection.pk, 0),
            proof=proof_of(connection),
        )
        for connection in connections
    ]


def tell(connection: Connection, run: Run | None = None) -> Told:
    """The card's word, sentence and button."""
    crm = crm_name(connection.provider)
    reason = connection.reason
    match connection.state:
        case State.CONNECTING:
            return Told("Connecting", "info", f"Signed in to {crm}. The newest contacts come first.", "progress")
        case State.IMPORTING:
            first = "First import: the newest contacts come first, so you can start before it ends."
            return Told("Importing", "info", reason or first, "progress")
        case State.CATCHING_UP:
            return Told(
                "Catching up", "info", reason or f"Reading what changed in {crm} since the last check.", "progress"
            )
        case State.PAUSED:
            return Told("Paused", "quiet", "Paused by your team. Nothing is read until somebody resumes it.", "resume")
        case State.WAITING_QUOTA:
            waiting = f"{crm} asks us to slow down. It goes on by itself; nothing is lost."
            return Told("Waiting", "warn", reason or waiting, "progress" if run else "refresh")
        case State.NEEDS_RECONNECT:
            kept = "Your leads are kept, and what changed meanwhile is read as soon as you reconnect."
            return Told("Reconnect", "bad", f"{reason or f'{crm} no longer lets us in.'} {kept}", "reconnect")
        case State.STUCK:
            return Told("Stuck", "bad", reason or f"{crm} has not answered as it should for a while.", "again")
        case State.DISCONNECTED:
            return Told("Disconnected", "quiet", "Its leads, messages and opt-outs are kept.", "reconnect")
    if run is not None and run.strategy == Strategy.PREVIEW:
        return Told("Live", "ok", "A preview is counting what would change. Nothing is written.", "progress")
    return Told("Live", "ok", f"Up to date with {crm}.", "refresh")


def waits_until(card: Card) -> datetime | None:
    """When a run that waits for the CRM goes on."""
    return card.run.resume_at if card.run is not None and card.run.state == RunState.WAITING else None


def requests_today(account: Account) -> dict[int, int]:
    """By connection, since midnight UTC, which is when most CRMs start to count anew."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    spent = Run.objects.filter(account_id=account.pk, created_at__gte=midnight).values_list("connection_id")
    return dict(spent.annotate(total=Sum("requests")).order_by())


_counts: Kept[int, Counts] = Kept()  # counting a million leads takes a quarter of a second


def counts_of(account: Account) -> Counts:
    """Exact when no run goes on. While one does, at most twenty times as old as counting took."""
    mine = Connection.objects.filter(account_id=account.pk)
    synced_at: datetime | None = mine.aggregate(at=Max("last_synced_at"))["at"]
    return _counts.get(account.pk, synced_at, lambda: _count(account))  # a pass that completed makes it stale at once


def _count(account: Account) -> Counts:
    live = Lead.objects.filter(account_id=account.pk, archived_at=None)
    leads: dict[int | None, int] = dict(live.values_list("crm_connection_id").annotate(n=Count("pk")).order_by())
    by_hand = leads.pop(None, 0)
    not_imported: dict[int, int] = defaultdict(int)
    to_review: dict[int, int] = defaultdict(int)
    kept_out = Q(outcome__in=[Outcome.SKIPPED, Outcome.FAILED])
    explained = SourceContact.objects.filter(account_id=account.pk, gone_at=None, merged_into="").filter(
        kept_out | Q(needs_review=True)
    )
    for connection_id, outcome, needs_review, number in (
        explained.values_list("connection_id", "outcome", "needs_review").annotate(n=Count("external_id")).order_by()
    ):
        if outcome in (Outcome.SKIPPED, Outcome.FAILED):
            not_imported[connection_id] += number
        if needs_review:
            to_review[connection_id] += number
    return Counts({pk: n for pk, n in leads.items() if pk is not None}, by_hand, not_imported, to_review)


def banners_of(cards: Sequence[Card]) -> list[Card]:
    """Connections whose trouble deserves a banner across the dashboard."""
    return [card for card in cards if card.connection.state == State.NEEDS_RECONNECT]
