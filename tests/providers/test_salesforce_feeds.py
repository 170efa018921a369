"""How Salesforce's people are read: two objects, both ends of their ids, Bulk jobs, stamps of whole seconds, what
became of whom, and fields that are hidden."""

import json
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from tests.providers.conformance import NOW, kept, walk, walk_side_by_side, walk_table
from tests.providers.fakes.salesforce import OWNER, QUEUE, Org, Row, id_of, with_contacts

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
from leadloom.providers.base import CrmAccount, Gone, Merge, Provider, Reply, SideBySide
from leadloom.providers.crms import salesforce
from leadloom.providers.crms.salesforce import BULK_FROM, FIRST_SIZE, OBJECTS, PAGE_SIZE, Deals, provider

CONTACT, LEAD = id_of("Contact", 0), id_of("Lead", 1)
ACCOUNT = CrmAccount(external_id="1")


def ids_of(org: Org, kind: str = "") -> set[str]:
    return {one.id for one in org.rows.values() if one.kind in (kind or OBJECTS)}


def side_by_side(crm: Provider = provider) -> SideBySide:
    feed = crm.everything()
    assert isinstance(feed, SideBySide)
    return feed


def quiet_since(org: Org, **changed_later: Row) -> None:
    """Nobody has changed for days."""
    for one in org.rows.values():
        one.modified = NOW - timedelta(days=2)


