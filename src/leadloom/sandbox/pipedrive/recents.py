"""``/v1/recents``: what changed since a moment, deleted persons among it. Of all there is only persons are told."""

from datetime import UTC, datetime

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.pipedrive.hub import ROUTES, V1, V1_LIST, Gate, Hub
from leadloom.sandbox.pipedrive.listing import MOST, USUAL
from leadloom.sandbox.pipedrive.problems import problem
from leadloom.sandbox.pipedrive.records import Record, v1_row, v1_stamp


@ROUTES.add("GET", rf"{V1}/recents", Gate(("recents:read",), V1_LIST))
def list_recents(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    query = request.query
    since = _second(query.get("since_timestamp", ""))
    start, limit = _number(query.get("start", "0")), min(_number(query.get("limit", str(USUAL))), MOST)
    wants_persons = "person" in query.get("items", "person").split(",")
    ids = hub.store.changed_since(since) if wants_persons else []
    found = [one for own_id in ids[start : start + limit] if (one := hub.store.get(own_id))]
    has_more = len(ids) > start + limit
    pagination: dict[str, Json] = {"start": start, "limit": limit, "more_items_in_collection": has_more}
    more: dict[str, Json] = {
        "since_timestamp": query["since_timestamp"],
        "last_timestamp_on_page": v1_stamp(found[-1].modified_ms) if found else None,
        "pagination": pagination | ({"next_start": start + limit} if has_more else {}),
    }
    rows: list[Json] = [{"item": "person", "id": one.id, "data": _data(hub, one)} for one in found]
    return json_reply(200, {"success": True, "data": rows or None, "additional_data": more})


def _data(hub: Hub, one: Record) -> Json:
    if one.deleted_ms is not None and hub.manners.hides_deleted_data:
        return None
    return v1_row(one, hub.store.organizations.name_of(one.values["org_id"]))


def _second(text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise problem(400, "since_timestamp must be given as YYYY-MM-DD HH:MM:SS") from error


def _number(text: str) -> int:
    if not text.isdecimal():
        raise problem(400, "start and limit must be numbers")
    return int(text)
