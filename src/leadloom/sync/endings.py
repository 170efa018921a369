"""How a run begins and ends, and what the connection's card says of it.

Each ending is one transaction that first checks the run is still ours. What a customer reads is decided here, from
the kind of error alone.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from croniter import croniter
from django.conf import settings
from django.db import connection as db
from django.db.models import F

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState, State, Strategy, Trigger
from leadloom.errors import (
    BadRequest,
    LeadloomError,
    NeedsReconnect,
    NotAllowed,
    NotReady,
    SyncStopped,
    TryLater,
    Unreadable,
)
from leadloom.leads.absent import forget_met
from leadloom.sync import count, fellows
from leadloom.sync.lease import hold
from leadloom.sync.plan import GONE, SWEEP_AGAIN_AFTER, SWEEP_EVERY, tells_who_left
from leadloom.sync.sentences import sentence
from leadloom.sync.signals import run_ended
from leadloom.sync.sink import announce_run

if TYPE_CHECKING:
    from leadloom.sync.turn import Turn

log = structlog.get_logger()

RETRY_FIRST, RETRY_LONGEST = timedelta(seconds=30), timedelta(minutes=30)
STUCK_AFTER = 6  # failures in a row, about half an hour, before the card says so
GIVE_UP_AFTER = 5  # unreadable pages in a row
QUIET = (State.PAUSED, State.DISCONNECTED)  # chosen by a person: no run changes them


@dataclass(frozen=True, slots=True)
class Begun:
    """What a turn needs of its run's connection: ``has_unread`` is for ``sync/unread.py``."""

    connection: Connection
    region: str
    has_unread: bool


def begin(run: Run) -> Begun:
    """The card says that work is going on."""
    values = {
        "account": run.account_id,
        "connection": run.connection_id,
        "is_preview": run.strategy == Strategy.PREVIEW,
        "quiet": list(QUIET),
    }
    found = next(iter(Connection.objects.raw(_BEGIN, values)), None) or Connection.objects.raw(_READ, values)[0]
    log.info("sync.begin", run=run.pk, connection=found.pk, account=run.account_id, trigger=run.trigger)
    return Begun(found, str(found.__dict__["region_of_account"]), bool(found.__dict__["has_unread"]))


_MORE = """
a.region AS region_of_account,
EXISTS (SELECT FROM source_contacts s
        WHERE s.account_id = c.account_id AND s.connection_id = c.id AND s.content_hash IS NULL
          AND s.gone_at IS NULL AND s.lead_id IS NOT NULL AND s.outcome <> 'failed') AS has_unread
"""
_BEGIN = f"""
UPDATE crm_connections c
SET state = CASE WHEN c.bookmark IS NULL THEN 'importing' ELSE 'catching_up' END,
    reason_code = '', reason = ''
FROM accounts a
WHERE a.id = c.account_id AND c.account_id = %(account)s AND c.id = %(connection)s
  AND NOT %(is_preview)s AND c.state <> ALL (%(quiet)s)
RETURNING c.*, {_MORE}
"""  # noqa: S608 - no outside text

_READ = f"""
SELECT c.*, {_MORE} FROM crm_connections c JOIN accounts a ON a.id = c.account_id
WHERE c.account_id = %(account)s AND c.id = %(connection)s
"""  # noqa: S608 - no outside text


def complete(turn: "Turn") -> None:
    """The run is done: the bookmark moves, the card says live."""
    with account_scope(turn.run.account_id):
        run = _end(turn, RunState.DONE)
        if run is None:
            return
        if run.strategy != Strategy.PREVIEW:
            now = datetime.now(UTC)
            _advance(turn, run, now)
            if turn.counted is not None:
                count.note(run, turn.counted, now=now)
        if tells_who_left(run) and not run.absent:
            forget_met(run)
        _tell(run, turn.reasons)
    words = "✅ Initial CRM sync completed" if run.is_first else "✅ Synced"
    counters = {name: number for name, number in run.counters.items() if name != "gone"}
    log.info(words, run=run.pk, connection=run.connection_id, account=run.account_id, **counters)
    run_ended.send(sender=Run, account_id=run.account_id, run_id=run.pk, found_something=_found_something(run))


