"""A Pipedrive company in memory: evaluates the requests the provider makes, with Pipedrive's own limits, and nothing
else.

It refuses what Pipedrive refuses: pages too large, too many ids, cursors whose question was changed, times with
fractions, fields that cannot be asked for.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from tests.providers.conformance import NOW

from leadloom.providers.base import Reply, Request

EXTRAS = {"open_deals_count", "last_incoming_mail_time", "last_outgoing_mail_time"}
ORDERS = {"id", "update_time", "add_time"}
DO_NOT_TEXT = "5f0c1d2e3a4b5c6d7e8f90123456789abcdef012"


@cache
def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass
class Row:
    """A person, a deal or an organization."""

    id: int
    modified: datetime
    values: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False

    def told(self) -> dict[str, Any]:
        times = {"add_time": stamp(self.modified - timedelta(days=1)), "update_time": stamp(self.modified)}
        return {"id": self.id, **self.values, **times, "is_deleted": self.deleted}


class Company:
    def __init__(self) -> None:
        self.persons: dict[int, Row] = {}
        self.deals: dict[int, Row] = {}
        self.organizations: dict[int, Row] = {1: Row(1, NOW - timedelta(days=9), {"name": "Acme"})}
        self.asked: list[Request] = []
        self.refused: set[str] = set()
        """Parts of the API that are answered with 403, as without a scope."""
        self.is_out_of_order = False
        """Lists by time come in no order."""
        self.tokens_left: int | None = None
        self.spent = 0
        self._open = Counter[int]()

    def add(self, id: int, modified: datetime, **values: Any) -> Row:
        told = {"name": f"Ada {id}", "owner_id": 77, "org_id": 1, "emails": [], "phones": [], "label_ids": []}
        person = self.persons[id] = Row(id, modified, {**told, **values})
        return person

    def deal(self, id: int, person: int | None, modified: datetime, *, stage: int = 1, status: str = "open") -> Row:
        told = {"person_id": person, "stage_id": stage, "pipeline_id": 1, "status": status}
        deal = self.deals[id] = Row(id, modified, told)
        return deal

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        what = request.path.removeprefix("/api/v2/") if request.path.startswith("/api/v2/") else request.path
        self.spent += 20 if what.startswith("/v1") else 10
        if what in self.refused:
            assert 403 in request.accept
            return Reply(403, {}, b'{"success": false, "error": "Scope and URL mismatch"}')
        match what:
            case "persons":
                open_deals = (one for one in self.deals.values() if one.values["status"] == "open" and not one.deleted)
                self._open = Counter(one.values["person_id"] for one in open_deals)
                assert set(request.query["include_fields"].split(",")) <= EXTRAS
                return self._list(request, list(self.persons.values()))
            case "deals":
                return self._list(request, self._wanted_deals(request))
            case "organizations":
                return self._list(request, list(self.organizations.values()))
            case "stages":
                return self._page([{"id": 1, "name": "Qualified", "pipeline_id": 1}, {"id": 2, "name": "Offer"}])
            case "pipelines":
                return self._page([{"id": 1, "name": "Sales"}])
            case "personFields":
                return self._page(FIELDS)
            case "/v1/users":
                return ok({"success": True, "data": list(USERS.values())})
            case "/v1/users/me":
                return ok({"success": True, "data": ME})
            case "/v1/recents":
                return self._recents(request)
            case user if user.startswith("/v1/users/"):
                return ok({"success": True, "data": USERS[user.removeprefix("/v1/users/")]})
        raise AssertionError(f"Pipedrive has no {request.path}")

    def _wanted_deals(self, request: Request) -> list[Row]:
        statuses = request.query.get("status", "open,won,lost").split(",")
        person = request.query.get("person_id")
        return [
            one
            for one in self.deals.values()
            if ("deleted" if one.deleted else one.values["status"]) in statuses
            and person in (None, str(one.values["person_id"]))
        ]

    def _list(self, request: Request, rows: Sequence[Row]) -> Reply:
        query = dict(request.query)
        limit = int(query.pop("limit"))
        assert 0 < limit <= 500
        given = query.pop("cursor", None)
        if "ids" in query:
            wanted = [int(one) for one in query["ids"].split(",")]
            assert len(wanted) <= 100
            return self._page([self._told(one) for one in rows if one.id in wanted and not one.deleted])
        since, until = (_moment(query.get(name)) for name in ("updated_since", "updated_until"))
        found = [one for one in rows if since is None or one.modified.replace(microsecond=0) >= since]
        found = [one for one in found if until is None or one.modified.replace(microsecond=0) < until]
        found = [one for one in found if not one.deleted or "deleted" in query.get("status", "")]
        by = query.get("sort_by", "id")
        assert by in ORDERS
        is_down = query.get("sort_direction", "asc") == "desc"
        found.sort(key=lambda one: _place(one, by), reverse=is_down)
        question = json.dumps(sorted(query.items()))
        if given:
            bound_to, last = json.loads(given)
            assert bound_to == question, "Pipedrive answers 400: the cursor belongs to another question"
            found = [one for one in found if (_place(one, by) < last if is_down else _place(one, by) > last)]
        page, more = found[:limit], len(found) > limit
        told = [self._told(one) for one in page]
        if self.is_out_of_order and by != "id":
            told.reverse()
        return self._page(told, json.dumps([question, _place(page[-1], by)]) if more else None)

    def _told(self, one: Row) -> dict[str, Any]:
        if one.id not in self.persons or one is not self.persons[one.id]:
            return one.told()
        return {**one.told(), "open_deals_count": self._open[one.id]}

    def _page(self, rows: Sequence[dict[str, Any]], cursor: str | None = None) -> Reply:
        return self._ok({"success": True, "data": list(rows), "additional_data": {"next_cursor": cursor}})

    def _recents(self, request: Request) -> Reply:
        since = datetime.strptime(request.query["since_timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        start, limit = int(request.query["start"]), int(request.query["limit"])
        found = sorted((one for one in self.persons.values() if one.modified >= since), key=lambda one: one.modified)
        rows = [
            {"item": "person", "id": one.id, "data": None if one.deleted and one.id % 2 else _old(one)}
            for one in found[start : start + limit]
        ]
        more = {"start": start, "limit": limit, "more_items_in_collection": len(found) > start + limit}
        return self._ok({"success": True, "data": rows or None, "additional_data": {"pagination": more}})

    def _ok(self, body: object) -> Reply:
        if self.tokens_left is None:
            return ok(body)
        self.tokens_left -= 10
        left = {"x-daily-ratelimit-token-limit": "30000", "x-daily-ratelimit-token-remaining": str(self.tokens_left)}
        return Reply(200, left, ok(body).body)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    assert text.endswith("Z")
    assert "." not in text, "Pipedrive understands whole seconds"
    return datetime.fromisoformat(text)


def _place(one: Row, by: str) -> list[int]:
    """A row that changes during a walk by time moves to its end: the cursor holds the last row's place."""
    return [one.id] if by == "id" else [_second(one.modified), one.id]