def with_roles(org: Org, stages: dict[str, str], **opportunity: Any) -> None:
    for number, (contact, stage) in enumerate(stages.items()):
        values = {"Opportunity.StageName": stage, "Opportunity.IsClosed": False, **opportunity}
        org.add(number, "OpportunityContactRole", NOW - timedelta(days=2), ContactId=contact, **values)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """A tenth of what a page holds, for a tenth of the people."""
    for name in ("PAGE_SIZE", "WORTH_A_LANE"):
        monkeypatch.setattr(salesforce, name, PAGE_SIZE // 10)
    monkeypatch.setattr(salesforce, "BULK_SIZE", salesforce.BULK_SIZE // 10)
    return PAGE_SIZE // 10


# Everybody


def test_the_first_pages_are_the_newest_of_each_object() -> None:
    org = with_contacts(2000)
    done = walk(provider.everything(), org)
    first = [record["id"] for record in done.pages[0].records]
    newest = sorted((one for one in org.rows.values() if one.kind == "Contact"), key=lambda one: one.created)
    assert first == [one.id for one in reversed(newest[-FIRST_SIZE:])]
    assert set(done.ids) == ids_of(org)


def test_a_small_org_is_read_in_two_requests() -> None:
    org = with_contacts(450)
    org.rows = {one.id: one for one in list(org.rows.values())[:200]}
    done = walk(provider.everything(), org)
    assert len(done.requests) == 2
    assert done.pages[-1].total == len(done.ids) == 200


def test_people_are_counted_once_for_the_progress_bar() -> None:
    done = walk(provider.everything(), with_contacts(3000))
    assert [page.total for page in done.pages if page.total is not None] == [3000]


def test_leads_that_were_converted_are_not_imported() -> None:
    org = with_contacts(3)
    org.rows[LEAD].values |= {"IsConverted": True, "ConvertedContactId": CONTACT}
    assert set(walk(provider.everything(), org).ids) == ids_of(org) - {LEAD}


def test_a_lead_that_was_converted_before_a_sweep_is_not_taken_for_gone_by_it() -> None:
    org = with_contacts(3)
    day = (NOW - timedelta(days=1)).date().isoformat()
    org.rows[LEAD].values |= {"IsConverted": True, "ConvertedDate": day, "ConvertedContactId": CONTACT}
    done = walk(provider.everything(exact=True), org)
    assert done.merged == [Merge(LEAD, CONTACT)]
    assert LEAD not in done.ids


@pytest.mark.parametrize("seed", range(20))
def test_reading_each_object_in_several_places_misses_nobody(seed: int, small_pages: int) -> None:
    org, dice = with_contacts(3_000), Random(seed)
    done = walk_side_by_side(side_by_side(), org, dice)
    assert set(done.ids) == ids_of(org)
    assert done.bookmark is not None
    asked = " ".join(request.query["q"] for request in done.requests)
    assert "ORDER BY Id ASC" in asked
    assert "ORDER BY Id DESC" in asked
    assert len(done.ids) < 3_000 + 8 * small_pages, "what two lanes read is at most a few pages"


@pytest.mark.parametrize("seed", range(20))
def test_a_crash_while_reading_in_several_places_loses_nobody(seed: int, small_pages: int) -> None:
    feed, org, dice = side_by_side(), with_contacts(3_000), Random(seed)
    before = walk_side_by_side(feed, org, dice, requests_before_a_crash=dice.randrange(1, 20))
    saved = {record["id"] for page in before.pages for record in page.records}
    after = walk_side_by_side(feed, org, dice, start=before.cursors[-1])
    assert saved | set(after.ids) == ids_of(org)


def test_a_long_list_of_ids_is_parted_at_an_id_that_was_shown(small_pages: int) -> None:
    org, dice = with_contacts(4_000), Random(1)
    done = walk_side_by_side(side_by_side(), org, dice)
    partings = [request for request in done.requests if "CreatedDate <=" in request.query["q"]]
    assert partings
    assert set(done.ids) == ids_of(org)


def test_people_who_were_all_made_in_one_second_are_all_read(small_pages: int) -> None:
    org = with_contacts(3_000)
    for one in org.rows.values():
        one.created = NOW - timedelta(days=3)
    assert set(walk_side_by_side(side_by_side(), org, Random(1)).ids) == ids_of(org)


def test_pages_that_hold_less_than_was_asked_for_are_not_the_end() -> None:
    org = with_contacts(3000)
    org.largest_page = 190
    assert set(walk(provider.everything(), org).ids) == ids_of(org)
    assert set(walk(provider.changes(), org).ids) == ids_of(org)


def test_a_page_with_fewer_people_than_it_counts_is_no_page() -> None:
    org = with_contacts(30)
    feed = provider.everything()
    cursor = feed.first(bookmark=None, now=NOW)
    reply = org.answer(feed.request(cursor))
    body = json.loads(reply.body)
    assert feed.read(cursor, reply).records
    for rows in ([], body["records"][1:]):
        with pytest.raises(Unreadable):
            feed.read(cursor, Reply(200, reply.headers, json.dumps({**body, "records": rows}).encode()))


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_object_that_the_user_may_not_see_is_empty(kind: str) -> None:
    org = with_contacts(30)
    org.absent = {kind}
    others = ids_of(org) - ids_of(org, kind)
    done = walk(provider.everything(), org)
    assert set(done.ids) == others
    assert set(walk(provider.changes(), org).ids) == others


def test_a_user_who_may_see_neither_leads_nor_contacts_is_told_so() -> None:
    org = with_contacts(30)
    org.absent = set(OBJECTS)
    with pytest.raises(NotAllowed):
        walk(provider.everything(), org)
    with pytest.raises(NotAllowed):
        walk(provider.changes(), org)


# Queries that take too long, and Bulk


def bulk(org: Org) -> list[str]:
    return [request.path.split("/jobs/query")[1] for request in org.asked if "/jobs/query" in request.path]


def test_very_many_people_come_by_a_bulk_job_page_by_page(small_pages: int) -> None:
    org = with_contacts(1_600)
    org.counts_as = {"Contact": BULK_FROM, "Lead": BULK_FROM}
    done = walk(provider.everything(), org)
    assert set(done.ids) == ids_of(org)
    assert len([path for path in bulk(org) if path.endswith("results")]) == 2 + 3
    assert not any("Id >" in request.query.get("q", "") for request in done.requests)


def test_below_that_number_there_is_no_job() -> None:
    org = with_contacts(3000)
    org.counts_as = {"Contact": BULK_FROM - 1, "Lead": BULK_FROM - 1}
    walk(provider.everything(), org)
    assert bulk(org) == []


def test_a_row_of_a_job_is_as_a_query_would_have_given_it() -> None:
    org = with_contacts(600)
    by_query = walk(provider.everything(), org)
    org.counts_as = {"Contact": BULK_FROM, "Lead": BULK_FROM}
    some = org.rows[CONTACT]
    some.values |= {"FirstName": 'Zoë "Z"', "Description": "two\nlines, one ,\x00", "Account.Name": "Harbour Labs"}
    by_job = walk(provider.everything(), org)
    was, now = (
        provider.contact(
            next(one for one in done.pages[-1].records if one["id"] == LEAD), tables={}, account=ACCOUNT, region="US"
        )
        for done in (by_query, by_job)
    )
    assert (was.name, was.modified_at, was.opted_out, was.created_at) == (
        now.name, now.modified_at, now.opted_out, now.created_at
    )  # fmt: skip
    [record] = [
        one for page in by_job.pages for one in page.records if one["id"] == CONTACT and "attributes" not in str(one)
    ]
    told = provider.contact(record, tables={}, account=ACCOUNT, region="US")
    assert (told.name, told.description, told.company) == ('Zoë "Z" Ada 0', "two\nlines, one ,", "Harbour Labs")
    assert record["DoNotCall"] is False


def test_a_job_that_is_being_prepared_is_asked_for_again() -> None:
    org = with_contacts(600)
    org.counts_as = {"Contact": BULK_FROM}
    feed = provider.everything()
    org.jobs_run = ["UploadComplete", "InProgress", "JobComplete"]
    waited = 0
    cursor = feed.first(bookmark=None, now=NOW)
    while True:
        try:
            page = feed.read(cursor, org.answer(feed.request(cursor)))
        except NotReady:
            waited += 1
            continue
        if page.next is None:
            break
        cursor = kept(page.next)
    assert waited == 2


@pytest.mark.parametrize("ending", ["Failed", "Aborted"])
def test_a_job_that_fails_leaves_everybody_to_queries(ending: str) -> None:
    org = with_contacts(3000)
    org.counts_as = {"Contact": BULK_FROM, "Lead": BULK_FROM}
    org.jobs_run = [ending]
    assert set(walk(provider.everything(), org).ids) == ids_of(org)


def test_a_job_whose_results_were_removed_is_ordered_again(small_pages: int) -> None:
    org = with_contacts(1_600)
    org.counts_as = {"Lead": BULK_FROM}
    begun = walk(provider.everything(), org)
    at = next(cursor for cursor in begun.cursors if '"locator": "500"' in json.dumps(cursor))
    org.jobs.clear()
    rest = walk(provider.everything(), org, start=at)
    assert set(rest.ids) >= ids_of(org, "Lead")


def test_a_page_of_results_that_is_cut_short_is_no_page() -> None:
    org = with_contacts(600)
    org.counts_as = {"Contact": BULK_FROM}
    feed = provider.everything()
    cursor = next(one for one in walk(feed, org).cursors if '"results"' in json.dumps(one))
    reply = org.answer(feed.request(cursor))
    for body in (reply.body[: len(reply.body) // 2], b"<html>Sorry</html>", b"", reply.body[:-40]):
        with pytest.raises(Unreadable):
            feed.read(cursor, Reply(200, reply.headers, body))


def test_queries_that_take_too_long_are_asked_for_less() -> None:
    org = with_contacts(3000)
    org.slow = lambda soql: "LIMIT 2000" in soql
    done = walk(provider.everything(), org)
    assert set(done.ids) == ids_of(org)
    assert bulk(org) == []


def test_queries_that_take_too_long_however_little_is_asked_for_become_a_job() -> None:
    org = with_contacts(3000)
    org.slow = lambda soql: "ORDER BY" in soql
    done = walk(provider.everything(), org)
    assert set(done.ids) == ids_of(org)
    assert bulk(org)


def test_even_counting_may_take_too_long() -> None:
    org = with_contacts(3000)
    org.slow = lambda soql: "COUNT()" in soql
    assert set(walk(provider.everything(), org).ids) == ids_of(org)
    assert bulk(org)


def test_where_neither_queries_nor_jobs_help_we_wait() -> None:
    org = with_contacts(3000)
    org.slow = lambda soql: "ORDER BY Id" in soql or "COUNT()" in soql
    org.jobs_run = ["Failed"]
    with pytest.raises(TryLater):
        walk(provider.everything(), org)


def test_changes_that_take_too_long_are_asked_for_in_shorter_stretches_of_time() -> None:
    org = with_contacts(3000)
    bookmark = walk(provider.everything(), org).bookmark
    quiet_since(org)
    for number, one in enumerate(org.rows.values()):
        one.modified = NOW + timedelta(minutes=number // 100)
    asked = []

    def slow(soql: str) -> bool:
        asked.append(soql)
        return "SystemModstamp >=" in soql and "SystemModstamp <" not in soql.replace("<=", "") and len(asked) < 9

    org.slow = slow
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert set(done.ids) == ids_of(org)
    assert any("SystemModstamp < " in soql for soql in asked)


# Changes


def test_a_quiet_hour_asks_three_short_questions() -> None:
    org = with_contacts(450)
    bookmark = walk(provider.everything(), org).bookmark
    quiet_since(org)
    done = walk(provider.changes(), org, bookmark=bookmark)
    assert done.ids == []
    assert len(done.requests) == 3


def test_after_an_import_that_nothing_followed_nobody_is_read_again_for_ever() -> None:
    org = with_contacts(450)
    for one in org.rows.values():
        one.modified = NOW - timedelta(minutes=1)
    bookmark = walk(provider.everything(), org).bookmark
    for hour in range(1, 4):
        done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=hour))
        bookmark = done.bookmark
    assert done.ids == []


def test_changes_of_both_objects_are_read_and_nothing_else() -> None:
    org = with_contacts(450)
    bookmark = walk(provider.everything(), org).bookmark
    quiet_since(org)
    org.rows[CONTACT].modified = org.rows[LEAD].modified = NOW + timedelta(minutes=30)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert set(done.ids) == {CONTACT, LEAD}


def test_thousands_changed_in_one_second_are_all_read(small_pages: int) -> None:
    org = with_contacts(1_500)
    bookmark = walk(provider.everything(), org).bookmark
    quiet_since(org)
    for number, one in enumerate(org.rows.values()):
        one.modified = NOW + timedelta(minutes=30, seconds=number // 1_400)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert set(done.ids) == ids_of(org)
    assert len(done.ids) < 1_500 + 2 * small_pages


def test_changes_spread_over_time_are_read_once_each(small_pages: int) -> None:
    org = with_contacts(1_500)
    for number, one in enumerate(org.rows.values()):
        one.modified = NOW - timedelta(seconds=number)
    done = walk(provider.changes(), org)
    assert set(done.ids) == ids_of(org)
    assert len(done.ids) < 1_500 + 20, "a page goes on with the second that the last one ended in"
    assert len(done.requests) < 12


def test_what_a_slow_transaction_shows_late_is_read_by_the_next_pass() -> None:
    org = with_contacts(30)
    bookmark = walk(provider.everything(), org).bookmark
    late = org.rows.pop(LEAD)
    for hour in range(1, 4):
        org.rows[CONTACT].modified = NOW + timedelta(hours=hour)
        done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=hour))
        bookmark = done.bookmark
    late.modified = NOW + timedelta(hours=3) - timedelta(minutes=8)
    org.rows[LEAD] = late
    assert LEAD in walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=4)).ids