def _found_something(run: Run) -> bool:
    return any((run.created, run.updated, run.linked, run.gone))


def _advance(turn: "Turn", run: Run, now: datetime) -> None:
    tables = turn.fresh_tables
    with db.cursor() as cursor:
        cursor.execute(
            _ADVANCE,
            {
                "account": run.account_id,
                "connection": run.connection_id,
                "bookmark": run.next_bookmark,
                "now": now,
                "due": next_due(now),
                "skew": int(turn.client.clock_skew / timedelta(milliseconds=1)),
                "has_changes": _found_something(run),
                "has_gone": GONE in turn.steps or turn.connection.bookmark is None,
                "has_swept": tells_who_left(run),
                "next_sweep": now + SWEEP_EVERY,
                "tables": None if tables is None else json.dumps(tables),
                "quiet": list(QUIET),
            },
        )


_ADVANCE = """
UPDATE crm_connections
SET bookmark = coalesce(%(bookmark)s, bookmark), last_synced_at = %(now)s, next_due_at = %(due)s,
    clock_skew_ms = %(skew)s,
    last_change_at = CASE WHEN %(has_changes)s THEN %(now)s ELSE last_change_at END,
    gone_checked_at = CASE WHEN %(has_gone)s THEN %(now)s ELSE gone_checked_at END,
    swept_at = CASE WHEN %(has_swept)s THEN %(now)s ELSE swept_at END,
    sweep_due_at = CASE WHEN %(has_swept)s OR sweep_due_at IS NULL THEN %(next_sweep)s ELSE sweep_due_at END,
    tables = coalesce(%(tables)s::jsonb, tables),
    tables_read_at = CASE WHEN %(tables)s::jsonb IS NULL THEN tables_read_at ELSE %(now)s END,
    state = CASE WHEN state = ANY (%(quiet)s) THEN state ELSE 'live' END,
    reason_code = CASE WHEN state = ANY (%(quiet)s) THEN reason_code ELSE '' END,
    reason = CASE WHEN state = ANY (%(quiet)s) THEN reason ELSE '' END
WHERE account_id = %(account)s AND id = %(connection)s
"""


def next_due(now: datetime) -> datetime:
    """The next moment of SYNC_SCHEDULE."""
    return _next_moment(settings.SYNC_SCHEDULE, now.replace(microsecond=0))


@lru_cache(maxsize=16)
def _next_moment(schedule: str, now: datetime) -> datetime:
    """Kept for the many that end in the same second."""
    due: datetime = croniter(schedule, now).get_next(datetime)
    return due


def fail_or_wait(turn: "Turn", error: LeadloomError) -> None:
    """A failure with a name: reconnect, wait and go on, or end with the cursor kept, unless the CRM refuses it."""
    run = turn.run
    log.warning(
        "sync.failed",
        run=run.pk,
        connection=run.connection_id,
        account=run.account_id,
        code=error.code,
        detail=error.detail,
    )
    with account_scope(run.account_id):
        if not _is_still_ours(turn):
            return
        retries = run.retries + (not isinstance(error, NotReady))
        if isinstance(error, TryLater):
            _wait(turn, error, retries)
            return
        if isinstance(error, Unreadable) and retries < GIVE_UP_AFTER:
            _wait(turn, TryLater(str(error), after=RETRY_FIRST, code=error.code, detail=error.detail), retries)
            return
        _fail(turn, error)
        if isinstance(error, BadRequest):  # a place that the CRM knows no more would be refused for ever
            Run.objects.filter(account_id=run.account_id, pk=run.pk).update(feed="", cursor=None)
    run_ended.send(sender=Run, account_id=run.account_id, run_id=run.pk, found_something=True)


