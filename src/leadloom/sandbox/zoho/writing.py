"""What can be done to people through the API: delete, convert, merge, change."""

from typing import Any

import msgspec

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.zoho.catalogue import CONTACTS, LEADS, NAMES
from leadloom.sandbox.zoho.hub import API, ROUTES, WRITE_PEOPLE, Gate, Hub
from leadloom.sandbox.zoho.problems import done, invalid
from leadloom.sandbox.zoho.records import Record

_WRITTEN = frozenset({"First_Name", "Last_Name", "Phone", "Mobile", "Email", "Company", "Description", "Lead_Status"})


def live(hub: Hub, module: str, own_id: str) -> Record:
    """Raises what Zoho says of an id that is not there."""
    found = hub.store.get(int(own_id)) if own_id.isdecimal() else None
    if found is None or found.module != module or found.deleted_ms is not None or found.became is not None:
        raise invalid("the id given seems to be invalid", id=own_id)
    return found


def _data(request: Request) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(request.body, type=dict[str, list[dict[str, Any]]])["data"]
    except (msgspec.DecodeError, KeyError) as error:
        raise invalid("the body holds no data") from error


@ROUTES.add("DELETE", rf"{API}/(Leads|Contacts)/(\d+)", WRITE_PEOPLE)
def delete(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    hub.store.delete(live(hub, *args))
    return json_reply(200, {"data": [done(int(args[1]), "record deleted")]})


@ROUTES.add("PUT", rf"{API}/(Leads|Contacts)/(\d+)", WRITE_PEOPLE)
def update(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """Missing keys stay, null empties."""
    record = live(hub, *args)
    given = _data(request)[0]
    values = {name: given[name] for name in given if name in NAMES[args[0]] & _WRITTEN}
    changed = hub.store.change(record, values)
    more: dict[str, Json] = {"Modified_Time": hub.teller.time(changed.modified_ms)}
    return json_reply(200, {"data": [done(record.id, "record updated", **more)]})


@ROUTES.add("POST", rf"{API}/(Leads|Contacts)", WRITE_PEOPLE)
def insert(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    given = _data(request)[0]
    if not given.get("Last_Name"):
        raise invalid("required field not found", api_name="Last_Name")
    made = hub.store.create(args[0], {name: given[name] for name in given if name in NAMES[args[0]] & _WRITTEN})
    return json_reply(201, {"data": [done(made.id, "record added")]})


@ROUTES.add("POST", rf"{API}/Leads/(\d+)/actions/convert", Gate(*WRITE_PEOPLE.scopes, credits=5))
def convert(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    made = hub.store.convert(live(hub, LEADS, args[0]))
    account = made.values["Account_Name"]
    details: dict[str, Json] = {"Contacts": {"name": made.full_name, "id": str(made.id)}, "Accounts": account}
    return json_reply(200, {"data": [done(int(args[0]), "The record has been converted successfully", **details)]})


@ROUTES.add("POST", rf"{API}/(Leads|Contacts)/(\d+)/actions/merge", WRITE_PEOPLE)
def merge(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    master = live(hub, *args)
    body = msgspec.json.decode(request.body)
    for other in body["merge"][0]["data"]:
        master = hub.store.merge(master, live(hub, args[0], str(other["id"])))
    return json_reply(200, {"merge": [done(master.id, "merge successful")]})


def unite(hub: Hub, winner: Record, other: Record) -> Record:
    """Two records that are one person: a merge within a module, a conversion into a contact that is there already."""
    if winner.module == other.module:
        return hub.store.merge(winner, other)
    lead, contact = (winner, other) if winner.module == LEADS else (other, winner)
    assert contact.module == CONTACTS
    return hub.store.convert(lead, contact)
