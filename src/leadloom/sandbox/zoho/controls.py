"""``/_control`` for a Zoho organisation: changing people behind the vendor's back, spoiling credentials, the truth.

Values are text, as in every sandbox: ``true`` for a checkbox, a user's id for the owner, a name for the account.
``module`` says of what a new person is; ``Company`` of a contact is its account.
"""

from bisect import bisect_left

from msgspec import Struct

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
    TokenTarget,
)
from leadloom.sandbox.zoho.awkward import AWKWARD
from leadloom.sandbox.zoho.catalogue import CHECKBOXES, CONTACTS, LEADS, MODULES
from leadloom.sandbox.zoho.exports import PER_PAGE, Order
from leadloom.sandbox.zoho.hub import Hub
from leadloom.sandbox.zoho.records import BLANK, Record, Teller, Values
from leadloom.sandbox.zoho.staff import USERS, account_named, user
from leadloom.sandbox.zoho.tokens import Token
from leadloom.sandbox.zoho.writing import unite

CONTROLS: Routes[Hub, None] = Routes()


class Export(Struct):
    """How Bulk Read goes from now on."""

    takes_s: float = 1.0
    fails: bool = False
    per_page: int = PER_PAGE
    order: Order = "asc"
    refused: list[str] = []


class Wanted(Settings):
    """``burst`` is how many calls may be under way at once."""

    credits: int | None = None
    reach: int | None = None
    """How many records page tokens lead to."""
    offset_minutes: int | None = None
    stamps_restored: bool | None = None
    export: Export | None = None


@CONTROLS.add("POST", "/_control/contacts", None)
def create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, NewContact)
    return done(id=str(_create(hub, body.properties, body.created_ms).id))


def _create(hub: Hub, properties: dict[str, str | None], at_ms: int | None = None) -> Record:
    module = properties.get("module") or CONTACTS
    if module not in MODULES:
        raise Refusal(json_reply(400, {"error": f"no module {module}"}))
    values = _values(module, {name: value for name, value in properties.items() if name != "module"})
    return hub.store.create(module, {"Owner": USERS[0].lookup(), **values}, at_ms=at_ms)


@CONTROLS.add("POST", "/_control/contacts/change", None)
def change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Change)
    record = _live(hub, body.id)
    changed = hub.store.change(record, _values(record.module, body.properties), at_ms=body.at_ms)
    return done(modified_ms=changed.modified_ms)


@CONTROLS.add("POST", "/_control/contacts/bulk-change", None)
def bulk_change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A mass update: ``count`` people, one identical ``Modified_Time``."""
    body = read_control(request, BulkChange)
    at_ms = hub.clock.now_ms() if body.at_ms is None else body.at_ms
    ids = hub.store.all_live()[-body.count :]
    for record in hub.store.rows(ids):
        hub.store.change(record, _values(record.module, body.properties), at_ms=at_ms)
    return done(ids=[str(own_id) for own_id in ids], modified_ms=at_ms)


@CONTROLS.add("POST", "/_control/contacts/archive", None)
def archive(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Into the recycle bin."""
    hub.store.delete(_live(hub, read_control(request, One).id))
    return done()


