"""``/_control`` for a HubSpot portal: changing contacts behind the vendor's back, spoiling credentials, the truth."""

from bisect import bisect_left
from dataclasses import replace

import msgspec

from leadloom.sandbox.control import done, read_control
from leadloom.sandbox.http import Json, Refusal, Reply, Request, Routes, json_reply
from leadloom.sandbox.hubspot import writing
from leadloom.sandbox.hubspot.awkward import AWKWARD
from leadloom.sandbox.hubspot.hub import Hub
from leadloom.sandbox.hubspot.objects import any_state, live
from leadloom.sandbox.hubspot.tokens import PRIVATE_TOKEN, REFRESH_TOKEN, Grant, Token

HUBSPOT_CONTROLS: Routes[Hub, None] = Routes()


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A misspelt key is an error in a test, not a default."""


class NewContact(Strict):
    properties: dict[str, str | None] = {}
    companies: list[int] = []
    created_ms: int | None = None


class Change(Strict):
    id: str
    properties: dict[str, str | None]
    at_ms: int | None = None


class BulkChange(Strict):
    count: int
    properties: dict[str, str | None]
    at_ms: int | None = None


class One(Strict):
    id: str


class Pair(Strict):
    primary: str
    other: str


class Settings(Strict):
    limits: str | None = None
    burst: int | None = None
    searches: int | None = None
    index_lag_s: float | None = None
    token_lifetime_s: int | None = None


class TokenTarget(Strict):
    token: str = PRIVATE_TOKEN
    after_requests: int = 0


class NewToken(Strict):
    scopes: list[str] | None = None
    lifetime_s: float | None = None
    private: bool = False


class Scopes(Strict):
    scopes: list[str]
    token: str = PRIVATE_TOKEN


class RefreshTarget(Strict):
    refresh_token: str = REFRESH_TOKEN


@HUBSPOT_CONTROLS.add("POST", "/_control/contacts", None)
def create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Takes any property, also values that the API would refuse."""
    body = read_control(request, NewContact)
    record = writing.create(hub, writing.derived(body.properties), tuple(body.companies), created_ms=body.created_ms)
    return done(id=str(record.id))


@HUBSPOT_CONTROLS.add("POST", "/_control/contacts/change", None)
def change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Change)
    record = hub.store.change(live(hub, body.id), writing.derived(body.properties), at_ms=body.at_ms)
    return done(modified_ms=record.modified_ms)


@HUBSPOT_CONTROLS.add("POST", "/_control/contacts/bulk-change", None)
def bulk_change(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A mass import: ``count`` contacts, one identical ``lastmodifieddate``."""
    body = read_control(request, BulkChange)
    at_ms = hub.clock.now_ms() if body.at_ms is None else body.at_ms
    values = writing.derived(body.properties)
    records = [hub.store.get(own_id) for own_id in hub.store.some_live_ids(body.count)]
    changed = [
        replace(one, changes=one.changes | values if one.changes else values, modified_ms=at_ms)
        for one in records
        if one is not None
    ]
    hub.store.put(changed)
    return done(ids=[str(one.id) for one in changed], modified_ms=at_ms)


@HUBSPOT_CONTROLS.add("POST", "/_control/contacts/archive", None)
def archive(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    writing.archive(hub, live(hub, read_control(request, One).id))
    return done()


@HUBSPOT_CONTROLS.add("POST", "/_control/contacts/restore", None)
def restore(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    writing.restore(hub, any_state(hub, read_control(request, One).id))
    return done()


@HUBSPOT_CONTROLS.add("POST", "/_control/contacts/gdpr-delete", None)
def erase(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    writing.erase(hub, any_state(hub, read_control(request, One).id))
    return done()


@HUBSPOT_CONTROLS.add("POST", "/_control/contacts/merge", None)
def merge(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Pair)
    return done(id=str(writing.merge(hub, live(hub, body.primary), live(hub, body.other)).id))


@HUBSPOT_CONTROLS.add("POST", "/_control/contacts/awkward", None)
def add_awkward(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    made: dict[str, Json] = {}
    for name, values in AWKWARD.items():
        made[name] = str(writing.create(hub, writing.derived(values)).id)
    return done(ids=made)


@HUBSPOT_CONTROLS.add("GET", "/_control/truth", None)
def truth(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Every live contact with all it holds, by ascending id, straight from the store: no limits, no lag, no faults."""
    start, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "1000"))
    view, ids = hub.store.now, hub.store.ids
    born = {ids.of(place): place for place in view.untouched(ids.first_from(start), limit + 1)}
    at = bisect_left(view.live, start)
    order = sorted([*born, *view.live[at : at + limit + 1]])
    results: list[Json] = []
    for own_id in order[:limit]:
        record = hub.store.born(born[own_id]) if own_id in born else view.records[own_id]
        results.append({"id": str(own_id), "properties": dict(hub.renderer.values(record))})
    after = str(order[limit - 1] + 1) if len(order) > limit else None
    return json_reply(200, {"total": hub.store.live_count(), "results": results, "after": after})


@HUBSPOT_CONTROLS.add("POST", "/_control/settings", None)
def configure(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Settings)
    if body.limits is not None or body.burst is not None or body.searches is not None:
        hub.limits.set(body.limits or hub.limits.mode, burst=body.burst, searches=body.searches)
    if body.index_lag_s is not None:
        hub.store.index_lag_s = body.index_lag_s
    if body.token_lifetime_s is not None:
        hub.tokens.lifetime_s = body.token_lifetime_s
    return done()


@HUBSPOT_CONTROLS.add("POST", "/_control/tokens", None)
def add_token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A new OAuth grant with its first access token, or a private-app token."""
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


@HUBSPOT_CONTROLS.add("POST", "/_control/tokens/code", None)
def add_code(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    return done(code=hub.tokens.new_code())


@HUBSPOT_CONTROLS.add("POST", "/_control/tokens/expire", None)
def expire(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """At once, or once it was used ``after_requests`` more times."""
    body = read_control(request, TokenTarget)
    _known(hub, body.token)
    hub.tokens.expire(body.token, after_requests=body.after_requests)
    return done()


@HUBSPOT_CONTROLS.add("POST", "/_control/tokens/revoke", None)
def revoke(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """An access token is unknown from now on; a refresh token gives no further access tokens."""
    if not hub.tokens.revoke(read_control(request, TokenTarget).token):
        raise Refusal(json_reply(404, {"error": "no such token"}))
    return done()


@HUBSPOT_CONTROLS.add("POST", "/_control/tokens/uninstall", None)
def uninstall(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """The customer removed the app: refreshes say BAD_HUB, access tokens are unknown."""
    grant = hub.tokens.grants[read_control(request, RefreshTarget).refresh_token]
    grant.uninstalled = True
    for value in [one.value for one in hub.tokens.access.values() if one.grant is grant]:
        del hub.tokens.access[value]
    return done()


@HUBSPOT_CONTROLS.add("POST", "/_control/tokens/scopes", None)
def set_scopes(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Of the whole grant that the access token belongs to."""
    body = read_control(request, Scopes)
    _known(hub, body.token).grant.scopes = body.scopes
    return done()


def _known(hub: Hub, value: str) -> Token:
    token = hub.tokens.access.get(value)
    if token is None:
        raise Refusal(json_reply(404, {"error": "no such access token"}))
    return token
