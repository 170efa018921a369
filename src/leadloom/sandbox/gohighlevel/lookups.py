"""What surrounds a contact: users, companies, the location itself and its own fields."""

from leadloom.sandbox.clock import iso
from leadloom.sandbox.gohighlevel.hub import ROUTES, Gate, Hub
from leadloom.sandbox.gohighlevel.problems import problem, trace_id, unprocessable
from leadloom.sandbox.gohighlevel.query import check_location
from leadloom.sandbox.gohighlevel.records import firm_of
from leadloom.sandbox.gohighlevel.staff import LOCATION, USERS, location_json, own_fields_json
from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.names import FIRMS

READ_USERS = Gate("users.readonly")


@ROUTES.add("GET", "/users/?", Gate("users.readonly", is_v3=False))
def users(_hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """All at once. The agency's people are not among them, though contacts may belong to them."""
    check_location(request.query.get("locationId", ""))
    return json_reply(200, {"users": [one.as_json() for one in USERS if one.listed], "traceId": trace_id()})


@ROUTES.add("GET", "/users/search/?", READ_USERS)
def search_users(_hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    query = request.query
    if not query.get("companyId"):
        raise unprocessable("companyId must be a string")
    ids = set(query["ids"].split(",")) if query.get("ids") else None
    found: list[Json] = [one.as_json() for one in USERS if ids is None or one.id in ids]
    start, limit = int(float(query.get("skip", "0"))), int(float(query.get("limit", "25")))
    return json_reply(200, {"users": found[start : start + limit], "count": len(found), "traceId": trace_id()})


@ROUTES.add("GET", "/users/([^/]+)/?", READ_USERS)
def user(_hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    for one in USERS:
        if one.id == args[0]:
            return json_reply(200, {**one.as_json(), "traceId": trace_id()})
    raise problem(400, f"User with id {args[0]} not found")


@ROUTES.add("GET", "/businesses/([^/]+)/?", Gate("businesses.readonly"))
def business(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    firm = firm_of(args[0])
    if firm is None:
        raise problem(404, f"Business with id {args[0]} not found")
    created = iso(hub.clock.start_ms)
    row: dict[str, Json] = {"id": args[0], "name": FIRMS[firm], "locationId": LOCATION, "createdAt": created}
    return json_reply(200, {"business": row, "success": True, "traceId": trace_id()})


@ROUTES.add("GET", "/locations/([^/]+)/?", Gate("locations.readonly"))
def location(_hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    check_location(args[0])
    return json_reply(200, {"location": location_json(), "traceId": trace_id()})


@ROUTES.add("GET", "/locations/([^/]+)/customFields/?", Gate("locations/customFields.readonly"))
def own_fields(_hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    check_location(args[0])
    return json_reply(200, {"customFields": own_fields_json(), "traceId": trace_id()})
