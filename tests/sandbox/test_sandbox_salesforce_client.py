"""A Salesforce client that others wrote, unmodified, cannot tell the difference.

It insists on ``https`` and on the vendor's hosts, so that the session it is given takes every address to the sandbox.
"""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from leadloom.sandbox import Sandbox

FIELDS = "Id, LastName, Phone, Owner.Name, Account.Name, SystemModstamp, IsDeleted, MasterRecordId"


class ToSandbox(HTTPAdapter):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._host = urlsplit(url).netloc

    def send(self, request: PreparedRequest, *args: Any, **more: Any) -> Response:
        parts = urlsplit(request.url or "")
        request.url = urlunsplit(("http", self._host, parts.path, parts.query, ""))
        return super().send(request, *args, **more)


@pytest.fixture(scope="module")
def _server() -> Iterator[Sandbox]:
    with Sandbox("salesforce", contacts=3_500, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def box(_server: Sandbox) -> Sandbox:
    _server.set_limits("none")
    _server.reset()
    return _server


@pytest.fixture
def session(box: Sandbox) -> Session:
    session = Session()
    session.trust_env = False
    session.mount("https://", ToSandbox(box.url))
    return session


@pytest.fixture
def crm(box: Sandbox, session: Session) -> Salesforce:
    return Salesforce(instance_url=box.url, session_id=box.token, session=session, version="63.0")


def of_object(box: Sandbox, name: str) -> list[str]:
    return [one.id for one in box.contacts() if one.properties["object"] == name]


def rows_of(pages: Iterator[Any]) -> list[dict[str, str]]:
    return [row for page in pages for row in csv.DictReader(io.StringIO(page))]


def test_it_signs_in_at_the_vendors_host_and_goes_where_the_reply_says(box: Sandbox, session: Session) -> None:
    crm = Salesforce(
        consumer_key=box.client_id, consumer_secret=box.client_secret, domain="sandbox-sales.my", session=session
    )
    assert crm.sf_instance == urlsplit(box.url).netloc
    assert crm.query("SELECT COUNT() FROM Lead")["totalSize"] == len(of_object(box, "Lead"))


@pytest.mark.parametrize("name", ["Contact", "Lead"])
def test_it_reads_everybody_by_locator(crm: Salesforce, box: Sandbox, name: str) -> None:
    fields = FIELDS if name == "Contact" else FIELDS.replace("Account.Name", "Company")
    found = list(crm.query_all_iter(f"SELECT {fields} FROM {name}"))
    assert [one["Id"] for one in found] == of_object(box, name)
    assert {one["Owner"]["Name"] for one in found} >= {"Ada Okafor", "Hana Petrova"}


def test_it_reads_deleted_and_merged_records_when_told_to(crm: Salesforce, box: Sandbox) -> None:
    deleted, winner, loser, erased = of_object(box, "Lead")[:4]
    box.archive(deleted)
    box.merge(winner, loser)
    box.gdpr_delete(erased)
    query = "SELECT Id, IsDeleted, MasterRecordId FROM Lead WHERE IsDeleted = true ORDER BY Id"
    assert crm.query_all(query)["records"] == []
    found = crm.query_all(query, include_deleted=True)["records"]
    assert [(one["Id"], one["MasterRecordId"]) for one in found] == [(deleted, None), (loser, winner)]


def test_it_reads_in_bulk(crm: Salesforce, box: Sandbox) -> None:
    handler: Any = crm.bulk2
    found = rows_of(handler.Contact.query(f"SELECT {FIELDS} FROM Contact", max_records=1000, wait=0))
    assert sorted(one["Id"] for one in found) == of_object(box, "Contact")
    assert {one["IsDeleted"] for one in found} == {"false"}
    assert {one["SystemModstamp"][-5:] for one in found} == {".000Z"}
    assert all(one["Account.Name"] or one["Account.Name"] == "" for one in found)
    box.archive(found[0]["Id"])
    rows = rows_of(handler.Contact.query_all("SELECT Id, IsDeleted FROM Contact", wait=0))
    assert [one["Id"] for one in rows if one["IsDeleted"] == "true"] == [found[0]["Id"]]


def test_it_describes(crm: Salesforce) -> None:
    lead: Any = crm.Lead
    fields = {one["name"]: one for one in lead.describe()["fields"]}
    assert fields["Do_Not_Text__c"]["custom"]
    assert fields["OwnerId"]["referenceTo"] == ["Group", "User"]
    assert "Working - Contacted" in {one["value"] for one in fields["Status"]["picklistValues"]}
    everything: Any = crm.describe()
    assert {"Contact", "Lead", "Account"} <= {one["name"] for one in everything["sobjects"]}


def test_it_knows_what_it_has_used_of_its_limits(crm: Salesforce) -> None:
    told = crm.limits()["DailyApiRequests"]
    assert told["Max"] - told["Remaining"] == 1
    assert crm.api_usage["api-usage"].used == 1


def test_it_creates_changes_and_deletes(crm: Salesforce, box: Sandbox) -> None:
    contact: Any = crm.Contact
    made = contact.create({"LastName": "Newcomer", "Phone": "(014) 427-4427"})["id"]
    contact.update(made, {"FirstName": "Nina", "DoNotCall": True})
    found = contact.get(made[:15])
    assert (found["Id"], found["Name"], found["DoNotCall"]) == (made, "Nina Newcomer", True)
    contact.delete(made)
    with pytest.raises(SalesforceResourceNotFound, match="ENTITY_IS_DELETED"):
        contact.get(made)
    with pytest.raises(SalesforceMalformedRequest, match="REQUIRED_FIELD_MISSING"):
        contact.create({"FirstName": "Nobody"})


def test_it_learns_what_was_deleted_and_updated(crm: Salesforce, box: Sandbox) -> None:
    lead: Any = crm.Lead
    gone, changed = of_object(box, "Lead")[:2]
    box.archive(gone)
    box.change(changed, Company="Elsewhere Ltd")
    box.advance(120)
    now = datetime.fromtimestamp(box.now_ms() / 1000, UTC)
    start, end = now - timedelta(minutes=5), now
    assert [one["id"] for one in lead.deleted(start, end)["deletedRecords"]] == [gone]
    assert changed in lead.updated(start, end)["ids"]
    assert gone not in lead.updated(start, end)["ids"]


def test_its_errors_are_those_it_knows(crm: Salesforce, box: Sandbox) -> None:
    with pytest.raises(SalesforceMalformedRequest, match="No such column 'Nope'"):
        crm.query("SELECT Nope FROM Lead")
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_TYPE"):
        crm.query("SELECT Id FROM Nowhere")
    box._post("settings", {"limits": "real", "daily": 1})
    crm.query("SELECT Id FROM Lead LIMIT 1")
    with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
        crm.query("SELECT Id FROM Lead LIMIT 1")
    box.set_limits("none")
    box.expire_token()
    with pytest.raises(SalesforceExpiredSession, match="INVALID_SESSION_ID"):
        crm.query("SELECT Id FROM Lead LIMIT 1")
