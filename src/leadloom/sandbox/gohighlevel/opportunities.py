"""Opportunities: found by contact or by their latest change, moved to another stage; and what the stages are called."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import Any

from leadloom.sandbox.gohighlevel.contacts import body_of
from leadloom.sandbox.gohighlevel.hub import ROUTES, Gate, Hub
from leadloom.sandbox.gohighlevel.problems import problem, trace_id, unprocessable
from leadloom.sandbox.gohighlevel.query import check_location
from leadloom.sandbox.gohighlevel.records import Deal
from leadloom.sandbox.gohighlevel.staff import BY_STAGE, pipelines_json
from leadloom.sandbox.http import Json, Reply, Request, json_reply

READ, WRITE = Gate("opportunities.readonly"), Gate("opportunities.write")
MAX_PAGE, REACHABLE = 500, 10_000
_SORTED = ("date_updated", "date_added")


@ROUTES.add("GET", "/opportunities/pipelines/?", READ)
def pipelines(_hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    check_location(request.query.get("locationId", ""))
    return json_reply(200, {"pipelines": pipelines_json(), "traceId": trace_id()})


@ROUTES.add("GET", "/opportunities/search/?", READ)
def of_contact(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Names with underscores, unlike anywhere else; v3 took to the others."""
    query = request.query
    check_location(query.get("location_id") or query.get("locationId", ""))
    contact = query.get("contact_id") or query.get("contactId")
    if contact is None:
        return _reply(list(islice(_latest_first(hub), int(query.get("limit", 20)))), None)
    record = hub.store.get(contact)
    return _reply([] if record is None else list(record.deals), None if record is None else len(record.deals))


@ROUTES.add("POST", "/opportunities/search/?", READ)
def search(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = body_of(request)
    check_location(str(body.get("locationId", "")))
    limit, page = body.get("limit"), body.get("page", 1)
    if not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise unprocessable(f"limit must be a number from 1 to {MAX_PAGE}")
    if not isinstance(page, int) or page * limit > REACHABLE:
        raise problem(400, "Result window is too large")
    if body.get("filters"):
        raise problem(400, "the sandbox filters no opportunities")
    for sort in body.get("sort") or []:
        if sort.get("field") not in _SORTED or sort.get("direction") != "desc":
            raise problem(400, f"Invalid field {sort.get('field')}")
    start = (page - 1) * limit
    return _reply(list(islice(_latest_first(hub), start, start + limit)), None)


@ROUTES.add("PUT", "/opportunities/([^/]+)(?:/status)?/?", WRITE)
def move(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    body = body_of(request)
    found = _find(hub, args[0])
    stage = str(body.get("pipelineStageId", found.stage))
    if stage not in BY_STAGE:
        raise problem(400, "The pipeline stage id is invalid.")
    record = hub.store.get(found.contact)
    assert record is not None, "_find() found it there"
    deal = hub.store.move(record, stage=stage, status=str(body.get("status", found.status)))
    return json_reply(200, {"opportunity": deal.full(), "traceId": trace_id()})


def _find(hub: Hub, wanted: str) -> Deal:
    for deal in _latest_first(hub, now=True):
        if deal.id == wanted:
            return deal
    raise problem(404, f"Opportunity with id {wanted} not found")


def _reply(deals: list[Deal], total: int | None) -> Reply:
    body: dict[str, Json] = {"opportunities": [deal.full() for deal in deals], "traceId": trace_id()}
    return json_reply(200, {**body, "total": len(deals) if total is None else total, "aggregations": {}})


def _latest_first(hub: Hub, *, now: bool = False) -> Iterator[Deal]:
    """Untouched contacts' opportunities are as old as their contacts, so the latest are the newest contacts'."""
    view = hub.store.now if now else hub.store.index()
    timeline = hub.population.timeline
    places = (timeline.place(rank) for rank in range(hub.population.count))
    born = (
        deal for place in places if place not in view.covered for deal in reversed(hub.store.maker.born(place).deals)
    )
    changed = sorted((deal for record in view.records.values() for deal in record.deals), key=_updated, reverse=True)
    yield from merge(born, changed, key=_updated, reverse=True)


def _updated(deal: Deal) -> Any:
    return deal.updated_ms
