"""A Zoho CRM in memory: evaluates the requests the provider makes, with Zoho's own limits, and nothing else.

It refuses what Zoho refuses: lists without fields or with too many, pages too large, tokens whose question was changed
or that reach too far, queries without a condition.
"""

import csv
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO, StringIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from tests.providers.conformance import NOW

from leadloom.providers.base import Reply, Request

FIRST_ID = 4876876000000100001
QUERY = re.compile(
    r"select id from (\w+) where \(?id < '(\d+)'(?: and Modified_Time >= '([^']+)'\))? order by id desc limit (\d+)"
)


@cache
def local(at: datetime) -> str:
    """As Zoho shows times: in the user's zone, whole seconds."""
    return (at + timedelta(hours=3)).replace(tzinfo=None).isoformat(timespec="seconds") + "+03:00"


@dataclass
class Person:
    id: int
    module: str
    modified: datetime
    values: dict[str, Any] = field(default_factory=dict)
    deleted: datetime | None = None
    became: int | None = None

    def row(self, names: list[str]) -> dict[str, Any]:
        times = {"Created_Time": local(self.modified - timedelta(days=1)), "Modified_Time": local(self.modified)}
        detail = {"contact": str(self.became)} if self.became else {}
        converted = {"Converted__s": self.became is not None, "$converted_detail": detail}
        held = {**self.values, **times, **(converted if self.module == "Leads" else {})}
        return {"id": str(self.id), **{name: held[name] for name in names if name in held}}


@dataclass
class Exports:
    """How Bulk Read goes: a job's file, and whether there is more."""

    jobs: dict[str, tuple[bytes, bool]] = field(default_factory=dict)
    order: str = "asc"
    per_page: int = 200_000
    polls_left: int = 0
    ends_as: str = "COMPLETED"
    refusal: int = 0
    """A status with which no file is prepared at all."""
    refused: set[str] = field(default_factory=set)
    """Fields that are put into no file."""
    is_lost: bool = False


def archive(people: list[Person], names: list[str]) -> bytes:
    """A ZIP archive of one CSV file: all as text, lookups as ids, the id first."""
    text = StringIO()
    lines = csv.writer(text)
    lines.writerow(["id", *names])
    for one in people:
        row = one.row([*names, "Account_Name"])
        row["Account_Name.Account_Name"] = (row.get("Account_Name") or {}).get("name")
        lines.writerow([one.id, *map(_as_text, map(row.get, names))])
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as made:
        made.writestr("people.csv", text.getvalue())
    return packed.getvalue()


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value["id"] if isinstance(value, dict) else "" if value is None else value)