def test_now_and_then_a_pass_reads_back_further() -> None:
    org = with_contacts(30)
    bookmark = walk(provider.everything(), org).bookmark
    quiet_since(org)
    late, found_after = org.rows[LEAD], []
    for hour in range(1, 14):
        late.modified = NOW + timedelta(hours=hour) - timedelta(hours=2, minutes=30)
        done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=hour))
        bookmark = done.bookmark
        if LEAD in done.ids:
            found_after.append(hour)
    assert found_after == [6, 12]


def test_who_was_deleted_is_told_and_who_is_back_is_read() -> None:
    org = with_contacts(450)
    bookmark = walk(provider.everything(), org).bookmark
    quiet_since(org)
    one = org.rows[CONTACT]
    one.deleted, one.modified = True, NOW + timedelta(minutes=10)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert done.gone == [Gone(CONTACT, NOW + timedelta(minutes=10))]
    assert CONTACT not in done.ids
    one.deleted, one.modified = False, NOW + timedelta(minutes=90)
    done = walk(provider.changes(), org, bookmark=done.bookmark, now=NOW + timedelta(hours=2))
    assert CONTACT in done.ids
    assert done.gone == []


def test_a_merged_record_is_the_one_that_took_it_in() -> None:
    org = with_contacts(30)
    bookmark = walk(provider.everything(), org).bookmark
    winner, loser = id_of("Contact", 3), id_of("Contact", 6)
    org.rows[loser].deleted = True
    org.rows[loser].values["MasterRecordId"] = winner
    org.rows[winner].modified = org.rows[loser].modified = NOW + timedelta(minutes=1)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert done.merged == [Merge(loser, winner)]
    assert done.gone == []
    [record] = [record for page in done.pages for record in page.records if record["id"] == winner]
    assert provider.contact(record, tables={}, account=ACCOUNT, region="US").merged_ids == (loser,)


