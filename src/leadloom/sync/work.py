"""Doing a run: take the lease, walk the feeds from where the cursor stands, and give the run its ending.

Safe to call for a run that is done, taken, paused or unknown: it then does nothing. Safe to kill anywhere: the next
worker goes on at the last saved page.
"""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from django.db import InterfaceError, OperationalError
from psycopg.errors import IdleInTransactionSessionTimeout

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run, Strategy
from leadloom.errors import LeadloomError, SyncStopped, Unreachable
from leadloom.leads.staging import Stager
from leadloom.sync import absent, count, endings, fellows, unread
from leadloom.sync.doorbell import RESUMED, ring
from leadloom.sync.engine import run_pass
from leadloom.sync.lease import LeaseKeeper, claim, is_locked
from leadloom.sync.plan import feed_of, tells_who_left
from leadloom.sync.preview import preview
from leadloom.sync.turn import MakeWay, Turn, take_turn

log = structlog.get_logger()

KEEP_AWAY_S = 0.5


def work_on(run_id: int, account_id: int, *, budget: timedelta | None = None) -> Run:
    """Work on a run until it ends, waits or must make way. Answers the run as it then stands.

    ``budget`` bounds the time spent, for callers that are web requests. Raises nothing that concerns the CRM: that
    becomes the run's ending. A bug of ours ends the run as failed and is raised. Raises Run.DoesNotExist.
    """
    do(run_id, account_id, budget=budget)
    with account_scope(account_id):
        return Run.objects.get(account_id=account_id, pk=run_id)


def do(
    run_id: int,
    account_id: int,
    *,
    budget: timedelta | None = None,
    when_long: Callable[[], None] = lambda: None,
) -> None:
    """As ``work_on``, for callers that do not ask what became of it. An unknown run is nothing to do.

    ``when_long`` is called, by another thread, while the run takes more than a few seconds.
    """
    keeper = LeaseKeeper(run_id, account_id, uuid.uuid4(), when_long=when_long)
    deadline = None if budget is None else time.monotonic() + budget.total_seconds()
    try:
        turn = take_turn(run_id, account_id, keeper.token, is_lost=lambda: keeper.is_lost, deadline=deadline)
    except (OperationalError, InterfaceError) as error:
        if isinstance(error, OperationalError) and is_locked(error):
            log.info("sync.locked", run=run_id, account=account_id)  # if it is still due, the tick rings again
            return
        raise
    except Exception as error:  # without an ending it would be taken up again for ever
        claim(run_id, account_id, keeper.token)  # it may have been undone with whatever failed
        endings.fail_unbegun(run_id, account_id, keeper.token, error)
        raise
    if turn is not None:
        with keeper:
            _give_ending(turn)


def _give_ending(turn: Turn) -> None:
    try:
        if turn.run.retries == 1 and fellows.was_unreached(turn.client.host) and fellows.are_there():
            time.sleep(KEEP_AWAY_S)  # we handed it on ourselves a moment ago: the others first
            raise MakeWay
        walk(turn)
        fellows.note_reached(turn.client.host)
    except MakeWay:
        if endings.put_back(turn):
            ring(turn.run, priority=RESUMED)
    except SyncStopped:
        if endings.put_back(turn):  # a deploy: free at once for the next worker. Else the run is no longer ours
            ring(turn.run)
    except LeadloomError as error:
        if isinstance(error, Unreachable) and endings.hand_on(turn):
            ring(turn.run)
        else:
            endings.fail_or_wait(turn, error)
    except Exception as error:
        if not lost_the_database(error):
            endings.fail_as_bug(turn, error)
            raise
        # With it went any way to write an ending: the lease runs out and a worker goes on.
        log.warning("sync.database_away", run=turn.run.pk, account=turn.run.account_id, error=type(error).__name__)
    else:
        endings.complete(turn)


def lost_the_database(error: Exception) -> bool:
    """Whether the connection is gone: broken, or ended by the server because we fell silent (``LONGEST_SILENCE_S``)."""
    return isinstance(error, OperationalError | InterfaceError) or isinstance(
        error.__cause__, IdleInTransactionSessionTimeout
    )


def walk(turn: Turn) -> None:
    """Read every feed of the run's plan, from where the run stands to the end."""
    if turn.run.strategy == Strategy.PREVIEW:
        preview(turn)
        return
    while (place := turn.place()) is not None:
        step, cursor = place
        run_pass(
            feed_of(turn.provider, step, turn.run),
            cursor,
            source=turn.source,
            mapper=turn.mapper,
            sink=turn.sink(step),
            get_tables=turn.refresh_tables,
            stage=Stager(is_first=turn.target.is_first),
        )
    if tells_who_left(turn.run):
        absent.settle(turn)
    unread.settle(turn)
    turn.counted = count.ask(turn, now=datetime.now(UTC))
