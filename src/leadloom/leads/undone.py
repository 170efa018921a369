"""How a run stands that somebody undid, and what its undo did to each lead. Reads only; called inside the scope."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db.models import Q

from leadloom.connections.models import Run
from leadloom.leads.models import Lead, LeadChange, Undo
from leadloom.leads.story import Difference, Kept, differences_of, kept_of
from leadloom.leads.undo import latest_of, may_be_undone

PAGE = 50
KINDS = {"kept": "Stayed", "set_back": "Set back", "archived": "Archived", "restored": "Back again"}
"""What became of a lead, as counted by an Undo, and how the page names it."""

_OF_KIND = {
    "kept": Q(after__has_key="kept"),
    "archived": Q(after__archived=True),
    "restored": Q(after__archived=False),
    "set_back": ~Q(before={}) & ~Q(after__has_key="archived"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a run is undone, and whether it may be."""

    latest: Undo | None
    may_be_undone: bool

    @property
    def undo(self) -> Undo | None:
        """The one that stands, or is being done."""
        return self.latest if self.latest and self.latest.takes_back_id is None else None

    @property
    def is_at_work(self) -> bool:
        return self.latest is not None and not self.latest.is_done


@dataclass(frozen=True, slots=True)
class Reversed:
    """One lead, and what an undo did to it."""

    lead: Lead
    differences: Sequence[Difference]
    kept: Sequence[Kept]


@dataclass(frozen=True, slots=True)
class ReversedPage:
    rows: Sequence[Reversed]
    next: int | None
    """The note to go on after."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an undo would look at, before somebody asks for it."""

    made: int
    changed: int


def standing_of(run: Run) -> Standing:
    latest = latest_of(run)
    stands = latest is not None and (latest.takes_back_id is None or not latest.is_done)
    return Standing(latest, may_be_undone(run) and not stands)


def undone_among(run_ids: Collection[int], account_id: int) -> frozenset[int]:
    """Those of these runs that are undone, or are being undone."""
    latest: dict[int, bool] = {}
    undos = Undo.objects.filter(account_id=account_id, run_id__in=run_ids).order_by("pk")
    for run_id, takes_back_id in undos.values_list("run_id", "takes_back_id"):
        latest[run_id] = takes_back_id is None
    return frozenset(run_id for run_id, is_undone in latest.items() if is_undone)


def outlook_of(run: Run) -> Outlook:
    made = Lead.objects.filter(account_id=run.account_id, created_run_id=run.pk, archived_at=None)
    changes = LeadChange.objects.filter(account_id=run.account_id, run_id=run.pk)
    others = changes.exclude(lead__created_run_id=run.pk)
    return Outlook(made.count(), others.values("lead_id").distinct().count())


def reversed_page(undo: Undo, *, kind: str, after: int | None = None, limit: int = PAGE) -> ReversedPage:
    """The last change first; an unknown kind is all of them."""
    notes = LeadChange.objects.filter(_OF_KIND.get(kind, Q()), account_id=undo.account_id, undo_id=undo.pk)
    if after is not None:
        notes = notes.filter(pk__lt=after)
    some = list(notes.select_related("lead").order_by("-pk")[: limit + 1])
    page = some[:limit]
    return ReversedPage([_reversed(note) for note in page], page[-1].pk if len(some) > limit else None)


def _reversed(note: LeadChange) -> Reversed:
    return Reversed(note.lead, differences_of(note), kept_of(note))