def test_of_a_chain_of_mergers_everybody_is_the_last() -> None:
    org = with_contacts(30)
    first, second, last = (id_of("Contact", number) for number in (3, 6, 9))
    for number, (loser, winner) in enumerate(((first, second), (second, last))):
        org.rows[loser].deleted = True
        org.rows[loser].values["MasterRecordId"] = winner
        org.rows[loser].modified = NOW + timedelta(minutes=number)
    org.rows[last].modified = NOW + timedelta(minutes=2)
    done = walk(provider.changes(), org, now=NOW + timedelta(hours=1))
    assert set(map(str, done.merged)) == {str(Merge(first, last)), str(Merge(second, last))}
    [record] = [record for page in done.pages for record in page.records if record["id"] == last]
    assert set(record["became_this"]) == {first, second}


def test_a_converted_lead_is_the_contact_it_became() -> None:
    org = with_contacts(3)
    bookmark = walk(provider.everything(), org).bookmark
    org.rows[LEAD].values |= {"IsConverted": True, "ConvertedContactId": CONTACT}
    org.rows[LEAD].modified = NOW + timedelta(minutes=1)
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert done.merged == [Merge(LEAD, CONTACT)]
    assert LEAD not in done.ids
    [contact] = [record for page in done.pages for record in page.records if record["id"] == CONTACT]
    mapped = provider.contact(contact, tables={}, account=ACCOUNT, region="US")
    assert mapped.merged_ids == (LEAD,), "its lead goes on"