def fail_as_bug(turn: "Turn", error: Exception) -> None:
    """Our fault, and it says so. Nothing that was saved is lost."""
    run = turn.run
    log.error(
        "sync.bug",
        run=run.pk,
        connection=run.connection_id,
        account=run.account_id,
        error=type(error).__name__,
        exc_info=error,
    )
    with account_scope(run.account_id):
        if not _is_still_ours(turn):
            return
        ours = BadRequest(
            "Something went wrong on our side. What was imported is kept; we try again at the next refresh.",
            detail=type(error).__name__,
        )
        _fail(turn, ours)
    run_ended.send(sender=Run, account_id=run.account_id, run_id=run.pk, found_something=True)


def fail_unbegun(run_id: int, account_id: int, token: UUID, error: Exception) -> None:
    """As above, for a run that could not even begin: its provider is gone, or its row makes no sense to us."""
    log.error("sync.bug", run=run_id, account=account_id, error=type(error).__name__, exc_info=error)
    sentence = "Something went wrong on our side. We try again at the next refresh."
    with account_scope(account_id):
        held = Run.objects.filter(account_id=account_id, pk=run_id, lease_token=token, state=RunState.RUNNING)
        connections = list(held.values_list("connection_id", flat=True))
        ended = held.update(
            state=RunState.FAILED,
            finished_at=datetime.now(UTC),
            lease_token=None,
            lease_until=None,
            error_code=BadRequest.code,
            error=sentence,
            error_detail=type(error).__name__,
        )
        if ended:
            Connection.objects.filter(account_id=account_id, pk__in=connections).exclude(state__in=QUIET).update(
                state=State.STUCK, reason_code=BadRequest.code, reason=sentence, next_due_at=next_due(datetime.now(UTC))
            )
    if ended:
        run_ended.send(sender=Run, account_id=account_id, run_id=run_id, found_something=False)


def _is_still_ours(turn: "Turn") -> bool:
    """False when a person stopped the run or another worker took it over: its ending is then theirs to give."""
    try:
        hold(turn.run.pk, turn.run.account_id, turn.token)
    except SyncStopped:
        return False
    return True


def hand_on(turn: "Turn") -> bool:
    """Back into the queue for a worker that may reach the CRM: true if there is any, and this is the first try."""
    if turn.run.retries or not fellows.are_there():
        return False
    fellows.note_unreached(turn.client.host)
    log.warning("sync.handed_on", run=turn.run.pk, connection=turn.run.connection_id, account=turn.run.account_id)
    return put_back(turn, retries=1)


def put_back(turn: "Turn", *, retries: int = 0) -> bool:
    """Back into the queue with the cursor as saved. False when the run is no longer ours to put back."""
    run = turn.run
    with account_scope(run.account_id):
        requests, waited_s = turn.spent()
        return bool(
            Run.objects.filter(
                account_id=run.account_id, pk=run.pk, lease_token=turn.token, state=RunState.RUNNING
            ).update(
                state=RunState.QUEUED,
                lease_token=None,
                lease_until=None,
                requests=F("requests") + requests,
                waited_s=F("waited_s") + waited_s,
                retries=F("retries") + retries,
            )
        )


def _wait(turn: "Turn", error: TryLater, retries: int) -> None:
    """The run waits for the CRM and goes on by itself; the card says until when."""
    run, connection = turn.run, turn.connection
    pause = error.after
    if error.code not in ("rate_limited", "quota", "preparing"):
        backoff = min(RETRY_FIRST * 2 ** min(retries - 1, 10), RETRY_LONGEST) * (1 + random.random() / 5)  # noqa: S311
        pause = max(pause, backoff)
    requests, waited_s = turn.spent()
    Run.objects.filter(account_id=run.account_id, pk=run.pk).update(
        state=RunState.WAITING,
        resume_at=datetime.now(UTC) + pause,
        retries=retries,
        lease_token=None,
        lease_until=None,
        error_code=error.code,
        error=str(error),
        error_detail=error.detail,
        requests=F("requests") + requests,
        waited_s=F("waited_s") + waited_s,
    )
    if error.code in ("rate_limited", "quota"):
        state = State.WAITING_QUOTA
    elif retries >= STUCK_AFTER:
        state = State.STUCK
    else:
        state = State.IMPORTING if connection.bookmark is None else State.CATCHING_UP
    if run.strategy != Strategy.PREVIEW:
        _set_state(connection, state, code=error.code, reason=str(error))
    run.refresh_from_db()
    announce_run(run, _row(run), ended=False)


