"""``/_control`` for a Salesforce organisation: changing people behind its back, spoiling credentials, the truth.

Values are text, as in every sandbox: ``true`` for a checkbox, an id for the owner. ``object`` says what a new person
is; ``Company`` of a contact is the name of its account.
"""

from dataclasses import replace

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
from leadloom.sandbox.salesforce.awkward import AWKWARD, CONVERTED, PERSON_ACCOUNT
from leadloom.sandbox.salesforce.catalogue import ACCOUNT, CONTACT, FIELDS, LEAD, OPPORTUNITY, PEOPLE, ROLE
from leadloom.sandbox.salesforce.converting import convert, unite
from leadloom.sandbox.salesforce.hub import Hub
from leadloom.sandbox.salesforce.ids import record_of
from leadloom.sandbox.salesforce.records import BLANK, Record, Values
from leadloom.sandbox.salesforce.staff import OWNERS
from leadloom.sandbox.salesforce.tokens import Token
from leadloom.sandbox.salesforce.weather import TROUBLES, Trouble

CONTROLS: Routes[Hub, None] = Routes()


class Wanted(Settings):
    """``burst`` is how many calls may be under way at once; ``index_lag_s`` how long transactions stay open."""

    daily: int | None = None
    rotates: bool | None = None
    most_grants: int | None = None
    api_enabled: bool | None = None
    hidden: dict[str, list[str]] | None = None
    """By object, the fields that the user may not see: all of them, also those hidden so far."""
    hidden_objects: list[str] | None = None
    bulk_queue_s: float | None = None
    failing_jobs: list[str] | None = None
    undelete_is_stamped: bool | None = None
    cascade_is_stamped: bool | None = None


class Conversion(Strict):
    id: str
    into: str | None = None
    """A contact that is there already."""
    with_deal: bool = False


class Ordered(Strict):
    kind: str
    times: int = 1
    path: str = ""


class Rename(Strict):
    id: str
    properties: dict[str, str | None]


class Deal(Strict):
    contact: str
    stage: str


@CONTROLS.add("POST", "/_control/contacts", None)
def create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, NewContact)
    return done(id=_create(hub, body.properties, body.created_ms).id)


def _create(hub: Hub, properties: dict[str, str | None], at_ms: int | None = None) -> Record:
    kind = properties.get("object") or CONTACT
    if kind not in PEOPLE:
        raise Refusal(json_reply(400, {"error": f"no people are {kind}"}))
    given = {name: value for name, value in properties.items() if name != "object"}
    return hub.store.create(kind, {"OwnerId": OWNERS[0], **_values(hub, kind, given)}, at_ms=at_ms)


@CONTROLS.add("POST", "/_control/contacts/change", None)
def change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Change)
    record = _live(hub, body.id)
    changed = hub.store.change(record, _values(hub, record.kind, body.properties), at_ms=body.at_ms)
    return done(modified_ms=changed.modified_ms)