def test_a_lead_that_was_converted_into_we_are_not_told_whom_is_gone() -> None:
    org = with_contacts(3)
    org.rows[LEAD].values |= {"IsConverted": True}
    org.rows[LEAD].modified = NOW
    done = walk(provider.changes(), org, bookmark=walk(provider.everything(), org).bookmark)
    assert done.gone == [Gone(LEAD, NOW)]
    assert done.merged == []


# Deals


def test_a_contact_has_the_stage_of_their_open_deal() -> None:
    org = with_contacts(30)
    with_roles(org, {CONTACT: "Proposal"})
    records = [record for page in walk(provider.everything(), org).pages for record in page.records]
    tables: dict[str, dict[str, Any]] = {}
    for table in (*provider.tables(), *provider.missing(records, {})):
        tables.setdefault(table.name, {}).update(walk_table(table, org)[0])
    stages = {
        record["id"]: provider.contact(record, tables=tables, account=ACCOUNT, region="US").stage for record in records
    }
    assert stages[CONTACT] == "Offer is out"
    assert {stages[one] for one in ids_of(org, "Contact") - {CONTACT}} == {"Contact"}


def test_the_deals_of_many_are_read_all_at_once_and_only_once() -> None:
    org = with_contacts(3000)
    with_roles(org, dict.fromkeys(sorted(ids_of(org, "Contact"))[:5], "Proposal"))
    records = [record for page in walk(provider.everything(), org).pages for record in page.records]
    [deals] = [table for table in provider.missing(records, {"owners": {OWNER: {}}}) if table.name == "deals"]
    rows, requests = walk_table(deals, org)
    assert requests == 2
    assert not provider.missing(records, {"owners": {OWNER: {}}, "deals": rows})
    assert len(rows) == 5 + 1


