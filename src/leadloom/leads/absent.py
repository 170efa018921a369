"""Contacts that a pass over everybody has not met: counting, listing and marking them.

Called inside the account's scope. While such a pass goes on, ``run_contacts`` holds whom it has met; where a person
must decide about the rest, whom it has not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db.models import QuerySet

from leadloom.connections.models import Connection, Run
from leadloom.leads.models import RunContact, SourceContact
from leadloom.leads.store import Target, lock_account, promote_next, run_sql

log = structlog.get_logger()

SLICE = 1000  # rows a statement: short transactions, so that nobody waits for us


@dataclass(frozen=True, slots=True)
class Count:
    """Of the contacts that we know and that had not left before."""

    known: int
    absent: int
    is_void: bool
    """A record without an id was met: whoever is absent may be that one."""


def count(target: Target) -> Count:
    [(known, absent, is_void)] = run_sql("count_absent", target.parameters)
    return Count(known, absent, is_void)


def mark_slice(target: Target) -> int:
    """Mark some as gone, as ``write_gone`` does. Answers how many; call again, in a new transaction, until it is 0."""
    lock_account(target.account_id)
    marked = [own_id for (own_id,) in run_sql("mark_absent", {**target.parameters, "slice": SLICE})]
    promote_next(target, marked)
    return len(marked)


def archive_deserted(target: Target) -> int:
    """Archive some of the leads that this CRM made and for which no contact stands any more. Answers how many; call
    again, in a new transaction, until it is 0."""
    lock_account(target.account_id)
    archived = len(run_sql("archive_deserted", {**target.parameters, "slice": SLICE}))
    log.info("leads.archived", run=target.run_id, leads=archived)
    return archived


def forget_met(run: Run) -> None:
    """Only when the run ends: whoever goes on with it after a crash must know whom it has met."""
    RunContact.objects.filter(account_id=run.account_id, run_id=run.pk).delete()


def is_held(run: Run) -> bool:
    """Whether its absentees wait for a person's word."""
    return Connection.objects.filter(account_id=run.account_id, pk=run.connection_id, held_run_id=run.pk).exists()


def hold_for_a_person(target: Target, found: Count) -> None:
    """The absentees of this run wait for a person's word from now on, instead of those of an earlier one."""
    run_sql("keep_only_absent", target.parameters)
    Run.objects.filter(account_id=target.account_id, pk=target.run_id).update(absent=found.absent)
    _mine(target.account_id, target.connection_id).update(held_run_id=target.run_id)


def let_go(account_id: int, connection_id: int) -> None:
    """Nobody waits for a person's word any more."""
    held = _mine(account_id, connection_id).exclude(held_run_id=None).values("held_run_id")
    RunContact.objects.filter(account_id=account_id, run_id__in=held).delete()
    _mine(account_id, connection_id).update(held_run_id=None)


def _mine(account_id: int, connection_id: int) -> QuerySet[Connection]:
    return Connection.objects.filter(account_id=account_id, pk=connection_id)


def absent_of(run: Run, *, after: str, limit: int) -> Sequence[SourceContact]:
    """Whom a run that waits for a person's word has not met, by their id in the CRM."""
    held = RunContact.objects.filter(account_id=run.account_id, run_id=run.pk, external_id__gt=after)
    ids = list(held.order_by("external_id").values_list("external_id", flat=True)[:limit])
    mine = SourceContact.objects.filter(account_id=run.account_id, connection_id=run.connection_id, external_id__in=ids)
    return list(mine.defer("raw", "content_hash").order_by("external_id"))
