"""The simulated Salesforce behaves as its vendor documents: records, queries, the recycle bin."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from leadloom.sandbox import Sandbox
from leadloom.sandbox.salesforce.ids import lengthen

API = "/services/data/v63.0"
type Ask = Callable[..., httpx2.Response]


@pytest.fixture(scope="module")
def _server() -> Iterator[Sandbox]:
    with Sandbox("salesforce", contacts=700, seed=7) as box:
        yield box


@pytest.fixture
def box(_server: Sandbox) -> Sandbox:
    _server.set_limits("none")
    _server.reset()
    return _server


@pytest.fixture
def api(box: Sandbox) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {box.token}"}
    with httpx2.Client(base_url=box.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def ask(api: httpx2.Client) -> Ask:
    def run(soql: str, *, way: str = "query", **headers: str) -> httpx2.Response:
        return api.get(f"{API}/{way}", params={"q": soql}, headers=headers)

    return run


def control(box: Sandbox, path: str, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = httpx2.post(f"{box.url}/_control/{path}", json=body).raise_for_status().json()
    return told


def rows(reply: httpx2.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["records"]
    return found


def ids(reply: httpx2.Response) -> list[str]:
    return [row["Id"] for row in rows(reply)]


def refusal(reply: httpx2.Response) -> tuple[int, str]:
    [error] = reply.json()
    return reply.status_code, error["errorCode"]


def of_object(box: Sandbox, name: str) -> list[str]:
    return [one.id for one in box.contacts() if one.properties["object"] == name]


def stamp(row: dict[str, Any]) -> str:
    """As a condition writes what a reply tells."""
    return str(row["SystemModstamp"]).replace("+0000", "Z")


def test_a_number_of_eighteen_letters_ends_in_what_its_capitals_are() -> None:
    assert lengthen("001A0000006Vm9r") == "001A0000006Vm9rIAC"
    assert lengthen("00Q5g000001AbCd") != lengthen("00Q5g000001abcd")


# -- lists


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("key", ["Id", "SystemModstamp", "CreatedDate", "LastModifiedDate", "LastName"])
@pytest.mark.parametrize("name", ["Contact", "Lead"])
def test_any_order_tells_everybody_once_and_in_order(ask: Ask, box: Sandbox, name: str, key: str, order: str) -> None:
    first, second = of_object(box, name)[:2]
    box.change(first, Phone="+1 212 736 5000")
    box.archive(second)
    box.create(object=name, LastName="New", Company="New Ltd")
    box.create(object=name, LastName="Old", Company="Old Ltd", created_ms=1_600_000_000_000)
    both = ("Id",) if key == "Id" else (key, "Id")
    keys_asked = ", ".join(f"{one} {order}" for one in both)
    found = rows(ask(f"SELECT {', '.join(both)} FROM {name} ORDER BY {keys_asked}"))
    assert sorted(row["Id"] for row in found) == of_object(box, name)
    keys = [(str(row[key]).lower() if key == "LastName" else row[key], row["Id"]) for row in found]
    assert keys == sorted(keys, reverse=order == "DESC")


@pytest.mark.parametrize(("way", "border"), [("ASC", ">"), ("DESC", "<")])
def test_pages_behind_the_last_id_lead_to_everybody(ask: Ask, box: Sandbox, way: str, border: str) -> None:
    found: list[str] = []
    where = ""
    while page := ids(ask(f"SELECT Id FROM Contact {where} ORDER BY Id {way} LIMIT 90")):
        found += page
        where = f"WHERE Id {border} '{page[-1]}'"
    assert found == (of_object(box, "Contact") if way == "ASC" else of_object(box, "Contact")[::-1])


def test_pages_behind_the_last_stamp_and_id_lead_through_a_crowded_second(ask: Ask, box: Sandbox) -> None:
    crowd = set(box.bulk_change(300, Title="Everybody at once"))
    found: list[str] = []
    where = ""
    while page := rows(ask(f"SELECT Id, SystemModstamp FROM Lead {where} ORDER BY SystemModstamp, Id LIMIT 70")):
        found += [row["Id"] for row in page]
        at, last = stamp(page[-1]), page[-1]["Id"]
        where = f"WHERE (SystemModstamp = {at} AND Id > '{last}') OR SystemModstamp > {at}"
    assert sorted(found) == of_object(box, "Lead")
    assert set(found[-len(crowd & set(found)) :]) <= crowd


def test_rows_of_one_second_come_in_no_order_unless_the_id_is_asked_for(ask: Ask, box: Sandbox) -> None:
    at = box.now_ms() // 1000 * 1000 + 5000
    crowd = [one for one in box.bulk_change(300, at_ms=at, Title="At once") if one.startswith("00Q")]
    found = ids(ask(f"SELECT Id FROM Lead ORDER BY SystemModstamp DESC LIMIT {len(crowd)}"))
    assert sorted(found) == sorted(crowd)
    assert found not in (sorted(crowd), sorted(crowd, reverse=True))


def test_a_locator_tells_the_rows_that_were_found_as_they_are_now(api: httpx2.Client, ask: Ask, box: Sandbox) -> None:
    first = ask("SELECT Id, LastName FROM Contact ORDER BY Id", **{"sforce-query-options": "batchSize=200"})
    body = first.json()
    everybody = of_object(box, "Contact")
    assert (len(body["records"]), body["totalSize"], body["done"]) == (200, len(everybody), False)
    box.create(object="Contact", LastName="Too late")
    box.change(everybody[-1], LastName="Renamed meanwhile")
    found = body["records"]
    while not body["done"]:
        assert body["nextRecordsUrl"].startswith(f"{API}/query/0r8")
        body = api.get(body["nextRecordsUrl"]).json()
        found += body["records"]
    assert "nextRecordsUrl" not in body
    assert [row["Id"] for row in found] == everybody
    assert found[-1]["LastName"] == "Renamed meanwhile"


def test_a_locator_ends_after_two_days_and_with_the_eleventh(api: httpx2.Client, ask: Ask, box: Sandbox) -> None:
    def new() -> str:
        reply = ask("SELECT Id FROM Contact", **{"sforce-query-options": "batchSize=200"})
        return str(reply.json()["nextRecordsUrl"])

    oldest = new()
    for _ in range(10):
        latest = new()
    assert refusal(api.get(oldest)) == (400, "INVALID_QUERY_LOCATOR")
    assert api.get(latest).status_code == 200
    box.advance(2 * 86_400)
    assert refusal(api.get(latest)) == (400, "INVALID_QUERY_LOCATOR")


def test_counting_tells_a_total_and_no_rows(ask: Ask, box: Sandbox) -> None:
    told = ask("SELECT COUNT() FROM Lead WHERE IsConverted = false").json()
    assert (told["totalSize"], told["records"], told["done"]) == (len(of_object(box, "Lead")), [], True)


# -- conditions


def test_conditions_leave_what_they_say(ask: Ask, box: Sandbox) -> None:
    own = {
        name: box.create(object="Lead", LastName="Cond", Company="Cond Ltd", **more)
        for name, more in {
            "hot": {"Rating": "Hot", "FirstName": "O'Brien", "Score__c": "5"},
            "cold": {"Rating": "Cold", "LastActivityDate": "2030-01-31", "Score__c": "7"},
            "none": {"Do_Not_Text__c": "true", "OwnerId": _queue(ask)},
        }.items()
    }

    def those(condition: str) -> set[str]:
        found = ids(ask(f"SELECT Id FROM Lead WHERE LastName = 'cond' AND ({condition})"))
        return {name for name, own_id in own.items() if own_id in found}

    assert those("Rating = 'hOT'") == {"hot"}, "text is compared without regard to case"
    assert those("Rating != 'Hot'") == {"cold", "none"}, "nothing is unlike anything"
    assert those("Rating = null") == those("NOT Rating != null") == {"none"}
    assert those("Rating IN ('Hot', 'Cold')") == those("Rating NOT IN ('Warm', null)") == {"hot", "cold"}
    assert those(r"FirstName = 'O\'Brien'") == those("FirstName LIKE 'o%en'") == {"hot"}
    assert those("Score__c > 5") == {"cold"}
    assert those("LastActivityDate >= 2030-01-31") == those("LastActivityDate = 2030-01-31") == {"cold"}
    assert those("Do_Not_Text__c = true OR (Rating = 'Hot' AND Score__c <= 5)") == {"hot", "none"}
    assert those("CreatedDate >= TODAY") == those("CreatedDate >= LAST_N_DAYS:2") == set(own)
    assert those("Owner.Type = 'Queue'") == those("Owner.Name = 'Inbound leads'") == {"none"}
    assert those(f"Id = '{own['hot'][:15]}'") == those(f"Id >= '{own['hot'][:15]}' AND Id < '{own['cold']}'") == {"hot"}


def _queue(ask: Ask) -> str:
    return ids(ask("SELECT Id FROM Group WHERE Type = 'Queue' AND DeveloperName = 'Inbound_leads'"))[0]


def test_a_query_inside_brings_ids(ask: Ask, box: Sandbox) -> None:
    everybody = ids(ask("SELECT Id FROM Contact WHERE Id IN (SELECT ContactId FROM OpportunityContactRole)"))
    roles = rows(ask("SELECT ContactId FROM OpportunityContactRole"))
    assert sorted(everybody) == sorted({row["ContactId"] for row in roles})
    assert 0 < len(everybody) < len(of_object(box, "Contact"))


def test_moments_are_written_without_quotes_and_with_a_zone(ask: Ask, box: Sandbox) -> None:
    mark = box.advance(5)
    own_id = of_object(box, "Lead")[0]
    box.advance(2)
    box.change(own_id, Title="Later")
    utc = _iso(mark, 0)
    assert ids(ask(f"SELECT Id FROM Lead WHERE SystemModstamp >= {utc}Z")) == [own_id]
    assert ids(ask(f"SELECT Id FROM Lead WHERE SystemModstamp >= {_iso(mark, 3600)}+01:00")) == [own_id]
    assert refusal(ask(f"SELECT Id FROM Lead WHERE SystemModstamp >= '{utc}Z'")) == (400, "INVALID_FIELD")
    unescaped = f"SELECT+Id+FROM+Lead+WHERE+SystemModstamp>={utc}+01:00"
    reply = httpx2.get(f"{box.url}{API}/query?q={unescaped}", headers={"authorization": f"Bearer {box.token}"})
    assert refusal(reply) == (400, "MALFORMED_QUERY"), "a plus sign that travels as a space"


def _iso(ms: int, ahead_s: int) -> str:
    from leadloom.sandbox.clock import iso

    return iso(ms + ahead_s * 1000)[:19]


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Nope FROM Lead", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE Nope = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Lead ORDER BY Nope", "INVALID_FIELD"),
        ("SELECT Nobody.Name FROM Lead", "INVALID_FIELD"),
        ("SELECT Id, Owner.DeveloperName FROM Lead", "INVALID_FIELD"),  # who owns may be a user or a queue
        ("SELECT Id, Id FROM Lead", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT IsDeleted FROM User", "INVALID_FIELD"),
        ("SELECT Id FROM Nowhere", "INVALID_TYPE"),
        ("SELECT Id, (SELECT Id FROM Nothings) FROM Contact", "INVALID_TYPE"),
        ("SELECT Id FROM Lead WHERE Id = 'abc'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Lead LIMIT 5 OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT Id FROM Lead WHERE Rating = 'a' OR Rating = 'b' AND Rating = 'c'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Lead", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead LIMIT many", "MALFORMED_QUERY"),
        ("DELETE FROM Lead", "MALFORMED_QUERY"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_code(ask: Ask, soql: str, code: str) -> None:
    assert refusal(ask(soql)) == (400, code)


def test_a_refusal_shows_the_place(ask: Ask) -> None:
    [told] = ask("SELECT Id, DoNotFly FROM Contact").json()
    assert "ERROR at Row:1:Column:12\nNo such column 'DoNotFly' on entity 'Contact'" in told["message"]


def test_an_address_that_is_too_long_is_refused_by_the_edge(ask: Ask) -> None:
    reply = ask("SELECT Id FROM Lead WHERE LastName = '" + "x" * 17_000 + "'")
    assert (reply.status_code, reply.headers["content-type"][:9]) == (414, "text/html")


# -- rows


def test_a_row_tells_its_fields_in_the_order_asked_for_with_parents_inside(ask: Ask, box: Sandbox) -> None:
    own_id = box.create(object="Contact", LastName="Whole", Company="Parent & Sons", MailingStreet="One\nTwo")
    text = "SELECT LastName, Account.Name, Id, MailingAddress, Account.Owner.Name, SystemModstamp, ReportsTo.Name"
    [row] = rows(ask(f"{text} FROM Contact WHERE Id = '{own_id}'"))
    assert list(row)[:4] == ["attributes", "LastName", "Account", "Id"]
    assert row["attributes"] == {"type": "Contact", "url": f"{API}/sobjects/Contact/{own_id}"}
    assert row["Account"]["Name"] == "Parent & Sons"
    assert row["Account"]["Owner"] is None
    assert row["MailingAddress"]["street"] == "One\nTwo"
    assert row["ReportsTo"] is None
    assert row["SystemModstamp"].endswith(".000+0000")


def test_a_queue_owns_leads_and_has_no_address(ask: Ask, box: Sandbox) -> None:
    box.add_awkward()
    [row] = rows(ask(f"SELECT Owner.Name, Owner.Email, Owner.Type FROM Lead WHERE Id = '{_owned_by_queue(box)}'"))
    assert row["Owner"]["attributes"]["type"] == "Name"
    assert (row["Owner"]["Name"], row["Owner"]["Email"], row["Owner"]["Type"]) == ("Inbound leads", None, "Queue")


def _owned_by_queue(box: Sandbox) -> str:
    return box.awkward_ids["owned_by_a_queue"]


def test_labels_are_told_on_request_and_values_otherwise(ask: Ask) -> None:
    text = "FROM Lead WHERE Status = 'Working - Contacted' LIMIT 1"
    assert rows(ask(f"SELECT Status {text}"))[0]["Status"] == "Working - Contacted"
    assert rows(ask(f"SELECT toLabel(Status) {text}"))[0]["Status"] == "Tried twice, no answer"


def test_children_come_inside_and_count_against_the_size_of_a_page(ask: Ask, box: Sandbox) -> None:
    text = "(SELECT Opportunity.StageName FROM OpportunityContactRoles WHERE Opportunity.IsClosed = false)"
    reply = ask(f"SELECT Id, {text} FROM Contact ORDER BY Id", **{"sforce-query-options": "batchSize=200"})
    found = reply.json()["records"]
    deals = [row["OpportunityContactRoles"] for row in found if row["OpportunityContactRoles"]]
    assert len(found) < 200 <= len(found) + sum(len(one["records"]) for one in deals)
    assert {one["records"][0]["Opportunity"]["StageName"] for one in deals} <= {
        "Prospecting", "Needs Analysis", "Proposal/Price Quote",
    }  # fmt: skip


def test_the_platforms_own_users_are_among_the_users(ask: Ask) -> None:
    found = {row["Name"]: row for row in rows(ask("SELECT Name, UserType, IsActive FROM User"))}
    assert found["Automated Process"]["UserType"] == "AutomatedProcess"
    assert found["Hana Petrova"]["IsActive"] is False


# -- what happens to records


def test_every_write_moves_the_stamp_by_whole_seconds_and_the_platforms_own_not_the_date(
    ask: Ask, box: Sandbox
) -> None:
    own_id = of_object(box, "Contact")[0]

    def stamps() -> tuple[str, str]:
        [row] = rows(ask(f"SELECT SystemModstamp, LastModifiedDate FROM Contact WHERE Id = '{own_id}'"))
        return row["SystemModstamp"], row["LastModifiedDate"]

    box.advance(10)
    control(box, "contacts/touch", id=own_id)
    touched = stamps()
    assert touched[0] > touched[1]
    box.advance(10)
    box.change(own_id, Title="Edited")
    edited = stamps()
    assert edited[0] == edited[1] > touched[0]


def test_the_bin_is_seen_by_query_all_alone_for_fifteen_days(ask: Ask, box: Sandbox) -> None:
    deleted, winner, loser, erased, last = of_object(box, "Contact")[:5]
    before = rows(ask(f"SELECT Id, SystemModstamp FROM Contact WHERE Id = '{deleted}'"))[0]["SystemModstamp"]
    box.archive(deleted)
    assert box.merge(winner, loser) == winner
    box.archive(erased)
    box.gdpr_delete(erased)
    assert ids(ask("SELECT Id FROM Contact WHERE IsDeleted = true")) == []
    assert not {deleted, loser, erased} & set(ids(ask("SELECT Id FROM Contact")))
    text = "SELECT Id, MasterRecordId, SystemModstamp FROM Contact WHERE IsDeleted = true ORDER BY Id"
    found = {row["Id"]: row for row in rows(ask(text, way="queryAll"))}
    assert {own_id: row["MasterRecordId"] for own_id, row in found.items()} == {deleted: None, loser: winner}
    assert found[deleted]["SystemModstamp"] > before
    box.restore(deleted)
    assert deleted in ids(ask("SELECT Id FROM Contact"))
    box.archive(last)
    box.advance(15 * 86_400)
    assert rows(ask(text, way="queryAll")) == []


def test_a_merge_fills_what_the_winner_lacks_and_moves_its_stamp(ask: Ask, box: Sandbox) -> None:
    winner = box.create(object="Lead", LastName="Stays", Company="A", created_ms=1_700_000_000_000)
    loser = box.create(object="Lead", LastName="Goes", Company="B", MobilePhone="+1 212 736 5009")
    mark = box.now_ms()
    box.merge(winner, loser)
    [row] = rows(
        ask(f"SELECT LastName, MobilePhone FROM Lead WHERE Id = '{winner}' AND SystemModstamp >= {_iso(mark, 0)}Z")
    )
    assert (row["LastName"], row["MobilePhone"]) == ("Stays", "+1 212 736 5009")


def test_a_converted_lead_stays_and_names_what_it_became(ask: Ask, box: Sandbox) -> None:
    own_id = box.create(object="Lead", LastName="Goes", Company="Up Ltd", OwnerId=_queue(ask), Phone="+1 212 736 5010")
    contact = control(box, "contacts/convert", id=own_id, with_deal=True)["id"]
    text = "IsConverted, ConvertedDate, ConvertedContactId, ConvertedAccount.Name, ConvertedOpportunityId"
    [lead] = rows(ask(f"SELECT {text} FROM Lead WHERE Id = '{own_id}'"))
    assert (lead["IsConverted"], lead["ConvertedContactId"]) == (True, contact)
    assert lead["ConvertedDate"] == _iso(box.now_ms(), 0)[:10]
    assert lead["ConvertedAccount"]["Name"] == "Up Ltd"
    [row] = rows(ask(f"SELECT Phone, Account.Name, Owner.Name FROM Contact WHERE Id = '{contact}'"))
    assert (row["Phone"], row["Account"]["Name"]) == ("+1 212 736 5010", "Up Ltd")
    assert row["Owner"]["Name"] == "Ada Okafor", "a queue owns no contact"
    [role] = rows(ask(f"SELECT OpportunityId FROM OpportunityContactRole WHERE ContactId = '{contact}'"))
    assert role["OpportunityId"] == lead["ConvertedOpportunityId"]
    assert own_id not in {one.id for one in box.contacts()}


def test_a_lead_can_become_a_contact_that_is_there_already(ask: Ask, box: Sandbox) -> None:
    lead, contact = of_object(box, "Lead")[0], of_object(box, "Contact")[0]
    assert control(box, "contacts/convert", id=lead, into=contact)["id"] == contact
    assert ids(ask(f"SELECT Id FROM Lead WHERE ConvertedContactId = '{contact}'")) == [lead]


def test_a_renamed_account_or_owner_moves_no_stamp_but_its_own(ask: Ask, box: Sandbox) -> None:
    own_id = box.create(object="Contact", LastName="Worker", Company="Before Ltd", created_ms=1_700_000_000_000)
    [before] = rows(ask(f"SELECT Id, AccountId, OwnerId, SystemModstamp FROM Contact WHERE Id = '{own_id}'"))
    control(box, "accounts/change", id=before["AccountId"], properties={"Name": "After Ltd"})
    control(box, "users/change", id=before["OwnerId"], properties={"LastName": "Renamed"})
    text = "SELECT SystemModstamp, Account.Name, Owner.Name, Account.SystemModstamp FROM Contact"
    [after] = rows(ask(f"{text} WHERE Id = '{own_id}'"))
    assert after["SystemModstamp"] == before["SystemModstamp"] < after["Account"]["SystemModstamp"]
    assert (after["Account"]["Name"], after["Owner"]["Name"]) == ("After Ltd", "Ada Renamed")


def test_a_deal_moves_no_stamp_of_its_contact(ask: Ask, box: Sandbox) -> None:
    own_id = box.create(object="Contact", LastName="Dealer", created_ms=1_700_000_000_000)
    text = f"SELECT Id, SystemModstamp FROM Contact WHERE Id = '{own_id}'"
    before = rows(ask(text))
    control(box, "deals", contact=own_id, stage="Prospecting")
    control(box, "deals", contact=own_id, stage="Closed Won")
    role = (
        f"SELECT Opportunity.StageName, Opportunity.IsClosed FROM OpportunityContactRole WHERE ContactId = '{own_id}'"
    )
    [found] = rows(ask(role))
    assert (found["Opportunity"]["StageName"], found["Opportunity"]["IsClosed"]) == ("Closed Won", True)
    assert rows(ask(text)) == before


def test_what_comes_back_or_goes_along_may_keep_its_stamp(api: httpx2.Client, ask: Ask, box: Sandbox) -> None:
    control(box, "settings", undelete_is_stamped=False, cascade_is_stamped=False)
    own_id = box.create(object="Contact", LastName="Worker", Company="Closing Ltd")
    box.archive(own_id)
    text = f"SELECT AccountId, SystemModstamp FROM Contact WHERE Id = '{own_id}'"
    [deleted] = rows(ask(text, way="queryAll"))
    box.advance(60)
    box.restore(own_id)
    assert rows(ask(text)) == [deleted]
    api.delete(f"{API}/sobjects/Account/{deleted['AccountId']}").raise_for_status()
    assert rows(ask(text)) == []
    assert rows(ask(text, way="queryAll")) == [deleted]


def test_an_account_takes_its_contacts_along(api: httpx2.Client, ask: Ask, box: Sandbox) -> None:
    own_id = box.create(object="Contact", LastName="Worker", Company="Closing Ltd")
    [row] = rows(ask(f"SELECT AccountId FROM Contact WHERE Id = '{own_id}'"))
    assert api.delete(f"{API}/sobjects/Account/{row['AccountId']}").status_code == 204
    assert ids(ask(f"SELECT Id FROM Contact WHERE Id = '{own_id}'")) == []
    assert ids(ask(f"SELECT Id FROM Contact WHERE Id = '{own_id}' AND IsDeleted = true", way="queryAll")) == [own_id]


def test_an_open_transaction_shows_late_with_the_stamp_of_its_writing(
    api: httpx2.Client, ask: Ask, box: Sandbox
) -> None:
    own_id = of_object(box, "Lead")[0]
    box.set_index_lag(60)
    mark = box.now_ms()
    box.change(own_id, Title="Late")
    text = f"SELECT Id, Title, SystemModstamp FROM Lead WHERE SystemModstamp >= {_iso(mark, 0)}Z"
    assert rows(ask(text)) == []
    window = {"start": f"{_iso(mark, -600)}Z", "end": f"{_iso(mark, 600)}Z"}
    covered = api.get(f"{API}/sobjects/Lead/updated/", params=window).json()["latestDateCovered"]
    assert covered[:19] <= _iso(mark, -55)
    box.advance(61)
    [row] = rows(ask(text))
    assert row["Title"] == "Late"
    assert row["SystemModstamp"][:19] <= _iso(mark, 5)


def test_replication_reaches_back_so_far_and_no_further(api: httpx2.Client, box: Sandbox) -> None:
    def window(kind: str, start: int, end: int) -> httpx2.Response:
        now = box.now_ms()
        span = {"start": f"{_iso(now, start)}+00:00", "end": f"{_iso(now, end)}+00:00"}
        return api.get(f"{API}/sobjects/Contact/{kind}/", params=span)

    day = 86_400
    assert refusal(window("deleted", -16 * day, 0)) == (400, "INVALID_REPLICATION_DATE")
    assert refusal(window("updated", -31 * day, 0)) == (400, "INVALID_REPLICATION_DATE")
    assert refusal(window("deleted", 0, 0)) == (400, "INVALID_REPLICATION_DATE")
    assert window("deleted", -14 * day, 0).json()["deletedRecords"] == []
    assert window("updated", -29 * day, 0).json()["ids"]


# -- what the user may see


def test_a_hidden_field_is_neither_described_nor_asked_for(api: httpx2.Client, ask: Ask, box: Sandbox) -> None:
    def names() -> set[str]:
        return {one["name"] for one in api.get(f"{API}/sobjects/Contact/describe").json()["fields"]}

    assert "DoNotCall" in names()
    assert "MailingCountryCode" not in names(), "there only where countries are a list"
    control(box, "settings", hidden={"Contact": ["DoNotCall", "AccountId"]})
    assert {"DoNotCall", "AccountId"}.isdisjoint(names())
    assert "MailingCountryCode" in names()
    assert refusal(ask("SELECT Id, DoNotCall FROM Contact")) == (400, "INVALID_FIELD")
    assert refusal(ask("SELECT Id, Account.Name FROM Contact")) == (400, "INVALID_FIELD")


def test_a_hidden_object_is_not_there(api: httpx2.Client, ask: Ask, box: Sandbox) -> None:
    control(box, "settings", hidden_objects=["Lead"])
    assert refusal(ask("SELECT Id FROM Lead")) == (400, "INVALID_TYPE")
    assert refusal(api.get(f"{API}/sobjects/Lead/describe")) == (404, "NOT_FOUND")
    assert "Lead" not in {one["name"] for one in api.get(f"{API}/sobjects").json()["sobjects"]}


def test_a_description_that_did_not_change_is_not_told_again(api: httpx2.Client, box: Sandbox) -> None:
    path = f"{API}/sobjects/Lead/describe"
    known = {"if-modified-since": api.get(path).headers["last-modified"]}
    assert api.get(path, headers=known).status_code == 304
    box.advance(5)
    control(box, "settings", hidden={"Lead": ["Rating"]})
    assert api.get(path, headers=known).status_code == 200


# -- single records and collections


def test_a_write_that_is_wrong_says_what_is(api: httpx2.Client, box: Sandbox) -> None:
    path = f"{API}/sobjects/Lead"

    def post(**values: Any) -> tuple[int, str]:
        return refusal(api.post(path, json={"LastName": "New", "Company": "New", **values}))

    assert post(Company="") == (400, "REQUIRED_FIELD_MISSING")
    assert post(Nope="x") == (400, "INVALID_FIELD")
    assert post(IsConverted=True) == (400, "INVALID_FIELD_FOR_INSERT_UPDATE")
    assert post(Phone="1" * 41) == (400, "STRING_TOO_LONG")
    own_id = of_object(box, "Lead")[0]
    control(box, "contacts/convert", id=own_id)
    assert refusal(api.patch(f"{path}/{own_id}", json={"Title": "x"})) == (400, "CANNOT_UPDATE_CONVERTED_LEAD")
    assert refusal(api.get(f"{path}/00Q000000000001AAA")) == (404, "NOT_FOUND")
    assert refusal(api.post(path, content=b"{")) == (400, "JSON_PARSER_ERROR")


def test_a_collection_tells_of_each_row_whether_it_failed(api: httpx2.Client, ask: Ask, box: Sandbox) -> None:
    path, kind = f"{API}/composite/sobjects", {"type": "Contact"}
    records = [{"attributes": kind, "LastName": "Good"}, {"attributes": kind, "FirstName": "Bad"}]
    reply = api.post(path, json={"records": records})
    good, bad = reply.json()
    assert (reply.status_code, good["success"], bad["success"]) == (200, True, False)
    assert bad["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert "id" not in bad
    wanted = {"ids": [good["id"], "003000000000001AAA"], "fields": ["LastName"]}
    found = api.post(f"{path}/Contact", json=wanted).json()
    assert (found[0]["LastName"], found[1]) == ("Good", None)
    told = api.delete(path, params={"ids": f"{good['id']},003000000000001AAA"}).json()
    assert [one["success"] for one in told] == [True, False]


def test_a_batch_asks_many_things_in_one_call(api: httpx2.Client, box: Sandbox) -> None:
    asked = [{"method": "GET", "url": f"v63.0/sobjects/{name}/describe"} for name in ("Lead", "Contact", "Nope")]
    told = api.post(f"{API}/composite/batch", json={"batchRequests": asked}).json()
    assert [one["statusCode"] for one in told["results"]] == [200, 200, 404]
    assert told["hasErrors"] is True
    assert box.stats().requests == 1
