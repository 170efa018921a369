"""Feeds read in several places at once: in any order, stopped anywhere, with an index that lags, all is read."""

import json
from collections.abc import Mapping
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from tests.providers.conformance import NOW, crm_with_contacts, kept, walk, walk_side_by_side
from tests.providers.fakes.hubspot import Portal, ok

from leadloom.providers.base import Reply, Request, SideBySide
from leadloom.providers.catalogue import all_providers, provider

hubspot = provider("hubspot")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

lanes = pytest.mark.parametrize(
    "feed",
    [
        pytest.param(feed, id=f"{crm.slug}-{'exact' if is_exact else 'first'}")
        for crm in all_providers()
        for is_exact in (False, True)
        if isinstance(feed := crm.everything(exact=is_exact), SideBySide)
    ],
)
seeds = pytest.mark.parametrize("seed", range(6))


def slug_of(feed: SideBySide) -> str:
    return next(crm.slug for crm in all_providers() if feed in (crm.everything(), crm.everything(exact=True)))


def hubspots(*, exact: bool = False) -> SideBySide:
    feed = hubspot.everything(exact=exact)
    assert isinstance(feed, SideBySide)
    return feed


@lanes
@seeds
@pytest.mark.parametrize("contacts", [0, 450, 3000])
def test_every_contact_is_read_in_whatever_order_the_lanes_are_answered(
    feed: SideBySide, seed: int, contacts: int
) -> None:
    done = walk_side_by_side(feed, crm_with_contacts(slug_of(feed), contacts), Random(seed))
    assert len(set(done.ids)) == contacts
    assert all(page.next is not None and page.bookmark is None for page in done.pages[:-1])
    assert done.bookmark is not None


@lanes
@seeds
def test_a_pass_stopped_in_the_midst_of_its_lanes_skips_nobody(feed: SideBySide, seed: int) -> None:
    source, dice = crm_with_contacts(slug_of(feed), 3000), Random(seed)
    before = walk_side_by_side(feed, source, dice, requests_before_a_crash=4 + 3 * seed)
    after = walk_side_by_side(feed, source, dice, start=before.cursors[-1])
    assert len({*before.ids, *after.ids}) == 3000


@lanes
def test_a_pass_with_lanes_can_be_finished_by_one_cursor(feed: SideBySide) -> None:
    source = crm_with_contacts(slug_of(feed), 3000)
    before = walk_side_by_side(feed, source, Random(1), requests_before_a_crash=12)
    assert len({*before.ids, *walk(feed, source, start=before.cursors[-1]).ids}) == 3000


@lanes
def test_a_lane_asks_the_same_each_time_and_nothing_is_changed_by_joining(feed: SideBySide) -> None:
    source = crm_with_contacts(slug_of(feed), 3000)
    for cursor in walk_side_by_side(feed, source, Random(2)).cursors:
        before = json.dumps(cursor)
        for lane, at in feed.lanes(cursor).items():
            assert feed.request(at) == feed.request(kept(at))
            page = feed.read(at, source.answer(feed.request(at)))
            assert feed.join(cursor, lane, page) == feed.join(cursor, lane, page)
        feed.more(cursor)
        assert json.dumps(cursor) == before


def large_portal(contacts: int = 3000) -> Portal:
    """Ids far apart, changed at a time each of its own, long ago."""
    portal = Portal()
    for number in range(contacts):
        portal.add(1000 + 131 * number, NOW - HOUR - number * MINUTE)
    return portal


def test_a_run_stopped_before_there_were_lanes_goes_on_where_it_was() -> None:
    cursor = {"step": "list", "started": NOW.isoformat(), "latest": None, "edge": {}, "after": str(1000 + 131 * 2000)}
    done = walk_side_by_side(hubspots(), large_portal(), Random(1), start=cursor)  # type: ignore[arg-type]
    assert len(done.ids) == len(set(done.ids)) == 1000
    newest = {"step": "newest", "started": NOW.isoformat(), "latest": None, "edge": {}}
    assert len(set(walk_side_by_side(hubspots(), large_portal(), Random(1), start=newest).ids)) == 3000  # type: ignore[arg-type]


@seeds
def test_contacts_that_the_index_does_not_know_yet_come_with_the_changes(seed: int) -> None:
    portal = large_portal()
    late = {5, 1000 + 131 * 1500 + 1, 1000 + 131 * 2990 + 1, 10**9}
    for id in late:
        portal.add(id, NOW - 20 * timedelta(seconds=1))
    portal.not_indexed = set(late)
    imported = walk_side_by_side(hubspots(), portal, Random(seed))
    portal.not_indexed = set()
    changed = walk(hubspot.changes(), portal, bookmark=imported.bookmark, now=NOW + MINUTE)
    assert late <= {int(id) for id in (*imported.ids, *changed.ids)}
    assert len({*imported.ids, *changed.ids}) == 3004


