"""The count proof: how many contacts the CRM says it has, against those we account for.

Once a day, at the end of a pass, for one or two requests. A difference may be somebody who came in between, so it is
counted again at the next pass; where it is the same then, a sweep is brought forward, which turns the number into
named contacts. A count that fails costs the pass nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from leadloom.connections.models import Connection, Run, Strategy
from leadloom.errors import LeadloomError, SyncStopped, TryLater
from leadloom.leads.accounted import accounted_for
from leadloom.providers.base import Counting
from leadloom.sync.plan import tells_who_left

if TYPE_CHECKING:
    from leadloom.sync.turn import Turn

log = structlog.get_logger()

COUNT_EVERY = timedelta(days=1)
SWEEPS_APART = timedelta(days=1)  # a difference brings a sweep forward, but not more often


@dataclass(frozen=True, slots=True)
class Told:
    """What the CRM answered; None: nothing that proves anything."""

    contacts: int | None


def is_due(run: Run, connection: Connection, *, now: datetime) -> bool:
    """A pass over everybody is always proved, and a difference that was seen once is looked at again."""
    if run.strategy == Strategy.PREVIEW:
        return False
    at = connection.counted_at
    if tells_who_left(run) or at is None or at == connection.differs_since:
        return True
    return now - at >= COUNT_EVERY


def ask(turn: "Turn", *, now: datetime) -> Told | None:
    """Ask the CRM if it is time to. None: it was not asked, or had no time for us."""
    provider = turn.provider
    if not isinstance(provider, Counting) or not is_due(turn.run, turn.connection, now=now):
        return None
    try:
        numbers = [provider.read_count(turn.source.send(request)) for request in provider.count()]
    except SyncStopped:
        raise
    except TryLater:
        return None
    except LeadloomError as error:
        log.info("sync.not_counted", run=turn.run.pk, connection=turn.connection.pk, code=error.code)
        return Told(None)
    known = [number for number in numbers if number is not None]
    return Told(sum(known) if len(known) == len(numbers) else None)


def note(run: Run, told: Told, *, now: datetime) -> None:
    """Write down what the CRM told beside what we hold, inside the account's scope. ``now`` is when the run ended."""
    mine = Connection.objects.filter(account_id=run.account_id, pk=run.connection_id)
    ours = accounted_for(run.account_id, run.connection_id)
    for before in mine.defer("tables", "facts"):
        mine.update(**judge(before, told, ours=ours, now=now))


def judge(before: Connection, told: Told, *, ours: int, now: datetime) -> dict[str, datetime | int | None]:
    """What becomes of the connection's count."""
    values: dict[str, datetime | int | None] = {
        "counted_at": now, "counted_crm": told.contacts, "counted_ours": ours, "differs_since": None,
    }  # fmt: skip
    if told.contacts is None or told.contacts == ours:
        return values
    since = before.differs_since
    if since is None or before.difference != told.contacts - ours:
        return {**values, "differs_since": now}
    values["differs_since"] = since
    is_new = before.counted_at == since
    if is_new and (before.swept_at is None or before.swept_at < since):
        soonest = now if before.swept_at is None else max(now, before.swept_at + SWEEPS_APART)
        values["sweep_due_at"] = soonest if before.sweep_due_at is None else min(before.sweep_due_at, soonest)
    return values