@cache
def _second(at: datetime) -> int:
    return int(at.timestamp())


def _old(one: Row) -> dict[str, Any]:
    """As version 1 tells it, as far as anybody looks."""
    return {"id": one.id, "active_flag": not one.deleted, "update_time": stamp(one.modified)[:19].replace("T", " ")}


USERS = {
    "77": {"id": 77, "name": "Olive Owner", "email": "Olive@acme.example", "active_flag": True},
    "78": {"id": 78, "name": "Lena Left", "email": "lena@acme.example", "active_flag": False},
}
ME = {
    "id": 77, "name": "Olive Owner", "company_id": 4321, "company_name": "Acme", "company_domain": "acme",
    "company_country": "US", "timezone_name": "America/Chicago",
}  # fmt: skip
FIELDS = (
    {"field_name": "Name", "field_code": "name", "field_type": "varchar", "is_custom_field": False, "options": None},
    {
        "field_name": "Labels", "field_code": "label_ids", "field_type": "set", "is_custom_field": False,
        "options": [{"id": 5, "label": "Hot lead", "color": "red"}],
    },
    {
        "field_name": "Do not text", "field_code": DO_NOT_TEXT, "field_type": "enum", "is_custom_field": True,
        "options": [{"id": 41, "label": "Yes"}, {"id": 42, "label": "No"}],
    },
)  # fmt: skip


def ok(body: object) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps(body).encode())


def with_contacts(contacts: int) -> Company:
    company = Company()
    for number in range(1, contacts + 1):
        company.add(number, NOW - timedelta(hours=1))
        if number % 3 == 0:
            company.deal(10_000 + number, number, NOW - timedelta(hours=1), stage=1 + number % 2)
    return company