@pytest.mark.parametrize("ids", [(CONTACT,), ()], ids=["by name", "all at once"])
def test_of_several_deals_the_one_with_the_primary_contact_counts(ids: tuple[str, ...]) -> None:
    org = with_contacts(30)
    for number, (stage, is_primary) in enumerate((("A", False), ("B", True), ("C", False))):
        values = {"Opportunity.StageName": stage, "Opportunity.IsClosed": False, "IsPrimary": is_primary}
        org.add(100 + number, "OpportunityContactRole", NOW, ContactId=CONTACT, **values)
    assert walk_table(Deals(ids), org)[0][CONTACT] == "B"


def test_a_contact_whose_deal_moved_is_read_again() -> None:
    org = with_contacts(450)
    with_roles(org, {CONTACT: "Proposal"})
    bookmark = walk(provider.everything(), org).bookmark
    quiet_since(org)
    [role] = [one for one in org.rows.values() if one.kind == "OpportunityContactRole"]
    role.values["Opportunity.SystemModstamp"] = "2026-11-02T09:30:00.000+0000"
    done = walk(provider.changes(), org, bookmark=bookmark, now=NOW + timedelta(hours=1))
    assert done.ids == [CONTACT]
    assert len(done.requests) == 4


def test_without_access_to_deals_people_are_read_without_them() -> None:
    org = with_contacts(450)
    org.absent = {"OpportunityContactRole"}
    assert set(walk(provider.changes(), org).ids) == ids_of(org)
    assert walk_table(Deals((CONTACT,)), org)[0] == {CONTACT: ""}


# Fields that are hidden


def test_a_hidden_field_does_not_stop_the_pass() -> None:
    org = with_contacts(3000)
    org.hidden = {"Contact.Fax", "Lead.Description", "Lead.MasterRecordId"}
    done = walk(provider.everything(), org)
    assert set(done.ids) == ids_of(org)
    quiet_since(org)
    org.asked.clear()
    walk(provider.changes(), org, bookmark=done.bookmark)
    assert not [request for request in org.asked if request.path.endswith("describe")], "it is remembered"


def test_a_field_hidden_since_the_last_pass_is_noticed() -> None:
    org = with_contacts(30)
    bookmark = walk(provider.everything(), org).bookmark
    org.hidden = {"Contact.Fax", "Lead.Fax"}
    for one in org.rows.values():
        one.modified = NOW
    assert set(walk(provider.changes(), org, bookmark=bookmark).ids) == ids_of(org)


def test_accounts_that_the_user_may_not_see_do_not_stop_the_pass() -> None:
    org = with_contacts(30)
    org.absent = {"Account"}
    assert set(walk(provider.everything(), org).ids) == ids_of(org)


def test_a_customers_own_do_not_text_field_is_asked_for_and_obeyed() -> None:
    theirs = provider.for_account(CrmAccount(external_id="1", facts={"opt_out_properties": ["No_Texts__c"]}))
    org = with_contacts(1)
    done = walk(theirs.everything(), org)
    assert "No_Texts__c" in done.requests[0].query["q"]
    record = {**done.pages[0].records[0], "No_Texts__c": True}
    assert theirs.contact(record, tables={}, account=ACCOUNT, region="US").opted_out
    assert not provider.contact(record, tables={}, account=ACCOUNT, region="US").opted_out
    with pytest.raises(ValueError, match="field"):
        provider.for_account(CrmAccount(external_id="1", facts={"opt_out_properties": ["No Texts FROM"]}))


def test_a_do_not_text_field_of_one_object_only_is_read_there() -> None:
    theirs = provider.for_account(CrmAccount(external_id="1", facts={"opt_out_properties": ["No_Texts__c"]}))
    org = with_contacts(30)
    org.hidden = {"Contact.No_Texts__c"}
    assert set(walk(theirs.everything(), org).ids) == ids_of(org)


@pytest.mark.parametrize("name", ["everything", "changes"])
def test_a_do_not_text_field_that_nobody_shows_us_stops_the_pass(name: str) -> None:
    theirs = provider.for_account(CrmAccount(external_id="1", facts={"opt_out_properties": ["No_Texts__c"]}))
    org = with_contacts(30)
    org.hidden = {"Contact.No_Texts__c", "Lead.No_Texts__c"}
    with pytest.raises(NotAllowed, match="No_Texts__c"):
        walk(getattr(theirs, name)(), org)


# Owners


