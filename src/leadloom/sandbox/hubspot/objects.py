"""Contacts one by one and in batches: read, create, update, archive, erase, merge."""

from collections.abc import Sequence

import msgspec

from leadloom.sandbox.clock import iso
from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.hubspot import writing
from leadloom.sandbox.hubspot.hub import CONTACTS, READ_CONTACTS, ROUTES, WRITE_CONTACTS, Hub
from leadloom.sandbox.hubspot.problems import invalid, not_found
from leadloom.sandbox.hubspot.properties import shown
from leadloom.sandbox.hubspot.records import Record

BATCH = 100
ECHOED = ",".join(
    (
        "firstname",
        "lastname",
        "lifecyclestage",
        "notes_last_updated",
        "hs_is_unworked",
        "hs_object_source",
        "hs_pipeline",
    )
)


class IdBody(msgspec.Struct):
    id: str


class BatchReadBody(msgspec.Struct, rename="camel"):
    inputs: list[IdBody]
    properties: list[str] = []
    id_property: str | None = None


class IdsBody(msgspec.Struct):
    inputs: list[IdBody]


class TargetBody(msgspec.Struct):
    id: str


class LinkBody(msgspec.Struct):
    to: TargetBody


class WriteBody(msgspec.Struct):
    properties: dict[str, str | int | float | bool | None]
    associations: list[LinkBody] | None = None


class BatchCreateBody(msgspec.Struct):
    inputs: list[WriteBody]


class UpdateInput(msgspec.Struct):
    id: str
    properties: dict[str, str | int | float | bool | None]


class BatchUpdateBody(msgspec.Struct):
    inputs: list[UpdateInput]


class MergeBody(msgspec.Struct, rename="camel"):
    primary_object_id: str
    object_id_to_merge: str


class EraseBody(msgspec.Struct, rename="camel"):
    object_id: str
    id_property: str | None = None


