"""Contacts one by one: read, create, update, upsert, delete, tags, duplicates; and the old list of them."""

from typing import Any

import msgspec

from leadloom.sandbox.gohighlevel.hub import READ_CONTACTS, ROUTES, WRITE_CONTACTS, Gate, Hub
from leadloom.sandbox.gohighlevel.problems import no_contact, problem, trace_id, unprocessable
from leadloom.sandbox.gohighlevel.query import check_location, read_query
from leadloom.sandbox.gohighlevel.records import FIELDS, Record, Values, blank
from leadloom.sandbox.gohighlevel.search import Finder
from leadloom.sandbox.http import Json, Reply, Request, as_json, json_reply

_OLD_PAGE, _OLD_DEFAULT = 100, 20
_RENAMED = {"address1": "address"}
_SPENT: dict[str, Json] = {"succeded": True, "succeeded": True}  # both spellings are really sent


def body_of(request: Request) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(request.body or b"{}")
    except msgspec.DecodeError as error:
        raise problem(400, f"Unexpected token in JSON: {error}") from error
    if not isinstance(body, dict):
        raise unprocessable("body must be an object")
    return body


@ROUTES.add("GET", "/contacts/search/duplicate/?", READ_CONTACTS)
def duplicate(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    check_location(request.query.get("locationId", ""))
    found = _same_person(hub, request.query.get("email"), request.query.get("number"))
    contact = None if found is None else found.alone()
    body: dict[str, Json] = {"contact": contact, "traceId": trace_id()}
    return json_reply(200, body if found is None else {**body, "matchingField": "contactId"})


@ROUTES.add("GET", "/contacts/?", Gate("contacts.readonly", is_v3=False))
def old_list(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Deprecated: newest first, no date filter, fewer fields."""
    query = request.query
    limit = int(query.get("limit", _OLD_DEFAULT))
    if limit > _OLD_PAGE:
        raise unprocessable(f"limit must not be greater than {_OLD_PAGE}")
    asked: dict[str, Any] = {"locationId": query.get("locationId"), "pageLimit": limit}
    if query.get("startAfterId"):
        asked["searchAfter"] = [int(query.get("startAfter", "0")), query["startAfterId"]]
    total, rows = Finder.of(hub).find(read_query(as_json(asked)))
    meta: dict[str, Json] = {"total": total, "currentPage": 1, "nextPage": None, "prevPage": None}
    if len(rows) == limit and rows:
        meta |= {"startAfter": rows[-1]["searchAfter"][0], "startAfterId": rows[-1]["id"]}
    hidden = ("searchAfter", "dndSettings", "inboundDndSettings", "opportunities")
    listed: list[Json] = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
    return json_reply(200, {"contacts": listed, "count": total, "meta": meta, "traceId": trace_id()})


@ROUTES.add("POST", "/contacts/upsert/?", WRITE_CONTACTS)
def upsert(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """By e-mail first, then by phone. A blank e-mail in the request clears nothing, an other one replaces it."""
    body = body_of(request)
    check_location(str(body.get("locationId", "")))
    values = checked(body)
    found = _same_person(hub, values.get("email"), values.get("phone"))
    record = hub.store.create(blank() | values) if found is None else hub.store.change(found, values)
    return json_reply(200, {"new": found is None, "contact": record.alone(), "traceId": trace_id()})


@ROUTES.add("POST", "/contacts/?", WRITE_CONTACTS)
def create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = body_of(request)
    if not isinstance(body.get("locationId"), str):
        raise unprocessable("locationId must be a string")
    check_location(body["locationId"])
    values = checked(body)
    if (other := _same_person(hub, values.get("email"), values.get("phone"))) is not None:
        refusal = problem(400, "This location does not allow duplicated contacts.")
        told = msgspec.json.decode(refusal.reply.body)
        told["meta"] = {"contactId": other.id, "matchingField": "email", "contactName": other.found([])["contactName"]}
        refusal.reply.body = as_json(told)
        raise refusal
    return json_reply(201, {"contact": hub.store.create(blank() | values).alone(), "traceId": trace_id()})


@ROUTES.add("GET", "/contacts/([^/]+)/?", READ_CONTACTS)
def get_contact(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    return json_reply(200, {"contact": live(hub, args[0]).alone(), "traceId": trace_id()})


@ROUTES.add("PUT", "/contacts/([^/]+)/?", WRITE_CONTACTS)
def update(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """Tags that are sent replace all tags."""
    body = body_of(request)
    if "locationId" in body:
        raise unprocessable("property locationId should not exist")
    record = hub.store.change(live(hub, args[0]), checked(body))
    return json_reply(200, {**_SPENT, "contact": record.alone(), "traceId": trace_id()})


@ROUTES.add("DELETE", "/contacts/([^/]+)/?", WRITE_CONTACTS)
def delete(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    hub.store.delete(live(hub, args[0]))
    return json_reply(200, {**_SPENT, "traceId": trace_id()})


@ROUTES.add("POST", "/contacts/([^/]+)/tags/?", WRITE_CONTACTS)
def add_tags(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    return _retag(hub, request, args[0], adds=True)


@ROUTES.add("DELETE", "/contacts/([^/]+)/tags/?", WRITE_CONTACTS)
def remove_tags(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    return _retag(hub, request, args[0], adds=False)


def _retag(hub: Hub, request: Request, wanted: str, *, adds: bool) -> Reply:
    record = live(hub, wanted)
    named = [str(tag).lower() for tag in body_of(request).get("tags", [])]
    old = list(record.values["tags"])
    tags = list(dict.fromkeys(old + named)) if adds else [tag for tag in old if tag not in named]
    hub.store.change(record, {"tags": tags})
    return json_reply(201 if adds else 200, {"tags": tags, "traceId": trace_id()})


def live(hub: Hub, wanted: str) -> Record:
    """Raises the 400 of a contact that is unknown, deleted or merged away."""
    record = hub.store.get(wanted)
    if record is None:
        raise no_contact(wanted)
    return record


def checked(body: dict[str, Any]) -> Values:
    """The fields of a write by the names of a search. Fields of the location are written as ``field_value``."""
    values: Values = {}
    for name, value in body.items():
        field = _RENAMED.get(name, name)
        if field == "name" and isinstance(value, str):
            first, _, last = value.partition(" ")
            values |= {"firstName": first, "lastName": last or None}
        elif field == "customFields":
            values[field] = [{"id": one.get("id"), "value": one.get("field_value")} for one in value]
        elif field == "tags":
            values[field] = [str(tag).lower() for tag in value]
        elif field in FIELDS:
            values[field] = value
    if isinstance(values.get("email"), str):
        values["email"] = values["email"].strip().lower()
    return values


def _same_person(hub: Hub, email: Any, phone: Any) -> Record | None:
    """Whoever has this address, else this number."""
    changed = list(hub.store.now.records.values())
    if email:
        wanted = str(email).lower()
        for record in changed:
            if record.values["email"] == wanted:
                return record
        place = hub.population.place_of_email(wanted)
        if place is not None and place not in hub.store.now.covered:
            return hub.store.maker.born(place)
    return next((record for record in changed if phone and record.values["phone"] == phone), None)
