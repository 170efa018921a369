"""HubSpot: nothing lost and nothing repeated, however many contacts change at once and whatever happens meanwhile."""

from datetime import timedelta

import pytest
from tests.providers.conformance import NOW, Walk, walk, walk_table
from tests.providers.fakes.hubspot import Portal, ok, with_contacts

from leadloom.contact import JSON
from leadloom.errors import Unreadable
from leadloom.providers.base import Feed, Gone, Merge, Reply
from leadloom.providers.catalogue import provider

hubspot = provider("hubspot")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def everything(portal: Portal) -> Walk:
    return walk(hubspot.everything(), portal)


def test_the_first_request_brings_the_newest_contacts_and_the_total() -> None:
    portal = with_contacts(300)
    portal.add(5, NOW, firstname="Newest")  # a low id: ids do not grow with time
    first = everything(portal).pages[0]
    assert first.records[0]["properties"]["firstname"] == "Newest"
    assert len(first.records) == 200
    assert first.total == 301


def test_a_first_import_reads_every_contact_and_a_page_of_newest() -> None:
    done = everything(with_contacts(450))
    assert len(set(done.ids)) == 450
    assert len(done.requests) == 1 + 5


def test_a_contact_made_behind_the_cursor_of_a_first_import_comes_with_the_changes() -> None:
    portal = with_contacts(450)

    def life_goes_on(requests: int) -> None:
        if requests == 4:
            portal.add(7, NOW + timedelta(seconds=2))

    imported = walk(hubspot.everything(), portal, after_each=life_goes_on)
    assert "7" not in imported.ids
    assert "7" in walk(hubspot.changes(), portal, bookmark=imported.bookmark, now=NOW + MINUTE).ids


def test_25_000_contacts_of_one_millisecond_are_each_read_once() -> None:
    done = walk(hubspot.changes(), with_contacts(25_000))
    assert len(done.ids) == len(set(done.ids)) == 25_000


def test_a_window_of_more_than_10_000_contacts_never_uses_an_offset() -> None:
    portal = Portal()
    for number in range(10_450):
        portal.add(number + 1, NOW - number * timedelta(seconds=1))
    done = walk(hubspot.changes(), portal)
    assert len(done.ids) == len(set(done.ids)) == 10_450
    assert all("after" not in (request.body or {}) for request in done.requests)  # type: ignore[operator]


def test_nothing_changed_takes_one_or_two_requests() -> None:
    portal = with_contacts(100)
    imported = everything(portal)
    later = walk(hubspot.changes(), portal, bookmark=imported.bookmark, now=NOW + HOUR)
    assert len(later.requests) <= 2
    assert len(walk(hubspot.changes(), portal, bookmark=later.bookmark, now=NOW + 2 * HOUR).requests) <= 2


def test_an_empty_portal_takes_one_request() -> None:
    portal = Portal()
    bookmark = everything(portal).bookmark
    assert len(walk(hubspot.changes(), portal, bookmark=bookmark, now=NOW + HOUR).requests) == 1


def test_100_changed_take_two_requests() -> None:
    portal = Portal()
    for number in range(1000):
        portal.add(number + 1, NOW - number * HOUR)
    bookmark = everything(portal).bookmark
    for number in range(100, 200):
        portal.people[number + 1].modified = NOW + 30 * MINUTE
    done = walk(hubspot.changes(), portal, bookmark=bookmark, now=NOW + HOUR)
    assert set(done.ids) >= {str(number + 1) for number in range(100, 200)}
    assert len(done.requests) <= 3


def test_an_edit_made_seconds_before_refresh_is_seen() -> None:
    portal = with_contacts(10)
    bookmark = everything(portal).bookmark
    portal.people[1003].modified = NOW + HOUR - timedelta(seconds=5)
    assert "1003" in walk(hubspot.changes(), portal, bookmark=bookmark, now=NOW + HOUR).ids


def test_two_passes_at_the_same_moment_both_work() -> None:
    portal = with_contacts(10)
    bookmark = everything(portal).bookmark
    first = walk(hubspot.changes(), portal, bookmark=bookmark)
    portal.people[1003].modified = NOW + timedelta(seconds=1)
    assert "1003" in walk(hubspot.changes(), portal, bookmark=first.bookmark).ids


