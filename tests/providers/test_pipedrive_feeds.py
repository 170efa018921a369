"""Pipedrive: nothing lost and nothing repeated, in few calls: each costs tokens that the customer's tools share."""

import json
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from tests.providers.conformance import NOW, Walk, walk, walk_side_by_side, walk_table
from tests.providers.fakes.pipedrive import DO_NOT_TEXT, Company, stamp, with_contacts

from leadloom.contact import JSON
from leadloom.errors import BadRequest, NotAllowed, TokenExpired, TryLater, Unreadable
from leadloom.providers.base import CrmAccount, Gone, Record, Reply, SideBySide
from leadloom.providers.crms.pipedrive import FEW_DEALS, OLDEST_DELETION, PAGE_SIZE, provider

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
ACCOUNT = CrmAccount(external_id="4321", facts={"companyDomain": "acme"})


def imported(company: Company) -> str:
    """The bookmark of an import and of the refresh after it, an hour ago."""
    first = walk(provider.everything(), company).bookmark
    bookmark = walk(provider.changes(), company, bookmark=first, now=NOW + HOUR).bookmark
    assert bookmark is not None
    return bookmark


def changes(company: Company, bookmark: str | None, now: datetime = NOW + 2 * HOUR, **options: Any) -> Walk:
    return walk(provider.changes(), company, bookmark=bookmark, now=now, **options)


def records(done: Walk) -> list[Record]:
    return [record for page in done.pages for record in page.records]


