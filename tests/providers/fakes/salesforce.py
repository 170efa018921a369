"""A Salesforce org in memory: evaluates the queries the provider makes, with Salesforce's own limits, and nothing else.

It refuses what Salesforce refuses: fields that the user may not see, pages too large, jobs for what no job can do. Ids
order as it pleases (here: backwards within a hundred), so whoever compares ids by himself is found out.
"""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from tests.providers.conformance import NOW

from leadloom.providers.base import Reply, Request

ORG, OWNER, LEFT, QUEUE = "00D5g00000AcmeXEAX", "0055g000001OlivAAK", "0055g000001LenaAAK", "00G5g000001QueuAAK"
PREFIXES = {"Contact": "003", "Lead": "00Q", "OpportunityContactRole": "00K"}

QUERY = re.compile(
    r"SELECT (?P<fields>.+?) FROM (?P<kind>\w+)(?: WHERE (?P<where>.+?))?(?: ORDER BY (?P<order>.+?))?"
    r"(?: LIMIT (?P<limit>\d+))?"
)
CONDITION = re.compile(r"([\w.]+) (=|<|>|<=|>=|IN) (.+)")
COMMON = {
    "Id", "FirstName", "LastName", "Name", "MobilePhone", "Phone", "Fax", "Email", "OwnerId", "Description",
    "DoNotCall", "LastActivityDate", "CreatedDate", "SystemModstamp", "IsDeleted", "MasterRecordId",
}  # fmt: skip
NAMES = {
    "Contact": COMMON
    | {"HomePhone", "OtherPhone", "AssistantPhone", "AccountId", "Account.Name", "MailingCountry", "OtherCountry"},
    "Lead": COMMON
    | {"Company", "Country", "Status", "IsConverted", "ConvertedDate", "ConvertedContactId"},
    "OpportunityContactRole": {
        "Id", "ContactId", "IsPrimary", "SystemModstamp", "IsDeleted", "Opportunity.StageName", "Opportunity.IsClosed",
        "Opportunity.SystemModstamp",
    },
}  # fmt: skip