def _fail(turn: "Turn", error: LeadloomError) -> None:
    connection = turn.connection
    run = _end(turn, RunState.FAILED, error)
    if run is None:
        return
    if isinstance(error, NeedsReconnect | NotAllowed):
        _set_state(connection, State.NEEDS_RECONNECT, code=error.code, reason=str(error))
    elif run.strategy != Strategy.PREVIEW:
        _set_state(connection, State.STUCK, code=error.code, reason=str(error))
    values = {"next_due_at": next_due(datetime.now(UTC))}
    if run.trigger == Trigger.SWEEP:  # the next hour looks for changes, as on any other day
        values["sweep_due_at"] = datetime.now(UTC) + SWEEP_AGAIN_AFTER
    Connection.objects.filter(account_id=run.account_id, pk=connection.pk).update(**values)
    _tell(run, turn.reasons)


def _end(turn: "Turn", state: RunState, error: LeadloomError | None = None) -> Run | None:
    """The run as it has ended. None when a person stopped it or another worker took it over."""
    run, last = turn.run, turn.empty_end if state == RunState.DONE else None
    requests, waited_s = turn.spent()
    values = {
        "account": run.account_id,
        "run": run.pk,
        "token": turn.token,
        "state": state,
        "code": error.code if error else "",
        "error": str(error) if error else "",
        "detail": error.detail if error else "",
        "requests": requests,
        "waited_s": waited_s,
        "pages": last.pages if last else 0,
        "total": last.total if last else None,
        "bookmark": last.bookmark if last else None,
        "feed": run.feed if last else None,
    }
    return next(iter(Run.objects.raw(_END, values)), None)


_END = """
UPDATE sync_runs
SET state = %(state)s, finished_at = clock_timestamp(), lease_token = NULL, lease_until = NULL, resume_at = NULL,
    error_code = %(code)s, error = %(error)s, error_detail = %(detail)s,
    requests = requests + %(requests)s, waited_s = waited_s + %(waited_s)s,
    pages = pages + %(pages)s, total = coalesce(total, %(total)s::integer),
    next_bookmark = coalesce(%(bookmark)s, next_bookmark),
    feed = coalesce(%(feed)s, feed), cursor = CASE WHEN %(feed)s::text IS NULL THEN cursor END,
    retries = CASE WHEN %(feed)s::text IS NULL THEN retries ELSE 0 END
WHERE account_id = %(account)s AND id = %(run)s AND lease_token = %(token)s AND state = 'running'
RETURNING *
"""


def _row(run: Run) -> dict[str, Any]:
    elapsed = (run.finished_at or datetime.now(UTC)) - (run.started_at or run.created_at)
    first = run.first_lead_at - run.created_at if run.first_lead_at else None
    return {
        "state": run.state,
        **run.counters,
        "total": run.total,
        "elapsed_s": elapsed.total_seconds(),
        "first_lead_s": first.total_seconds() if first else None,
    }


def _tell(run: Run, reasons: Counter[str]) -> None:
    announce_run(run, _row(run), ended=True, sentence=sentence(run, reasons))


def _set_state(connection: Connection, state: State, *, code: str = "", reason: str = "") -> None:
    Connection.objects.filter(account_id=connection.account_id, pk=connection.pk).exclude(state__in=QUIET).update(
        state=state, reason_code=code, reason=reason
    )
