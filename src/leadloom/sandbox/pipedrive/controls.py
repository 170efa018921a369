"""``/_control`` for a Pipedrive company: changing persons behind its back, spoiling credentials, the truth.

Values are text, as in every sandbox: ``phone``, ``mobile`` and ``email`` are the entry of that label, ``company`` the
organization's name, ``label`` a label's name; lists and objects are written as JSON text.
"""

import json
from bisect import bisect_left
from typing import Any

from leadloom.sandbox.clock import iso
from leadloom.sandbox.control import done, read_control
from leadloom.sandbox.http import Json, Refusal, Reply, Request, Routes, json_reply
from leadloom.sandbox.hubspot.controls import (
    BulkChange,
    Change,
    NewContact,
    NewToken,
    One,
    Pair,
    RefreshTarget,
    Scopes,
    Settings,
    Strict,
    TokenTarget,
)
from leadloom.sandbox.pipedrive.awkward import awkward
from leadloom.sandbox.pipedrive.hub import Hub
from leadloom.sandbox.pipedrive.records import BLANK, Record, Values, names_of
from leadloom.sandbox.pipedrive.staff import BY_ID, LABELS, OWN_FIELDS, STAGES
from leadloom.sandbox.pipedrive.tokens import Token

CONTROLS: Routes[Hub, None] = Routes()
_NUMBERS = {"phone": "work", "mobile": "mobile"}


class Wanted(Settings):
    """``limits`` is a plan; ``burst`` calls in two seconds and ``daily`` tokens a day replace its numbers."""

    daily: int | None = None
    campaigns: bool | None = None
    contact_sync: bool | None = None
    lists_deleted: bool | None = None
    hides_deleted_data: bool | None = None
    unpaid: bool | None = None
    stamps_restored: bool | None = None


class Move(Strict):
    id: str
    stage: str
    """Its name."""
    status: str = "open"


class Renamed(Strict):
    name: str
    to: str


class Seat(Strict):
    token: str
    user: int
    """Sees what this user may see, from now on."""


@CONTROLS.add("POST", "/_control/contacts", None)
def create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, NewContact)
    made = hub.store.create(_with(hub, {}, body.properties), at_ms=body.created_ms)
    return done(id=str(made.id))


@CONTROLS.add("POST", "/_control/contacts/change", None)
def change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Change)
    record = _live(hub, body.id)
    changed = hub.store.change(record, _with(hub, record.values, body.properties), at_ms=body.at_ms)
    return done(modified_ms=changed.modified_ms)


@CONTROLS.add("POST", "/_control/contacts/bulk-change", None)
def bulk_change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A bulk edit: ``count`` persons, one identical ``update_time``."""
    body = read_control(request, BulkChange)
    at_ms = hub.clock.now_ms() if body.at_ms is None else body.at_ms
    ids = hub.store.live_ids()[-body.count :]
    for own_id in ids:
        record = _live(hub, str(own_id))
        hub.store.change(record, _with(hub, record.values, body.properties), at_ms=at_ms)
    return done(ids=[str(own_id) for own_id in ids], modified_ms=at_ms)


@CONTROLS.add("POST", "/_control/contacts/archive", None)
def delete(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    hub.store.delete(_live(hub, read_control(request, One).id))
    return done()


@CONTROLS.add("POST", "/_control/contacts/restore", None)
def restore(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    found = hub.store.get(int(read_control(request, One).id))
    if found is None or found.deleted_ms is None:
        raise Refusal(json_reply(404, {"error": "no such deleted person"}))
    hub.store.restore(found)
    return done()


@CONTROLS.add("POST", "/_control/contacts/gdpr-delete", None)
def erase(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    hub.store.delete(_live(hub, read_control(request, One).id), for_good=True)
    return done()


@CONTROLS.add("POST", "/_control/contacts/merge", None)
def merge(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Pair)
    return done(id=str(hub.store.merge(_live(hub, body.primary), _live(hub, body.other)).id))


@CONTROLS.add("POST", "/_control/contacts/move", None)
def move(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """The person's deal goes to another stage; one is made if there is none."""
    body = read_control(request, Move)
    stage = next((one.id for one in STAGES if one.name == body.stage), None)
    if stage is None:
        raise Refusal(json_reply(404, {"error": "no such stage"}))
    return done(id=str(hub.store.deals.move(_live(hub, body.id), stage_id=stage, status=body.status).id))