@cache
def stamp(at: datetime) -> str:
    """As REST shows times."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


@dataclass
class Row:
    kind: str
    place: int
    """Where its id is in the order of ids."""
    id: str
    modified: datetime
    created: datetime
    values: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False

    def value(self, name: str) -> Any:
        match name:
            case "Id":
                return self.id
            case "SystemModstamp":
                return stamp(self.modified)
            case "CreatedDate":
                return stamp(self.created)
            case "IsDeleted":
                return self.deleted
        return self.values.get(name, False if name in ("IsConverted", "DoNotCall", "IsPrimary") else None)

    def key(self, name: str) -> Any:
        """What the order and the comparisons go by."""
        if name == "Id":
            return self.place
        value = self.value(name)
        return "" if value is None else value


class Org:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.asked: list[Request] = []
        self.hidden: set[str] = set()
        """Fields that the user may not see: ``Contact.Fax``."""
        self.absent: set[str] = set()
        """Objects that the user may not see."""
        self.custom: set[str] = {"No_Texts__c"}
        self.slow: Callable[[str], bool] = lambda soql: False
        """Queries that run for too long."""
        self.jobs: dict[str, list[list[Any]]] = {}
        self.jobs_run = ["JobComplete"]
        """What a job says of itself, look after look."""
        self.counts_as: dict[str, int] = {}
        """An object with more people than there are rows."""
        self.largest_page = 2_000
        self._order: dict[str, int] = {}

    def add(self, number: int, kind: str, modified: datetime, **values: Any) -> Row:
        own_id = id_of(kind, number)
        created = modified - timedelta(days=1) + timedelta(seconds=number)
        row = self.rows[own_id] = Row(kind, place_of(number), own_id, modified, created, values)
        return row

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        assert request.path.startswith("/services/data/v63.0/")
        match request.path.split("/")[4:]:
            case [("query" | "queryAll") as way]:
                assert len(request.query["q"]) < 16_000, "the address would be refused"
                return self._query(request.query["q"], deleted=way == "queryAll")
            case ["sobjects", kind, "describe"]:
                return self._describe(kind)
            case ["jobs", "query", *rest]:
                return self._job(request, rest)
        raise AssertionError(f"Salesforce has no {request.path}")

    def _query(self, soql: str, *, deleted: bool) -> Reply:
        parts = QUERY.fullmatch(soql)
        assert parts, f"Salesforce answers 400 MALFORMED_QUERY to {soql}"
        kind, names = parts["kind"], parts["fields"].split(", ")
        if refusal := self._refusal(soql, kind, names):
            return refused(refusal)
        if kind not in PREFIXES:
            return ok(page([{"attributes": {"type": kind}, **row} for row in small_table(kind, parts["where"] or "")]))
        found = self._found(kind, parts["where"], deleted=deleted)
        if names == ["COUNT()"]:
            return ok({"totalSize": self.counts_as.get(kind, len(found)), "done": True, "records": []})
        for part in reversed((parts["order"] or "").split(", ")):
            name, _, way = part.partition(" ")
            found.sort(key=lambda row: row.key(name), reverse=way == "DESC")
        assert parts["limit"], "a locator would be needed"
        limit = int(parts["limit"])
        assert limit <= 2_000
        rows = [nested(kind, [(name, row.value(name)) for name in names]) for row in found[:limit]]
        return ok(page(rows, self.largest_page))

    def _refusal(self, soql: str, kind: str, names: list[str]) -> str:
        if kind in self.absent:
            return "INVALID_TYPE"
        used = {*names, *re.findall(r"\b(IsConverted|ConvertedDate)\b", soql)} - {"COUNT()"}
        visible = self._visible(kind) if kind in NAMES else used
        beyond = {name for name in used if name.startswith("Account.") and "Account" in self.absent}
        if used - visible or beyond:
            return "INVALID_FIELD"
        return "QUERY_TIMEOUT" if self.slow(soql) else ""

    def _visible(self, kind: str) -> set[str]:
        own = self.custom if kind != "OpportunityContactRole" else set()
        return {name for name in NAMES[kind] | own if f"{kind}.{name}" not in self.hidden}

    def _found(self, kind: str, where: str | None, *, deleted: bool) -> list[Row]:
        rows = [row for row in self.rows.values() if row.kind == kind and (deleted or not row.deleted)]
        for condition in re.split(r" AND (?![^(]*\))", where) if where else []:
            either = condition.strip("()").split(" OR ") if " OR " in condition else [condition]
            rows = [row for row in rows if any(self._meets(row, one) for one in either)]
        return rows

    def _meets(self, row: Row, condition: str) -> bool:
        parts = CONDITION.fullmatch(condition)
        assert parts, f"Salesforce answers 400 MALFORMED_QUERY to {condition}"
        name, operator, text = parts.groups()
        if operator == "IN":
            return row.value(name) in re.findall(r"'(\w+)'", text)
        value, wanted = row.key(name), self._literal(text)
        if name == "Id":
            wanted = self.rows[wanted].place if wanted in self.rows else place_of(number_of(wanted))
        return {
            "=": value == wanted, "<": value < wanted, ">": value > wanted, "<=": value <= wanted, ">=": value >= wanted
        }[operator]  # fmt: skip

    def _literal(self, text: str) -> Any:
        if text in ("true", "false"):
            return text == "true"
        if text.startswith("'"):
            return text.strip("'")
        assert "+" not in text
        return stamp(datetime.fromisoformat(text)) if "T" in text else text

    def _describe(self, kind: str) -> Reply:
        if kind in self.absent:
            return refused("NOT_FOUND", 404)
        plain = [{"name": name, "custom": False} for name in sorted(self._visible(kind)) if "." not in name]
        for one in plain:
            if one["name"] in self.custom:
                one |= {"custom": True, "label": "No texts", "type": "boolean"}
        return ok({"name": kind, "fields": plain})

    def _job(self, request: Request, rest: list[str]) -> Reply:
        match rest:
            case []:
                return self._begin_job(request)
            case [job] if job in self.jobs:
                state = self.jobs_run.pop(0) if len(self.jobs_run) > 1 else self.jobs_run[0]
                return ok({"id": job, "state": state})
            case [job, "results"] if job in self.jobs:
                return self._results(self.jobs[job], request)
        return refused("NOT_FOUND", 404)

    def _begin_job(self, request: Request) -> Reply:
        assert isinstance(request.body, dict)
        soql = str(request.body["query"])
        assert "ORDER BY" not in soql, "such a job is not shared out"
        assert "LIMIT" not in soql
        parts = QUERY.fullmatch(soql)
        assert parts
        names = parts["fields"].split(", ")
        if refusal := self._refusal(soql, parts["kind"], names):
            return refused(refusal)
        found = self._found(parts["kind"], parts["where"], deleted=False)
        job = f"7505g{len(self.jobs):010}AAA"
        self.jobs[job] = [names, *([row.value(name) for name in names] for row in found)]
        return ok({"id": job, "operation": "query", "state": "UploadComplete", "apiVersion": 63.0})

    def _results(self, table: list[list[Any]], request: Request) -> Reply:
        start, size = int(request.query.get("locator", "0")), int(request.query["maxRecords"])
        rows = table[1 + start : 1 + start + size]
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(table[0])
        writer.writerows([[bulk_text(value) for value in row] for row in rows])
        end = str(start + size) if len(table) > 1 + start + size else "null"
        headers = {"content-type": "text/csv", "sforce-locator": end, "sforce-numberofrecords": str(len(rows))}
        return Reply(200, headers, text.getvalue().encode())


def bulk_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(".000+0000", ".000Z")


def nested(kind: str, values: list[tuple[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"attributes": {"type": kind, "url": f"/services/data/v63.0/sobjects/{kind}/x"}}
    for name, value in values:
        parent, _, beyond = name.partition(".")
        if beyond:
            row[parent] = None if value is None else {"attributes": {"type": parent}, beyond: value}
        else:
            row[name] = value
    return row


def page(rows: list[dict[str, Any]], largest: int = 2_000) -> dict[str, Any]:
    body: dict[str, Any] = {"totalSize": len(rows), "done": len(rows) <= largest, "records": rows[:largest]}
    if not body["done"]:
        body["nextRecordsUrl"] = f"/services/data/v63.0/query/0r8xx5R2sM3DgWhASK-{largest}"
    return body


def small_table(kind: str, where: str) -> list[dict[str, Any]]:
    tables: dict[str, list[dict[str, Any]]] = {
        "Organization": [{"Id": ORG, "Name": "Acme", "Country": "US", "DefaultLocaleSidKey": "en_US"}],
        "User": [
            {"Id": OWNER, "Name": "Olive Owner", "Email": "Olive@acme.example"},
            {"Id": LEFT, "Name": "Lena Left", "Email": "lena@acme.example"},
        ],
        "Group": [{"Id": QUEUE, "Name": "Inbound"}],
        "LeadStatus": [{"Id": "01J5g000001StatAAK", "ApiName": "Working", "MasterLabel": "Being worked on"}],
        "OpportunityStage": [{"Id": "01J5g000001StagAAK", "ApiName": "Proposal", "MasterLabel": "Offer is out"}],
    }
    rows = tables[kind]
    return [row for row in rows if row["Id"] in where] if "Id IN" in where else rows


def ok(body: object) -> Reply:
    headers = {"content-type": "application/json", "sforce-limit-info": "api-usage=8/15000"}
    return Reply(200, headers, json.dumps(body).encode())


def refused(code: str, status: int = 400) -> Reply:
    return Reply(
        status, {"content-type": "application/json"}, json.dumps([{"errorCode": code, "message": "no"}]).encode()
    )


def id_of(kind: str, number: int) -> str:
    return f"{PREFIXES[kind]}5g{number:010}AAA"


def number_of(own_id: str) -> int:
    return int(own_id[5:15])


def place_of(number: int) -> int:
    """Ids order otherwise than their text."""
    return number // 100 * 100 + 99 - number % 100


def with_contacts(contacts: int) -> Org:
    org = Org()
    for number in range(contacts):
        kind = "Lead" if number % 3 else "Contact"
        org.add(number, kind, NOW - timedelta(hours=1), LastName=f"Ada {number}", OwnerId=OWNER)
    return org
