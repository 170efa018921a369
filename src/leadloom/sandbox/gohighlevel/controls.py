"""``/_control`` for a GoHighLevel location: changing contacts behind its back, spoiling credentials, the truth.

Values are text, as in every sandbox; lists and objects are written as JSON text, ``dnd`` as ``true``. A name with dots
(``dndSettings.SMS.status``) reaches into an object.
"""

import json
from dataclasses import replace
from typing import Any

from leadloom.sandbox.clock import iso
from leadloom.sandbox.control import done, read_control
from leadloom.sandbox.gohighlevel.awkward import awkward
from leadloom.sandbox.gohighlevel.contacts import live
from leadloom.sandbox.gohighlevel.hub import Hub
from leadloom.sandbox.gohighlevel.records import FIELDS, Record, Values, blank
from leadloom.sandbox.gohighlevel.staff import STAGES
from leadloom.sandbox.gohighlevel.tokens import Grant, Token
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

CONTROLS: Routes[Hub, None] = Routes()


class Move(Strict):
    id: str
    stage: str
    """Its name."""
    status: str = "open"


@CONTROLS.add("POST", "/_control/contacts", None)
def create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, NewContact)
    record = hub.store.create(_with(blank(), body.properties), at_ms=body.created_ms)
    return done(id=record.id)


@CONTROLS.add("POST", "/_control/contacts/change", None)
def change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Change)
    record = live(hub, body.id)
    changed = hub.store.change(record, _with(record.values, body.properties), at_ms=body.at_ms)
    return done(modified_ms=changed.modified_ms)


@CONTROLS.add("POST", "/_control/contacts/bulk-change", None)
def bulk_change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A snapshot that is loaded: ``count`` contacts, one identical ``dateUpdated``."""
    body = read_control(request, BulkChange)
    at_ms = hub.clock.now_ms() if body.at_ms is None else body.at_ms
    records = [live(hub, own_id) for own_id in hub.store.some_live_ids(body.count)]
    hub.store.put(replace(one, values=_with(one.values, body.properties), modified_ms=at_ms) for one in records)
    return done(ids=[one.id for one in records], modified_ms=at_ms)


@CONTROLS.add("POST", "/_control/contacts/archive", None)
def delete(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    hub.store.delete(live(hub, read_control(request, One).id))
    return done()


@CONTROLS.add("POST", "/_control/contacts/restore", None)
def restore(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    if hub.store.restore(read_control(request, One).id) is None:
        raise Refusal(json_reply(404, {"error": "no such deleted contact"}))
    return done()


@CONTROLS.add("POST", "/_control/contacts/gdpr-delete", None)
def erase(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    hub.store.erase(read_control(request, One).id)
    return done()


@CONTROLS.add("POST", "/_control/contacts/merge", None)
def merge(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Pair)
    return done(id=hub.store.merge(live(hub, body.primary), live(hub, body.other)).id)


@CONTROLS.add("POST", "/_control/contacts/move", None)
def move(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """The contact's opportunity goes to another stage; one is made if there is none."""
    body = read_control(request, Move)
    stage = next((one.id for one in STAGES if one.name == body.stage), None)
    if stage is None:
        raise Refusal(json_reply(404, {"error": "no such stage"}))
    return done(id=hub.store.move(live(hub, body.id), stage=stage, status=body.status).id)


