"""Undoing a run: leads that it made are archived, fields that it changed are set back, unless somebody has touched them
since. An undo can be taken back in the same way.

A worker does it, a slice and a transaction at a time. How far it is stands in its own row, which each slice locks: to
kill it loses nothing, and two workers at once do it once. Messages and opt-outs are not touched, and the CRM is not
told: what changes there from now on flows again.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from django.db import Error, IntegrityError, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from procrastinate.exceptions import AlreadyEnqueued, ProcrastinateException

from leadloom.accounts.models import Account, Member, User
from leadloom.accounts.scope import account_scope, system_scope
from leadloom.accounts.services import audit
from leadloom.connections.models import Run, Strategy
from leadloom.errors import LeadloomError
from leadloom.leads.models import Lead, LeadChange, Undo, UndoStep
from leadloom.leads.reversal import reverse
from leadloom.leads.reversing import Reversing, fields_of
from leadloom.leads.store import lock_account, run_sql
from leadloom.live.notify import announce
from leadloom.sync.doorbell import here
from leadloom.sync.stopping import event as stopping

log = structlog.get_logger()

SLICE = 500
IDLE = timedelta(seconds=10)
HERE_S = 5.0


class NotUndoable(LeadloomError):
    """The run is under way, was a preview, or changed nothing."""

    code = "not_undoable"


class AlreadyUndone(LeadloomError):
    """An undo of this run is under way or done."""

    code = "already_undone"


class NotUndone(LeadloomError):
    """This undo is under way, or was taken back."""

    code = "not_undone"


def undo_run(*, run: Run, account: Account, user: User | None, member: Member | None = None) -> Undo:
    """Ask for it; a worker does it. Called inside the account's scope. Raises NotUndoable or AlreadyUndone."""
    if run.is_active:
        raise NotUndoable("This run is still under way. Pause the connection, or wait for its end.")
    if not may_be_undone(run):
        raise NotUndoable("This run changed nothing that could be undone.")
    latest = latest_of(run)
    if latest is not None and (latest.takes_back_id is None or not latest.is_done):
        raise AlreadyUndone("This run is undone already, or is being undone.")
    undo = _begin(run, member, UndoStep.CREATED)
    audit(account, user, "run.undone", f"run {run.pk}")
    return undo


def take_back(*, undo: Undo, account: Account, user: User | None, member: Member | None = None) -> Undo:
    """Ask for what an undo did to be undone in turn. Called inside the account's scope. Raises NotUndone."""
    latest = latest_of(undo.run)
    if latest is None or latest.pk != undo.pk or not undo.is_done or undo.takes_back_id is not None:
        raise NotUndone("This undo is under way, or was taken back.")
    back = _begin(undo.run, member, UndoStep.CHANGES, takes_back=undo)
    audit(account, user, "undo.taken_back", f"undo {undo.pk}")
    return back


def latest_of(run: Run) -> Undo | None:
    """What says how the run stands, if somebody ever undid it."""
    return Undo.objects.filter(account_id=run.account_id, run_id=run.pk).order_by("-pk").first()


def may_be_undone(run: Run) -> bool:
    """Whether the run has ended and left something that an undo could change."""
    has_written = run.created or run.updated or run.linked or run.strategy == Strategy.OVERWRITE
    return not run.is_active and run.strategy != Strategy.PREVIEW and bool(has_written)


def _begin(run: Run, member: Member | None, step: UndoStep, *, takes_back: Undo | None = None) -> Undo:
    try:
        with transaction.atomic():
            undo = Undo.objects.create(
                account_id=run.account_id, run=run, member=member, step=step, takes_back=takes_back
            )
    except IntegrityError as error:  # somebody pressed at the same moment
        raise AlreadyUndone("This run is being undone.") from error
    _have_it_done(undo)
    return undo


def _have_it_done(undo: Undo) -> None:
    """By a worker or, on a host without one, here and now as far as a request may take; the hourly call does the
    rest."""
    from leadloom.sync.finish import is_worker_alive

    if is_worker_alive():
        ring(undo.pk, undo.account_id)
        return
    work_on(undo.pk, undo.account_id, budget_s=HERE_S)
    undo.refresh_from_db()


def ring(undo_id: int, account_id: int) -> None:
    """Ask a worker to go on with it. Never raises: a ring that is lost is repeated by ``ring_for_idle``."""
    from leadloom.leads.jobs import undo_job

    try:
        with transaction.atomic():
            job = undo_job.configure(queueing_lock=f"leads.undo:{undo_id}")
            here(job).defer(undo_id=undo_id, account_id=account_id)
    except AlreadyEnqueued:
        pass
    except (Error, ProcrastinateException) as error:
        log.warning("leads.undo_ring_failed", undo=undo_id, account=account_id, error=type(error).__name__)


def ring_for_idle() -> None:
    """For those that nobody works on: their worker has died, or their job was lost. Workers call it every few
    seconds."""
    with system_scope():
        idle = Undo.objects.exclude(step=UndoStep.DONE).filter(moved_at__lt=Now() - IDLE)
        found = list(idle.order_by("pk").values_list("pk", "account_id"))
    for undo_id, account_id in found:
        ring(undo_id, account_id)


