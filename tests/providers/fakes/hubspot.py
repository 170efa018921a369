"""A HubSpot portal in memory: evaluates the requests the provider makes, with HubSpot's own limits, and nothing else.

It refuses what HubSpot refuses: pages too large, results past 10,000, unknown filters, the same id twice.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import ge, gt, lt
from typing import Any

from tests.providers.conformance import NOW

from leadloom.providers.base import Reply, Request

LONGEST_BODY = 3000  # characters of a search
LONGEST_URL = 8000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {"GTE": ge, "GT": gt, "LT": lt}


@cache
def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Person:
    id: int
    modified: datetime
    created: datetime
    properties: dict[str, str | None] = field(default_factory=dict)
    is_archived: bool = False
    is_deaf_to_batch: bool = False
    """Left out of batch reads, as a contact that was merged away may be."""

    def row(self) -> dict[str, Any]:
        times = {"createdate": iso(self.created), "lastmodifieddate": iso(self.modified), "hs_object_id": str(self.id)}
        return {
            "id": str(self.id),
            "properties": {**self.properties, **times},
            "createdAt": iso(self.created),
            "updatedAt": iso(self.modified),
            "archived": self.is_archived,
            **({"archivedAt": iso(self.modified)} if self.is_archived else {}),
        }


class Portal:
    def __init__(self) -> None:
        self.people: dict[int, Person] = {}
        self.now_called: dict[int, int] = {}
        """Former ids, and the id that answers for them."""
        self.not_indexed: set[int] = set()
        """Contacts the search does not know yet."""
        self.asked: list[Request] = []

    def add(self, id: int, modified: datetime, **properties: str | None) -> Person:
        person = self.people[id] = Person(id, modified, modified - timedelta(days=1), dict(properties))
        return person

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        path = request.path.removeprefix("/crm/v3")
        assert len(path) + sum(len(value) for value in request.query.values()) < LONGEST_URL, "HubSpot answers 414"
        body: Any = json.loads(json.dumps(request.body))
        match path.strip("/").split("/"):
            case ["objects", "contacts"]:
                return self._list(request.query)
            case ["objects", "contacts", "search"]:
                assert request.pool == "search"
                return self._search(body)
            case ["objects", "contacts", "batch", "read"]:
                return self._batch(body)
            case ["objects", "contacts", one]:
                return self._one(int(one), request)
            case ["objects", "companies", "batch", "read"]:
                rows = [{"id": i["id"], "properties": {"name": f"Company {i['id']}"}} for i in body["inputs"]]
                return ok({"results": rows})
            case ["owners"]:
                return ok({"results": self._owners(request.query["archived"] == "true")})
            case ["properties", "contacts"]:
                own = {"name": "do_not_text", "label": "Do not text", "type": "bool", "hubspotDefined": False}
                return ok({"results": [{"name": "email", "label": "E-mail", "hubspotDefined": True}, own]})
            case ["properties", "contacts", name]:
                return ok({"name": name, "options": [{"value": "NEW", "label": f"New {name}"}]})
            case ["account-info", "v3", "details"]:
                return ok({"portalId": 147893286, "uiDomain": "app-eu1.hubspot.com", "timeZone": "Europe/Berlin"})
        raise AssertionError(f"HubSpot has no {request.path}")

    def _list(self, query: Mapping[str, str]) -> Reply:
        limit = int(query["limit"])
        assert limit <= 100
        is_archived = query["archived"] == "true"
        after = int(query.get("after", "0"))
        found = sorted([id for id, one in self.people.items() if id >= after and one.is_archived == is_archived])
        page = found[:limit]
        paging = {"paging": {"next": {"after": str(page[-1] + 1)}}} if len(found) > limit else {}
        return ok({"results": [self.people[id].row() for id in page], **paging})

    def _search(self, body: dict[str, Any]) -> Reply:
        assert len(json.dumps(body)) <= LONGEST_BODY
        assert body["limit"] <= 200
        assert int(body.get("after", 0)) + body["limit"] <= 10_000, "HubSpot answers 400 past ten thousand"
        found = [one for one in self.people.values() if not one.is_archived and one.id not in self.not_indexed]
        for group in body["filterGroups"]:
            for rule in group["filters"]:
                holds, bound = OPERATORS[rule["operator"]], int(rule["value"])
                if rule["propertyName"] == "hs_object_id":
                    found = [one for one in found if holds(one.id, bound)]
                else:
                    assert rule["propertyName"] == "lastmodifieddate", "contacts know no other time"
                    at = EPOCH + timedelta(milliseconds=bound)
                    found = [one for one in found if holds(one.modified, at)]
        (sort,) = body["sorts"]
        order = {"createdate": lambda one: one.created, "hs_object_id": id_of}[sort["propertyName"]]
        found.sort(key=order, reverse=sort["direction"] == "DESCENDING")
        skipped = int(body.get("after", 0))
        page = found[skipped : skipped + body["limit"]]
        return ok({"total": len(found), "results": [one.row() for one in page]})

    def _batch(self, body: dict[str, Any]) -> Reply:
        ids = [int(given["id"]) for given in body["inputs"]]
        assert 0 < len(ids) <= 100
        assert len(set(ids)) == len(ids), "HubSpot refuses the same id twice"
        known = [self.people[id] for id in ids if id in self.people]
        rows = [one.row() for one in known if not one.is_archived and not one.is_deaf_to_batch]
        rows.reverse()  # the order of results is not promised
        return ok({"status": "COMPLETE", "results": rows}, status=200 if len(rows) == len(ids) else 207)

    def _one(self, id: int, request: Request) -> Reply:
        person = self.people.get(self.now_called.get(id, id))
        if person is None or person.is_archived:
            assert 404 in request.accept
            return ok({"status": "error", "category": "OBJECT_NOT_FOUND"}, status=404)
        return ok(person.row())

    def _owners(self, is_archived: bool) -> list[dict[str, Any]]:
        if is_archived:
            return [
                {"id": "78", "email": "lena@acme.example", "firstName": "Lena", "lastName": "Left", "archived": True}
            ]
        return [
            {"id": "77", "email": "Olive@acme.example", "firstName": "Olive", "lastName": "Owner", "archived": False}
        ]


def id_of(person: Person) -> int:
    return person.id


def ok(body: object, *, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(body).encode())


def with_contacts(contacts: int) -> Portal:
    portal = Portal()
    for number in range(contacts):
        portal.add(1000 + number, NOW - timedelta(hours=1), firstname=f"Ada {number}", associatedcompanyid="901")
    return portal
