"""One pass through a CRM's contacts: ask, read, map, save, until the vendor says it is complete.

Knows no vendor, no database and no clock of its own: the provider says what to ask and what a reply means, the source
sends, the sink saves rows and cursor together. While one page is being saved the next are being fetched, by threads
that touch no database. A crash anywhere repeats a page and skips none.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Protocol

from leadloom.contact import JSON, Contact
from leadloom.errors import RecordRejected
from leadloom.leads.staging import Rejected
from leadloom.providers.base import (
    CrmAccount,
    Cursor,
    Feed,
    Gone,
    Merge,
    Page,
    Provider,
    Record,
    TableFeed,
)
from leadloom.sync.ahead import read_ahead
from leadloom.sync.pages import Source, ask, read_pages

PAGES_AHEAD = 34  # fetched and mapped but not saved yet, and
CONTACTS_AHEAD = 5000  # how many contacts they may hold: bounds memory whatever the CRM's size, and that of its pages
CONTACTS_A_SAVE = 3000  # pages that wait are saved together up to this many contacts: fewer, larger transactions
SAVE_PATIENCE_S = 0.25  # after the first page, how long a page may wait for others to be saved with it

PAGES_UNMAPPED = 8  # read but not mapped yet, and
CONTACTS_UNMAPPED = 1600
CONTACTS_MAPPED_AT_ONCE = 1000
TABLES_AT_ONCE = 4
LARGEST_TABLE = 20_000  # names kept of what pages refer to, such as companies

type Tables = dict[str, dict[str, JSON]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One page, read and mapped, ready to be saved with the place to go on."""

    contacts: Sequence[Contact | Rejected]
    gone: Sequence[Gone]
    merged: Sequence[Merge]
    next: Cursor | None
    bookmark: str | None
    total: int | None
    lines: Sequence[bytes] | None = None
    """The contacts as the store stages them, if it was done ahead."""
    is_reply: bool = True
    """Whether the CRM said it just now; else it is read from what we hold."""


class Sink(Protocol):
    """Saves pages: rows, counters and cursor in one transaction. Raises SyncStopped when the run is no longer ours."""

    def save(self, pages: Sequence[Mapped]) -> None: ...


@dataclass(slots=True)
class Mapper:
    """Turns records into contacts, with the names the CRM keeps in other tables."""

    provider: Provider
    account: CrmAccount
    region: str
    tables: Tables

    def map(self, records: Sequence[Record], source: Source) -> list[Contact | Rejected]:
        missing = self.provider.missing(records, self.tables)
        full = {table.name for table in missing if len(self.tables.get(table.name, ())) >= LARGEST_TABLE}
        if full:
            for name in full:
                self.tables[name].clear()  # memory must not grow with the CRM
            missing = self.provider.missing(records, self.tables)  # what was forgotten is asked for again
        read_tables(missing, source, self.tables)
        return [self._map_one(record) for record in records]

    def _map_one(self, record: Record) -> Contact | Rejected:
        try:
            return self.provider.contact(record, tables=self.tables, account=self.account, region=self.region)
        except RecordRejected as rejected:
            return Rejected(_id_of(record), rejected.reason, rejected.value)


def _id_of(record: Record) -> str:
    """The record's id, or a name made of its content: two records without an id are still two."""
    found = record.get("id") if isinstance(record, dict) else None
    if isinstance(found, str | int) and found:
        return str(found)
    return f"without-id-{blake2b(repr(record).encode(), digest_size=8).hexdigest()}"


def run_pass(
    feed: Feed,
    cursor: Cursor,
    *,
    source: Source,
    mapper: Mapper,
    sink: Sink,
    get_tables: Callable[[], None],
    stage: Callable[[Contact | Rejected], bytes] | None = None,
) -> None:
    """Read one feed from ``cursor`` to its end and save it all. ``get_tables`` is called beside the first request;
    ``stage`` prepares a contact for the store while the page before it is being saved.

    Pages that were fetched before a failure are saved before it is raised.
    """

    def fetch() -> Iterator[Page]:
        return read_pages(feed, cursor, source)

    def make() -> Iterator[Mapped]:
        with ThreadPoolExecutor(1, "tables") as beside:
            tables_ready = beside.submit(get_tables)
            for pages in read_ahead(
                fetch,
                most=PAGES_UNMAPPED,
                largest=CONTACTS_UNMAPPED,
                size=lambda page: len(page.records),
                enough=CONTACTS_MAPPED_AT_ONCE,
            ):
                tables_ready.result()
                yield from _map_together(pages, mapper, source, stage)

    for pages in read_ahead(
        make,
        most=PAGES_AHEAD,
        largest=CONTACTS_AHEAD,
        size=lambda page: len(page.contacts),
        enough=CONTACTS_A_SAVE,
        patience_s=SAVE_PATIENCE_S,
    ):
        sink.save(pages)


def _map_together(
    pages: Sequence[Page], mapper: Mapper, source: Source, stage: Callable[[Contact | Rejected], bytes] | None
) -> Iterator[Mapped]:
    """Pages that wait are mapped together: the names they refer to cost one round trip, in fewer, fuller requests."""
    contacts = mapper.map([record for page in pages for record in page.records], source)
    end = 0
    for page in pages:
        start, end = end, end + len(page.records)
        yield Mapped(
            contacts=contacts[start:end],
            lines=list(map(stage, contacts[start:end])) if stage else None,
            gone=page.gone,
            merged=page.merged,
            next=page.next,
            bookmark=page.bookmark,
            total=page.total,
        )


def read_table(table: TableFeed, source: Source, tables: Tables) -> None:
    """Read a lookup table, or a part of one, into ``tables``."""
    rows = tables.setdefault(table.name, {})
    cursor: Cursor | None = table.first()
    while cursor is not None:
        page = ask(table, cursor, source)
        rows.update(page.rows)
        cursor = page.next


def read_tables(feeds: Sequence[TableFeed], source: Source, tables: Tables) -> None:
    """Read tables side by side, so that names cost one round trip."""
    if len(feeds) == 1:
        read_table(feeds[0], source, tables)
    if len(feeds) <= 1:
        return
    with ThreadPoolExecutor(min(len(feeds), TABLES_AT_ONCE), "tables") as pool:
        for done in [pool.submit(read_table, feed, source, tables) for feed in feeds]:
            done.result()


def first_cursor(feed: Feed, *, bookmark: str | None, now: datetime) -> Cursor:
    """Where a pass starts; a cursor is plain JSON, so it is what a restart will find."""
    cursor: Cursor = json.loads(json.dumps(feed.first(bookmark=bookmark, now=now)))
    return cursor