@CONTROLS.add("POST", "/_control/contacts/restore", None)
def restore(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    found = hub.store.get(int(read_control(request, One).id))
    if found is None or found.deleted_ms is None or found.is_erased:
        raise Refusal(json_reply(404, {"error": "not in the recycle bin"}))
    hub.store.restore(found)
    return done()


@CONTROLS.add("POST", "/_control/contacts/gdpr-delete", None)
def erase(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    hub.store.delete(_live(hub, read_control(request, One).id), for_good=True)
    return done()


@CONTROLS.add("POST", "/_control/contacts/merge", None)
def merge(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Pair)
    return done(id=str(unite(hub, _live(hub, body.primary), _live(hub, body.other)).id))


@CONTROLS.add("POST", "/_control/contacts/convert", None)
def convert(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    lead = _live(hub, read_control(request, One).id)
    if lead.module != LEADS:
        raise Refusal(json_reply(400, {"error": "only leads are converted"}))
    return done(id=str(hub.store.convert(lead).id))


@CONTROLS.add("POST", "/_control/contacts/awkward", None)
def add_awkward(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    made: dict[str, Json] = {name: str(_create(hub, values).id) for name, values in AWKWARD.items()}
    return done(ids=made)


@CONTROLS.add("GET", "/_control/truth", None)
def truth(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Every person who is neither deleted nor converted, by ascending id: no limits, no faults."""
    start, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "1000"))
    ids = hub.store.all_live()
    at = bisect_left(ids, start)
    results: list[Json] = [_told(one) for one in hub.store.rows(ids[at : at + limit])]
    after = str(ids[at + limit]) if len(ids) > at + limit else None
    return json_reply(200, {"total": len(ids), "results": results, "after": after})


@CONTROLS.add("POST", "/_control/settings", None)
def configure(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Wanted)
    if body.limits is not None or body.burst is not None or body.credits is not None:
        hub.limits.set(body.limits or hub.limits.mode, at_once=body.burst, credits=body.credits)
    if body.token_lifetime_s is not None:
        hub.tokens.lifetime_s = body.token_lifetime_s
    if body.reach is not None:
        hub.reach = body.reach
    if body.offset_minutes is not None:
        hub.teller = Teller(body.offset_minutes)
    if body.stamps_restored is not None:
        hub.store.stamps_restored = body.stamps_restored
    if (export := body.export) is not None:
        hub.exports.takes_s, hub.exports.fails, hub.exports.per_page = export.takes_s, export.fails, export.per_page
        hub.exports.order, hub.exports.refused = export.order, export.refused
    return done()


@CONTROLS.add("POST", "/_control/tokens", None)
def add_token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A new grant with its first access token; there are no private ones."""
    body = read_control(request, NewToken)
    grant = hub.tokens.new_grant()
    token = hub.tokens.issue(grant)
    if body.scopes is not None:
        grant.scopes = body.scopes
    if body.lifetime_s is not None:
        token.expires_ms = hub.clock.now_ms() + int(body.lifetime_s * 1000)
    return done(access_token=token.value, refresh_token=grant.refresh)


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
    if not hub.tokens.revoke(read_control(request, TokenTarget).token):
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


def _known(hub: Hub, value: str) -> Token:
    token = hub.tokens.access.get(value)
    if token is None:
        raise Refusal(json_reply(404, {"error": "no such access token"}))
    return token


def _live(hub: Hub, own_id: str) -> Record:
    found = hub.store.get(int(own_id))
    if found is None or found.deleted_ms is not None or found.became is not None:
        raise Refusal(json_reply(404, {"error": f"nobody is {own_id}"}))
    return found


def _values(module: str, properties: dict[str, str | None]) -> Values:
    """Raises a 400 for a field that the module does not have."""
    values: Values = {}
    for name, value in properties.items():
        field = "Account_Name" if (module, name) == (CONTACTS, "Company") else name
        if field not in BLANK[module]:
            raise Refusal(json_reply(400, {"error": f"{module} have no field {name}"}))
        if field in CHECKBOXES:
            values[field] = value == "true"
        elif field == "Owner":
            known = user(value or "")
            values[field] = known.lookup() if known else {"id": value}
        elif field == "Account_Name":
            values[field] = account_named(value) if value else None
        else:
            values[field] = value
    return values


def _told(record: Record) -> Json:
    """What is not empty, as text."""
    told: dict[str, Json] = {"module": record.module}
    for name, value in record.values.items():
        if isinstance(value, dict):
            told[name] = value.get("name")
        elif value not in (None, "", False):
            told[name] = str(value)
    times: dict[str, Json] = {"Created_Time": iso(record.created_ms), "Modified_Time": iso(record.modified_ms)}
    return {"id": str(record.id), "properties": {**told, **times}}
