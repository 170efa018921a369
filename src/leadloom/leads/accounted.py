"""The contacts that we account for: those that the CRM has, as far as we know, each with what became of it.

Called inside the account's scope. Reads only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from leadloom.leads.models import Outcome, SourceContact
from leadloom.leads.reasons import REASONS


@dataclass(frozen=True, slots=True)
class Part:
    """Some of them, and what became of them."""

    outcome: str
    """``imported``, ``linked``, ``skipped`` or ``failed``."""
    reason: str
    count: int

    @property
    def short(self) -> str:
        return REASONS[self.reason].short if self.reason in REASONS else ""


def accounted_for(account_id: int, connection_id: int) -> int:
    """How many, whether they became leads or not. Those who left, or were merged into another, are not among them."""
    return _there(account_id, connection_id).count()


def parts_of(account_id: int, connection_id: int) -> Sequence[Part]:
    """The same ones, by outcome, and by reason where they did not become leads."""
    counted: dict[tuple[str, str], int] = {}
    found = _there(account_id, connection_id).order_by().values_list("outcome", "reason")
    for outcome, reason, number in found.annotate(n=Count("external_id")):
        is_left_out = outcome in (Outcome.SKIPPED, Outcome.FAILED)
        kind = outcome if is_left_out or outcome == Outcome.LINKED else "imported"
        key = (kind, reason if is_left_out else "")
        counted[key] = counted.get(key, 0) + number
    order = ("imported", Outcome.LINKED, Outcome.SKIPPED, Outcome.FAILED)
    parts = [Part(kind, reason, number) for (kind, reason), number in counted.items()]
    return sorted(parts, key=lambda part: (order.index(part.outcome), -part.count))


def _there(account_id: int, connection_id: int) -> QuerySet[SourceContact]:
    return SourceContact.objects.filter(account_id=account_id, connection_id=connection_id, gone_at=None)