def read_body[Body](request: Request, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(request.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"Invalid input JSON: {error}") from error


@ROUTES.add("POST", rf"{CONTACTS}/batch/read", READ_CONTACTS)
def batch_read(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Unknown ids make the status 207. Former ids of merged contacts are unknown here, unlike on a single read."""
    body = read_body(request, BatchReadBody)
    wanted = [one.id for one in body.inputs]
    _check_batch(wanted)
    archived = request.asks("archived")
    names = shown(",".join(body.properties))
    rows, missing = [], []
    for one in wanted:
        place = hub.store.now.born(int(one)) if one.isdecimal() and not body.id_property and not archived else None
        if place is not None:
            rows.append(hub.renderer.born_rows([place], names, companies=False)[0])
        elif (record := _one(hub, one, body.id_property, archived=archived)) is not None:
            rows.append(hub.renderer.row_text(record, names))
        else:
            missing.append(one)
    now = iso(hub.clock.now_ms())
    errors = f',"errors":{msgspec.json.encode(_missing(missing)).decode()},"numErrors":1' if missing else ""
    text = f'{{"completedAt":"{now}","status":"COMPLETE","startedAt":"{now}","results":[{",".join(rows)}]{errors}}}'
    return Reply(207 if missing else 200, text.encode())


@ROUTES.add("POST", rf"{CONTACTS}/batch/create", WRITE_CONTACTS)
def batch_create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_body(request, BatchCreateBody)
    _check_size(body.inputs)
    properties = [writing.checked(_texts(one.properties)) for one in body.inputs]
    records = [writing.create(hub, values) for values in properties]
    return _batch_reply(hub, 201, [_echo(hub, one, values) for one, values in zip(records, properties, strict=True)])


@ROUTES.add("POST", rf"{CONTACTS}/batch/update", WRITE_CONTACTS)
def batch_update(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Former ids of merged contacts are not followed here."""
    body = read_body(request, BatchUpdateBody)
    _check_batch([one.id for one in body.inputs])
    rows, missing = [], []
    for one in body.inputs:
        record = _one(hub, one.id, None, archived=False)
        if record is None:
            missing.append(one.id)
            continue
        values = writing.checked(_texts(one.properties))
        rows.append(_echo(hub, writing.update(hub, record, values), values))
    return _batch_reply(hub, 207 if missing else 200, rows, missing)


@ROUTES.add("POST", rf"{CONTACTS}/batch/archive", WRITE_CONTACTS)
def batch_archive(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_body(request, IdsBody)
    _check_size(body.inputs)
    for one in body.inputs:
        if (record := _one(hub, one.id, None, archived=False)) is not None:
            writing.archive(hub, record)
    return Reply(204)


@ROUTES.add("POST", rf"{CONTACTS}/merge", WRITE_CONTACTS)
def merge(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_body(request, MergeBody)
    primary = live(hub, body.primary_object_id)
    other = live(hub, body.object_id_to_merge)
    if primary.id == other.id:
        raise invalid("A contact cannot be merged with itself.")
    merged = writing.merge(hub, primary, other)
    names = shown(",".join(merged.changes))
    return json_reply(200, hub.renderer.row(merged, names))


@ROUTES.add("POST", rf"{CONTACTS}/gdpr-delete", WRITE_CONTACTS)
def gdpr_delete(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """An address that no contact has is blocked for later."""
    body = read_body(request, EraseBody)
    if body.id_property == "email":
        record = writing.find_by_email(hub, body.object_id)
        if record is None:
            hub.store.blocked_emails.add(body.object_id.lower())
            return Reply(204)
    else:
        record = any_state(hub, body.object_id)
    writing.erase(hub, record)
    return Reply(204)


@ROUTES.add("GET", rf"{CONTACTS}/([^/]+)", READ_CONTACTS)
def get_contact(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """A former id answers with the survivor: the reply's ``id`` is another than the one asked for."""
    archived = request.asks("archived")
    record = _one(hub, args[0], request.query.get("idProperty"), archived=archived, follow=True)
    if record is None:
        raise not_found("contact", args[0])
    names = shown(request.query.get("properties", ""))
    companies = "compan" in request.query.get("associations", "")
    return json_reply(200, hub.renderer.row(record, names, companies=companies))


@ROUTES.add("POST", CONTACTS, WRITE_CONTACTS)
def create_contact(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_body(request, WriteBody)
    values = writing.checked(_texts(body.properties))
    companies = tuple(int(link.to.id) for link in body.associations or () if link.to.id.isdecimal())
    return json_reply(201, _echo(hub, writing.create(hub, values, companies), values))


@ROUTES.add("PATCH", rf"{CONTACTS}/([^/]+)", WRITE_CONTACTS)
def patch_contact(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """The reply shows only some properties: those written and a few of the system's. Never the full record."""
    values = writing.checked(_texts(read_body(request, WriteBody).properties))
    record = _one(hub, args[0], request.query.get("idProperty"), archived=False, follow=True)
    if record is None:
        raise not_found("contact", args[0])
    return json_reply(200, _echo(hub, writing.update(hub, record, values), values))


@ROUTES.add("DELETE", rf"{CONTACTS}/([^/]+)", WRITE_CONTACTS)
def delete_contact(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    record = any_state(hub, args[0])
    if record.archived_ms is None:
        writing.archive(hub, record)
    return Reply(204)


def live(hub: Hub, asked: str) -> Record:
    """By id, former ids included. Raises 404."""
    record = _one(hub, asked, None, archived=False, follow=True)
    if record is None:
        raise not_found("contact", asked)
    return record


def any_state(hub: Hub, asked: str) -> Record:
    record = hub.store.get(int(asked)) if asked.isdecimal() else None
    if record is None:
        raise not_found("contact", asked)
    return record


def _one(hub: Hub, asked: str, id_property: str | None, *, archived: bool, follow: bool = False) -> Record | None:
    if id_property == "email":
        return writing.find_by_email(hub, asked)
    if id_property not in {None, "hs_object_id"}:
        raise invalid(f"{id_property} is not a unique property.")
    if not asked.isdecimal():
        return None
    own_id = hub.store.resolve(int(asked)) if follow else int(asked)
    record = hub.store.get(own_id)
    return record if record is not None and (record.archived_ms is not None) == archived else None


def _echo(hub: Hub, record: Record, written: dict[str, str | None]) -> dict[str, Json]:
    return hub.renderer.row(record, shown(",".join([ECHOED, *written])))


def _texts(properties: dict[str, str | int | float | bool | None]) -> dict[str, str | None]:
    """All values are text; ``true`` becomes "true"."""
    return {
        name: None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in properties.items()
    }


def _check_size(inputs: Sequence[object]) -> None:
    if len(inputs) > BATCH:
        raise invalid(f"The number of inputs exceeds the limit of {BATCH}.")


def _check_batch(ids: list[str]) -> None:
    _check_size(ids)
    doubles = sorted({one for one in ids if ids.count(one) > 1}) if len(set(ids)) < len(ids) else []
    if doubles:
        raise invalid(f"Duplicate IDs found in batch input: [{', '.join(doubles)}]. IDs must be unique")


def _missing(ids: list[str]) -> list[dict[str, Json]]:
    message = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid."
    context: dict[str, Json] = {"ids": list(ids)}
    return [{"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": context}]


def _batch_reply(hub: Hub, status: int, rows: Sequence[Json], missing: list[str] | None = None) -> Reply:
    now = iso(hub.clock.now_ms())
    body: dict[str, Json] = {"completedAt": now, "status": "COMPLETE", "startedAt": now, "results": list(rows)}
    if missing:
        body |= {"errors": [*_missing(missing)], "numErrors": 1}
    return json_reply(status, body)