@CONTROLS.add("POST", "/_control/contacts/touch", None)
def touch(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """As the platform does: ``SystemModstamp`` moves, ``LastModifiedDate`` does not."""
    record = _live(hub, read_control(request, One).id)
    hub.store.put([replace(record, modified_ms=hub.clock.now_ms())])
    return done()


@CONTROLS.add("POST", "/_control/contacts/bulk-change", None)
def bulk_change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A load of ``count`` people: one identical ``SystemModstamp``."""
    body = read_control(request, BulkChange)
    at_ms = hub.clock.now_ms() if body.at_ms is None else body.at_ms
    kinds = {kind: _values(hub, kind, body.properties) for kind in PEOPLE}
    chosen = list(hub.store.live())[-body.count :] if body.count else []
    hub.store.put(hub.store.changed(one, kinds[one.kind], at_ms=at_ms) for one in chosen)
    return done(ids=[one.id for one in chosen], modified_ms=at_ms)


@CONTROLS.add("POST", "/_control/contacts/archive", None)
def archive(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Into the recycle bin."""
    hub.store.delete(_live(hub, read_control(request, One).id))
    return done()


@CONTROLS.add("POST", "/_control/contacts/restore", None)
def restore(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    found = hub.store.now.find(read_control(request, One).id, *PEOPLE)
    if found is None or found.deleted_ms is None:
        raise Refusal(json_reply(404, {"error": "not in the recycle bin"}))
    hub.store.undelete(found)
    return done()


@CONTROLS.add("POST", "/_control/contacts/gdpr-delete", None)
def erase(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A hard delete, of one in the recycle bin too: ``queryAll`` does not find it either."""
    found = hub.store.now.find(read_control(request, One).id, *PEOPLE)
    if found is None:
        raise Refusal(json_reply(404, {"error": "nobody has this id"}))
    hub.store.erase(found)
    return done()


@CONTROLS.add("POST", "/_control/contacts/merge", None)
def merge(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Pair)
    return done(id=unite(hub.store, _live(hub, body.primary), _live(hub, body.other)).id)


@CONTROLS.add("POST", "/_control/contacts/convert", None)
def convert_lead(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Conversion)
    lead = _live(hub, body.id)
    if lead.kind != LEAD:
        raise Refusal(json_reply(400, {"error": "only leads are converted"}))
    into = None if body.into is None else _live(hub, body.into)
    return done(id=convert(hub.store, lead, into, with_deal=body.with_deal).id)


@CONTROLS.add("POST", "/_control/contacts/awkward", None)
def add_awkward(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    """The converted one is the lead; the contact that it became is there beside it."""
    made: dict[str, Json] = {}
    for name, properties in AWKWARD.items():
        record = _create(hub, properties)
        made[name] = record.id
        if name == CONVERTED:
            convert(hub.store, record, None, with_deal=True)
        elif name == PERSON_ACCOUNT:
            hub.store.put([replace(record, values={**record.values, "IsPersonAccount": True})])
            account = hub.store.now.find(str(record.values["AccountId"]), ACCOUNT)
            assert account is not None
            hub.store.put([replace(account, values={**account.values, "IsPersonAccount": True})])
    return done(ids=made)


@CONTROLS.add("POST", "/_control/accounts/change", None)
def change_account(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Moves the account's stamp, and its contacts' not."""
    body = read_control(request, Rename)
    return done(modified_ms=_change_other(hub, body, ACCOUNT))


@CONTROLS.add("POST", "/_control/users/change", None)
def change_user(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    return done(modified_ms=_change_other(hub, read_control(request, Rename), "User"))


def _change_other(hub: Hub, body: Rename, kind: str) -> int:
    found = hub.store.now.find(body.id, kind)
    if found is None:
        raise Refusal(json_reply(404, {"error": f"no {kind} {body.id}"}))
    values = _values(hub, kind, body.properties)
    if kind == "User":
        names = {**found.values, **values}
        values = {**values, "Name": " ".join(str(names[x]) for x in ("FirstName", "LastName") if names[x])}
    return hub.store.change(found, values).modified_ms


@CONTROLS.add("POST", "/_control/deals", None)
def set_deal(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """The contact's first deal goes to a stage, or a new one starts there. No stamp of the contact moves."""
    body = read_control(request, Deal)
    store, contact = hub.store, _live(hub, body.contact)
    role = next(store.now.roles_of(contact), None)
    if role is None:
        deal = store.create(OPPORTUNITY, {"Name": "New deal", "StageName": body.stage, "CloseDate": "2099-01-01"})
        role = store.create(ROLE, {"OpportunityId": deal.id, "ContactId": contact.id, "IsPrimary": True})
        return done(id=role.id)
    found = store.now.find(str(role.values["OpportunityId"]), OPPORTUNITY)
    assert found is not None
    store.change(found, {"StageName": body.stage})
    return done(id=role.id)


@CONTROLS.add("GET", "/_control/truth", None)
def truth(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Every person who is neither deleted nor converted, by ascending id: no limits, no faults, no lag."""
    start, limit = request.query.get("after", "0"), int(request.query.get("limit", "1000"))
    at = record_of(start)
    results: list[Json] = []
    for kind in PEOPLE if at is None else PEOPLE[PEOPLE.index(at[0]) :]:
        for record in hub.store.live_of(kind, at[1] if at is not None and at[0] == kind else 0):
            if len(results) == limit:
                return json_reply(200, {"total": hub.store.live_count(), "results": results, "after": record.id})
            results.append(_told(hub, record))
    return json_reply(200, {"total": hub.store.live_count(), "results": results, "after": None})


def _told(hub: Hub, record: Record) -> Json:
    """What is not empty, as text."""
    told: dict[str, Json] = {"object": record.kind}
    for name, value in record.values.items():
        if value not in (None, "", False):
            told[name] = str(value) if value is not True else "true"
    account = hub.store.now.find(str(record.values.get("AccountId")), ACCOUNT)
    if account is not None:
        told["Company"] = str(account.values["Name"])
    told |= {"CreatedDate": iso(record.created_ms), "SystemModstamp": iso(record.modified_ms)}
    return {"id": record.id, "properties": told}


@CONTROLS.add("POST", "/_control/settings", None)
def configure(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Wanted)
    if body.limits is not None or body.burst is not None or body.daily is not None:
        hub.limits.set(body.limits or hub.limits.mode, at_once=body.burst, daily=body.daily)
    if body.token_lifetime_s is not None:
        hub.tokens.lifetime_s = body.token_lifetime_s
    if body.rotates is not None:
        hub.tokens.rotates = body.rotates
    if body.most_grants is not None:
        hub.tokens.most_grants = body.most_grants
    if body.index_lag_s is not None:
        hub.store.commit_lag_s = body.index_lag_s
    if body.api_enabled is not None:
        hub.is_api_enabled = body.api_enabled
    if body.bulk_queue_s is not None:
        hub.jobs.queued_ms = int(body.bulk_queue_s * 1000)
    if body.failing_jobs is not None:
        hub.jobs.failing = list(body.failing_jobs)
    if body.undelete_is_stamped is not None:
        hub.store.undelete_is_stamped = body.undelete_is_stamped
    if body.cascade_is_stamped is not None:
        hub.store.cascade_is_stamped = body.cascade_is_stamped
    if body.hidden is not None or body.hidden_objects is not None:
        _hide(hub, body)
    return done()


def _hide(hub: Hub, body: Wanted) -> None:
    if body.hidden is not None:
        hub.hidden = {kind: set(names) for kind, names in body.hidden.items()}
    if body.hidden_objects is not None:
        hub.hidden_objects = set(body.hidden_objects)
    hub.changed_ms = hub.clock.now_ms() + 1000  # whoever has described it within this second asks again
    hub.pages.clear()


@CONTROLS.add("POST", "/_control/trouble", None)
def order_trouble(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """The next requests are refused as only Salesforce refuses."""
    body = read_control(request, Ordered)
    if body.kind not in TROUBLES:
        raise Refusal(json_reply(400, {"error": f"there is {', '.join(TROUBLES)}"}))
    hub.weather.add(Trouble(body.kind, body.times, body.path))
    return done()


@CONTROLS.add("POST", "/_control/locators/forget", None)
def forget_locators(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    hub.locators.forget()
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
    found = hub.store.now.find(own_id, *PEOPLE)
    if found is None or found.deleted_ms is not None or found.values.get("IsConverted"):
        raise Refusal(json_reply(404, {"error": f"nobody is {own_id}"}))
    return found


def _values(hub: Hub, kind: str, properties: dict[str, str | None]) -> Values:
    """Raises a 400 for a field that the object does not have."""
    values: dict[str, Json] = {}
    types = {one.name: one.type for one in FIELDS[kind]}
    for name, value in properties.items():
        field = "AccountId" if (kind, name) == (CONTACT, "Company") else name
        if field not in BLANK[kind]:
            raise Refusal(json_reply(400, {"error": f"{kind} has no field {name}"}))
        if types[field] == "boolean":
            values[field] = value == "true"
        elif field != name:
            values[field] = hub.store.account_named(value).id if value else None
        elif types[field] == "double":
            values[field] = None if value is None else float(value)
        else:
            values[field] = value
    return values