@pytest.mark.parametrize("edited_at", [-30, 0, 1, 30])  # seconds from the start of the pass
@pytest.mark.parametrize("contact", [1000, 1210, 1449])  # behind the cursor, beside it, ahead of it
def test_a_contact_edited_while_a_pass_runs_is_read_then_or_by_the_next_one(edited_at: int, contact: int) -> None:
    portal = with_contacts(450)
    seen: set[str] = set()

    def life_goes_on(requests: int) -> None:
        if requests == 4:
            portal.people[contact].modified = NOW + timedelta(seconds=edited_at)
            portal.people[contact].properties["firstname"] = "Edited"

    first = walk(hubspot.changes(), portal, after_each=life_goes_on)
    second = walk(hubspot.changes(), portal, bookmark=first.bookmark, now=NOW + HOUR)
    for page in (*first.pages, *second.pages):
        seen |= {str(row["id"]) for row in page.records if row["properties"].get("firstname") == "Edited"}
    assert str(contact) in seen
    assert set(first.ids) | set(second.ids) == {str(id) for id in portal.people}


def test_a_contact_the_index_learns_of_minutes_late_is_read_by_the_next_pass() -> None:
    portal = with_contacts(50)
    portal.add(7, NOW - MINUTE)
    portal.people[1010].modified = NOW  # something newer has been indexed already
    portal.not_indexed = {7}
    first = walk(hubspot.changes(), portal)
    assert "7" not in first.ids
    portal.not_indexed = set()
    assert "7" in walk(hubspot.changes(), portal, bookmark=first.bookmark, now=NOW + HOUR).ids


def test_an_index_that_stands_still_holds_the_bookmark_until_it_moves() -> None:
    portal = with_contacts(20)
    bookmark = everything(portal).bookmark
    portal.people[1003].modified = NOW + 10 * MINUTE  # the last that the index learns of
    portal.people[1007].modified = NOW + 20 * MINUTE
    portal.not_indexed = {1007}
    for hours in range(1, 6):
        done = walk(hubspot.changes(), portal, bookmark=bookmark, now=NOW + hours * HOUR)
        assert "1007" not in done.ids
        bookmark = done.bookmark
    portal.not_indexed = set()
    assert "1007" in walk(hubspot.changes(), portal, bookmark=bookmark, now=NOW + 6 * HOUR).ids


@pytest.mark.parametrize("feed", [hubspot.everything(), hubspot.changes()], ids=["everything", "changes"])
def test_a_change_read_late_in_a_long_pass_does_not_hide_one_made_behind_the_cursor(feed: Feed) -> None:
    portal = with_contacts(450)

    def life_goes_on(requests: int) -> None:
        if requests == 4:
            portal.people[1000].modified = NOW + 20 * MINUTE  # its page has been read
            portal.people[1449].modified = NOW + 50 * MINUTE  # its page has not

    long = walk(feed, portal, after_each=life_goes_on)
    if feed == hubspot.everything():
        assert long.pages[-1].records[-1]["updatedAt"] > "2026-11-02T09:45"
    assert "1000" in walk(hubspot.changes(), portal, bookmark=long.bookmark, now=NOW + 2 * HOUR).ids


def test_a_contact_changed_again_is_read_again() -> None:
    portal = with_contacts(3)
    bookmark = everything(portal).bookmark
    for hours in range(1, 4):
        portal.people[1001].modified = NOW + hours * HOUR - MINUTE
        done = walk(hubspot.changes(), portal, bookmark=bookmark, now=NOW + hours * HOUR)
        assert "1001" in done.ids
        bookmark = done.bookmark


def test_a_contact_that_went_between_search_and_reading_is_gone() -> None:
    portal = with_contacts(3)

    def life_goes_on(requests: int) -> None:
        if requests == 1:
            portal.people[1001].is_archived = True

    done = walk(hubspot.changes(), portal, after_each=life_goes_on)
    assert done.gone == [Gone("1001")]
    assert set(done.ids) == {"1000", "1002"}
    assert done.bookmark is not None


def test_a_contact_merged_between_search_and_reading_points_to_the_one_that_remains() -> None:
    portal = with_contacts(3)

    def life_goes_on(requests: int) -> None:
        if requests == 1:
            del portal.people[1001], portal.people[1002]
            portal.add(9000, NOW, hs_merged_object_ids="1001;1002")
            portal.now_called = {1001: 9000, 1002: 9000}

    done = walk(hubspot.changes(), portal, after_each=life_goes_on)
    assert {Merge("1001", "9000"), Merge("1002", "9000")} == set(done.merged)
    assert done.gone == []
    assert "9000" in done.ids


