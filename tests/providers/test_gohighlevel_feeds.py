"""GoHighLevel: nothing lost and nothing repeated, though moved opportunities leave no mark on their contacts."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from tests.providers.conformance import Walk, walk, walk_side_by_side
from tests.providers.fakes.gohighlevel import Location, with_contacts

from leadloom.errors import NeedsReconnect, NotAllowed, TokenExpired, TryLater, Unreadable
from leadloom.providers.base import CrmAccount, Feed, Gone, Reply, Request, SideBySide
from leadloom.providers.crms.gohighlevel import MOST_ONE_BY_ONE, provider
from leadloom.sandbox.gohighlevel.location import GoHighLevel
from leadloom.sandbox.gohighlevel.records import firm_of
from leadloom.sandbox.gohighlevel.staff import STAGES
from leadloom.sandbox.gohighlevel.store import Store
from leadloom.sandbox.names import FIRMS
from leadloom.sync.pages import read_pages

OFFER = next(stage for stage in STAGES if stage.name.startswith("Offer"))


def store_of(location: Location) -> Store:
    return location.crm.hub.store


def now_at(location: "Location | Shuffling") -> datetime:
    return datetime.fromtimestamp(location.crm.clock.now_ms() / 1000, UTC)


def read(feed: Feed, location: Location, bookmark: str | None = None, **options: Any) -> Walk:
    return walk(feed, location, bookmark=bookmark, now=now_at(location), **options)


def imported(location: Location) -> str:
    """The bookmark of an import and of the refresh after it; then another hour has passed."""
    first = read(provider.everything(), location).bookmark
    location.crm.clock.advance(3600)
    bookmark = read(provider.changes(), location, first).bookmark
    assert bookmark is not None
    location.crm.clock.advance(3600)
    return bookmark


def an_id(location: Location, place: int = 0) -> str:
    return store_of(location).ids.of(place)


def change(location: Location, own_id: str, **values: Any) -> None:
    store = store_of(location)
    record = store.get(own_id)
    assert record is not None
    store.change(record, values)


def move(location: Location, own_id: str) -> None:
    record = store_of(location).get(own_id)
    assert record is not None
    store_of(location).move(record, stage=OFFER.id, status="open")


def test_the_first_page_brings_the_newest_contacts_and_the_total() -> None:
    location = with_contacts(700)
    first = read(provider.everything(), location).pages[0]
    added = [row["dateAdded"] for row in first.records]
    assert added == sorted(added, reverse=True)
    assert len(added) == 100
    assert first.total == 700


def test_an_import_reads_everybody_once_five_hundred_a_page() -> None:
    done = read(provider.everything(), with_contacts(1300))
    assert len(done.ids) == len(set(done.ids)) == 1300
    assert len(done.requests) == 1 + 3


def test_more_than_ten_thousand_contacts_are_read_without_page_numbers() -> None:
    done = read(provider.everything(), with_contacts(10_700))
    assert len(set(done.ids)) == 10_700
    assert all("page" not in (request.body or {}) for request in done.requests)  # type: ignore[operator]


def test_contacts_of_one_millisecond_are_each_read_once() -> None:
    location = with_contacts(1200)
    bookmark = imported(location)
    store = store_of(location)
    at = location.crm.clock.now_ms()
    for own_id in store.some_live_ids(1200):
        record = store.get(own_id)
        assert record is not None
        store.change(record, {"city": "Austin"}, at_ms=at)
    done = read(provider.changes(), location, bookmark)
    assert len(done.ids) == len(set(done.ids)) == 1200


def test_a_contact_that_changes_during_an_import_is_not_passed_over() -> None:
    location = with_contacts(1300)
    ids = store_of(location).some_live_ids(1300)

    def life_goes_on(requests: int) -> None:
        change(location, ids[requests * 40], city=f"City {requests}")

    done = read(provider.everything(), location, after_each=life_goes_on)
    assert len(set(done.ids)) == 1300


def test_a_contact_made_during_an_import_comes_with_the_changes() -> None:
    location = with_contacts(700)

    def life_goes_on(requests: int) -> None:
        if requests == 1:
            made.append(store_of(location).create(_values(location)).id)

    made: list[str] = []
    done = read(provider.everything(), location, after_each=life_goes_on)
    assert made[0] not in done.ids
    assert made[0] in read(provider.changes(), location, done.bookmark).ids


def _values(location: Location) -> dict[str, Any]:
    record = store_of(location).get(an_id(location))
    assert record is not None
    return {**record.values, "firstName": "New", "email": "new@example.com"}


def test_a_quiet_hour_costs_two_requests_and_reads_nobody() -> None:
    location = with_contacts(300)
    quiet = read(provider.changes(), location, imported(location))
    assert quiet.ids == []
    assert len(quiet.requests) == 2
    assert read(provider.changes(), location, quiet.bookmark).ids == []


def test_a_change_is_read_in_one_request_and_not_read_again() -> None:
    location = with_contacts(300)
    bookmark = imported(location)
    change(location, an_id(location, 7), city="Austin")
    done = read(provider.changes(), location, bookmark)
    assert done.ids == [an_id(location, 7)]
    assert len(done.requests) == 2
    assert read(provider.changes(), location, done.bookmark).ids == []


def test_what_the_index_shows_late_is_in_the_next_pass() -> None:
    location = with_contacts(300)
    bookmark = imported(location)
    change(location, an_id(location, 1), city="Austin")
    location.crm.clock.advance(30)
    store_of(location).index_lag_s = 40
    change(location, an_id(location, 2), city="Denver")
    location.crm.clock.advance(10)
    early = read(provider.changes(), location, bookmark)
    assert early.ids == [an_id(location, 1)]
    location.crm.clock.advance(60)
    assert read(provider.changes(), location, early.bookmark).ids == [an_id(location, 2)]


def test_a_contact_whose_opportunity_moved_is_read_though_it_did_not_change() -> None:
    location = with_contacts(300)
    bookmark = imported(location)
    move(location, an_id(location, 5))
    done = read(provider.changes(), location, bookmark)
    (record,) = [record for page in done.pages for record in page.records]
    assert record["id"] == an_id(location, 5)
    assert OFFER.id in [deal["pipelineStageId"] for deal in record["opportunities"]]
    assert read(provider.changes(), location, done.bookmark).ids == []


def test_a_contact_read_alone_is_the_same_contact() -> None:
    location = with_contacts(60)
    bookmark = imported(location)
    store = store_of(location)
    ids = [one for one in store.some_live_ids(60) if (found := store.get(one)) is not None and found.deals]
    for own_id in ids:
        move(location, own_id)
    alone = [row for page in read(provider.changes(), location, bookmark).pages for row in page.records]
    found = [row for page in read(provider.everything(), location).pages for row in page.records if row["id"] in ids]
    assert sorted(map(_shown, alone)) == sorted(map(_shown, found)) != []


def _shown(row: dict[str, Any]) -> str:
    firm = {"businesses": {row.get("businessId", ""): row.get("businessName") or _firm(row)}}
    tables: dict[str, Any] = {"stages": {stage.id: stage.name for stage in STAGES}, **firm}
    contact = provider.contact(row, tables=tables, account=CrmAccount(external_id="loc"), region="US")
    return repr((contact.name, contact.phones, contact.emails, contact.company, contact.stage, contact.opted_out))


def _firm(row: dict[str, Any]) -> str:
    firm = firm_of(row.get("businessId") or "")
    return "" if firm is None else FIRMS[firm]


def test_an_import_of_opportunities_costs_no_more_than_a_walk_over_all_contacts() -> None:
    location = with_contacts(700)
    bookmark = imported(location)
    ids = store_of(location).some_live_ids(MOST_ONE_BY_ONE + 50)
    for own_id in ids:
        move(location, own_id)
    done = read(provider.changes(), location, bookmark)
    assert set(ids) <= set(done.ids)
    assert len(done.requests) == 1 + 2 + 2
    location.crm.clock.advance(3600)
    again = read(provider.changes(), location, done.bookmark)
    assert len(again.ids) <= 50  # those that the bookmark could not remember
    location.crm.clock.advance(3600)
    assert read(provider.changes(), location, again.bookmark).ids == []


def test_a_contact_that_is_gone_when_its_opportunity_is_followed_is_gone() -> None:
    location = with_contacts(300)
    bookmark = imported(location)
    move(location, an_id(location, 5))
    store_of(location).index_lag_s = 60
    record = store_of(location).get(an_id(location, 5))
    assert record is not None
    store_of(location).delete(record)
    assert read(provider.changes(), location, bookmark).gone == [Gone(an_id(location, 5))]


def test_without_searches_of_opportunities_the_changes_of_contacts_still_come() -> None:
    location = with_contacts(300)
    bookmark = imported(location)
    change(location, an_id(location, 7), city="Austin")
    refusing = Spoiling(location, lambda asked: asked.path == "/opportunities/search", status=400)
    assert walk(provider.changes(), refusing, bookmark=bookmark, now=now_at(location)).ids == [an_id(location, 7)]


def test_where_five_hundred_a_page_are_refused_a_hundred_are_asked_for() -> None:
    location = with_contacts(450)
    refusing = Spoiling(location, lambda asked: (asked.body or {}).get("pageLimit", 0) > 100, status=422)  # type: ignore[union-attr]
    done = walk(provider.everything(), refusing, now=now_at(location))
    assert len(set(done.ids)) == 450
    assert [len(page.records) for page in done.pages] == [100, 0, 100, 100, 100, 50]


def test_a_page_that_comes_again_is_not_taken_for_the_next_one() -> None:
    location = with_contacts(700)
    feed = provider.everything()
    cursor = feed.first(bookmark=None, now=now_at(location))
    reply = location.answer(feed.request(cursor))
    following = feed.read(cursor, reply).next
    assert following is not None
    with pytest.raises(Unreadable):
        feed.read(following, reply)


def test_an_exact_pass_that_missed_somebody_does_not_end_well() -> None:
    location = with_contacts(300)
    losing = Losing(location)
    walk(provider.everything(), losing, now=now_at(location))
    with pytest.raises(Unreadable):
        walk(provider.everything(exact=True), losing, now=now_at(location))


def test_an_exact_pass_is_not_disturbed_by_contacts_made_meanwhile() -> None:
    location = with_contacts(700)

    def life_goes_on(requests: int) -> None:
        location.crm.clock.advance(1)
        store_of(location).create(_values(location))

    assert len(set(read(provider.everything(exact=True), location, after_each=life_goes_on).ids)) == 700


# -- in several lanes


def side_by_side(location: "Location | Shuffling", dice: Random) -> Walk:
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    return walk_side_by_side(feed, location, dice, now=now_at(location))


@pytest.mark.parametrize("seed", range(4))
def test_lanes_share_out_contacts_that_were_made_in_one_millisecond(seed: int) -> None:
    location = with_contacts(1500)
    at = location.crm.clock.now_ms() - 90 * 86_400_000
    made = {store_of(location).create(_values(location), at_ms=at).id for _ in range(1700)}
    done = side_by_side(location, Random(seed))
    assert made <= set(done.ids)
    assert len(set(done.ids)) == 3200


def test_lanes_ask_for_little_twice() -> None:
    done = side_by_side(with_contacts(12_000), Random(1))
    assert len(set(done.ids)) == 12_000
    assert len(done.ids) < 12_000 * 1.15
    assert len(done.requests) <= 2 + 24 + 12


@pytest.mark.parametrize("seed", range(4))
def test_a_stretch_out_of_order_turns_the_pass_into_one_walk(seed: int) -> None:
    location = with_contacts(3000)
    done = side_by_side(Shuffling(location), Random(seed))
    assert len(set(done.ids)) == 3000
    assert all(cursor["step"] == "walk" for cursor in done.cursors[-6:])


@dataclass
class Shuffling:
    """Answers within a stretch of time in no order."""

    location: Location

    @property
    def crm(self) -> GoHighLevel:
        return self.location.crm

    def answer(self, request: Request) -> Reply:
        reply = self.location.answer(request)
        body = json.loads(reply.body)
        if isinstance(request.body, dict) and request.body.get("filters"):
            body["contacts"].reverse()
        return Reply(reply.status, reply.headers, json.dumps(body).encode())


@dataclass
class Confused:
    """Answers one search of contacts with a page it gave before (``stale``), or with its page turned around."""

    location: Location
    is_stale: bool
    spoils: int
    """Which search."""
    searches: int = 0
    earlier: list[Reply] = field(default_factory=list)

    def send(self, request: Request) -> Reply:
        reply = self.location.answer(request)
        if request.path != "/contacts/search":
            return reply
        self.searches += 1
        self.earlier.append(reply)
        if self.searches != self.spoils:
            return reply
        if self.is_stale:
            return self.earlier[1]
        body = json.loads(reply.body)
        body["contacts"].reverse()
        return Reply(reply.status, reply.headers, json.dumps(body).encode())

    def wait(self, seconds: float) -> None:
        pass


@pytest.mark.parametrize("is_stale", [True, False], ids=["a page given before", "a page turned around"])
@pytest.mark.parametrize("spoils", [3, 4])
def test_a_page_that_is_not_the_one_asked_for_is_asked_for_again_and_nobody_is_left_out(
    is_stale: bool, spoils: int
) -> None:
    location = with_contacts(1900)
    bookmark = imported(location)
    at = location.crm.clock.now_ms()
    for number, own_id in enumerate(store_of(location).some_live_ids(1900)):
        record = store_of(location).get(own_id)
        assert record is not None
        store_of(location).change(record, {"city": "Austin"}, at_ms=at + number)
    for feed, since in ((provider.everything(), None), (provider.changes(), bookmark)):
        crm = Confused(location, is_stale, spoils)
        pages = list(read_pages(feed, feed.first(bookmark=since, now=now_at(location)), crm))
        assert len({row["id"] for page in pages for row in page.records}) == 1900


@dataclass
class Spoiling:
    """Refuses some requests."""

    location: Location
    is_refused: Callable[[Request], bool]
    status: int

    def answer(self, request: Request) -> Reply:
        if self.is_refused(request):
            assert self.status in request.accept
            return Reply(self.status, {}, b'{"message": "Invalid field"}')
        return self.location.answer(request)


@dataclass
class Losing:
    """Leaves one contact out of the first page."""

    location: Location

    def answer(self, request: Request) -> Reply:
        reply = self.location.answer(request)
        body = json.loads(reply.body)
        if len(body.get("contacts", ())) == 100:
            del body["contacts"][50]
        return Reply(reply.status, reply.headers, json.dumps(body).encode())


# -- whose contacts these are


def test_a_sign_in_for_a_whole_agency_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ValueError, match="sub-account"):
        provider.for_account(CrmAccount(external_id="", facts={}))


@pytest.mark.parametrize("location", ["../users", "a b", "x" * 101, "é"])
def test_what_is_no_location_id_never_reaches_an_address(location: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        provider.for_account(CrmAccount(external_id="", facts={"locationId": location}))


def test_every_request_names_the_location() -> None:
    mine = provider.for_account(CrmAccount(external_id="LocOfAcme"))
    cursor = mine.everything().first(bookmark=None, now=datetime.now(UTC))
    body = mine.everything().request(cursor).body
    assert isinstance(body, dict)
    assert body["locationId"] == "LocOfAcme"
    assert mine.account_request().path == "/locations/LocOfAcme"


# -- refusals


def explained(status: int, body: object = None, **headers: str) -> Exception:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return provider.explain(Reply(status, told, json.dumps(body).encode()), now=datetime.now(UTC))


def test_refusals_are_told_apart_by_status_never_by_words() -> None:
    assert isinstance(explained(401, {"message": "The token is not authorized for this scope."}), TokenExpired)
    assert isinstance(explained(403), NotAllowed)
    assert not isinstance(explained(400, {"message": "Invalid JWT"}), NeedsReconnect | TokenExpired)
    assert isinstance(explained(503), TryLater)


def test_a_limit_of_seconds_waits_its_interval_and_a_spent_day_until_it_is_renewed() -> None:
    soon = explained(429, x_ratelimit_interval_milliseconds="10000", x_ratelimit_daily_remaining="17")
    assert isinstance(soon, TryLater)
    assert (soon.code, soon.after.total_seconds()) == ("rate_limited", 10)
    tomorrow = explained(429, x_ratelimit_daily_remaining="0", x_ratelimit_daily_reset="81381000")
    assert isinstance(tomorrow, TryLater)
    assert (tomorrow.code, tomorrow.after.total_seconds()) == ("quota", 81381)


def test_the_pace_follows_the_headers() -> None:
    reply = Reply(200, {"x-ratelimit-max": "120", "x-ratelimit-interval-milliseconds": "10000",
                        "x-ratelimit-remaining": "99", "x-ratelimit-limit": "5000"}, b"")  # fmt: skip
    limit = provider.allowance(reply)
    assert limit is not None
    assert (limit.requests, limit.per.total_seconds()) == (120, 10)
    assert provider.remaining(reply) == 99
