"""A list of version 2, of whatever: checked, ordered, cut to a page, and where the cursor leads.

A cursor holds the place of the last row told, so a row that changes during a walk by ``update_time`` moves to the end
and is told again. Whether the vendor's cursors pin a picture of their own is unconfirmed; this is the harder case.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.pipedrive.index import ORDERS, Index, Order, behind, id_at, place_of
from leadloom.sandbox.pipedrive.problems import invalid
from leadloom.sandbox.pipedrive.records import parse_time

MOST, USUAL, MOST_IDS = 500, 100, 100


@dataclass(frozen=True, slots=True)
class Question:
    """``after`` is the place of the row that the page before ended with."""

    mark: str
    limit: int
    order: Order
    is_down: bool
    low_s: int | None
    high_s: int | None
    ids: list[int] | None
    after: int | None


def read_question(request: Request) -> Question:
    """Raises the 400."""
    query = request.query
    order = next((one for one in ORDERS if one == query.get("sort_by", "id")), None)
    if order is None:
        raise invalid("sort_by", "unsupported value")
    direction = query.get("sort_direction", "asc")
    if direction not in ("asc", "desc"):
        raise invalid("sort_direction", "unsupported value")
    mark = _mark(request)
    return Question(
        mark=mark,
        limit=read_limit(query.get("limit")),
        order=order,
        is_down=direction == "desc",
        low_s=_time(request, "updated_since"),
        high_s=_time(request, "updated_until"),
        ids=read_ids(query["ids"]) if "ids" in query else None,
        after=_after(query["cursor"], mark) if query.get("cursor") else None,
    )


def read_limit(text: str | None) -> int:
    if text is None:
        return USUAL
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise invalid("limit", f"must be a number from 1 to {MOST}")
    return int(text)


def read_ids(text: str) -> list[int]:
    ids = [one for one in text.split(",") if one]
    if not all(one.isdecimal() for one in ids):
        raise invalid("ids", "must be numbers, separated by commas")
    if len(ids) > MOST_IDS:
        raise invalid("ids", f"must not be more than {MOST_IDS}")
    return [int(one) for one in ids]


def read_id(request: Request, name: str) -> int | None:
    """A filter such as ``owner_id``."""
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise invalid(name, "must be a number")
    return int(text)


def _time(request: Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    found = parse_time(text)
    if found is None:
        raise invalid(name, "not a valid datetime")  # a fraction of a second is enough
    return found


def places(index: Index, question: Question) -> Sequence[int]:
    """All places that the question is about, ascending, of everything that is indexed."""
    return index.within(question.order, question.low_s, question.high_s)


def place(question: Question, own_id: int, *, created_ms: int, modified_ms: int) -> int:
    return place_of(question.order, own_id, created_ms=created_ms, modified_ms=modified_ms)


def cut[Row](
    question: Question, found: Sequence[int], get: Callable[[int], Row | None], wanted: Callable[[Row], bool]
) -> tuple[list[Row], str | None]:
    """The rows of this page, and the cursor of the next. Looks at no more rows than it takes to fill a page."""
    rows: list[Row] = []
    last = None
    for at in behind(found, question.after, descending=question.is_down):
        row = get(id_at(found[at]))
        if row is None or not wanted(row):
            continue
        if len(rows) == question.limit:
            assert last is not None
            return rows, urlsafe_b64encode(json.dumps([question.mark, last]).encode()).decode()
        rows.append(row)
        last = found[at]
    return rows, None


def listed(rows: list[Json], cursor: str | None) -> Reply:
    return json_reply(200, {"success": True, "data": rows, "additional_data": {"next_cursor": cursor}})


def short_list(request: Request, rows: Sequence[Json]) -> Reply:
    """A list of what is few: fields, stages, pipelines."""
    question = read_question(request)
    start = question.after or 0
    more = start + question.limit < len(rows)
    cursor = json.dumps([question.mark, start + question.limit]).encode() if more else None
    shown = list(rows[start : start + question.limit])
    return listed(shown, urlsafe_b64encode(cursor).decode() if cursor else None)


def _mark(request: Request) -> str:
    """What a cursor is bound to: the same question, though the size of the page may change."""
    asked = sorted((name, value) for name, value in request.query.items() if name not in ("cursor", "limit"))
    return sha256(json.dumps([request.path, asked]).encode()).hexdigest()[:12]


def _after(cursor: str, mark: str) -> int:
    try:
        own_mark, after = json.loads(urlsafe_b64decode(cursor))
    except (ValueError, TypeError, Error) as error:
        raise invalid("cursor", "is invalid") from error
    if own_mark != mark or not isinstance(after, int):
        raise invalid("cursor", "does not belong to these parameters")
    return after