class Names:
    """The tables that a run keeps, read as the engine reads them."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.tables: dict[str, dict[str, JSON]] = {}
        self.requests = 0
        for table in provider.tables():
            self.tables.setdefault(table.name, {}).update(walk_table(table, company)[0])

    def stages(self, people: list[Record]) -> dict[str, str]:
        for table in provider.missing(people, self.tables):
            rows, requests = walk_table(table, self.company)
            self.tables.setdefault(table.name, {}).update(rows)
            self.requests += requests
        assert list(provider.missing(people, self.tables)) == [], "what was asked is not asked again"
        contacts = [provider.contact(one, tables=self.tables, account=ACCOUNT, region="US") for one in people]
        return {one.external_id: one.stage for one in contacts}


# -- everything


def test_up_to_five_hundred_persons_are_one_request_the_newest_first() -> None:
    company = with_contacts(500)
    done = walk(provider.everything(), company)
    assert done.ids == [str(one) for one in range(500, 0, -1)]
    assert (len(done.requests), company.spent) == (1, 10)


def test_a_walk_by_id_asks_nothing_twice_but_the_page_where_its_ends_meet() -> None:
    company = with_contacts(1400)
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    done = walk_side_by_side(feed, company, Random(3))
    assert len(set(done.ids)) == 1400
    assert len(done.requests) <= 3 + 1


@pytest.mark.parametrize("seed", range(4))
def test_lanes_share_out_the_time_of_changes_and_cost_little_more_than_one_walk(seed: int) -> None:
    company = Company()
    for number in range(1, 12_001):
        company.add(number, NOW - DAY - number * 37 * MINUTE)
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    done = walk_side_by_side(feed, company, Random(seed))
    assert len(set(done.ids)) == 12_000
    assert len(done.requests) <= 12_000 // PAGE_SIZE + 12


@pytest.mark.parametrize("seed", range(3))
def test_persons_that_one_import_stamped_with_one_second_are_all_read(seed: int) -> None:
    company = with_contacts(1600)
    for number in range(2000, 3000):
        company.add(number, NOW - DAY - number * MINUTE)
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    assert len(set(walk_side_by_side(feed, company, Random(seed)).ids)) == 2600


def test_whoever_changes_during_an_import_is_among_the_changes_afterwards() -> None:
    company = Company()
    for number in range(1, 3001):
        company.add(number, NOW - DAY - number * MINUTE)

    def life_goes_on(requests: int) -> None:
        for number in range(requests * 50, requests * 50 + 20):
            company.persons[number].modified = NOW + requests * SECOND

    done = walk(provider.everything(), company, after_each=life_goes_on)
    after = changes(company, done.bookmark, NOW + HOUR)
    last_read = {row["id"]: row["update_time"] for row in (*records(done), *records(after))}
    assert last_read == {one.id: stamp(one.modified) for one in company.persons.values()}


def test_an_exact_pass_meets_everybody_whatever_changes_meanwhile() -> None:
    company = with_contacts(2600)

    def life_goes_on(requests: int) -> None:
        for number in range(requests * 100, requests * 100 + 50):
            company.persons[number].modified = NOW + requests * SECOND

    done = walk(provider.everything(exact=True), company, after_each=life_goes_on)
    assert len(set(done.ids)) == 2600
    assert len(done.requests) <= 6


@pytest.mark.parametrize("seed", range(3))
def test_a_list_out_of_order_turns_the_pass_into_one_walk(seed: int) -> None:
    company = Company()
    for number in range(1, 2601):
        company.add(number, NOW - DAY - number * MINUTE)
    company.is_out_of_order = True
    feed = provider.everything()
    assert isinstance(feed, SideBySide)
    done = walk_side_by_side(feed, company, Random(seed))
    assert len(set(done.ids)) == 2600
    assert all(cursor["step"] == "walk" for cursor in done.cursors[-4:])


def test_an_import_leaves_a_tenth_of_the_days_tokens_to_the_customers_other_tools_and_changes_go_on() -> None:
    company = with_contacts(600)
    company.tokens_left = 3005
    with pytest.raises(TryLater) as waiting:
        walk(provider.everything(), company)
    assert waiting.value.code == "quota"
    company.tokens_left = 500
    assert len(changes(company, None).ids) == 600


def test_a_cursor_that_stands_still_is_not_followed_for_ever() -> None:
    feed = provider.everything()
    first = feed.first(bookmark=None, now=NOW)
    body = {"success": True, "data": [{"id": 9}], "additional_data": {"next_cursor": "again"}}
    reply = Reply(200, {}, json.dumps(body).encode())
    following = feed.read(first, reply).next
    assert following is not None
    with pytest.raises(Unreadable):
        feed.read(following, reply)


# -- changes


def test_a_quiet_hour_costs_forty_tokens_and_reads_nobody() -> None:
    company = with_contacts(90)
    bookmark = imported(company)
    company.spent = 0
    quiet = changes(company, bookmark)
    assert (quiet.ids, quiet.gone) == ([], [])
    assert (len(quiet.requests), company.spent) == (3, 40)
    assert changes(company, quiet.bookmark, NOW + 3 * HOUR).ids == []


def test_a_change_is_read_in_its_second_and_not_read_again() -> None:
    company = with_contacts(90)
    bookmark = imported(company)
    company.persons[7].modified = NOW + HOUR
    done = changes(company, bookmark)
    assert done.ids == ["7"]
    company.persons[8].modified = NOW + HOUR  # the same second, seen later
    assert changes(company, done.bookmark).ids == ["8"]


def test_persons_of_one_second_are_each_read_once_across_pages() -> None:
    company = with_contacts(1200)
    bookmark = imported(company)
    for person in company.persons.values():
        person.modified = NOW + HOUR
    done = changes(company, bookmark)
    assert len(done.ids) == len(set(done.ids)) == 1200


def test_deleted_persons_are_told_once_they_are_found_to_be_gone() -> None:
    company = with_contacts(300)
    bookmark = imported(company)
    for number in (4, 5):  # one told with its old data, one without any
        company.persons[number].modified, company.persons[number].deleted = NOW + HOUR, True
    done = changes(company, bookmark)
    assert {one.external_id for one in done.gone} == {"4", "5"}
    assert changes(company, done.bookmark, NOW + 4 * HOUR).gone == []


def test_who_is_told_as_deleted_and_is_there_is_not_gone() -> None:
    company = with_contacts(300)
    bookmark = imported(company)
    company.persons[5].modified = NOW + HOUR
    feed = provider.changes()
    cursor = feed.first(bookmark=bookmark, now=NOW + 2 * HOUR)
    body = {"success": True, "data": [{"item": "person", "id": 5, "data": None}]}
    page = feed.read(cursor, Reply(200, {}, json.dumps(body).encode()))
    assert page.next is not None
    assert feed.read(page.next, company.answer(feed.request(page.next))).gone == []


def test_a_deleted_person_in_a_list_is_gone_and_no_contact() -> None:
    body = {"success": True, "data": [{"id": 5, "is_deleted": True}, {"id": 4, "is_deleted": False}]}
    feed = provider.everything()
    page = feed.read(feed.first(bookmark=None, now=NOW), Reply(200, {}, json.dumps(body).encode()))
    assert page.gone == [Gone("5")]
    assert [row["id"] for row in page.records] == [4]


def test_deletions_are_looked_for_no_further_back_than_pipedrive_tells() -> None:
    bookmark = json.dumps({"since": (NOW - 90 * DAY).isoformat(), "edge": {}, "deleted": (NOW - 90 * DAY).isoformat()})
    feed = provider.changes()
    asked = feed.request(feed.first(bookmark=bookmark, now=NOW)).query["since_timestamp"]
    assert asked == (NOW - OLDEST_DELETION).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize("refused", ["/v1/recents", "deals"])
def test_without_a_scope_the_rest_still_comes(refused: str) -> None:
    company = with_contacts(90)
    bookmark = imported(company)
    company.refused = {refused}
    company.persons[7].modified = NOW + HOUR
    assert changes(company, bookmark).ids == ["7"]


def test_being_shut_out_is_not_taken_for_a_missing_scope() -> None:
    feed = provider.changes()
    with pytest.raises(TryLater):
        feed.read(feed.first(bookmark=None, now=NOW), Reply(403, {"content-type": "text/html"}, b"<html>1015</html>"))


# -- stages


def test_a_person_whose_deal_moved_is_read_with_its_stage_though_they_did_not_change() -> None:
    company = with_contacts(90)
    bookmark = imported(company)
    company.deals[10_006].modified, company.deals[10_006].values["stage_id"] = NOW + HOUR, 2
    company.spent = 0
    done = changes(company, bookmark)
    assert done.ids == ["6"]
    assert company.spent == 40 + 10
    assert Names(company).stages(records(done)) == {"6": "Offer"}
    assert changes(company, done.bookmark, NOW + 3 * HOUR).ids == []


def test_of_a_person_with_a_closed_and_another_open_deal_the_open_one_counts() -> None:
    company = with_contacts(30)
    company.deal(20_000, 6, NOW - 2 * HOUR, stage=2)
    bookmark = imported(company)
    names = Names(company)
    names.tables["deals"] = {"6": {"id": 10_006, "stage": 1, "pipeline": 1}}  # as an import left it
    company.deals[10_006].modified, company.deals[10_006].values["status"] = NOW + HOUR, "won"
    assert names.stages(records(changes(company, bookmark))) == {"6": "Offer"}


@pytest.mark.parametrize("end", ["won", "lost", "deleted"])
def test_a_deal_that_ended_is_no_stage(end: str) -> None:
    company = with_contacts(30)
    bookmark = imported(company)
    deal = company.deals[10_006]
    deal.modified, deal.deleted = NOW + HOUR, end == "deleted"
    deal.values["status"] = "open" if end == "deleted" else end
    assert Names(company).stages(records(changes(company, bookmark))) == {"6": ""}


def test_a_person_who_changed_and_whose_deal_moved_is_read_once() -> None:
    company = with_contacts(30)
    bookmark = imported(company)
    company.persons[6].modified = company.deals[10_006].modified = NOW + HOUR
    assert changes(company, bookmark).ids == ["6"]


def test_a_deal_of_nobody_is_nobodys_stage() -> None:
    company = with_contacts(30)
    bookmark = imported(company)
    company.deal(20_000, None, NOW + HOUR)
    assert changes(company, bookmark).ids == []


def test_a_page_of_many_open_deals_costs_one_list_and_not_a_call_each() -> None:
    company = with_contacts(450)
    people = records(walk(provider.everything(), company))
    names = Names(company)
    stages = names.stages(people)
    assert sum(map(bool, stages.values())) == 150
    assert names.requests == 2  # deals and organizations


def test_few_open_deals_are_asked_for_one_by_one() -> None:
    company = with_contacts(3 * FEW_DEALS)
    people = records(walk(provider.everything(), company))
    tables = provider.missing(people, {"owners": {"77": {}}, "organizations": {"1": "Acme"}})
    assert len(tables) == FEW_DEALS


def test_some_old_deals_among_very_many_cost_little_more_than_a_call_each() -> None:
    company = Company()
    for number in range(1, 8):
        company.add(number, NOW - HOUR)
        company.deal(number, number, NOW - 99 * DAY, stage=2)
    for number in range(4000):
        company.deal(10_000 + number, 500, NOW - DAY - number * SECOND)
    names = Names(company)
    stages = names.stages(records(walk(provider.everything(), company)))
    assert set(stages.values()) == {"Offer"}
    assert names.requests <= 1 + 1 + 7  # organizations, the latest deals, one by one


def test_the_deals_of_a_whole_import_are_read_once_whatever_their_number() -> None:
    company = Company()
    for number in range(1, 3001):
        company.add(number, NOW - 4 * DAY + number * MINUTE)
        company.deal(10_000 + number, number, NOW - 4 * DAY + number * MINUTE, stage=1 + number % 2)
    names = Names(company)
    stages: dict[str, str] = {}
    for page in walk(provider.everything(), company).pages:
        stages |= names.stages(list(page.records))
    assert stages == {str(one): "Offer" if one % 2 else "Qualified" for one in range(1, 3001)}
    lists = 3000 // PAGE_SIZE
    assert names.requests <= 1 + 1 + lists + 4  # organizations, the first page's deals, all deals in four stretches


def test_of_several_open_deals_the_one_that_changed_last_counts_however_it_is_read() -> None:
    company = with_contacts(1200)
    for number in range(1, 1201):
        company.deal(30_000 + number, number, NOW - DAY, stage=1)
        company.deal(40_000 + number, number, NOW - MINUTE, stage=2)
    names = Names(company)
    for page in walk(provider.everything(), company).pages:
        assert set(names.stages(list(page.records)).values()) <= {"Offer"}


def test_many_organizations_are_read_as_a_list_and_few_by_id() -> None:
    company = Company()
    for number in range(1, 3001):
        company.organizations[number] = type(company.organizations[1])(number, NOW - DAY, {"name": f"Firm {number}"})
        company.add(number, NOW - DAY - number * MINUTE, org_id=number)
    names = Names(company)
    found: dict[str, str] = {}
    for page in walk(provider.everything(), company).pages:
        people = list(page.records)
        names.stages(people)
        contacts = [provider.contact(one, tables=names.tables, account=ACCOUNT, region="US") for one in people]
        found |= {one.external_id: one.company for one in contacts}
    assert found == {str(one): f"Firm {one}" for one in range(1, 3001)}
    assert names.requests <= 5 + 3000 // PAGE_SIZE + 4


# -- whose contacts these are


@pytest.mark.parametrize(
    ("facts", "host"),
    [
        ({}, "https://api.pipedrive.com"),
        ({"api_domain": "https://acme-1a2b.pipedrive.com"}, "https://acme-1a2b.pipedrive.com"),
        ({"api_domain": "https://api-proxy.pipedrive.com/"}, "https://api-proxy.pipedrive.com"),
        ({"companyDomain": "acme"}, "https://acme.pipedrive.com"),
    ],
)
def test_requests_go_to_the_companys_own_domain(facts: dict[str, JSON], host: str) -> None:
    assert provider.host(facts) == host


@pytest.mark.parametrize("domain", ["acme.evil", "acme/", "-acme", "acme@evil", "ac me", "acme\n", "é", 7])
def test_what_is_no_domain_never_reaches_an_address(domain: JSON) -> None:
    for name in ("companyDomain", "api_domain"):
        with pytest.raises(ValueError, match=r"address|letters"):
            provider.host({name: domain})


def test_an_api_token_and_a_sign_in_travel_in_headers_of_their_own() -> None:
    assert provider.authorization("5a4d" * 10) == {"x-api-token": "5a4d" * 10}
    assert provider.authorization("v1u:AQIBAHj-abc") == {"authorization": "Bearer v1u:AQIBAHj-abc"}


@pytest.mark.parametrize("name", [DO_NOT_TEXT, "do not TEXT", "hot lead"])
def test_a_field_or_label_that_the_customer_names_opts_out(name: str) -> None:
    mine = provider.for_account(CrmAccount(external_id="1", facts={"opt_out_properties": [name]}))
    names = Names(with_contacts(1))

    def is_out(option: JSON, labels: list[int]) -> bool:
        record = {"id": 1, "custom_fields": {DO_NOT_TEXT: option}, "label_ids": labels}
        return mine.contact(record, tables=names.tables, account=ACCOUNT, region="US").opted_out

    assert is_out(41, [5])
    assert not is_out(42, [])
    assert not is_out(None, [])
    if name != "hot lead":
        assert is_out([42, 41], [])
        assert is_out({"id": 41, "label": "Yes"}, [])
        assert is_out(99, []), "an option that was removed: in doubt it is set"


@pytest.mark.parametrize("named", ["Do not text", [7], [""], ["a"] * 11])
def test_what_cannot_be_names_of_fields_is_refused(named: JSON) -> None:
    with pytest.raises(ValueError, match="opt_out_properties"):
        provider.for_account(CrmAccount(external_id="1", facts={"opt_out_properties": named}))


# -- refusals


def explained(status: int, body: object = None, **headers: str) -> Exception:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return provider.explain(Reply(status, told, json.dumps(body).encode()), now=NOW)


def test_refusals_are_told_apart_by_status() -> None:
    assert isinstance(explained(401, {"success": False}), TokenExpired)
    assert isinstance(explained(402, {"success": False}), NotAllowed)
    assert isinstance(explained(403, {"success": False}), NotAllowed)
    assert isinstance(explained(400, {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}), BadRequest)
    assert isinstance(explained(503), TryLater)


def test_being_shut_out_by_a_page_is_waited_out() -> None:
    shut_out = provider.explain(Reply(403, {"content-type": "text/html"}, b"<!DOCTYPE html>"), now=NOW)
    assert isinstance(shut_out, TryLater)
    assert shut_out.after >= MINUTE


def test_a_burst_waits_its_seconds_and_a_spent_day_asks_again_every_hour() -> None:
    soon = explained(429, x_ratelimit_reset="2", x_ratelimit_remaining="0", x_daily_ratelimit_token_remaining="148609")
    assert isinstance(soon, TryLater)
    assert (soon.code, soon.after) == ("rate_limited", 2 * SECOND)
    for left in ("0", "9"):  # too few for a list
        spent = explained(429, x_ratelimit_reset="2", x_daily_ratelimit_token_remaining=left)
        assert isinstance(spent, TryLater)
        assert (spent.code, spent.after) == ("quota", HOUR)


def test_the_pace_follows_the_headers_which_count_two_seconds() -> None:
    told = {"x-ratelimit-limit": "80", "x-ratelimit-remaining": "79", "x-ratelimit-reset": "2"}
    limit = provider.allowance(Reply(200, told, b""))
    assert limit is not None
    assert (limit.requests, limit.per) == (80, 2 * SECOND)
    assert provider.remaining(Reply(200, told, b"")) == 79
