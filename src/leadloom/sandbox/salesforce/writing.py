"""Single records and small collections of them: read, create, change, delete."""

from typing import Any

import msgspec

from leadloom.sandbox.http import Json, Refusal, Reply, Request, json_reply
from leadloom.sandbox.salesforce.catalogue import UNDELETED, Field
from leadloom.sandbox.salesforce.describing import visible
from leadloom.sandbox.salesforce.hub import READ, ROUTES, VERSION, Hub
from leadloom.sandbox.salesforce.ids import is_id
from leadloom.sandbox.salesforce.problems import no_such_object, not_found, problem, read_json
from leadloom.sandbox.salesforce.records import Record, Values
from leadloom.sandbox.salesforce.soql import Path, Query
from leadloom.sandbox.salesforce.telling import plan_of

MOST_WRITTEN, MOST_READ = 200, 2000


def any_live(hub: Hub, kind: str, own_id: str) -> Record:
    """Raises the 404 of one that never was, and of one that is deleted."""
    found = hub.store.committed().find(own_id, kind)
    if found is None:
        raise not_found()
    if found.deleted_ms is not None:
        raise problem(404, "ENTITY_IS_DELETED", "entity is deleted", fields=())
    return found


@ROUTES.add("GET", rf"{VERSION}/sobjects/(\w+)/(\w+)/?", READ)
def get_one(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    version, name, own_id = args
    kind = visible(hub, name)
    record = any_live(hub, kind, own_id)
    wanted = [one for one in request.query.get("fields", "").split(",") if one]
    names = wanted or [one.name for one in hub.fields(kind).values()]
    return json_reply(200, _told(hub, record, ["Id", *(one for one in names if one != "Id")], version))


def _told(hub: Hub, record: Record, names: list[str], version: str) -> dict[str, Json]:
    query = Query("", record.kind, 1, tuple(Path(tuple(name.split(".")), 1) for name in names))
    return plan_of(hub, query, version).row(record, hub.store.committed())


@ROUTES.add("POST", rf"{VERSION}/sobjects/(\w+)/?", READ)
def create(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    made = _create(hub, visible(hub, args[1]), _object(request))
    location = f"/services/data/v{args[0]}/sobjects/{made.kind}/{made.id}"
    return json_reply(201, {"id": made.id, "success": True, "errors": []}, [(b"location", location.encode())])


@ROUTES.add("PATCH", rf"{VERSION}/sobjects/(\w+)/(\w+)/?", READ)
def update(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    kind = visible(hub, args[1])
    _update(hub, any_live(hub, kind, args[2]), _object(request))
    return Reply(204)


@ROUTES.add("DELETE", rf"{VERSION}/sobjects/(\w+)/(\w+)/?", READ)
def delete(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    kind = visible(hub, args[1])
    _delete(hub, any_live(hub, kind, args[2]))
    return Reply(204)


def _create(hub: Hub, kind: str, given: dict[str, Any]) -> Record:
    values = _values(hub, kind, given)
    lacking = [one.name for one in hub.fields(kind).values() if one.is_required and not values.get(one.name)]
    if lacking:
        raise problem(
            400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(lacking)}]", fields=lacking
        )
    return hub.store.create(kind, values)


def _update(hub: Hub, record: Record, given: dict[str, Any]) -> None:
    if record.values.get("IsConverted"):
        raise problem(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", fields=())
    hub.store.change(record, _values(hub, record.kind, given))


def _delete(hub: Hub, record: Record) -> None:
    if record.kind in UNDELETED:
        raise problem(400, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", fields=())
    delete_with_children(hub, record)


def delete_with_children(hub: Hub, record: Record) -> None:
    """An account takes its contacts along. Whether their stamps move is unconfirmed: as ``cascade_is_stamped`` says."""
    if record.kind == "Account":
        for one in list(hub.store.live_of("Contact")):
            if one.values["AccountId"] == record.id:
                hub.store.delete(one, is_stamped=hub.store.cascade_is_stamped)
    hub.store.delete(record)


def _values(hub: Hub, kind: str, given: dict[str, Any]) -> Values:
    """Raises the 400 for a field that is not there, not to be written, too long, or of another type."""
    fields = hub.fields(kind)
    values: dict[str, Json] = {}
    for name, value in given.items():
        if name == "attributes":
            continue
        field = fields.get(name.lower())
        if field is None:
            raise problem(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}")
        if field.is_read_only or kind in UNDELETED:
            raise problem(
                400, "INVALID_FIELD_FOR_INSERT_UPDATE",
                f"Unable to create/update fields: {name}. Please check the security settings of this field and verify "
                "that it is read/write for your profile or permission set.", fields=[name],
            )  # fmt: skip
        values[field.name] = _checked(field, value)
    return values


def _checked(field: Field, value: Any) -> Json:
    if value is None or value == "":
        return False if field.type == "boolean" else None
    if field.type == "boolean" and not isinstance(value, bool):
        raise problem(
            400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of boolean from VALUE_STRING value {value}"
        )
    if field.type == "reference" and not is_id(str(value)):
        raise problem(400, "MALFORMED_ID", f"{field.name}: id value of incorrect type: {value}", fields=[field.name])
    if isinstance(value, str) and field.type not in ("date", "datetime") and len(value) > field.length:
        raise problem(
            400, "STRING_TOO_LONG",
            f"{field.name}: data value too large: {value} (max length={field.length})", fields=[field.name],
        )  # fmt: skip
    found: Json = value
    return found


def _object(request: Request) -> dict[str, Any]:
    return read_json(request, dict[str, Any])


# -- collections: one call for many records


class Rows(msgspec.Struct):
    records: list[dict[str, Any]]
    allOrNone: bool = False  # noqa: N815


class Wanted(msgspec.Struct):
    ids: list[str]
    fields: list[str]


@ROUTES.add("POST", rf"{VERSION}/composite/sobjects/(\w+)/?", READ)
def get_many(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """In the order asked for; null for those that are not there."""
    kind = visible(hub, args[1])
    wanted = read_json(request, Wanted)
    if len(wanted.ids) > MOST_READ:
        raise problem(400, "INVALID_ID_FIELD", "more ids than allowed")
    found = (hub.store.committed().find(own_id, kind) for own_id in wanted.ids)
    rows: list[Json] = [
        _told(hub, one, wanted.fields, args[0]) if one is not None and one.deleted_ms is None else None for one in found
    ]
    return json_reply(200, rows)


@ROUTES.add("POST", rf"{VERSION}/composite/sobjects/?", READ)
def create_many(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    return _each(request, lambda row: _create(hub, _kind_of(hub, row), _without_id(row)).id)


@ROUTES.add("PATCH", rf"{VERSION}/composite/sobjects/?", READ)
def update_many(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    def change(row: dict[str, Any]) -> str:
        own_id = str(row.get("id") or row.get("Id"))
        _update(hub, any_live(hub, _kind_of(hub, row), own_id), _without_id(row))
        return own_id

    return _each(request, change)


@ROUTES.add("DELETE", rf"{VERSION}/composite/sobjects/?", READ)
def delete_many(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    view = hub.store.committed()
    told: list[Json] = []
    for own_id in request.query.get("ids", "").split(","):
        found = view.find(own_id, "Contact", "Lead", "Account", "Opportunity", "OpportunityContactRole")
        if found is None or found.deleted_ms is not None:
            told.append(_failure(problem(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields=())))
            continue
        _delete(hub, found)
        told.append({"id": found.id, "success": True, "errors": []})
    return json_reply(200, told)


def _kind_of(hub: Hub, row: dict[str, Any]) -> str:
    name = str(row.get("attributes", {}).get("type", ""))
    try:
        return visible(hub, name)
    except Refusal as refusal:
        raise no_such_object(name) from refusal


def _without_id(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name.lower() != "id"}


def _each(request: Request, write: Any) -> Reply:
    """200 even when rows fail: each says for itself."""
    rows = read_json(request, Rows).records
    if len(rows) > MOST_WRITTEN:
        raise problem(400, "LIMIT_EXCEEDED", "record limit reached. cannot submit more than 200 records into this call")
    told: list[Json] = []
    for row in rows:
        try:
            told.append({"id": write(row), "success": True, "errors": []})
        except Refusal as refusal:
            told.append(_failure(refusal))
    return json_reply(200, told)


def _failure(refusal: Refusal) -> Json:
    """Inside it is a ``statusCode``, outside an ``errorCode``."""
    [error] = msgspec.json.decode(refusal.reply.body, type=list[dict[str, Any]])
    inner: Json = {"statusCode": error["errorCode"], "message": error["message"], "fields": error.get("fields", [])}
    return {"success": False, "errors": [inner]}