def test_owners_that_the_lists_lack_are_asked_for_once() -> None:
    org = with_contacts(0)
    records = [{"id": LEAD, "sobject": "Lead", "OwnerId": owner} for owner in ("0055g000001SomeAAK", QUEUE)]
    tables: dict[str, Any] = {"owners": {}}
    for table in provider.missing(records, tables):
        tables["owners"] |= walk_table(table, org)[0]
    assert tables["owners"] == {"0055g000001SomeAAK": None, QUEUE: {"name": "Inbound", "email": ""}}
    assert not provider.missing(records, tables)


# Hosts


@pytest.mark.parametrize(
    ("told", "host"),
    [
        ({}, "https://login.salesforce.com"),
        ({"instance_url": "https://acme.my.salesforce.com"}, "https://acme.my.salesforce.com"),
        (
            {"instance_url": "https://Acme--UAT.sandbox.my.salesforce.com/"},
            "https://acme--uat.sandbox.my.salesforce.com",
        ),
        (
            {"instance_url": "https://acme-dev-ed.develop.my.salesforce.com"},
            "https://acme-dev-ed.develop.my.salesforce.com",
        ),
        ({"instance_url": "https://na139.salesforce.com"}, "https://na139.salesforce.com"),
        ({"instance_url": "https://agency.my.salesforce.mil"}, "https://agency.my.salesforce.mil"),
    ],
)
def test_each_customer_is_asked_at_their_own_instance(told: dict[str, str], host: str) -> None:
    assert provider.host(told) == host


@pytest.mark.parametrize(
    "address",
    [
        "https://acme.my.salesforce.com.evil.example", "http://acme.my.salesforce.com", "https://salesforce.com.evil",
        "https://evil.example/acme.my.salesforce.com", "https://acme.my.salesforce.com@evil.example",
        "https://evilsalesforce.com", "https://acme.lightning.force.com", "acme.my.salesforce.com",
        "https://acme.my.salesforce.com:8443", "https://acme.my.salesforce.com/x",
    ],
)  # fmt: skip
def test_a_host_that_is_not_salesforces_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        provider.host({"instance_url": address})


# Refusals


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "INVALID_SESSION_ID", TokenExpired),
        (403, "API_DISABLED_FOR_ORG", NotAllowed),
        (403, "API_CURRENTLY_DISABLED", NotAllowed),
        (403, "INSUFFICIENT_ACCESS", NotAllowed),
        (403, "REQUEST_LIMIT_EXCEEDED", TryLater),
        (400, "QUERY_TIMEOUT", TryLater),
        (406, "", TryLater),
        (429, "", TryLater),
        (500, "UNKNOWN_EXCEPTION", TryLater),
        (503, "SERVER_UNAVAILABLE", TryLater),
        (400, "MALFORMED_QUERY", BadRequest),
        (404, "NOT_FOUND", BadRequest),
        (414, "", BadRequest),
    ],
)
def test_a_refusal_is_named_by_what_to_do_next(status: int, code: str, kind: type[LeadloomError]) -> None:
    error = provider.explain(Reply(status, {}, json.dumps([{"errorCode": code}]).encode()), now=NOW)
    assert type(error) is kind
    assert not isinstance(error, NeedsReconnect)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("api-usage=8/15000", "rate_limited"),
        ("", "rate_limited"),
        ("api-usage=15000/15000", "quota"),
        ("api-usage=25/5000; per-app-api-usage=251/250(appName=leadloom)", "quota"),
    ],
)
def test_too_many_calls_at_once_and_no_calls_left_are_told_apart(told: str, code: str) -> None:
    body = b'[{"message":"no","errorCode":"REQUEST_LIMIT_EXCEEDED"}]'
    error = provider.explain(Reply(403, {"sforce-limit-info": told}, body), now=NOW)
    assert isinstance(error, TryLater)
    assert error.code == code
    assert (error.after >= timedelta(minutes=1)) is (code == "quota")


def test_the_calls_that_are_left_are_those_of_the_smaller_share() -> None:
    told = "api-usage=25/5000; per-app-api-usage=17/250(appName=leadloom)"
    assert provider.remaining(Reply(200, {"sforce-limit-info": told}, b"")) == 233
