"""Lists of a module: by page and by token, since a moment, by ids, one, and the deleted ones."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from leadloom.sandbox.clock import DAY_MS
from leadloom.sandbox.http import Json, Reply, Request, as_json, json_reply
from leadloom.sandbox.zoho.catalogue import LEADS, MODULES
from leadloom.sandbox.zoho.hub import API, READ_PEOPLE, ROUTES, Hub
from leadloom.sandbox.zoho.problems import invalid, invalid_module, problem, required
from leadloom.sandbox.zoho.records import Record, parse_time

MOST_PER_PAGE = 200
MOST_BY_PAGE = 2000
MOST_FIELDS = 50
MOST_IDS = 100
SORTS = ("id", "Created_Time", "Modified_Time")
NOTHING = Reply(204)
NOT_MODIFIED = Reply(304)


@dataclass(frozen=True, slots=True)
class Question:
    """What a list is asked for; a token is good for the same question only."""

    module: str
    names: list[str]
    size: int
    sort_by: str
    is_down: bool
    converted: str
    since: str

    @property
    def mark(self) -> str:
        asked = (self.module, self.names, self.size, self.sort_by, self.is_down, self.converted, self.since)
        return json.dumps(asked)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token leads: past this record, after so many."""

    sort_value: int
    own_id: int
    count: int