@CONTROLS.add("POST", "/_control/contacts/awkward", None)
def add_awkward(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    made: dict[str, Json] = {name: hub.store.create(values).id for name, values in awkward().items()}
    return done(ids=made)


@CONTROLS.add("GET", "/_control/truth", None)
def truth(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Every live contact with all it holds: untouched ones first, straight from the store: no limits, no lag."""
    start, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "1000"))
    view, count = hub.store.now, hub.population.count
    end = min(start + limit, count)
    records = [hub.store.maker.born(place) for place in range(start, end) if place not in view.covered]
    if end == count:
        records += list(view.records.values())
    results: list[Json] = [{"id": one.id, "properties": _told(one)} for one in records]
    return json_reply(200, {"total": view.total, "results": results, "after": None if end == count else str(end)})


@CONTROLS.add("POST", "/_control/settings", None)
def configure(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Settings)
    if body.limits is not None or body.burst is not None:
        hub.limits.set(body.limits or hub.limits.mode, burst=body.burst)
    if body.index_lag_s is not None:
        hub.store.index_lag_s = body.index_lag_s
    if body.token_lifetime_s is not None:
        hub.tokens.lifetime_s = body.token_lifetime_s
    return done()


@CONTROLS.add("POST", "/_control/tokens", None)
def add_token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A new sign-in with its first access token, or a private integration token."""
    body = read_control(request, NewToken)
    grant = Grant(None) if body.private else hub.tokens.new_grant()
    token = hub.tokens.issue(grant)
    if body.scopes is not None:
        grant.scopes = body.scopes
    if body.private:
        token.expires_ms = None
    if body.lifetime_s is not None:
        token.expires_ms = hub.clock.now_ms() + int(body.lifetime_s * 1000)
    return done(access_token=token.value, refresh_token=grant.refresh)


@CONTROLS.add("POST", "/_control/tokens/code", None)
def add_code(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    return done(code=hub.tokens.new_code())


@CONTROLS.add("POST", "/_control/tokens/agency", None)
def add_agency(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    """A token of the whole agency, which opens no contacts."""
    return done(access_token=hub.tokens.issue(hub.tokens.new_grant(location=None)).value)


@CONTROLS.add("POST", "/_control/tokens/expire", None)
def expire(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, TokenTarget)
    _known(hub, body.token)
    hub.tokens.expire(body.token, after_requests=body.after_requests)
    return done()


@CONTROLS.add("POST", "/_control/tokens/revoke", None)
def revoke(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """An access token is unknown from now on; a refresh token gives no further pair."""
    value = read_control(request, TokenTarget).token
    grant = hub.tokens.by_refresh.get(value)
    if grant is not None:
        hub.tokens.end(grant, access_too=False)
    elif hub.tokens.access.pop(value, None) is None:
        raise Refusal(json_reply(404, {"error": "no such token"}))
    return done()


@CONTROLS.add("POST", "/_control/tokens/uninstall", None)
def uninstall(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    hub.tokens.end(hub.tokens.by_refresh[read_control(request, RefreshTarget).refresh_token], access_too=True)
    return done()


@CONTROLS.add("POST", "/_control/tokens/scopes", None)
def set_scopes(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Scopes)
    _known(hub, body.token).grant.scopes = body.scopes
    return done()


def _known(hub: Hub, value: str) -> Token:
    token = hub.tokens.access.get(value)
    if token is None:
        raise Refusal(json_reply(404, {"error": "no such access token"}))
    return token


def _with(values: Values, changes: dict[str, str | None]) -> Values:
    """A copy with these fields changed. Raises a 400 for a field that contacts do not have."""
    copy: Values = json.loads(json.dumps(values))
    for name, value in changes.items():
        *path, last = name.split(".")
        if (path or [last])[0] not in FIELDS:
            raise Refusal(json_reply(400, {"error": f"no field {name}"}))
        holder: Any = copy
        for step in path:
            holder = holder.setdefault(step, {})
        holder[last] = _read(value)
    return copy


def _read(value: str | None) -> Any:
    if value in ("true", "false"):
        return value == "true"
    if value and value[0] in "[{":
        return json.loads(value)
    return value or None


def _told(record: Record) -> dict[str, Json]:
    """What is not empty, as text."""
    told: dict[str, Json] = {}
    for name, value in record.values.items():
        if value not in (None, "", [], {}, False):
            told[name] = value if isinstance(value, str) else json.dumps(value)
    return {**told, "dateAdded": iso(record.created_ms), "dateUpdated": iso(record.modified_ms)}
