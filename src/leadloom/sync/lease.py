"""Who works on a run. A worker holds a lease, renews it while it lives, and checks it in every transaction.

A killed worker's lease runs out and another takes over; a worker that was only asleep finds its token gone at the
next page and writes nothing. The token is the fence, the time only decides when others may come.
"""

import threading
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from django.db import Error, OperationalError, connection
from psycopg.errors import LockNotAvailable

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import LEASE, Run
from leadloom.errors import SyncStopped

log = structlog.get_logger()

LONGEST_QUEUE_S = 2
LONGEST_SILENCE_S = 8
"""Whoever holds a run's row and says nothing for so long, in the middle of a transaction, is cut off or stands still:
the server ends their connection, or the row would be locked to everybody else for as long as they are away."""
RENEW_S = LEASE.total_seconds() / 3


def claim(run_id: int, account_id: int, token: uuid.UUID | None = None) -> uuid.UUID | None:
    """Take the run if it is due and nobody holds it. Answers the lease's token, or None."""
    token = token or uuid.uuid4()
    with account_scope(account_id):
        return token if take(run_id, account_id, token) else None


def take(run_id: int, account_id: int, token: uuid.UUID) -> Run | None:
    """As ``claim``, inside the account's scope: the run as it now is, ours once the transaction commits.

    Raises OperationalError when its row has been locked for long (``is_locked``): whoever is writing it is alive, and a
    worker that queued behind it would be lost to everybody else's runs.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true)",
            [f"{LONGEST_QUEUE_S}s", f"{LONGEST_SILENCE_S}s"],
        )
    values = {"token": token, "lease": LEASE.total_seconds(), "account": account_id, "run": run_id}
    return next(iter(Run.objects.raw(_TAKE, values)), None)


def is_locked(error: OperationalError) -> bool:
    """Whether somebody else's lock is all that is wrong."""
    return isinstance(error.__cause__, LockNotAvailable)


_TAKE = """
UPDATE sync_runs
SET state = 'running', lease_token = %(token)s,
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
    started_at = coalesce(started_at, clock_timestamp()), resume_at = NULL
WHERE account_id = %(account)s AND id = %(run)s
  AND (state = 'queued'
       OR (state = 'waiting' AND coalesce(resume_at, '-infinity') <= clock_timestamp())
       OR (state = 'running' AND coalesce(lease_until, '-infinity') <= clock_timestamp()))
RETURNING *
"""


def hold(run_id: int, account_id: int, token: uuid.UUID) -> None:
    """Lock the run row for this transaction. Raises SyncStopped unless the run is still ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT set_config('idle_in_transaction_session_timeout', %s, true) FROM sync_runs
            WHERE account_id = %s AND id = %s AND lease_token = %s AND state = 'running' FOR UPDATE
            """,
            [f"{LONGEST_SILENCE_S}s", account_id, run_id, token],
        )
        if cursor.fetchone() is None:
            raise SyncStopped("The run was stopped or taken over by another worker.")


_held: "set[LeaseKeeper]" = set()


def give_back_all() -> list[tuple[int, int]]:
    """Take every lease that this process holds away from its threads, for the next worker to go on at once: they are
    waiting for a CRM that takes its time. Whatever they would still save meets the fence. Answers runs and accounts."""
    return [(one.run_id, one.account_id) for one in list(_held) if one.give_back()]


class LeaseKeeper:
    """Renews a lease from a thread of its own while the block runs; ``is_lost`` turns true when it cannot."""

    def __init__(
        self, run_id: int, account_id: int, token: uuid.UUID, *, when_long: Callable[[], None] = lambda: None
    ) -> None:
        self.run_id, self.account_id, self.token = run_id, account_id, token
        self._when_long = when_long
        self._done = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_done, name=f"lease-{run_id}", daemon=True)

    @property
    def is_lost(self) -> bool:
        return self._lost.is_set()

    def __enter__(self) -> Self:
        self._thread.start()
        _held.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _held.discard(self)
        self._done.set()
        self._thread.join()

    def give_back(self) -> bool:
        """Back into the queue as it was last saved. False when it is not ours, or its row is being written."""
        try:
            with account_scope(self.account_id), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LONGEST_QUEUE_S}s"])
                cursor.execute(
                    """
                    UPDATE sync_runs SET state = 'queued', lease_token = NULL, lease_until = NULL
                    WHERE account_id = %s AND id = %s AND lease_token = %s AND state = 'running'
                    """,
                    [self.account_id, self.run_id, self.token],
                )
                is_given = bool(cursor.rowcount)
        except Error as error:
            log.warning("sync.not_given_back", run=self.run_id, error=type(error).__name__)
            return False
        self._lost.set()
        return is_given

    def _renew_until_done(self) -> None:
        while not self._done.wait(RENEW_S):
            try:
                if not self._renew():
                    self._lost.set()
                    return
                self._when_long()
            except Error as error:  # the database is away for a moment: the fence still protects the data
                log.warning("sync.lease_not_renewed", run=self.run_id, error=type(error).__name__)
            finally:
                connection.close()

    def _renew(self) -> bool:
        with account_scope(self.account_id), connection.cursor() as cursor:
            cursor.execute(
                """
                UPDATE sync_runs SET lease_until = clock_timestamp() + make_interval(secs => %s)
                WHERE account_id = %s AND id = %s AND lease_token = %s AND state = 'running'
                """,
                [LEASE.total_seconds(), self.account_id, self.run_id, self.token],
            )
            return bool(cursor.rowcount)
