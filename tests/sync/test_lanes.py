"""A pass read in several places at once: what one lane brings is saved whatever becomes of the others."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from tests.sync.conftest import Connect, Refresh
from tests.sync.test_engine import Kept, mapper

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import RunState
from leadloom.errors import NeedsReconnect, TryLater, Unreadable
from leadloom.leads.models import SourceContact
from leadloom.providers.base import Cursor, Page, Reply, Request
from leadloom.sandbox import Sandbox
from leadloom.sync import pages
from leadloom.sync.engine import run_pass

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STEP = 10


@dataclass
class FromBothEnds:
    """The contacts 0 … count-1, walked up and, with one lane more, down."""

    count: int
    widened: list[Cursor] = field(default_factory=list)

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        return {"low": 0, "high": self.count, "is_wide": False}

    def lanes(self, cursor: Cursor) -> dict[str, Cursor]:
        up: dict[str, Cursor] = {"up": {"from": cursor["low"]}}
        return {**up, "down": {"from": cast(int, cursor["high"]) - STEP}} if cursor["is_wide"] else up

    def more(self, cursor: Cursor) -> Cursor | None:
        if cursor["is_wide"]:
            return None
        self.widened.append(cursor)
        return {**cursor, "is_wide": True}

    def request(self, cursor: Cursor) -> Request:
        return Request("GET", "/", {"from": str(cursor["from"])})

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        first = cast(int, cursor["from"])
        return Page(records=[{"id": f"n{number}"} for number in json.loads(reply.body)], next={"read": first})

    def join(self, cursor: Cursor, lane: str, page: Page) -> Page:
        assert page.next is not None
        first = cast(int, page.next["read"])
        joined = {**cursor, "low": first + STEP} if lane == "up" else {**cursor, "high": first}
        is_over = cast(int, joined["low"]) >= cast(int, joined["high"])
        return Page(records=page.records, next=None if is_over else joined, bookmark="done" if is_over else None)


@dataclass
class Crm:
    """Answers with the numbers asked for; ``before_send`` may wait or fail."""

    before_send: Callable[[int], None] = lambda first: None
    waited: list[float] = field(default_factory=list)

    def send(self, request: Request) -> Reply:
        first = int(request.query["from"])
        self.before_send(first)
        return Reply(200, {}, json.dumps(list(range(first, first + STEP))).encode())

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


def walk(feed: FromBothEnds, crm: Crm, kept: Kept, cursor: Cursor | None = None) -> None:
    run_pass(feed, cursor or wide(feed), source=crm, mapper=mapper(), sink=kept, get_tables=list)


def wide(feed: FromBothEnds) -> Cursor:
    return {**feed.first(bookmark=None, now=NOW), "is_wide": True}


def everybody(feed: FromBothEnds) -> set[str]:
    return {f"n{number}" for number in range(feed.count)}


def test_lanes_are_asked_side_by_side_and_everybody_is_saved() -> None:
    feed, kept = FromBothEnds(200), Kept()
    both = threading.Barrier(2)
    walk(feed, Crm(before_send=lambda first: both.wait(5) and None if first in (0, 190) else None), kept)
    assert set(kept.ids) == everybody(feed)
    last = kept.saves[-1][-1]
    assert (last.next, last.bookmark) == (None, "done")


def test_what_one_lane_brings_is_saved_while_another_waits_for_its_answer() -> None:
    feed, kept = FromBothEnds(200), Kept()
    saved_meanwhile: list[int] = []

    def wait_for_thirty(first: int) -> None:
        if first == 190:
            deadline = time.monotonic() + 10
            while len(kept.ids) < 30 and time.monotonic() < deadline:
                time.sleep(0.01)
            saved_meanwhile.append(len(kept.ids))

    walk(feed, Crm(before_send=wait_for_thirty), kept)
    assert saved_meanwhile
    assert min(saved_meanwhile) >= 30
    assert set(kept.ids) == everybody(feed)


def test_a_lane_that_is_told_to_wait_long_does_not_stop_the_others() -> None:
    feed, kept = FromBothEnds(200), Kept()

    def out_of_quota(first: int) -> None:
        if first >= 150:
            raise TryLater("Tomorrow.", after=timedelta(hours=5), code="quota")

    with pytest.raises(TryLater):
        walk(feed, Crm(before_send=out_of_quota), kept)
    assert set(kept.ids) == {f"n{number}" for number in range(150)}
    walk(feed, Crm(), kept, kept.cursor)
    assert set(kept.ids) == everybody(feed)


def test_a_lane_that_was_left_behind_is_not_missed_when_the_others_read_what_it_would_have() -> None:
    feed, kept = FromBothEnds(200), Kept()
    is_refused: list[int] = []

    def refuse_from_the_end(first: int) -> None:
        if first == 190 and not is_refused:
            is_refused.append(first)
            raise TryLater("Later.", after=timedelta(hours=5), code="rate_limited")

    walk(feed, Crm(before_send=refuse_from_the_end), kept)
    assert set(kept.ids) == everybody(feed)


def test_a_page_that_cannot_be_read_in_one_lane_leaves_the_others_to_go_on() -> None:
    class Cut(FromBothEnds):
        def read(self, cursor: Cursor, reply: Reply) -> Page:
            if cursor["from"] == 150:
                raise Unreadable("Cut.")
            return super().read(cursor, reply)

    feed, kept = Cut(200), Kept()
    with pytest.raises(Unreadable):
        walk(feed, Crm(), kept)
    assert {f"n{number}" for number in range(150)} <= set(kept.ids)


def test_a_lost_sign_in_stops_all_lanes_and_keeps_what_they_brought() -> None:
    feed, kept = FromBothEnds(100_000), Kept()

    def fail(first: int) -> None:
        if first == 40:
            raise NeedsReconnect("Sign in again.")

    with pytest.raises(NeedsReconnect):
        walk(feed, Crm(before_send=fail), kept)
    assert {f"n{number}" for number in range(40)} <= set(kept.ids)
    assert kept.cursor is not None
    assert kept.cursor["low"] == 40
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lane")]


def test_wherever_a_pass_is_killed_it_goes_on_with_the_rest() -> None:
    feed, kept = FromBothEnds(500), Kept()
    walk(feed, Crm(), kept)
    saved: set[str] = set()
    for page in (page for save in kept.saves for page in save):
        saved |= {contact.external_id for contact in page.contacts}
        if page.next is not None:
            rest = Kept()
            walk(feed, Crm(), rest, json.loads(json.dumps(page.next)))
            assert saved | set(rest.ids) == everybody(feed)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return lambda seconds: monkeypatch.setattr(pages, "IMPATIENT_AFTER_S", seconds)


def test_a_vendor_that_answers_at_once_is_read_in_one_lane(patience: Callable[[float], None]) -> None:
    patience(60)
    feed, kept = FromBothEnds(300), Kept()
    walk(feed, Crm(), kept, feed.first(bookmark=None, now=NOW))
    assert feed.widened == []
    assert kept.ids == [f"n{number}" for number in range(300)]


def test_while_the_vendor_takes_its_time_another_lane_is_opened(patience: Callable[[float], None]) -> None:
    patience(0.001)
    feed, kept = FromBothEnds(300), Kept()
    from_the_end = threading.Event()

    def send(first: int) -> None:
        if first == 290:
            from_the_end.set()
        if first == 0:
            assert from_the_end.wait(10)

    walk(feed, Crm(before_send=send), kept, feed.first(bookmark=None, now=NOW))
    assert from_the_end.is_set()
    assert set(kept.ids) == everybody(feed)


def test_a_lane_that_walks_in_a_circle_is_stopped() -> None:
    class Circle(FromBothEnds):
        def join(self, cursor: Cursor, lane: str, page: Page) -> Page:
            return Page(next=cursor)

    with pytest.raises(Unreadable, match="again and again"):
        walk(Circle(100), Crm(), Kept())


@pytest.fixture
def large() -> Iterator[Sandbox]:
    with Sandbox(contacts=2500, seed=7, latency_ms=60) as box:
        yield box


def test_contacts_the_search_learns_of_late_are_there_after_the_next_refresh(
    large: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    large.set_index_lag(100)
    ids = [contact.id for contact in large.contacts()]
    late = {large.create(firstname="Late", phone=f"+1212736{number:04}") for number in range(40)}
    large.change(ids[-3], firstname="Changed", lastname="Lately")
    connection, run = connect(large)
    assert run.state == RunState.DONE
    assert "POST /crm/v3/objects/contacts/search" in large.stats().paths
    large.advance(120)
    refresh(connection)
    with account_scope(connection.account_id):
        kept = dict(SourceContact.objects.values_list("external_id", "name"))
    assert set(kept) == {*ids, *late}
    assert kept[ids[-3]] == "Changed Lately"


def test_an_overwrite_takes_no_search_for_the_truth(large: Sandbox, connect: Connect, refresh: Refresh) -> None:
    connection, _ = connect(large)
    large.reset_stats()
    run = refresh(connection, strategy="overwrite")
    assert (run.state, run.gone) == (RunState.DONE, 0)
    assert large.stats().paths["POST /crm/v3/objects/contacts/search"] <= 3, "the newest, the changes, the count"
