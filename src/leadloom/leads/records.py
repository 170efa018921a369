"""What a run came to, contact by contact: for the API, and for people who ask why somebody was not imported.

Called inside the account's scope. Reads only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from leadloom.connections.models import Run, Strategy
from leadloom.leads.absent import absent_of
from leadloom.leads.models import Outcome, SourceContact
from leadloom.leads.reasons import REASONS
from leadloom.site.wire import Wire
from leadloom.sync.sentences import sentence

ABSENT = "absent"
NOT_IMPORTED = (Outcome.SKIPPED, Outcome.FAILED)
MASS = ("", Outcome.CREATED, Outcome.LINKED)  # what a first import has so much of that the table itself is the list


class Unimported(Wire):
    """One reason, and how many contacts it kept out."""

    code: str
    message: str
    fix: str
    count: int


@dataclass(frozen=True, slots=True)
class RunResults:
    sentence: str
    unimported: list[Unimported]
    sample: dict[str, Any] | None


def results_of(run: Run) -> RunResults:
    """A run that has ended, told in full."""
    reasons = reasons_of(run)
    sample = None
    if run.strategy == Strategy.PREVIEW and run.changes:
        sample = {"created": run.changes.get("created", []), "changed": run.changes.get("changed", [])}
    return RunResults(
        sentence=sentence(run, reasons),
        unimported=[_told(code, count) for code, count in sorted(reasons.items(), key=lambda one: -one[1])],
        sample=sample,
    )


def reasons_of(run: Run) -> dict[str, int]:
    """How many contacts this run skipped or could not read, by reason."""
    if run.strategy == Strategy.PREVIEW:
        return dict((run.changes or {}).get("reasons", {}))
    kept_out = SourceContact.objects.filter(account_id=run.account_id, last_run_id=run.pk, outcome__in=NOT_IMPORTED)
    counted = kept_out.order_by("reason").values_list("reason").annotate(count=Count("external_id"))
    return {code: count for code, count in counted if code}


def records_of(run: Run, *, outcome: str, after: str, limit: int) -> Sequence[SourceContact]:
    """Contacts as this run last left them, by their id in the CRM; ``absent``: those it waits to mark."""
    if outcome == ABSENT:
        return absent_of(run, after=after, limit=limit)
    found = SourceContact.objects.filter(
        account_id=run.account_id, connection_id=run.connection_id, last_run_id=run.pk, external_id__gt=after
    )
    if outcome:
        found = found.filter(outcome=outcome)
    if not run.is_first or outcome not in MASS:
        found = found.filter(is_first_import=False)  # the index of everything but the mass of a first import
    return list(found.defer("raw", "content_hash").order_by("external_id")[:limit])


def _told(code: str, count: int) -> Unimported:
    reason = REASONS.get(code)
    return Unimported(
        code=code,
        message=reason.sentence if reason else code,
        fix=reason.fix if reason else "",
        count=count,
    )