@seeds
def test_an_index_that_has_stood_still_for_an_hour_loses_nobody(seed: int) -> None:
    portal = large_portal()
    late = {1000 + 131 * number + 1 for number in range(1500, 3000, 10)}
    for number, id in enumerate(sorted(late)):
        portal.add(id, NOW - HOUR + number * timedelta(seconds=20))
    portal.not_indexed = set(late)
    imported = walk_side_by_side(hubspots(), portal, Random(seed))
    assert not late <= {int(id) for id in imported.ids}, "else this proves nothing"
    still = walk(hubspot.changes(), portal, bookmark=imported.bookmark, now=NOW + MINUTE)
    portal.not_indexed = set()
    changed = walk(hubspot.changes(), portal, bookmark=still.bookmark, now=NOW + HOUR)
    assert late <= {int(id) for id in (*imported.ids, *changed.ids)}


@seeds
def test_what_the_index_told_wrongly_is_put_right_by_the_changes(seed: int) -> None:
    class Stale(Portal):
        def _search(self, body: dict[str, Any]) -> Reply:
            rows = json.loads(super()._search(body).body)
            for row in rows["results"]:
                if row["id"] in changed and is_stale:
                    row["properties"]["firstname"], row["updatedAt"] = "Old", "2026-10-01T00:00:00.000Z"
            return ok(rows)

    portal, changed = Stale(), {str(1000 + 131 * number) for number in range(0, 3000, 500)}
    portal.people = large_portal().people
    for id in changed:
        portal.people[int(id)].modified = NOW - timedelta(seconds=5)
        portal.people[int(id)].properties["firstname"] = "New"
    is_stale = True
    imported = walk_side_by_side(hubspots(), portal, Random(seed))
    is_stale = False
    after = walk(hubspot.changes(), portal, bookmark=imported.bookmark, now=NOW + MINUTE)
    last = {row["id"]: row["properties"].get("firstname") for done in (imported, after) for row in rows_of(done.pages)}
    assert {last[id] for id in changed} == {"New"}


def rows_of(pages: Any) -> list[dict[str, Any]]:
    return [row for page in pages for row in page.records]


@seeds
def test_an_exact_pass_reads_the_list_alone(seed: int) -> None:
    portal = large_portal()
    portal.not_indexed = {id for id in portal.people if id % 3 == 0}
    done = walk_side_by_side(hubspots(exact=True), portal, Random(seed))
    assert len(set(done.ids)) == 3000
    assert sum(request.pool == "search" for request in done.requests) == 1


@seeds
def test_searches_beside_the_list_never_use_an_offset(seed: int) -> None:
    done = walk_side_by_side(hubspots(), large_portal(12_000), Random(seed))
    searches = [request for request in done.requests if request.pool == "search"]
    assert len(searches) > 5
    assert all("after" not in (request.body or {}) for request in searches)  # type: ignore[operator]


class Opaque(Portal):
    """A list that does not take just any id for a place to go on: what HubSpot may do, having promised nothing."""

    def __init__(self, behaviour: str) -> None:
        super().__init__()
        self.behaviour = behaviour
        self.given: set[str] = set()

    def answer(self, request: Request) -> Reply:
        after = request.query.get("after")
        if after and after not in self.given:
            if self.behaviour == "refuses":
                assert 400 in request.accept
                return ok({"status": "error", "category": "VALIDATION_ERROR"}, status=400)
            request = Request(
                "GET", request.path, {name: value for name, value in request.query.items() if name != "after"}
            )
        return super().answer(request)

    def _list(self, query: Mapping[str, str]) -> Reply:
        reply = super()._list(query)
        page = json.loads(reply.body)
        if "paging" in page:
            self.given.add(page["paging"]["next"]["after"])
        return reply


@seeds
@pytest.mark.parametrize("behaviour", ["refuses", "starts again"])
def test_a_list_that_takes_no_cursor_of_our_own_making_is_walked_as_it_gives_them(seed: int, behaviour: str) -> None:
    portal = Opaque(behaviour)
    portal.people = large_portal().people
    portal.not_indexed = {id for id in portal.people if id % 3 == 0}
    done = walk_side_by_side(hubspots(exact=True), portal, Random(seed))
    assert len(set(done.ids)) == 3000


@seeds
def test_a_list_out_of_order_is_walked_as_it_comes(seed: int) -> None:
    class Shuffled(Portal):
        def _list(self, query: Mapping[str, str]) -> Reply:
            page = json.loads(super()._list(query).body)
            page["results"].reverse()
            return ok(page)

    portal = Shuffled()
    portal.people = large_portal().people
    assert len(set(walk_side_by_side(hubspots(), portal, Random(seed)).ids)) == 3000