def test_a_contact_that_answers_under_another_id_was_merged_even_if_nothing_else_says_so() -> None:
    portal = with_contacts(2)

    def life_goes_on(requests: int) -> None:
        if requests == 1:
            del portal.people[1001]
            portal.add(9000, NOW)
            portal.now_called = {1001: 9000}

    assert walk(hubspot.changes(), portal, after_each=life_goes_on).merged == [Merge("1001", "9000")]


def test_contacts_missing_from_every_batch_are_asked_for_one_by_one() -> None:
    portal = with_contacts(450)
    for number in range(0, 450, 90):
        portal.people[1000 + number].is_deaf_to_batch = True
    done = walk(hubspot.changes(), portal)
    assert len(done.ids) == len(set(done.ids)) == 450


def test_a_merge_is_followed_by_the_survivors_former_ids() -> None:
    portal = with_contacts(1)
    portal.add(9000, NOW, hs_merged_object_ids="41;42")
    assert set(walk(hubspot.changes(), portal).merged) == {Merge("41", "9000"), Merge("42", "9000")}
    assert set(everything(portal).merged) == {Merge("41", "9000"), Merge("42", "9000")}


def test_archived_contacts_are_gone_with_the_time_they_went() -> None:
    portal = with_contacts(250)
    for person in portal.people.values():
        person.is_archived = person.id % 2 == 0
    feed = hubspot.gone()
    assert feed is not None
    done = walk(feed, portal)
    assert [gone.external_id for gone in done.gone] == [str(id) for id in range(1000, 1250, 2)]
    assert done.gone[0].at == NOW - HOUR
    assert len(done.requests) == 2


def test_those_merged_into_a_contact_that_was_archived_since_point_to_it() -> None:
    portal = Portal()
    portal.add(9000, NOW, hs_merged_object_ids="41;42").is_archived = True
    feed = hubspot.gone()
    assert feed is not None
    assert set(walk(feed, portal).merged) == {Merge("41", "9000"), Merge("42", "9000")}


@pytest.mark.parametrize(
    "ids",
    [
        ["5", "4"],  # descending
        ["5", "5"],  # twice
        ["9", "10", "1"],  # as text, not as numbers
        ["five"],
        ["0"],  # at or before where the search starts
        [""],
    ],
)
def test_a_search_out_of_order_is_not_believed(ids: list[str]) -> None:
    feed = hubspot.changes()
    cursor = feed.first(bookmark=None, now=NOW)
    with pytest.raises(Unreadable):
        feed.read(cursor, ok({"total": len(ids), "results": [{"id": id} for id in ids]}))


def test_half_a_character_in_one_contact_does_not_stop_the_others() -> None:
    feed = hubspot.everything()
    cursor = feed.first(bookmark=None, now=NOW)
    body = rb'{"total": 2, "results": [{"id":"1","properties":{"firstname":"Ad\ud83d"}},{"id":"2","properties":{}}]}'
    page = feed.read(cursor, Reply(200, {}, body))
    assert [row["id"] for row in page.records] == ["1", "2"]
    page.records[0]["properties"]["firstname"].encode()


def test_owners_who_left_keep_their_names() -> None:
    owners: dict[str, JSON] = {}
    for table in hubspot.tables():
        if table.name == "owners":
            owners |= walk_table(table, Portal())[0]
    assert owners == {
        "77": {"name": "Olive Owner", "email": "olive@acme.example"},
        "78": {"name": "Lena Left", "email": "lena@acme.example"},
    }


def test_companies_are_asked_for_a_hundred_at_a_time_and_only_where_the_contact_names_none() -> None:
    def record(id: int, company: str | None, associated: str | None) -> dict[str, object]:
        return {"id": str(id), "properties": {"company": company, "associatedcompanyid": associated}}

    records = [record(id, None, str(id % 150 + 1)) for id in range(300)]
    records += [
        record(301, "Acme", "777"),
        record(302, None, "888"),
        record(303, None, "12; 13"),
        record(304, None, None),
    ]
    tables = {"companies": {"888": "Known"}}
    portal = Portal()
    rows = [walk_table(table, portal) for table in hubspot.missing(records, tables)]
    assert [(len(names), requests) for names, requests in rows] == [(100, 1), (50, 1)]


def test_a_company_that_is_gone_is_not_asked_for_again() -> None:
    (table,) = hubspot.missing([{"id": "1", "properties": {"associatedcompanyid": "5"}}], {})
    assert table.read(table.first(), ok({"results": []}, status=207)).rows == {"5": ""}
