"""The end of an overwrite: leads whose contact the CRM no longer has are archived, never deleted.

Reached only when every page of the pass was read and saved; a pass that failed on the way archives nobody.
"""

from django.db import connection as db

from leadloom.accounts.scope import account_scope
from leadloom.leads.store import archive_left
from leadloom.sync.lease import hold
from leadloom.sync.turn import Turn


def archive_those_who_left(turn: Turn) -> None:
    """Slice by slice, each its own transaction; then forget which ids the pass met."""
    run = turn.run
    while True:
        with account_scope(run.account_id), db.cursor() as cursor:
            hold(run.pk, run.account_id, turn.token)
            marked = archive_left(turn.target)
            cursor.execute(
                "UPDATE sync_runs SET gone = gone + %s WHERE account_id = %s AND id = %s",
                [marked, run.account_id, run.pk],
            )
            if not marked:
                cursor.execute(
                    "DELETE FROM run_contacts WHERE account_id = %s AND run_id = %s", [run.account_id, run.pk]
                )
                return