@CONTROLS.add("POST", "/_control/deals/delete", None)
def delete_deal(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    found = hub.store.deals.get(int(read_control(request, One).id))
    if found is None or found.deleted_ms is not None:
        raise Refusal(json_reply(404, {"error": "no such deal"}))
    hub.store.deals.delete(found)
    return done()


@CONTROLS.add("POST", "/_control/organizations/rename", None)
def rename(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Without any of its persons being changed."""
    body, known = read_control(request, Renamed), hub.store.organizations
    hub.store.version += 1
    known.rename(known.named(body.name, hub.clock.now_ms()), body.to, hub.clock.now_ms())
    return done()


@CONTROLS.add("POST", "/_control/contacts/awkward", None)
def add_awkward(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    made: dict[str, Json] = {name: str(hub.store.create(values).id) for name, values in awkward().items()}
    return done(ids=made)


@CONTROLS.add("GET", "/_control/truth", None)
def truth(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Every person who is not deleted, by ascending id: no limits, no faults."""
    start, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "1000"))
    ids = hub.store.index.all("id")
    at = bisect_left(ids, start)
    results: list[Json] = [_told(hub, _live(hub, str(own_id))) for own_id in ids[at : at + limit]]
    after = str(ids[at + limit]) if len(ids) > at + limit else None
    return json_reply(200, {"total": len(ids), "results": results, "after": after})


