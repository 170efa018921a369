"""What can be done to persons through the API: create, change, delete, merge. Nothing brings a deleted one back."""

from typing import Any

import msgspec

from leadloom.sandbox.http import Json, Refusal, Reply, Request, json_reply
from leadloom.sandbox.pipedrive.hub import DELETE, ROUTES, V1, V1_MERGE, V2, WRITE, Gate, Hub
from leadloom.sandbox.pipedrive.persons import asker, sees, told
from leadloom.sandbox.pipedrive.problems import invalid, not_found, problem
from leadloom.sandbox.pipedrive.records import BLANK, Record, Values, v1_row
from leadloom.sandbox.pipedrive.staff import BY_ID, MARKETING, OWN_FIELDS

MAY_WRITE = ("contacts:full",)
_LISTS = ("emails", "phones", "label_ids")


@ROUTES.add("POST", rf"{V2}/persons", Gate(MAY_WRITE, WRITE))
def create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    values = _read(request)
    if not values.get("name"):
        raise invalid("name", "is required")
    made = hub.store.create({"owner_id": asker(hub, request).id, **values})
    return json_reply(201, {"success": True, "data": told(hub, made)})


@ROUTES.add("PATCH", rf"{V2}/persons/(\d+)", Gate(MAY_WRITE, WRITE))
def change(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """Missing keys stay, lists are replaced whole, customers' fields one by one."""
    record, values = _live(hub, request, args[0]), _read(request)
    old, new = record.values["custom_fields"], values.get("custom_fields")
    if isinstance(old, dict) and isinstance(new, dict):
        values["custom_fields"] = {**old, **new}
    return json_reply(200, {"success": True, "data": told(hub, hub.store.change(record, values))})


@ROUTES.add("DELETE", rf"{V2}/persons/(\d+)", Gate(MAY_WRITE, DELETE))
def delete(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """410 the second time, with the body of a success: seen in real replies."""
    found = hub.store.get(int(args[0]))
    if found is None or not sees(asker(hub, request), found):
        raise not_found("Person")
    done: Json = {"success": True, "data": {"id": found.id}}
    if found.deleted_ms is not None:
        return json_reply(410, done)
    hub.store.delete(found)
    return json_reply(200, done)


class _Merge(msgspec.Struct):
    merge_with_id: int


@ROUTES.add("PUT", rf"{V1}/persons/(\d+)/merge", Gate(MAY_WRITE, V1_MERGE))
def merge(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """The one named in the body survives."""
    try:
        other = msgspec.json.decode(request.body, type=_Merge).merge_with_id
    except msgspec.DecodeError as error:
        raise problem(400, "merge_with_id must be a number") from error
    loser, winner = _live(hub, request, args[0]), _live(hub, request, str(other))
    if loser.id == winner.id:
        raise problem(400, "A person cannot be merged with themselves")
    merged = hub.store.merge(winner, loser)
    row = v1_row(merged, hub.store.organizations.name_of(merged.values["org_id"]))
    return json_reply(200, {"success": True, "data": {**row, "merge_what_id": loser.id}})


def _live(hub: Hub, request: Request, own_id: str) -> Record:
    found = hub.store.get(int(own_id))
    if found is None or found.deleted_ms is not None or not sees(asker(hub, request), found):
        raise not_found("Person")
    return found


def _read(request: Request) -> Values:
    """Raises the 400 of a body with something in it that persons do not have."""
    try:
        given: dict[str, Any] = msgspec.json.decode(request.body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise invalid("body", "is no JSON object") from error
    values: Values = {name: value for name, value in given.items() if name not in ("add_time", "update_time")}
    for name, value in values.items():
        if name not in BLANK:
            raise invalid(name, "is not allowed")
        if name in _LISTS and not isinstance(value, list):
            raise invalid(name, "must be an array")
    if "owner_id" in values and values["owner_id"] not in BY_ID:
        raise invalid("owner_id", "is no user")
    if values.get("marketing_status", MARKETING[0]) not in MARKETING:
        raise invalid("marketing_status", "unsupported value")
    for code in given.get("custom_fields") or {}:
        if code not in OWN_FIELDS:
            raise invalid(f"custom_fields.{code}", "is not allowed")
    return values


def refuse_unpaid(hub: Hub) -> None:
    """Raises the 402 of a company whose account is not open."""
    if hub.manners.is_unpaid:
        body: Json = {"success": False, "error": "Company account is not open (possible reason: trial expired, "
                      "payment details not entered)", "errorCode": 402}  # fmt: skip
        raise Refusal(json_reply(402, body))
