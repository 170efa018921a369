"""What every provider is put through: its feeds walked as the engine walks them, its records spoilt in every way.

A provider takes part by being in the catalogue, with its situations in ``fixtures/<slug>/`` and a stand-in for its CRM
in ``fakes/<slug>.py``.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, Protocol, cast

from leadloom.contact import JSON, Contact
from leadloom.providers.base import (
    CrmAccount,
    Cursor,
    Feed,
    Gone,
    Merge,
    Page,
    Record,
    Reply,
    Request,
    SideBySide,
    TableFeed,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parent / "fixtures"


class Crm(Protocol):
    """A stand-in for a CRM: answers requests from memory."""

    def answer(self, request: Request) -> Reply: ...


def crm_with_contacts(slug: str, contacts: int) -> Crm:
    """The stand-in of a provider, with this many contacts, all changed an hour before NOW."""
    return cast(Crm, import_module(f"tests.providers.fakes.{slug}").with_contacts(contacts))


@dataclass
class Walk:
    """What one pass over a feed brought."""

    requests: list[Request] = field(default_factory=list)
    cursors: list[Cursor] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [str(record["id"]) for page in self.pages for record in page.records]

    @property
    def gone(self) -> list[Gone]:
        return [gone for page in self.pages for gone in page.gone]

    @property
    def merged(self) -> list[Merge]:
        return [merge for page in self.pages for merge in page.merged]

    @property
    def bookmark(self) -> str | None:
        return self.pages[-1].bookmark


def walk(
    feed: Feed,
    crm: Crm,
    *,
    bookmark: str | None = None,
    now: datetime = NOW,
    start: Cursor | None = None,
    after_each: Callable[[int], None] = lambda requests: None,
) -> Walk:
    """Walk a feed to its end, each cursor through JSON as the database keeps it. ``after_each``: life goes on."""
    done = Walk()
    cursor: Cursor | None = kept(start or feed.first(bookmark=bookmark, now=now))
    while cursor is not None:
        assert cursor not in done.cursors, "a cursor came back: the pass would never end"
        request = feed.request(cursor)
        page = feed.read(cursor, crm.answer(request))
        done.requests.append(request)
        done.cursors.append(cursor)
        done.pages.append(page)
        after_each(len(done.requests))
        cursor = kept(page.next) if page.next is not None else None
    return done


def walk_table(table: TableFeed, crm: Crm) -> tuple[dict[str, JSON], int]:
    """A lookup table, and how many requests it took."""
    rows: dict[str, JSON] = {}
    cursor: Cursor | None = kept(table.first())
    requests = 0
    while cursor is not None:
        page = table.read(cursor, crm.answer(table.request(cursor)))
        rows.update(page.rows)
        requests += 1
        cursor = kept(page.next) if page.next is not None else None
    return rows, requests


def kept(cursor: Cursor) -> Cursor:
    """As a cursor comes back from the database."""
    return cast(Cursor, json.loads(json.dumps(cursor)))


@dataclass(frozen=True)
class Situation:
    """A record as the vendor sends it, and the contact it should become."""

    name: str
    account: CrmAccount
    region: str
    tables: dict[str, dict[str, JSON]]
    record: Record
    expected: dict[str, JSON]


def situations(slug: str) -> Iterator[Situation]:
    for path in sorted((FIXTURES / slug).glob("*.json")):
        told = json.loads(path.read_text())
        yield Situation(
            name=path.stem,
            account=CrmAccount(**told["account"]),
            region=told["region"],
            tables=told["tables"],
            record=told["record"],
            expected=told["contact"],
        )


def in_our_words(contact: Contact, wanted: dict[str, JSON]) -> dict[str, Any]:
    """Those fields of a contact that a situation speaks of, as JSON."""
    plain: dict[str, Any] = {
        "phone": contact.phone,
        "phones": [[phone.label, phone.text, phone.e164] for phone in contact.phones],
        "emails": list(contact.emails),
        "merged_ids": list(contact.merged_ids),
        **{
            name: at.isoformat() if (at := getattr(contact, name)) else None
            for name in ("last_activity_at", "created_at", "modified_at")
        },
    }
    return {name: plain[name] if name in plain else getattr(contact, name) for name in wanted}


def walk_side_by_side(
    feed: SideBySide,
    crm: Crm,
    dice: Random,
    *,
    now: datetime = NOW,
    start: Cursor | None = None,
    requests_before_a_crash: int = 10**9,
) -> Walk:
    """Walk a feed in as many lanes as it offers, answered in any order, up to a crash. ``cursors`` are the pass's, as
    they would be saved after each page; a crash may lose the answers of all lanes."""
    done = Walk()
    cursor: Cursor | None = kept(start or feed.first(bookmark=None, now=now))
    asked: dict[str, tuple[Cursor, Reply]] = {}
    while cursor is not None and len(done.requests) < requests_before_a_crash:
        if dice.random() < 0.5:
            cursor = kept(feed.more(cursor) or cursor)
        lanes = feed.lanes(cursor)
        assert lanes, "a pass without a lane would never end"
        for lane, at in lanes.items():
            if lane not in asked:
                request = feed.request(at)
                asked[lane] = (at, crm.answer(request))
                done.requests.append(request)
        lane = dice.choice(sorted(asked))
        page = feed.join(cursor, lane, feed.read(*asked.pop(lane)))
        done.pages.append(page)
        cursor = kept(page.next) if page.next is not None else None
        if cursor is not None:
            done.cursors.append(cursor)
    return done
