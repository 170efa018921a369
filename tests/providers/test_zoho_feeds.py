"""How Zoho's people are read: two modules, ids downward, tokens that end, conversions, deletions."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import msgspec
import pytest
from tests.providers.conformance import NOW, walk, walk_side_by_side
from tests.providers.fakes.zoho import FIRST_ID, Org, archive, with_contacts

from leadloom.contact import Contact
from leadloom.errors import (
    BadRequest,
    LeadloomError,
    NeedsReconnect,
    NotAllowed,
    NotReady,
    TokenExpired,
    TryLater,
    Unreadable,
)
from leadloom.providers.base import CrmAccount, Gone, Merge, Record, Reply, Request, SideBySide
from leadloom.providers.crms.zoho import FIELDS, MODULES, PAGE_SIZE, Export, provider
from leadloom.sync.pages import read_pages

CONTACT, LEAD = FIRST_ID, FIRST_ID + 1


def ids_of(org: Org) -> set[str]:
    return {str(one) for one in org.people}


def test_the_first_pages_are_the_newest_of_each_module() -> None:
    org = with_contacts(2000)
    done = walk(provider.everything(), org)
    first = [record["id"] for record in done.pages[0].records]
    assert first == sorted(first, reverse=True)
    assert max(int(one) for one in first) == max(one.id for one in org.people.values() if one.module == "Contacts")
    assert set(done.ids) == ids_of(org)


def test_leads_that_were_converted_are_not_imported() -> None:
    org = with_contacts(3)
    org.people[LEAD].became = CONTACT
    assert set(walk(provider.everything(), org).ids) == ids_of(org) - {str(LEAD)}


@pytest.mark.parametrize("seed", range(20))
def test_reading_from_both_ends_of_both_modules_misses_nobody(seed: int) -> None:
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    org, dice = with_contacts(3000), Random(seed)
    done = walk_side_by_side(feed, org, dice)
    assert set(done.ids) == ids_of(org)
    assert done.bookmark is not None
    assert {request.query["sort_order"] for request in done.requests} == {"asc", "desc"}
    assert len(done.ids) < 3000 + 2 * 3 * PAGE_SIZE, "what both ends read is at most a few pages"


@pytest.mark.parametrize("seed", range(20))
def test_a_crash_while_reading_from_both_ends_loses_nobody(seed: int) -> None:
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    org, dice = with_contacts(3000), Random(seed)
    before = walk_side_by_side(feed, org, dice, requests_before_a_crash=dice.randrange(1, 16))
    start = before.cursors[-1]
    saved = {record["id"] for page in before.pages for record in page.records}
    after = walk_side_by_side(feed, org, dice, start=start)
    assert saved | set(after.ids) == ids_of(org)


def test_where_page_tokens_end_the_rest_is_found_by_query_if_no_file_can_be_had() -> None:
    org = with_contacts(3000)
    org.reach = 600
    org.exports.refusal = 401
    done = walk(provider.everything(), org)
    assert sorted(done.ids) == sorted(ids_of(org))
    assert any(request.path.endswith("/coql") for request in done.requests)


@pytest.mark.parametrize("seed", range(10))
def test_where_page_tokens_end_both_ends_still_meet(seed: int) -> None:
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    org = with_contacts(6000)
    org.reach = 600
    assert set(walk_side_by_side(feed, org, Random(seed)).ids) == ids_of(org)


def test_where_page_tokens_end_the_rest_is_one_file_a_module() -> None:
    org = with_contacts(3000)
    org.reach = 600
    done = walk(provider.everything(), org)
    assert sorted(done.ids) == sorted(ids_of(org))
    assert [request.path for request in done.requests if request.method == "POST"] == ["/crm/bulk/v8/read"] * 2
    assert not any(request.path.endswith("/coql") for request in done.requests)


@pytest.mark.parametrize("order", ["asc", "desc", "none"])
@pytest.mark.parametrize("per_page", [1, 250, 700])
def test_a_rest_that_is_larger_than_a_file_is_read_whole_in_whatever_order_people_come(
    order: str, per_page: int
) -> None:
    org = with_contacts(900)
    org.reach = 400
    org.exports.order, org.exports.per_page = order, per_page
    assert set(walk(provider.everything(), org).ids) == ids_of(org)


def test_a_pass_that_stops_in_the_middle_of_a_file_goes_on_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadloom.providers.crms.zoho.FILE_PART", 20)
    org = with_contacts(600)
    org.reach = 200
    feed = provider.everything()
    done = walk(feed, org)
    assert len(done.ids) == len(set(done.ids)) == 600
    parts = [n for n, request in enumerate(done.requests) if request.path.endswith("/result")]
    assert len(parts) > 5
    for stop in parts[1:-1]:
        rest = walk(feed, org, start=done.cursors[stop])
        saved = [str(record["id"]) for page in done.pages[:stop] for record in page.records]
        assert sorted([*saved, *rest.ids]) == sorted(ids_of(org))


def test_the_parts_of_a_file_follow_each_other_without_asking_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadloom.providers.crms.zoho.FILE_PART", 100)
    org = with_contacts(3000)
    org.reach = 400
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    begun = walk(feed, org)
    at = next(n for n, request in enumerate(begun.requests) if request.path.endswith("/result"))
    lane = next(place for place in feed.lanes(begun.cursors[at]).values() if place["way"] == "file")
    page = feed.read(lane, org.answer(feed.request(lane)))
    assert page.rest is not None
    following = list(page.rest)
    again = feed.read(page.next or {}, org.answer(feed.request(page.next or {})))
    assert len(page.records) == len(following[0].records) == 100
    assert following[0] == again


def test_a_file_that_is_spoilt_is_asked_for_again() -> None:
    org = with_contacts(3000)
    org.reach = 400
    begun = walk(provider.everything(), org)
    at = next(n for n, request in enumerate(begun.requests) if request.path.endswith("/result"))
    feed, whole = provider.everything(), org.answer(begun.requests[at])
    for body in (b"", b"<html>", whole.body[: len(whole.body) // 2], whole.body[:-40]):
        with pytest.raises(Unreadable):
            feed.read(begun.cursors[at], Reply(200, {}, body))


@pytest.mark.parametrize("trouble", ["lost", "failed", "refused for good"])
def test_whatever_becomes_of_a_file_nobody_is_lost(trouble: str) -> None:
    org = with_contacts(900)
    org.reach = 200
    org.exports.is_lost = trouble == "lost"
    org.exports.ends_as = "FAILURE" if trouble == "failed" else "COMPLETED"
    org.exports.refusal = 403 if trouble == "refused for good" else 0
    done = walk(provider.everything(), org)
    assert sorted(done.ids) == sorted(ids_of(org))
    assert any(request.path.endswith("/coql") for request in done.requests)


def test_fields_that_no_file_holds_are_left_out_and_the_others_are_read() -> None:
    org = with_contacts(3000)
    org.reach = 400
    org.exports.refused = {"Full_Name", "Secondary_Email"}
    done = walk(provider.everything(), org)
    assert sorted(done.ids) == sorted(ids_of(org))
    assert not any(request.path.endswith("/coql") for request in done.requests)


def test_a_file_in_the_making_is_waited_for() -> None:
    org = with_contacts(3000)
    org.reach = 400
    begun = walk(provider.everything(), org)
    at = next(n for n, request in enumerate(begun.requests) if re.fullmatch("/crm/bulk/v8/read/[0-9]+", request.path))
    org.exports.polls_left = 1
    with pytest.raises(NotReady):
        provider.everything().read(begun.cursors[at], org.answer(begun.requests[at]))


def test_a_person_of_a_file_is_the_same_contact_as_one_of_a_list() -> None:
    org = with_contacts(0)
    org.reach = 0
    account = {"name": "Cobalt Roofing", "id": "4876876000000200001"}
    owner = {"name": "Olive Owner", "id": "77", "email": "olive@acme.example"}
    values = {
        "First_Name": "Ada", "Last_Name": 'Byron, "Countess"\nof Lovelace', "Mobile": "+1 212 736 5000", "Owner": owner,
        "Email": "ada@acme.example", "Account_Name": account, "Description": "Wants\n\na quote", "Fax": None,
    }  # fmt: skip
    org.add(CONTACT, "Contacts", NOW - timedelta(hours=1), **values)
    names = list(FIELDS["Contacts"])
    [listed] = json.loads(
        org._page(list(org.people.values()), {"fields": ",".join(names)}, more=False, token=None).body
    )["data"]
    file = archive(list(org.people.values()), [*names, "Account_Name.Account_Name"])
    walk_ = {"module": "Contacts", "way": "file", "job": "1", "row": 0, "edge": "", "sorted": "", "has_more": False}
    [(records, following)] = Export(FIELDS).parts(walk_, Reply(200, {}, file))
    assert following is None
    tables = {"users": {"77": {"name": "Olive Owner", "email": "olive@acme.example"}}}

    def contact(record: Record) -> Contact:
        mapped = provider.contact(record, tables=tables, account=CrmAccount(external_id="1"), region="US")
        return msgspec.structs.replace(mapped, raw=b"")

    assert contact(records[0]) == contact({**listed, "$se_module": "Contacts"})
    assert records[0]["Owner"] == {"id": "77"}


def test_a_converted_lead_of_a_file_is_not_imported() -> None:
    org = with_contacts(3000)
    org.reach = 400
    lost = next(one for one in org.people.values() if one.module == "Leads" and one.id < FIRST_ID + 500)
    lost.became = CONTACT
    assert set(walk(provider.everything(), org).ids) == ids_of(org) - {str(lost.id)}


def test_a_token_that_ran_out_while_the_pass_waited_costs_nobody() -> None:
    org = with_contacts(3000)
    feed = provider.everything()
    begun = walk(feed, org)
    org.is_token_lost = True
    rest = walk(feed, org, start=begun.cursors[3])
    seen = {str(record["id"]) for page in begun.pages[:3] for record in page.records}
    assert seen | set(rest.ids) == ids_of(org)


def test_a_quiet_hour_asks_four_short_questions() -> None:
    org = with_contacts(450)
    bookmark = walk(provider.everything(), org).bookmark
    for one in org.people.values():
        one.modified = NOW - timedelta(days=2)
    done = walk(provider.changes(), org, bookmark=bookmark)
    assert done.ids == []
    assert len(done.requests) == 4
    assert all(request.headers["if-modified-since"] for request in done.requests)


def test_changes_of_both_modules_are_read_and_nothing_else() -> None:
    org = with_contacts(450)
    bookmark = walk(provider.everything(), org).bookmark
    for one in org.people.values():
        one.modified = NOW - timedelta(days=2)
    org.people[CONTACT].modified = org.people[LEAD].modified = NOW + timedelta(minutes=30)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert set(done.ids) == {str(CONTACT), str(LEAD)}


def test_many_changed_in_one_second_are_all_read() -> None:
    org = with_contacts(3000)
    org.reach = 400
    done = walk(provider.changes(), org)
    bookmark = done.bookmark
    for one in org.people.values():
        one.modified = NOW + timedelta(minutes=30)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert set(done.ids) == ids_of(org)


def test_a_converted_lead_is_the_contact_it_became() -> None:
    org = with_contacts(3)
    bookmark = walk(provider.everything(), org).bookmark
    org.people[LEAD].became = CONTACT
    org.people[LEAD].modified = NOW + timedelta(minutes=1)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert done.merged == [Merge(str(LEAD), str(CONTACT))]
    assert str(LEAD) not in done.ids
    [contact] = [record for page in done.pages for record in page.records if record["id"] == str(CONTACT)]
    mapped = provider.contact(contact, tables={}, account=CrmAccount(external_id="1"), region="US")
    assert mapped.merged_ids == (str(LEAD),), "its lead goes on"


def test_a_lead_that_was_converted_into_we_are_not_told_whom_is_gone() -> None:
    org = with_contacts(3)
    org.people[LEAD].became = 0
    org.people[LEAD].modified = NOW
    done = walk(provider.changes(), org, bookmark=walk(provider.everything(), org).bookmark)
    assert done.gone == [Gone(str(LEAD), NOW)]
    assert done.merged == []


@pytest.mark.parametrize("id", [CONTACT, LEAD])
def test_who_was_deleted_is_told_once_the_bookmark_has_moved_on_no_more(id: int) -> None:
    org = with_contacts(450)
    bookmark = walk(provider.everything(), org).bookmark
    org.people[id].deleted = NOW + timedelta(minutes=10)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert done.gone == [Gone(str(id), NOW + timedelta(minutes=10))]
    assert str(id) not in done.ids
    org.people[id + 3].deleted = NOW + timedelta(minutes=40)
    done = walk(provider.changes(), org, bookmark=done.bookmark, now=NOW + timedelta(hours=2))
    done = walk(provider.changes(), org, bookmark=done.bookmark, now=NOW + timedelta(hours=3))
    assert [gone.external_id for gone in done.gone] == [str(id + 3)]


def test_hundreds_of_deletions_come_page_by_page() -> None:
    org = with_contacts(1500)
    bookmark = walk(provider.everything(), org).bookmark
    for one in org.people.values():
        one.deleted = NOW + timedelta(minutes=10)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert {gone.external_id for gone in done.gone} == ids_of(org)


@dataclass
class Repeating:
    """Answers the third page of the deleted contacts once with the first."""

    org: Org
    first: Reply | None = None
    is_done: bool = False

    def send(self, request: Request) -> Reply:
        reply = self.org.answer(request)
        page = request.query.get("page") if request.path.endswith("/Contacts/deleted") else ""
        if page == "1":
            self.first = reply
        if page == "3" and not self.is_done and self.first is not None:
            self.is_done = True
            return self.first
        return reply

    def wait(self, seconds: float) -> None:
        pass


def test_a_page_of_deletions_that_comes_again_in_place_of_a_later_one_hides_nobody() -> None:
    org = with_contacts(1500)
    bookmark = walk(provider.everything(), org).bookmark
    for one in org.people.values():
        one.deleted = NOW + timedelta(minutes=10)
    feed, crm = provider.changes(), Repeating(org)
    pages = list(read_pages(feed, feed.first(bookmark=bookmark, now=NOW + timedelta(hours=1)), crm))
    assert crm.is_done
    assert {gone.external_id for page in pages for gone in page.gone} == ids_of(org)


def test_one_module_that_stands_still_is_not_overtaken_by_the_other() -> None:
    """A change that shows late is found as long as nothing later of the same module was seen."""
    org = with_contacts(30)
    bookmark = walk(provider.everything(), org).bookmark
    for hour in range(1, 6):
        org.people[LEAD].modified = NOW + timedelta(hours=hour)
        done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=hour, minutes=30))
        bookmark = done.bookmark
    org.people[CONTACT].modified = NOW
    assert str(CONTACT) in walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=7)).ids


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_the_customer_has_hidden_is_empty(module: str) -> None:
    org = with_contacts(30)
    org.without = {module}
    done = walk(provider.everything(), org)
    assert set(done.ids) == {str(one.id) for one in org.people.values() if one.module != module}


def test_a_page_out_of_order_is_refused() -> None:
    feed, org = provider.everything(), with_contacts(30)
    cursor = feed.first(bookmark=None, now=NOW)
    reply = org.answer(feed.request(cursor))
    first, second = str(FIRST_ID + 27).encode(), str(FIRST_ID + 24).encode()
    assert first in reply.body
    spoilt = reply.body.replace(first, b"x").replace(second, first).replace(b"x", second)
    with pytest.raises(Unreadable):
        feed.read(cursor, Reply(200, {}, spoilt))


@pytest.mark.parametrize(
    ("told", "host"),
    [
        ({}, "https://www.zohoapis.com"),
        ({"api_domain": "https://www.zohoapis.eu"}, "https://www.zohoapis.eu"),
        ({"api_domain": "https://sandbox.zohoapis.com.au/"}, "https://sandbox.zohoapis.com.au"),
        ({"extension": "in"}, "https://www.zohoapis.in"),
        ({"extension": "com", "accounts-server": "https://accounts.zohocloud.ca"}, "https://www.zohoapis.ca"),
        ({"accounts-server": "https://accounts.zoho.sa"}, "https://www.zohoapis.sa"),
        ({"extension": "jp", "api_domain": "https://www.zohoapis.jp"}, "https://www.zohoapis.jp"),
        ({"api_domain": "https://www.zohoapis.com.cn"}, "https://www.zohoapis.com.cn"),
    ],
)
def test_each_customer_is_asked_in_their_own_data_centre(told: dict[str, str], host: str) -> None:
    assert provider.host(told) == host


@pytest.mark.parametrize(
    "told",
    [
        {"api_domain": "https://www.zohoapis.com.evil.example"},
        {"api_domain": "https://www.zohoapis.evil"},
        {"api_domain": "http://www.zohoapis.com"},
        {"api_domain": "https://evil.example/www.zohoapis.com"},
        {"api_domain": "https://www.zohoapis.com@evil.example"},
        {"extension": "com.evil"},
        {"accounts-server": "https://accounts.evil.example"},
    ],
)
def test_a_host_that_is_not_zohos_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="data centre"):
        provider.host(told)


def test_a_customers_own_do_not_text_field_is_asked_for_and_obeyed() -> None:
    theirs = provider.for_account(CrmAccount(external_id="1", facts={"opt_out_properties": ["No_Texts"]}))
    org = with_contacts(1)
    request = theirs.everything().request(theirs.everything().first(bookmark=None, now=NOW))
    assert "No_Texts" in request.query["fields"].split(",")
    account = CrmAccount(external_id="1")
    [page, *_] = walk(theirs.everything(), org).pages
    record = {**page.records[0], "No_Texts": True}
    assert theirs.contact(record, tables={}, account=account, region="US").opted_out
    assert not provider.contact(record, tables={}, account=account, region="US").opted_out
    with pytest.raises(ValueError, match="field"):
        provider.for_account(CrmAccount(external_id="1", facts={"opt_out_properties": ["No Texts; drop"]}))


@pytest.mark.parametrize(
    ("status", "code", "headers", "kind"),
    [
        (401, "INVALID_TOKEN", {}, TokenExpired),
        (401, "AUTHENTICATION_FAILURE", {}, TokenExpired),
        (401, "OAUTH_SCOPE_MISMATCH", {}, NotAllowed),
        (403, "NO_PERMISSION", {}, NotAllowed),
        (429, "TOO_MANY_REQUESTS", {}, TryLater),
        (500, "INTERNAL_ERROR", {}, TryLater),
        (400, "INVALID_DATA", {}, BadRequest),
        (404, "INVALID_URL_PATTERN", {}, BadRequest),
    ],
)
def test_a_refusal_is_named_by_what_to_do_next(
    status: int, code: str, headers: dict[str, str], kind: type[LeadloomError]
) -> None:
    error = provider.explain(Reply(status, headers, f'{{"code":"{code}"}}'.encode()), now=NOW)
    assert type(error) is kind
    assert not isinstance(error, NeedsReconnect)


def test_too_many_calls_at_once_and_no_credits_left_are_told_apart() -> None:
    body = b'{"code":"TOO_MANY_REQUESTS"}'
    at_once = provider.explain(Reply(429, {"x-api-credits-remaining": "1200"}, body), now=NOW)
    used_up = provider.explain(Reply(429, {"x-api-credits-remaining": "0"}, body), now=NOW)
    assert isinstance(at_once, TryLater)
    assert isinstance(used_up, TryLater)
    assert (at_once.code, used_up.code) == ("rate_limited", "quota")
    assert at_once.after < timedelta(minutes=1) <= used_up.after
