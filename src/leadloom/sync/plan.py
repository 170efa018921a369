"""Which ways through the contacts a run takes, in order. Pure decisions over the run and its connection."""

from datetime import datetime, timedelta

from leadloom.connections.models import Connection, Run, Strategy, Trigger
from leadloom.providers.base import Feed, Provider

EVERYTHING, CHANGES, GONE = "everything", "changes", "gone"

LOOK_FOR_GONE_EVERY = timedelta(days=1)
"""Vendors list deletions apart and without a time filter, so that list is walked once a day, not every hour."""

SWEEP_EVERY = timedelta(days=7)
"""How often everybody is read again, to find out who left without a word."""
SWEEP_AGAIN_AFTER = timedelta(days=1)  # one that failed

TABLES_ARE_FRESH_FOR = timedelta(hours=24)
TABLES_ARE_FRESH_FOR_A_PERSON = timedelta(minutes=10)
"""Somebody who presses Refresh after renaming an owner expects to see the new name."""


def steps(run: Run, connection: Connection, provider: Provider, *, now: datetime) -> tuple[str, ...]:
    """The feeds this run reads. A first import ends with the changes made while it ran: ids do not grow with time,
    so a contact made during the walk can land behind the cursor. A sweep stands in for an hourly pass, so it begins
    with what that would read: nobody waits for the end of a long walk to see a change."""
    if run.strategy == Strategy.PREVIEW:
        return (EVERYTHING,)
    if run.strategy == Strategy.OVERWRITE or connection.bookmark is None:
        return (EVERYTHING, CHANGES)
    checked = connection.gone_checked_at
    looks_for_gone = provider.gone() is not None and (checked is None or now - checked >= LOOK_FOR_GONE_EVERY)
    hourly = (CHANGES, GONE) if looks_for_gone else (CHANGES,)
    return (*hourly, EVERYTHING) if tells_who_left(run) else hourly


def tells_who_left(run: Run) -> bool:
    """Whether this run meets everybody, so that whom it does not meet has left the CRM."""
    return run.strategy == Strategy.OVERWRITE or run.trigger == Trigger.SWEEP


def feed_of(provider: Provider, step: str, run: Run) -> Feed:
    """A pass that tells who left, or that no changes follow, may not rely on what is read later."""
    if step == EVERYTHING:
        return provider.everything(exact=run.strategy == Strategy.PREVIEW or tells_who_left(run))
    if step == CHANGES:
        return provider.changes()
    feed = provider.gone()
    assert feed is not None, "steps() names it only where there is one"
    return feed


def needs_tables(run: Run, connection: Connection, *, now: datetime) -> bool:
    """Whether owners and labels are old enough to be read again."""
    fresh_for = TABLES_ARE_FRESH_FOR_A_PERSON if run.trigger == Trigger.MANUAL else TABLES_ARE_FRESH_FOR
    return connection.tables_read_at is None or now - connection.tables_read_at >= fresh_for
