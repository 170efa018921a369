"""The end of a pass over everybody: contacts that it has not met have left the CRM.

Reached only when every page of the pass was read and saved, so a page that failed voids it. A record without an id
voids it too: it may be anybody. And a pass that would mark more than a fiftieth of what we know, and more than
fifty, marks nobody: it waits for a person, who is shown them, for a CRM that hides half of its contacts for an hour
looks just like one that lost them.

A sweep marks the contacts alone: their leads stay, as when the CRM tells of a deletion. An overwrite archives the leads
that only they described. Nothing is deleted.
"""

from collections.abc import Callable, Iterator

import structlog
from django.db.models import F

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run, Strategy
from leadloom.leads import absent
from leadloom.leads.store import Target
from leadloom.sync.lease import hold
from leadloom.sync.turn import Turn

log = structlog.get_logger()

FEW, FEW_OF_A_HUNDRED = 50, 2
"""Up to either of the two, those who are absent are marked without asking anybody."""


def is_too_many(absent: int, known: int) -> bool:
    """Whether so many of those we know were not met that a person must say whether they have left."""
    return absent > FEW and absent * 100 > known * FEW_OF_A_HUNDRED


def settle(turn: Turn) -> None:
    """Mark those that were not met, or leave them to a person. After a crash it is done again, to the same end: whom
    the pass has met is forgotten with the run's ending, not here."""
    run = turn.run
    who = {"run": run.pk, "connection": run.connection_id, "account": run.account_id}
    with account_scope(run.account_id):
        hold(run.pk, run.account_id, turn.token)
        if absent.is_held(run):
            return
        found = absent.count(turn.target)
        if found.is_void:
            log.warning("sync.absent_unknown", **who)
            return
        if not run.is_confirmed and is_too_many(found.absent, found.known):
            absent.hold_for_a_person(turn.target, found)
            log.warning("sync.absent_held", **who, absent=found.absent, known=found.known)
            return
        absent.let_go(run.account_id, run.connection_id)
    _mark(turn)


def _mark(turn: Turn) -> None:
    run = turn.run
    for marked in _in_slices(turn, absent.mark_slice):
        Run.objects.filter(account_id=run.account_id, pk=run.pk).update(gone=F("gone") + marked)
    if run.strategy == Strategy.OVERWRITE:
        for _ in _in_slices(turn, absent.archive_deserted):
            pass


def _in_slices(turn: Turn, write: Callable[[Target], int]) -> Iterator[int]:
    """How many rows each slice wrote, inside the transaction that wrote them, until there are none left."""
    while True:
        with account_scope(turn.run.account_id):
            hold(turn.run.pk, turn.run.account_id, turn.token)
            written = write(turn.target)
            if not written:
                return
            yield written