@CONTROLS.add("POST", "/_control/settings", None)
def configure(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body, manners = read_control(request, Wanted), hub.manners
    if body.limits is not None or body.burst is not None or body.daily is not None:
        hub.limits.set(body.limits or hub.limits.mode, burst=body.burst, daily=body.daily)
    if body.token_lifetime_s is not None:
        hub.tokens.lifetime_s = body.token_lifetime_s
    if body.stamps_restored is not None:
        hub.store.stamps_restored = body.stamps_restored
    for given, name in (
        (body.campaigns, "has_campaigns"),
        (body.contact_sync, "has_contact_sync"),
        (body.lists_deleted, "lists_deleted"),
        (body.hides_deleted_data, "hides_deleted_data"),
        (body.unpaid, "is_unpaid"),
    ):
        if given is not None:
            setattr(manners, name, given)
    hub.store.version += 1
    return done()


@CONTROLS.add("POST", "/_control/tokens", None)
def add_token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A new installation of the app with its first access token, or an API token."""
    body = read_control(request, NewToken)
    token = hub.tokens.new_private() if body.private else hub.tokens.issue(hub.tokens.new_grant())
    if body.scopes is not None:
        token.grant.scopes = body.scopes
    if body.lifetime_s is not None:
        token.expires_ms = hub.clock.now_ms() + int(body.lifetime_s * 1000)
    return done(access_token=token.value, refresh_token=token.grant.refresh)


@CONTROLS.add("POST", "/_control/tokens/code", None)
def add_code(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    return done(code=hub.tokens.new_code())


@CONTROLS.add("POST", "/_control/tokens/expire", None)
def expire(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, TokenTarget)
    hub.tokens.expire(_known(hub, body.token).value, after_requests=body.after_requests)
    return done()


@CONTROLS.add("POST", "/_control/tokens/revoke", None)
def revoke(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """An access token is unknown from now on; a refresh token gives no further ones."""
    value = read_control(request, TokenTarget).token
    if value in hub.tokens.grants:
        hub.tokens.withdraw(value)
    elif not hub.tokens.revoke(value):
        raise Refusal(json_reply(404, {"error": "no such token"}))
    return done()


@CONTROLS.add("POST", "/_control/tokens/uninstall", None)
def uninstall(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    hub.tokens.revoke(read_control(request, RefreshTarget).refresh_token)
    return done()


@CONTROLS.add("POST", "/_control/tokens/scopes", None)
def set_scopes(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Scopes)
    _known(hub, body.token).grant.scopes = body.scopes
    return done()


@CONTROLS.add("POST", "/_control/tokens/user", None)
def seat(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A changed permission: what the token does not see any more looks like deleted."""
    body = read_control(request, Seat)
    if body.user not in BY_ID:
        raise Refusal(json_reply(404, {"error": "no such user"}))
    _known(hub, body.token).grant.user = BY_ID[body.user]
    return done()


def _known(hub: Hub, value: str) -> Token:
    token = hub.tokens.access.get(value)
    if token is None:
        raise Refusal(json_reply(404, {"error": "no such access token"}))
    return token


def _live(hub: Hub, own_id: str) -> Record:
    found = hub.store.get(int(own_id))
    if found is None or found.deleted_ms is not None:
        raise Refusal(json_reply(404, {"error": f"nobody is {own_id}"}))
    return found


def _with(hub: Hub, held: Values, properties: dict[str, str | None]) -> Values:
    """What changes. Raises a 400 for a property that persons do not have."""
    values: Values = {**BLANK, **held}
    first, last = names_of(str(values["name"]))
    for name, value in properties.items():
        if name in ("first_name", "last_name"):
            first, last = (value, last) if name == "first_name" else (first, value)
            values["name"] = " ".join(part for part in (first, last) if part)
        elif name in _NUMBERS:
            values["phones"] = _labelled(values["phones"], value, _NUMBERS[name])
        elif name == "email":
            values["emails"] = _labelled(values["emails"], value, "work")
        elif name == "company":
            values["org_id"] = hub.store.organizations.named(value, hub.clock.now_ms()).id if value else None
        elif name == "label":
            values["label_ids"] = [one.id for one in LABELS if one.label == value]
        elif name == "country":
            values["postal_address"] = {"value": value, "country": value}
        elif name in OWN_FIELDS:
            values["custom_fields"] = {**_dict(values["custom_fields"]), name: _read(value)}
        elif name in BLANK:
            values[name] = _read(value) if name not in ("name", "notes", "job_title") else value
        else:
            raise Refusal(json_reply(400, {"error": f"persons have no {name}"}))
    return values


def _labelled(held: Json, value: str | None, label: str) -> Json:
    """The entry of this label is replaced, and is there first if it is new and alone."""
    assert isinstance(held, list)
    rest = [one for one in held if isinstance(one, dict) and one.get("label") != label]
    new: list[dict[str, Json]] = [{"value": value, "label": label}] if value else []
    ordered = [*rest, *new] if label == "mobile" else [*new, *rest]
    return [{**one, "primary": at == 0} for at, one in enumerate(ordered)]


def _dict(value: Json) -> Values:
    assert isinstance(value, dict)
    return value


def _read(value: str | None) -> Any:
    """JSON where it is some, else the text."""
    try:
        return json.loads(value) if value else None
    except ValueError:
        return value


def _told(hub: Hub, record: Record) -> Json:
    """What is not empty, as text."""
    values = record.values
    told: dict[str, Json] = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value not in (None, "", [], {})
    }
    first, last = names_of(str(values["name"]))
    company = hub.store.organizations.name_of(values["org_id"])
    more = {"first_name": first, "last_name": last, "company": company, "email": _primary(values["emails"])}
    more["phone"] = _primary(values["phones"])
    told |= {name: value for name, value in more.items() if value}
    times: dict[str, Json] = {"add_time": iso(record.created_ms), "update_time": iso(record.modified_ms)}
    return {"id": str(record.id), "properties": {**told, **times}}


def _primary(held: Json) -> str | None:
    assert isinstance(held, list)
    entries = [one for one in held if isinstance(one, dict)]
    first = next((one for one in entries if one.get("primary")), entries[0] if entries else None)
    return None if first is None else str(first["value"])
