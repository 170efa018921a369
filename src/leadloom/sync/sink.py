"""Saving pages: rows, counters and cursor in one transaction, then word to whoever watches."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run
from leadloom.contact import Contact
from leadloom.leads.staging import Rejected
from leadloom.leads.store import Target, Written, join_merged, write_contacts, write_gone, write_merges
from leadloom.providers.base import Cursor
from leadloom.sync.engine import Mapped
from leadloom.sync.lease import hold

CHANNEL = "leadloom_live"


@dataclass(slots=True)
class DatabaseSink:
    """Saves the pages of one step of a run. ``after`` says where the run goes when the step is complete."""

    run: Run
    token: uuid.UUID
    target: Target
    step: str
    after: Callable[[str, str | None], tuple[str, Cursor | None]]
    spent: Callable[[], tuple[int, float]]
    """Requests sent and seconds waited since it was last asked."""
    after_save: Callable[[], None]
    reasons: Counter[str]

    def save(self, pages: Sequence[Mapped]) -> None:
        """Rows, counters and cursor, all or nothing. Raises SyncStopped when the run is no longer ours."""
        last = pages[-1]
        with account_scope(self.run.account_id):
            hold(self.run.pk, self.run.account_id, self.token)
            written = sum((self._write(group) for group in _in_order(pages)), Written())
            feed, cursor = self._where_next(last)
            row = self._record(written, pages, feed, cursor, last.bookmark)
            announce_run(self.run, row)
        self.run.feed, self.run.cursor, self.run.created, self.run.retries = feed, cursor, row["created"], 0
        self.run.next_bookmark = last.bookmark or self.run.next_bookmark
        self.reasons.update(written.reasons)
        self.after_save()

    def _write(self, pages: Sequence[Mapped]) -> Written:
        merges = [merge for page in pages for merge in page.merged]
        join_merged(self.target, merges)
        written = write_contacts(self.target, *_all_of(pages))
        write_merges(self.target, merges)
        written.gone = write_gone(self.target, [gone for page in pages for gone in page.gone])
        return written

    def _where_next(self, last: Mapped) -> tuple[str, Cursor | None]:
        if last.next is not None:
            return self.step, last.next
        return self.after(self.step, last.bookmark)

    def _record(
        self, written: Written, pages: Sequence[Mapped], feed: str, cursor: Cursor | None, bookmark: str | None
    ) -> dict[str, Any]:
        requests, waited_s = self.spent()
        outcomes = written.outcomes
        with connection.cursor() as db:
            db.execute(
                _RECORD,
                {
                    **{
                        name: outcomes[name]
                        for name in ("created", "updated", "unchanged", "linked", "skipped", "failed")
                    },
                    "gone": written.gone,
                    "seen": written.seen,
                    "pages": sum(page.is_reply for page in pages),
                    "requests": requests,
                    "waited_s": waited_s,
                    "total": next((page.total for page in pages if page.total is not None), None),
                    "feed": feed,
                    "cursor": json.dumps(cursor),
                    "bookmark": bookmark,
                    "account": self.run.account_id,
                    "run": self.run.pk,
                },
            )
            assert db.description
            names = [column.name for column in db.description]
            [row] = db.fetchall()
        return dict(zip(names, row, strict=True))


def _in_order(pages: Sequence[Mapped]) -> Iterator[Sequence[Mapped]]:
    """Pages that can be written together. A page that tells of merged or deleted contacts ends a group, for what comes
    after it may build on that: somebody who is back, the contact that took another one in."""
    group: list[Mapped] = []
    for page in pages:
        group.append(page)
        if page.merged or page.gone:
            yield group
            group = []
    if group:
        yield group


def _all_of(pages: Sequence[Mapped]) -> tuple[list[Contact | Rejected], list[bytes] | None]:
    """Contacts and their lines, or None where not every page has lines."""
    lines = [line for page in pages for line in page.lines or ()]
    contacts = [contact for page in pages for contact in page.contacts]
    return contacts, lines if len(lines) == len(contacts) else None


_RECORD = """
UPDATE sync_runs
SET seen = seen + %(seen)s, created = created + %(created)s, updated = updated + %(updated)s,
    unchanged = unchanged + %(unchanged)s, linked = linked + %(linked)s, skipped = skipped + %(skipped)s,
    failed = failed + %(failed)s, gone = gone + %(gone)s, pages = pages + %(pages)s,
    requests = requests + %(requests)s, waited_s = waited_s + %(waited_s)s, retries = 0,
    total = coalesce(total, %(total)s), feed = %(feed)s, cursor = %(cursor)s,
    next_bookmark = coalesce(%(bookmark)s, next_bookmark),
    first_lead_at = coalesce(first_lead_at, CASE WHEN %(created)s > 0 THEN clock_timestamp() END)
WHERE account_id = %(account)s AND id = %(run)s
RETURNING state, seen, created, updated, unchanged, linked, skipped, failed, gone, total,
    extract(epoch FROM clock_timestamp() - started_at)::float AS elapsed_s,
    extract(epoch FROM first_lead_at - created_at)::float AS first_lead_s
"""


def announce_run(run: Run, row: dict[str, Any], *, ended: bool = False, sentence: str = "") -> None:
    """Tell the dashboards. Delivered when the transaction commits, so nobody hears of what was rolled back."""
    elapsed = row.get("elapsed_s") or 0.0
    message = {
        "kind": "run",
        "account": run.account_id,
        "connection": run.connection_id,
        "run": run.pk,
        **{key: value for key, value in row.items() if key != "elapsed_s"},
        "rate": round(row["seen"] / elapsed) if elapsed > 0 else 0,
        "ended": ended,
        "sentence": sentence,
        "at": round(time.time(), 3),
    }
    with connection.cursor() as db:
        db.execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps(message)])
