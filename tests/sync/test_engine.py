"""The engine's loop, with a small made-up CRM: pure, no database and no network."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from leadloom.contact import Contact
from leadloom.errors import NeedsReconnect, NotReady, RecordRejected, Unreadable
from leadloom.leads.staging import Rejected
from leadloom.providers.base import CrmAccount, Cursor, Page, Provider, Record, Reply, Request, TablePage
from leadloom.sync.engine import (
    CONTACTS_A_SAVE,
    CONTACTS_AHEAD,
    CONTACTS_MAPPED_AT_ONCE,
    CONTACTS_UNMAPPED,
    PAGES_AHEAD,
    PAGES_UNMAPPED,
    Mapped,
    Mapper,
    run_pass,
)
from leadloom.sync.pages import read_pages

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class Numbers:
    """A feed over the contacts 0 … count-1, some a page."""

    count: int
    page_size: int = 10

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        return {"from": 0}

    def request(self, cursor: Cursor) -> Request:
        return Request("GET", "/numbers", {"from": str(cursor["from"])})

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        numbers = json.loads(reply.body)
        last = cast(int, cursor["from"]) + self.page_size
        return Page(
            records=[{"id": str(number)} for number in numbers],
            next={"from": last} if last < self.count else None,
            bookmark=None if last < self.count else "done",
            total=self.count,
        )


@dataclass
class Crm:
    feed: Numbers
    asked: list[str] = field(default_factory=list)
    before_send: Callable[[int], None] = lambda start: None
    waited: list[float] = field(default_factory=list)

    def send(self, request: Request) -> Reply:
        start = int(request.query["from"])
        self.before_send(start)
        self.asked.append(request.query["from"])
        return Reply(200, {}, json.dumps(list(range(self.feed.count))[start : start + self.feed.page_size]).encode())

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


@dataclass
class Kept:
    saves: list[Sequence[Mapped]] = field(default_factory=list)
    on_save: Callable[[], None] = lambda: None

    def save(self, pages: Sequence[Mapped]) -> None:
        self.on_save()
        self.saves.append(pages)

    @property
    def ids(self) -> list[str]:
        return [contact.external_id for pages in self.saves for page in pages for contact in page.contacts]

    @property
    def cursor(self) -> Cursor | None:
        return self.saves[-1][-1].next


def to_contact(record: Record, **_: Any) -> Contact:
    if record["id"] == "13":
        raise RecordRejected("Unlucky.", reason="unreadable_record", value="13")
    return Contact(external_id=record["id"])


def mapper() -> Mapper:
    provider = SimpleNamespace(contact=to_contact, missing=lambda records, tables: ())
    return Mapper(cast(Provider, provider), CrmAccount(external_id="1"), "US", {})


def walk(feed: Numbers, crm: Crm, kept: Kept, cursor: Cursor | None = None) -> None:
    run_pass(
        feed, cursor or feed.first(bookmark=None, now=NOW), source=crm, mapper=mapper(), sink=kept, get_tables=list
    )


def test_every_contact_of_every_page_is_saved_in_order() -> None:
    feed, kept = Numbers(95), Kept()
    walk(feed, Crm(feed), kept)
    assert kept.ids == [str(number) for number in range(95)]


def test_the_last_save_carries_the_bookmark_and_no_place_to_go_on() -> None:
    feed, kept = Numbers(25), Kept()
    walk(feed, Crm(feed), kept)
    last = kept.saves[-1][-1]
    assert (last.next, last.bookmark) == (None, "done")


def test_an_empty_crm_is_one_save_of_nothing() -> None:
    feed, kept = Numbers(0), Kept()
    walk(feed, Crm(feed), kept)
    assert (kept.ids, len(kept.saves)) == ([], 1)


def test_a_record_that_cannot_be_mapped_is_set_aside_and_the_page_goes_on() -> None:
    feed, kept = Numbers(20), Kept()
    walk(feed, Crm(feed), kept)
    contacts = [contact for pages in kept.saves for page in pages for contact in page.contacts]
    assert contacts[13] == Rejected("13", "unreadable_record", "13")
    assert len(contacts) == 20


def test_pages_fetched_before_a_failure_are_saved_and_the_rest_is_read_after_a_restart() -> None:
    feed, kept = Numbers(60), Kept()

    def fail_at_40(start: int) -> None:
        if start == 40:
            raise NeedsReconnect("Sign in again.")

    with pytest.raises(NeedsReconnect):
        walk(feed, Crm(feed, before_send=fail_at_40), kept)
    assert kept.ids == [str(number) for number in range(40)]
    walk(feed, Crm(feed), kept, kept.cursor)
    assert kept.ids == [str(number) for number in range(60)]


def test_a_failure_to_save_stops_the_reading() -> None:
    feed = Numbers(100_000)
    crm = Crm(feed)

    def refuse() -> None:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError, match="away"):
        walk(feed, crm, Kept(on_save=refuse))
    assert len(crm.asked) < 100
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_while_a_page_is_saved_the_next_ones_are_fetched_and_then_saved_together() -> None:
    feed = Numbers(100)
    fetched_more = threading.Event()
    crm = Crm(feed, before_send=lambda start: fetched_more.set() if start >= 50 else None)
    kept = Kept(on_save=lambda: fetched_more.wait(5) and None)
    walk(feed, crm, kept)
    assert fetched_more.is_set()
    assert len(kept.saves) < 10, "pages that waited are saved in one transaction"


def test_memory_does_not_grow_with_the_crm_because_only_so_many_pages_wait() -> None:
    feed = Numbers(10_000)
    crm = Crm(feed)
    ahead: list[int] = []
    kept = Kept()
    kept.on_save = lambda: ahead.append(len(crm.asked) - len(kept.ids) // feed.page_size)
    walk(feed, crm, kept)
    together = (CONTACTS_A_SAVE + CONTACTS_MAPPED_AT_ONCE) // feed.page_size
    assert max(ahead) <= PAGES_UNMAPPED + PAGES_AHEAD + together + 4


def test_memory_does_not_grow_with_the_pages_of_a_crm_that_sends_large_ones() -> None:
    feed = Numbers(100_000, page_size=2000)
    crm = Crm(feed)
    ahead: list[int] = []
    kept = Kept()

    def on_save() -> None:
        ahead.append(len(crm.asked) * feed.page_size - len(kept.ids))
        time.sleep(0.02)  # so that what is read meanwhile would pile up

    kept.on_save = on_save
    walk(feed, crm, kept)
    assert max(ahead) <= CONTACTS_AHEAD + CONTACTS_UNMAPPED + CONTACTS_A_SAVE + 7 * feed.page_size


def test_a_page_that_cannot_be_read_is_asked_for_three_times_with_a_pause_between() -> None:
    class Cut(Numbers):
        def read(self, cursor: Cursor, reply: Reply) -> Page:
            raise Unreadable("Cut.")

    feed = Cut(30)
    crm = Crm(feed)
    with pytest.raises(Unreadable):
        list(read_pages(feed, feed.first(bookmark=None, now=NOW), crm))
    assert (len(crm.asked), crm.waited) == (3, [1, 2])


def test_a_cursor_that_comes_back_in_the_same_pass_is_refused() -> None:
    class Circle(Numbers):
        def read(self, cursor: Cursor, reply: Reply) -> Page:
            return Page(next={"from": (cast(int, cursor["from"]) + 10) % 30})

    feed = Circle(30)
    with pytest.raises(Unreadable, match="again and again"):
        list(read_pages(feed, feed.first(bookmark=None, now=NOW), Crm(feed)))


def test_names_kept_in_other_tables_are_there_before_the_first_contact_is_mapped() -> None:
    feed, kept = Numbers(5), Kept()
    tables: dict[str, dict[str, Any]] = {}
    seen: list[Mapping[str, Any]] = []

    def contact(record: Record, *, tables: Mapping[str, Any], **_: Any) -> Contact:
        seen.append(dict(tables))
        return Contact(external_id=record["id"])

    provider = cast(Provider, SimpleNamespace(contact=contact, missing=lambda records, tables: ()))
    run_pass(
        feed,
        {"from": 0},
        source=Crm(feed),
        mapper=Mapper(provider, CrmAccount(external_id="1"), "US", tables),
        sink=kept,
        get_tables=lambda: tables.update(owners={"7": "Olga"}),
    )
    assert seen[0] == {"owners": {"7": "Olga"}}


def test_names_forgotten_to_save_memory_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from leadloom.sync import engine

    monkeypatch.setattr(engine, "LARGEST_TABLE", 2)

    class Names:
        name = "companies"

        def __init__(self, ids: Sequence[str]) -> None:
            self.ids = ids

        def first(self) -> Cursor:
            return {"ids": list(self.ids)}

        def request(self, cursor: Cursor) -> Request:
            return Request("GET", "/", {"from": "0"})

        def read(self, cursor: Cursor, reply: Reply) -> TablePage:
            return TablePage({one: f"Company {one}" for one in self.ids})

    def missing(records: Sequence[Record], tables: Mapping[str, Mapping[str, Any]]) -> Sequence[Names]:
        wanted = [record["company"] for record in records if record["company"] not in tables.get("companies", {})]
        return [Names(wanted)] if wanted else []

    def contact(record: Record, *, tables: Mapping[str, Mapping[str, Any]], **_: Any) -> Contact:
        return Contact(external_id=record["id"], company=tables["companies"][record["company"]])

    provider = cast(Provider, SimpleNamespace(contact=contact, missing=missing))
    full = Mapper(provider, CrmAccount(external_id="1"), "US", {"companies": {"a": "Company a", "b": "Company b"}})
    records = [{"id": "1", "company": "a"}, {"id": "2", "company": "new"}]
    found = full.map(records, Crm(Numbers(1)))
    assert [cast(Contact, one).company for one in found] == ["Company a", "Company new"]


@dataclass
class Export(Numbers):
    """Numbers that are ready after so many questions."""

    ready_after: int = 3
    questions: int = 0

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        self.questions += 1
        if self.questions <= self.ready_after:
            raise NotReady("The export is being made.", after=timedelta(seconds=10))
        return super().read(cursor, reply)


def test_what_is_being_prepared_is_asked_for_again_until_it_is_there() -> None:
    feed, kept = Export(10), Kept()
    crm = Crm(feed)
    walk(feed, crm, kept)
    assert len(kept.ids) == 10
    assert crm.waited == [10, 10, 10]


def test_what_takes_long_to_prepare_sends_the_worker_away_and_is_asked_for_after_a_restart() -> None:
    feed, kept = Export(10, ready_after=8), Kept()
    crm = Crm(feed)
    with pytest.raises(NotReady) as waiting:
        walk(feed, crm, kept)
    assert waiting.value.after == timedelta(seconds=10)
    assert sum(crm.waited) <= 60
    walk(feed, crm, kept)
    assert len(kept.ids) == 10