def finish_here(seconds: float) -> None:
    """Go on with what no worker is there to do, for so long at most. Called outside any scope."""
    from leadloom.sync.finish import is_worker_alive

    deadline = time.monotonic() + seconds
    with system_scope():
        waiting = list(Undo.objects.exclude(step=UndoStep.DONE).order_by("pk").values_list("pk", "account_id"))
    if waiting and not is_worker_alive():
        for undo_id, account_id in waiting:
            work_on(undo_id, account_id, budget_s=deadline - time.monotonic())


def work_on(undo_id: int, account_id: int, *, budget_s: float | None = None) -> None:
    """Do it to the end, until the time is up, or until the worker is told to stop. Nothing to do is no error."""
    deadline = None if budget_s is None else time.monotonic() + budget_s
    while deadline is None or time.monotonic() < deadline:
        if stopping.is_set():
            ring(undo_id, account_id)
            return
        with account_scope(account_id):
            lock_account(account_id)  # before the leads, as everybody who writes many
            waiting = Undo.objects.filter(account_id=account_id, pk=undo_id).exclude(step=UndoStep.DONE)
            undo = waiting.select_for_update(of=("self",), skip_locked=True).select_related("run").first()
            if undo is None:  # done, or another worker's
                return
            _work_a_slice(undo)
            announce(account_id, {"kind": "lead", "undo": undo.pk})


def _work_a_slice(undo: Undo) -> None:
    """Deal with the next leads or changes, and note how far that is. The caller's transaction holds the undo's row."""
    if undo.step == UndoStep.CREATED:
        _archive_created(undo)
    else:
        _reverse_changes(undo)
    undo.moved_at = datetime.now(UTC)
    if undo.is_done:
        undo.finished_at = undo.moved_at
        log.info("leads.undone", undo=undo.pk, run=undo.run_id, account=undo.account_id)
    undo.save()


def _archive_created(undo: Undo) -> None:
    values = {
        "account": undo.account_id,
        "connection": undo.run.connection_id,
        "run": undo.run_id,
        "undo": undo.pk,
        "member": undo.member_id,
        "after": undo.at or 0,
        "slice": SLICE,
    }
    [(last, archived, kept)] = run_sql("undo_created", values)
    undo.archived += archived
    undo.kept += kept
    undo.at = last
    if archived + kept < SLICE:
        undo.step, undo.at = UndoStep.CHANGES, None


def _reverse_changes(undo: Undo) -> None:
    """The last change first, so that a number that went from one lead to another finds its way back."""
    changes = list(_changes_to_reverse(undo).order_by("-pk")[:SLICE])
    reversing = Reversing(undo, changes)
    touched = _touched_since(undo, changes)
    for change in changes:
        lead = reversing.leads.get(change.lead_id)
        if lead is None or _is_made_by(undo, lead):
            continue
        since = {name for pk, names in touched.get(lead.pk, ()) if pk > change.pk for name in names}
        reversing.apply(lead, reverse(fields_of(lead), before=change.before, after=change.after, touched=since))
    reversing.write()
    if len(changes) < SLICE:
        undo.step, undo.at = UndoStep.DONE, None
    else:
        undo.at = changes[-1].pk


def _changes_to_reverse(undo: Undo) -> QuerySet[LeadChange]:
    of = Q(undo_id=undo.takes_back_id) if undo.takes_back_id else Q(run_id=undo.run_id, undo=None)
    found = LeadChange.objects.filter(of, account_id=undo.account_id)
    return found if undo.at is None else found.filter(pk__lt=undo.at)


def _is_made_by(undo: Undo, lead: Lead) -> bool:
    """Leads that the run made were dealt with as a whole."""
    return undo.takes_back_id is None and lead.created_run_id == undo.run_id


def _touched_since(undo: Undo, changes: Sequence[LeadChange]) -> Mapping[int, Sequence[tuple[int, set[str]]]]:
    """By lead: changes after the first of these, by anybody but this run, undos, and runs that are undone."""
    if not changes:
        return {}
    latest = Undo.objects.filter(account_id=undo.account_id, run_id=OuterRef("run_id")).order_by("-pk")
    later = LeadChange.objects.filter(
        account_id=undo.account_id, lead_id__in={change.lead_id for change in changes}, pk__gt=changes[-1].pk, undo=None
    ).exclude(run_id=undo.run_id)
    standing = later.annotate(
        undone_by=Subquery(latest.values("pk")[:1]), is_taken_back=Subquery(latest.values("takes_back_id")[:1])
    ).filter(Q(undone_by=None) | Q(is_taken_back__isnull=False))
    touched: dict[int, list[tuple[int, set[str]]]] = {}
    for pk, lead_id, after in standing.values_list("pk", "lead_id", "after"):
        touched.setdefault(lead_id, []).append((pk, set(after)))
    return touched