class Org:
    def __init__(self) -> None:
        self.people: dict[int, Person] = {}
        self.asked: list[Request] = []
        self.reach = 100_000
        """How many records page tokens lead to."""
        self.is_token_lost = False
        """Tokens given out so far are refused, as after a day or for another user."""
        self.exports = Exports()
        self.without: set[str] = set()
        """Modules that this customer has hidden."""

    def add(self, id: int, module: str, modified: datetime, **values: Any) -> Person:
        person = self.people[id] = Person(id, module, modified, values)
        return person

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        if request.path.startswith("/crm/bulk/v8/read"):
            return self._export(request)
        assert request.path.startswith("/crm/v8/")
        match request.path.split("/")[3:]:
            case [("Contacts" | "Leads") as module]:
                return self._list(module, request)
            case [("Contacts" | "Leads") as module, "deleted"]:
                return self._deleted(module, request)
            case ["coql"]:
                assert isinstance(request.body, dict)
                return self._query(str(request.body["select_query"]))
            case ["users"]:
                assert request.query["type"] == "AllUsers", "those who left own records too"
                rows = [
                    {"id": "77", "full_name": "Olive Owner", "email": "Olive@acme.example", "status": "active"},
                    {"id": "78", "full_name": "Lena Left", "email": "lena@acme.example", "status": "inactive"},
                ]
                return ok({"users": rows, "info": {"more_records": False}})
            case ["settings", "fields"]:
                return self._fields(request.query["module"])
            case ["org"]:
                return ok({"org": [{"id": "4876876000000000001", "zgid": "20081234", "company_name": "Acme"}]})
        raise AssertionError(f"Zoho has no {request.path}")

    def _list(self, module: str, request: Request) -> Reply:
        query = dict(request.query)
        if module in self.without:
            return refused("INVALID_MODULE")
        assert 0 < len(query["fields"].split(",")) <= 50, "Zoho answers 400 REQUIRED_PARAM_MISSING"
        assert int(query["per_page"]) <= 200
        found = [one for one in self.people.values() if one.module == module and not one.deleted]
        if query.get("converted", "false") == "false":
            found = [one for one in found if one.became is None]
        if "ids" in query:
            wanted = query["ids"].split(",")
            assert len(wanted) <= 100
            found = [one for one in found if str(one.id) in wanted]
            return self._page(found[::-1], query, more=False, token=None)
        since = request.headers.get("if-modified-since")
        if since:
            found = [one for one in found if one.modified > datetime.fromisoformat(since)]
            if not found:
                return Reply(304, {}, b"")
        assert query["sort_by"] == "id"
        found.sort(key=lambda one: one.id, reverse=query["sort_order"] == "desc")
        given = query.pop("page_token", None)
        question = f"{module} {since} {sorted(query.items())}"
        start = 0
        if given:
            if self.is_token_lost:
                return refused("EXPIRED_VALUE")
            asked, start = json.loads(given)
            assert asked == question, "Zoho answers 400 TOKEN_BOUND_DATA_MISMATCH"
        if start >= self.reach:
            return refused("PAGINATION_LIMIT_EXCEEDED")
        end = start + int(query["per_page"])
        more = len(found) > end
        return self._page(found[start:end], query, more=more, token=json.dumps([question, end]) if more else None)

    def _page(self, found: list[Person], query: dict[str, str], *, more: bool, token: str | None) -> Reply:
        if not found:
            return Reply(204, {}, b"")
        rows = [one.row(query["fields"].split(",")) for one in found]
        return ok({"data": rows, "info": {"count": len(rows), "more_records": more, "next_page_token": token}})

    def _query(self, text: str) -> Reply:
        parts = QUERY.fullmatch(text)
        assert parts, f"Zoho answers 400 to {text}"
        module, below, since, limit = parts.groups()
        found = [one for one in self.people.values() if one.module == module and one.id < int(below)]
        if since:
            found = [one for one in found if one.modified >= datetime.fromisoformat(since)]
        found = sorted((one for one in found if not one.deleted), key=lambda one: -one.id)
        if not found:
            return Reply(204, {}, b"")
        rows = [{"id": str(one.id)} for one in found[: int(limit)]]
        return ok({"data": rows, "info": {"count": len(rows), "more_records": len(found) > len(rows)}})

    def _export(self, request: Request) -> Reply:
        match request.path.split("/")[5:]:
            case []:
                assert isinstance(request.body, dict)
                return self._ask_for_a_file(request.body["query"])
            case [job]:
                if self.exports.polls_left > 0:
                    self.exports.polls_left -= 1
                    return ok({"data": [{"id": job, "state": "IN PROGRESS"}]})
                told = {"id": job, "state": self.exports.ends_as}
                if self.exports.ends_as == "COMPLETED":
                    told["result"] = {"count": 1, "more_records": self.exports.jobs[job][1]}
                return ok({"data": [told]})
            case [job, "result"]:
                if self.exports.is_lost:
                    return Reply(404, {}, b"{}")
                return Reply(200, {"content-type": "application/zip"}, self.exports.jobs[job][0])
        raise AssertionError(f"Zoho has no {request.path}")

    def _ask_for_a_file(self, query: Any) -> Reply:
        module, names = query["module"]["api_name"], query["fields"]
        if self.exports.refusal:
            return Reply(self.exports.refusal, {}, b'{"code": "OAUTH_SCOPE_MISMATCH", "details": {}}')
        for name in names:
            if name in self.exports.refused:
                details = {"api_name": name}
                return Reply(400, {}, json.dumps({"code": "FIELD_NOT_SUPPORTED", "details": details}).encode())
        below, above = (int(one["value"]) for one in query["criteria"]["group"])
        found = [one for one in self.people.values() if one.module == module and above < one.id < below]
        found = [one for one in found if not one.deleted]
        if self.exports.order == "none":
            found.sort(key=lambda one: one.id * 2654435761 % 4294967296)
        else:
            found.sort(key=lambda one: one.id, reverse=self.exports.order == "desc")
        rows = found[: self.exports.per_page]
        job = f"99{len(self.exports.jobs)}"
        self.exports.jobs[job] = (archive(rows, names), len(found) > len(rows))
        told = {"code": "ADDED_SUCCESSFULLY", "details": {"id": job, "state": "ADDED"}}
        return Reply(201, {}, json.dumps({"data": [told]}).encode())

    def _deleted(self, module: str, request: Request) -> Reply:
        assert request.query["type"] == "all"
        since = request.headers.get("if-modified-since")
        bound = datetime.fromisoformat(since) if since else datetime.min.replace(tzinfo=UTC)
        found = [one for one in self.people.values() if one.module == module and one.deleted and one.deleted > bound]
        size = int(request.query["per_page"])
        start = size * (int(request.query["page"]) - 1)
        rows = [
            {"id": str(one.id), "type": "recycle", "deleted_time": local(one.deleted), "display_name": "Somebody"}
            for one in found[start : start + size]
            if one.deleted
        ]
        if not rows:
            return Reply(204, {}, b"")
        return ok({"data": rows, "info": {"count": len(rows), "more_records": len(found) > start + size}})

    def _fields(self, module: str) -> Reply:
        if module in self.without:
            return refused("INVALID_MODULE")
        options = [{"actual_value": "Attempted", "display_value": "Tried once"}]
        status = {"api_name": "Lead_Status", "data_type": "picklist", "pick_list_values": options}
        own = {"api_name": "No_Texts", "field_label": "No texts", "data_type": "boolean", "custom_field": True}
        rows = [{"api_name": "Last_Name", "data_type": "text"}, own, *([status] if module == "Leads" else [])]
        return ok({"fields": rows})


def ok(body: object) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps(body).encode())


def refused(code: str) -> Reply:
    body = {"code": code, "details": {}, "message": "no", "status": "error"}
    return Reply(400, {"content-type": "application/json"}, json.dumps(body).encode())


def with_contacts(contacts: int) -> Org:
    org = Org()
    for number in range(contacts):
        module = "Leads" if number % 3 else "Contacts"
        owner = {"name": "Olive Owner", "id": "77", "email": "olive@acme.example"}
        org.add(FIRST_ID + number, module, NOW - timedelta(hours=1), Last_Name=f"Ada {number}", Owner=owner)
    return org