@ROUTES.add("GET", rf"{API}/(Leads|Contacts|Accounts)", READ_PEOPLE)
def list_module(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    if args[0] not in MODULES:
        raise invalid_module(args[0])
    query = request.query
    names = [name for name in query.get("fields", "").split(",") if name]
    if not names:
        raise required("fields")
    if len(names) > MOST_FIELDS:
        raise problem(400, "LIMIT_EXCEEDED", "more fields than allowed", limit=MOST_FIELDS)
    if "ids" in query:
        return _by_ids(hub, args[0], query["ids"], names, query.get("converted", "false"))
    question = _question(request, args[0], names)
    key = (hub.store.version, request.target, question.since)
    if hub.remembers and key in hub.pages:
        return Reply(200, hub.pages[key])
    reply = _page(hub, request, question)
    if hub.remembers and reply.status == 200:
        hub.pages[key] = reply.body
    return reply


def _question(request: Request, module: str, names: list[str]) -> Question:
    query = request.query
    sort_by, order = query.get("sort_by", "id"), query.get("sort_order", "desc")
    converted = query.get("converted", "false")
    if sort_by not in SORTS or order not in ("asc", "desc") or converted not in ("true", "false", "both"):
        raise invalid("invalid value")
    if "page" in query and "page_token" in query:
        raise problem(400, "AMBIGUITY_DURING_PROCESSING", "page and page_token cannot be given together")
    return Question(
        module=module,
        names=names,
        size=_size(query.get("per_page", "200")),
        sort_by=sort_by,
        is_down=order == "desc",
        converted=converted if module == LEADS else "false",
        since=request.headers.get("if-modified-since", ""),
    )


def _size(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PER_PAGE:
        raise invalid("per_page is out of range", maximum=MOST_PER_PAGE)
    return int(text)


def _page(hub: Hub, request: Request, question: Question) -> Reply:
    page = request.query.get("page", "1")
    place = None
    if "page_token" in request.query:
        place = _place(hub, request.query["page_token"], question)
    elif not page.isdecimal() or int(page) < 1:
        raise invalid("page is out of range")
    elif int(page) * question.size > MOST_BY_PAGE:
        raise problem(
            400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
            "limit exceeded for the discrete pagination, use page_token", limit=MOST_BY_PAGE,
        )  # fmt: skip
    skip = 0 if place else (int(page) - 1) * question.size
    found, total_is_more, is_empty = _find(hub, question, place, skip)
    if is_empty:
        return NOT_MODIFIED if question.since else NOTHING
    if not found:
        return NOTHING
    count = (place.count if place else skip) + len(found)
    token = None
    if total_is_more:
        token = _token(hub, Place(_sort_value(found[-1], question.sort_by), found[-1].id, count), question)
    info: dict[str, Json] = {
        "per_page": question.size,
        "count": len(found),
        "page": int(page) if not place else count // question.size,
        "sort_by": question.sort_by,
        "sort_order": "desc" if question.is_down else "asc",
        "more_records": total_is_more,
        "next_page_token": token,
        "previous_page_token": None,
        "page_token_expiry": hub.teller.time(hub.clock.now_ms() + DAY_MS) if token else None,
    }
    data: list[Json] = [hub.teller.row(one, question.names) for one in found]
    return Reply(200, as_json({"data": data, "info": info}))


def _find(hub: Hub, question: Question, place: Place | None, skip: int) -> tuple[list[Record], bool, bool]:
    """The records of a page, whether there are more, and whether there is none at all on any page."""
    if question.sort_by == "id" and not question.since:
        return _by_id(hub, question, place, skip)
    if question.since:
        at = parse_time(question.since)
        if at is None:
            raise invalid("If-Modified-Since is no time with an offset")
        records = [one for one in hub.store.modified_after(at // 1000) if one.module == question.module]
        records = [one for one in records if question.converted in ("both", str(one.became is not None).lower())]
    else:
        records = hub.store.rows(_ids(hub, question))
    records.sort(key=lambda one: (_sort_value(one, question.sort_by), one.id), reverse=question.is_down)
    is_empty = not records
    if place is not None:
        mark = (place.sort_value, place.own_id)
        keyed = ((_sort_value(one, question.sort_by), one.id) for one in records)
        skip = sum(key >= mark if question.is_down else key <= mark for key in keyed)
    return records[skip : skip + question.size], len(records) > skip + question.size, is_empty


def _ids(hub: Hub, question: Question) -> list[int]:
    live = hub.store.live[question.module]
    if question.converted == "false":
        return live
    return hub.store.converted if question.converted == "true" else sorted([*live, *hub.store.converted])


def _by_id(hub: Hub, question: Question, place: Place | None, skip: int) -> tuple[list[Record], bool, bool]:
    """The usual walk, without sorting or counting anybody."""
    ids = _ids(hub, question)
    if question.is_down:
        end = (bisect_left(ids, place.own_id) if place else len(ids)) - skip
        start = max(0, end - question.size)
        chosen, has_more = ids[start : max(end, 0)][::-1], start > 0
    else:
        start = (bisect_right(ids, place.own_id) if place else 0) + skip
        chosen, has_more = ids[start : start + question.size], len(ids) > start + question.size
    return hub.store.rows(chosen), has_more, not ids


def _sort_value(record: Record, sort_by: str) -> int:
    match sort_by:
        case "Created_Time":
            return record.created_ms
        case "Modified_Time":
            return record.modified_ms
    return record.id


def _token(hub: Hub, place: Place, question: Question) -> str:
    held = [question.mark, place.sort_value, place.own_id, place.count, hub.clock.now_ms() + DAY_MS]
    return urlsafe_b64encode(json.dumps(held).encode()).decode()


def _place(hub: Hub, token: str, question: Question) -> Place:
    """Raises what Zoho says of a token that is unknown, too old, of another question, or at the end of its reach."""
    try:
        mark, sort_value, own_id, count, expires_ms = json.loads(urlsafe_b64decode(token))
    except (ValueError, Error) as error:
        raise invalid("the page_token given is invalid") from error
    if hub.clock.now_ms() >= expires_ms:
        raise problem(400, "EXPIRED_VALUE", "the page_token has expired")
    if mark != question.mark:
        raise problem(400, "TOKEN_BOUND_DATA_MISMATCH", "parameters differ from those of the token")
    if count >= hub.reach:
        raise problem(400, "PAGINATION_LIMIT_EXCEEDED", "no more records by pagination", limit=hub.reach)
    return Place(sort_value, own_id, count)


def _by_ids(hub: Hub, module: str, wanted: str, names: list[str], converted: str) -> Reply:
    ids = wanted.split(",")
    if len(ids) > MOST_IDS:
        raise problem(400, "LIMIT_EXCEEDED", "more ids than allowed", limit=MOST_IDS)
    known = [one for one in hub.store.rows(int(own_id) for own_id in ids if own_id.isdecimal()) if not one.deleted_ms]
    found = [
        one
        for one in known
        if one.module == module and (converted == "both" or str(one.became is not None).lower() == converted)
    ]
    if not found:
        return NOTHING
    data: list[Json] = [hub.teller.row(one, names) for one in found]
    return json_reply(200, {"data": data, "info": {"count": len(data), "per_page": 200, "more_records": False}})


@ROUTES.add("GET", rf"{API}/(Leads|Contacts)/deleted", READ_PEOPLE)
def list_deleted(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    kind = request.query.get("type", "all")
    if kind not in ("all", "recycle", "permanent"):
        raise invalid("type is one of all, recycle, permanent")
    size, page = _size(request.query.get("per_page", "200")), request.query.get("page", "1")
    if not page.isdecimal() or int(page) < 1:
        raise invalid("page is out of range")
    since = request.headers.get("if-modified-since", "")
    bound = parse_time(since) if since else None
    found = [
        one
        for one in hub.store.deleted(args[0])
        if (kind == "all" or one.is_erased == (kind == "permanent"))
        and (bound is None or (one.deleted_ms or 0) // 1000 > bound // 1000)
    ]
    start = (int(page) - 1) * size
    rows: list[Json] = [
        {
            "id": str(one.id),
            "type": "permanent" if one.is_erased else "recycle",
            "display_name": None if one.is_erased else one.full_name,
            "deleted_time": hub.teller.time(one.deleted_ms),
            "deleted_by": None if one.is_erased else {"name": "Ada Okafor", "id": str(one.deleted_by)},
            "created_by": None,
        }
        for one in found[start : start + size]
    ]
    if not rows:
        return NOTHING
    info: Json = {"per_page": size, "count": len(rows), "page": int(page), "more_records": len(found) > start + size}
    return json_reply(200, {"data": rows, "info": info})


@ROUTES.add("GET", rf"{API}/(Leads|Contacts)/actions/count", READ_PEOPLE)
def count_module(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    return json_reply(200, {"count": len(hub.store.live[args[0]])})


@ROUTES.add("GET", rf"{API}/(Leads|Contacts)/(\d+)", READ_PEOPLE)
def get_one(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    """All fields. Converted leads can be read like this; deleted ones not."""
    found = hub.store.get(int(args[1]))
    if found is None or found.deleted_ms is not None or found.module != args[0]:
        return NOTHING
    return json_reply(200, {"data": [hub.teller.whole(found)]})
