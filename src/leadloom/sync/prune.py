"""Forgetting runs that nobody will ask about, and what else the sync leaves behind.

Runs with outcomes stay for good: leads name them. Most hourly passes find nothing; they are kept for the days in which
somebody may still look whether the hour was kept. The newest run of a connection always stays: it may be gone on with.
"""

from django.db import connection

from leadloom.accounts.scope import account_scope, system_scope

KEPT_QUIET_DAYS = 3
"""How long a pass that changed nothing is shown, and a preview, which holds names."""
KEPT_IDLE_DAYS = 1  # a bucket that nobody drew from for so long is full anyway

_IS_OVER = """
    r.state IN ('done', 'failed', 'stopped') AND r.created_at < clock_timestamp() - make_interval(days => %(kept)s)
    AND (r.strategy = 'preview' OR (r.created, r.updated, r.linked, r.skipped, r.failed, r.gone) = (0, 0, 0, 0, 0, 0))
    AND r.absent = 0
    AND EXISTS (SELECT FROM sync_runs newer WHERE newer.connection_id = r.connection_id AND newer.id > r.id)
"""


def prune_runs() -> int:
    """Delete quiet runs, account by account. Answers how many."""
    deleted = 0
    for account_id in _accounts(f"SELECT DISTINCT r.account_id FROM sync_runs r WHERE {_IS_OVER}"):  # noqa: S608 - ours
        with account_scope(account_id), connection.cursor() as cursor:
            _forget_ids_met(account_id)
            cursor.execute(
                f"DELETE FROM sync_runs r WHERE r.account_id = %(account)s AND {_IS_OVER}",  # noqa: S608
                {"account": account_id, "kept": KEPT_QUIET_DAYS},
            )
            deleted += cursor.rowcount
    return deleted


def prune_ids_met() -> None:
    """Ids that a pass over everybody has met are emptied when it ends; one that failed or was stopped left its own."""
    ended = """
        SELECT DISTINCT account_id FROM sync_runs
        WHERE (strategy = 'overwrite' OR trigger = 'sweep') AND state IN ('failed', 'stopped')
    """
    for account_id in _accounts(ended):
        with account_scope(account_id):
            _forget_ids_met(account_id)


def prune_buckets() -> int:
    """Delete the pace buckets of CRM accounts that are not asked any more. Answers how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM pace_buckets WHERE free_at < clock_timestamp() - make_interval(days => %s)", [KEPT_IDLE_DAYS]
        )
        return int(cursor.rowcount)


def _accounts(query: str) -> list[int]:
    with system_scope(), connection.cursor() as cursor:
        cursor.execute(query, {"kept": KEPT_QUIET_DAYS})
        return [int(account) for (account,) in cursor.fetchall()]


def _forget_ids_met(account_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM run_contacts c USING sync_runs r
            WHERE c.account_id = %(account)s AND r.account_id = %(account)s AND r.id = c.run_id
              AND r.state IN ('done', 'failed', 'stopped')
              AND NOT EXISTS (SELECT FROM crm_connections held
                              WHERE held.account_id = %(account)s AND held.held_run_id = r.id)
            """,
            {"account": account_id},
        )
