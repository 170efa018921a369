"""A preview: the same code as the real thing, rolled back. Exact counts and a sample of the differences.

All contacts are read first, into a spool file, so that no transaction is open while the network is waited for. Then
one transaction writes them as an import would, counts, and rolls back. A preview that is interrupted starts over.
"""

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

from django.db import connection as db
from django.db import transaction

from leadloom.accounts.scope import account_scope
from leadloom.contact import Contact
from leadloom.leads.staging import Rejected
from leadloom.leads.store import Target, Written, write_contacts
from leadloom.sync.engine import Mapped, run_pass
from leadloom.sync.lease import hold
from leadloom.sync.plan import EVERYTHING, feed_of
from leadloom.sync.turn import END, Turn

SAMPLE = 20  # differences shown


class _Spool:
    """A sink that keeps contacts in a file instead of the database."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.total: int | None = None

    def save(self, pages: Sequence[Mapped]) -> None:
        for page in pages:
            pickle.dump(list(page.contacts), self._file)
            self.total = self.total or page.total

    def contacts(self) -> Iterator[list[Contact | Rejected]]:
        self._file.seek(0)
        while True:
            try:
                yield pickle.load(self._file)  # noqa: S301 - our own file, written a moment ago
            except EOFError:
                return


def preview(turn: Turn) -> None:
    """Read everything, write it, count it, undo it. The result is on the run: counters and ``changes``."""
    run = turn.run
    with tempfile.TemporaryFile() as file:
        spool = _Spool(file)
        run_pass(
            feed_of(turn.provider, EVERYTHING, run),
            turn.first(EVERYTHING, None),
            source=turn.source,
            mapper=turn.mapper,
            sink=spool,
            get_tables=turn.refresh_tables,
        )
        with account_scope(run.account_id):
            hold(run.pk, run.account_id, turn.token)
            written, sample = _rehearse(turn.target, spool)
            _keep(turn, written, sample, spool.total)


def _rehearse(target: Target, spool: _Spool) -> tuple[Written, dict[str, Any]]:
    written = Written()
    undo = transaction.savepoint_create()
    for contacts in spool.contacts():
        written += write_contacts(target, contacts)
    sample = _sample(target)
    transaction.savepoint_rollback(undo)
    return written, sample


def _sample(target: Target) -> dict[str, Any]:
    values = {"account": target.account_id, "run": target.run_id, "sample": SAMPLE}
    with db.cursor() as cursor:
        cursor.execute(
            """
            SELECT l.name, c.before, c.after FROM lead_changes c JOIN leads l ON l.id = c.lead_id
            WHERE c.account_id = %(account)s AND c.run_id = %(run)s ORDER BY c.id LIMIT %(sample)s
            """,
            values,
        )
        changed = [{"name": name, "before": before, "after": after} for name, before, after in cursor.fetchall()]
        cursor.execute(
            """
            SELECT name, phone, email, company FROM leads
            WHERE account_id = %(account)s AND created_run_id = %(run)s ORDER BY activity_at DESC LIMIT %(sample)s
            """,
            values,
        )
        names = ("name", "phone", "email", "company")
        created = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {"created": created, "changed": changed}


def _keep(turn: Turn, written: Written, sample: dict[str, Any], total: int | None) -> None:
    run = turn.run
    for outcome, count in written.outcomes.items():
        setattr(run, outcome, count)
    run.seen = written.seen
    run.total = total
    run.changes = {**sample, "reasons": dict(written.reasons)}
    run.feed = END
    run.save(
        update_fields=[
            "seen",
            "created",
            "updated",
            "unchanged",
            "linked",
            "skipped",
            "failed",
            "total",
            "changes",
            "feed",
        ]
    )
    turn.reasons.update(written.reasons)
