"""What is due: runs for connections whose hour has come, and runs that nobody works on though somebody should.

Finds ids across accounts in the system scope, which only reads; every write happens inside its own account's scope.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, groupby
from operator import attrgetter

import structlog
from django.db import Error, connection, transaction

from leadloom.accounts.scope import account_scope, system_scope
from leadloom.connections.models import Connection, Trigger
from leadloom.sync import lease
from leadloom.sync.doorbell import ring_for_many
from leadloom.sync.heard import SILENT
from leadloom.sync.rounds import size_of_rounds

log = structlog.get_logger()

EARLY = timedelta(minutes=5)  # due within this is due: schedulers are never exact
BATCH = 500
SHARE_OF_SWEEPS, FEWEST_SWEEPS = 6, 1
"""At most one in six is swept in one round, or one: all of them in a week even where the schedule is a daily one."""
RINGING_LOCK = 47  # advisory; 42 to 46 guard the database's start


@dataclass(frozen=True, slots=True)
class DueResult:
    account_id: int
    connection_id: int
    run_id: int | None
    joined: bool = False
    error: str = ""


@dataclass(slots=True)
class DueReport:
    results: list[DueResult] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.results)

    @property
    def queued(self) -> int:
        return sum(result.run_id is not None for result in self.results)

    @property
    def failed(self) -> int:
        return sum(bool(result.error) for result in self.results)


def start_due_runs(trigger: Trigger = Trigger.CRON) -> DueReport:
    """Start, or join, a run for every active connection that is due: a sweep where that is due too, but not for all
    of them in one round. One failure never stops the rest."""
    report = DueReport()
    due = list(_due_connections(datetime.now(UTC) + EARLY))
    sweeps = _turns_to_sweep(due)
    hourly = [one.ids for one in due if one not in sweeps]
    for some in batched(hourly, BATCH):
        report.results += _start_many(some, trigger, size_of_rounds(len(hourly)))
    for some in batched([one.ids for one in sweeps], BATCH):
        report.results += _start_many(some, Trigger.SWEEP, 1)
    return report


def _turns_to_sweep(due: Sequence["Due"]) -> dict["Due", None]:
    """Those whose sweep is due, the longest overdue first, up to a share of all: the others come next round."""
    waiting = sorted((one for one in due if one.sweep_due_at is not None), key=attrgetter("sweep_due_at"))
    return dict.fromkeys(waiting[: max(FEWEST_SWEEPS, len(due) // SHARE_OF_SWEEPS)])


def _start_many(due: Sequence[tuple[int, int]], trigger: Trigger, most: int) -> list[DueResult]:
    """One statement and one transaction for all of them; one by one when that fails, to find out which it was."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            accounts, connections = ([pair[i] for pair in due] for i in range(2))
            cursor.execute("SELECT * FROM leadloom_start_runs(%s, %s, %s)", [accounts, connections, trigger])
            started = [DueResult(*row) for row in cursor.fetchall()]
            ring_for_many(
                [(one.run_id, one.account_id) for one in started if one.run_id is not None and not one.joined],
                trigger=trigger,
                most=most,
            )
    except Error as error:
        log.warning("sync.not_started_together", connections=len(due), error=type(error).__name__)
        return [_start(*one, trigger) for one in due]
    return [one if one.run_id else _start(one.account_id, one.connection_id, trigger) for one in started]


@dataclass(frozen=True, slots=True)
class Due:
    account_id: int
    connection_id: int
    sweep_due_at: datetime | None
    """None while that has not come."""

    @property
    def ids(self) -> tuple[int, int]:
        return self.account_id, self.connection_id


def _due_connections(until: datetime) -> Iterator[Due]:
    with system_scope(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT account_id, id, CASE WHEN sweep_due_at <= %(until)s AND bookmark IS NOT NULL THEN sweep_due_at END
            FROM crm_connections
            WHERE is_active AND state NOT IN ('paused', 'needs_reconnect', 'disconnected')
              AND coalesce(next_due_at, '-infinity') <= %(until)s
            ORDER BY next_due_at NULLS FIRST, id
            """,
            {"until": until},
        )
        while rows := cursor.fetchmany(BATCH):
            yield from (Due(*row) for row in rows)


def _start(account_id: int, connection_id: int, trigger: Trigger) -> DueResult:
    from leadloom.connections.services import request_run

    try:
        with account_scope(account_id):
            found = Connection.objects.get(account_id=account_id, pk=connection_id)
            run, joined = request_run(connection=found, trigger=trigger)
        return DueResult(account_id, connection_id, run.pk, joined)
    except Exception as error:  # one account's trouble must not stop the others' hour
        log.exception("sync.not_started", account=account_id, connection=connection_id)
        return DueResult(account_id, connection_id, None, error=type(error).__name__)


def ring_waiting_runs() -> int:
    """Ring for runs that wait for nobody: their moment has come, their worker has died, or their job was lost.

    Called every few seconds by each worker; one at a time looks. A run that is rung for twice is claimed once.
    """
    with transaction.atomic():
        waiting = _waiting_runs() if _is_alone() else []
        for trigger, runs in groupby(waiting, key=attrgetter("trigger")):
            named = [(run.run_id, run.account_id) for run in runs]
            ring_for_many(named, trigger=trigger, most=size_of_rounds(len(named)) if trigger == Trigger.CRON else 1)
    if waiting:
        log.info("sync.rang_again", runs=len(waiting))
    return len(waiting)


def _is_alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s), set_config('idle_in_transaction_session_timeout', %s, true)",
            [RINGING_LOCK, f"{lease.LONGEST_SILENCE_S}s"],  # or whoever stands still here would hold up all others
        )
        row = cursor.fetchone()
    return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class Waiting:
    account_id: int
    run_id: int
    trigger: Trigger


def _waiting_runs() -> list[Waiting]:
    """Queued without a job, waiting past their time, or held by a lease that has run out. A round's runs have a job
    as long as the worker lives that makes it."""
    with system_scope(), connection.cursor() as cursor:
        try:
            cursor.execute(
                """
                WITH rung AS (
                    SELECT j.args, j.status = 'todo' AS waits
                    FROM procrastinate_jobs j LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
                    WHERE j.queue_name = 'sync' AND (
                        j.status = 'todo' OR (j.status = 'doing' AND j.task_name = 'sync.round'
                                              AND w.last_heartbeat > clock_timestamp() - make_interval(secs => %s)))
                ), named AS (
                    SELECT (args ->> 'run_id')::bigint AS run, waits FROM rung WHERE args ? 'run_id'
                    UNION ALL
                    SELECT (one ->> 0)::bigint, waits FROM rung, jsonb_array_elements(args -> 'runs') one
                )
                SELECT r.account_id, r.id, r.trigger FROM sync_runs r
                WHERE ((r.state = 'queued' AND r.created_at < clock_timestamp() - interval '2 seconds')
                       OR (r.state = 'waiting' AND coalesce(r.resume_at, '-infinity') <= clock_timestamp())
                       OR (r.state = 'running' AND coalesce(r.lease_until, '-infinity') <= clock_timestamp()))
                  AND NOT EXISTS (SELECT FROM named n WHERE n.run = r.id AND (n.waits OR r.state = 'queued'))
                ORDER BY r.trigger, r.id LIMIT 10000
                """,
                [SILENT.total_seconds()],
            )
            return [Waiting(account, run, Trigger(trigger)) for account, run, trigger in cursor.fetchall()]
        except Error:
            log.exception("sync.cannot_look_for_waiting_runs")
            raise
