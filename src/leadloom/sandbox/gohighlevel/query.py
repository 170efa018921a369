"""A search as asked: read, checked, and turned into windows and tests. Knows the rules of the API, no contact."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from leadloom.sandbox.gohighlevel.problems import problem, unknown_field, unprocessable
from leadloom.sandbox.gohighlevel.records import FIELDS
from leadloom.sandbox.gohighlevel.staff import LOCATION

MAX_PAGE = 500
REACHABLE = 10_000
LONGEST_QUERY = 75
TIMES = ("dateAdded", "dateUpdated")
_NESTED = (
    "dndSettings.Call.status",
    "dndSettings.SMS.status",
    "dndSettings.Email.status",
    "inboundDndSettings.all.status",
)
_FILTERED = FIELDS | {"id", "firstNameLowerCase", "lastNameLowerCase", *TIMES, *_NESTED}
_SORTED = FIELDS | {"firstNameLowerCase", "lastNameLowerCase", *TIMES}


class SortBody(msgspec.Struct):
    field: str
    direction: str = "asc"


class SearchBody(msgspec.Struct, rename="camel"):
    location_id: Any = None
    page_limit: Any = None
    page: int | None = None
    search_after: list[Any] | None = None
    filters: list[dict[str, Any]] | None = None
    sort: list[SortBody] | None = None
    query: str = ""


type Test = Callable[[dict[str, Any]], bool]
"""Whether a contact, as a search shows it, is wanted."""


@dataclass(frozen=True, slots=True)
class Window:
    """Times from ``low`` to before ``high``, in milliseconds; None is open."""

    low: int | None = None
    high: int | None = None

    def within(self, low: int | None, high: int | None) -> "Window":
        lows = [one for one in (self.low, low) if one is not None]
        highs = [one for one in (self.high, high) if one is not None]
        return Window(max(lows, default=None), min(highs, default=None))

    def holds(self, at: int) -> bool:
        return (self.low is None or at >= self.low) and (self.high is None or at < self.high)


@dataclass(frozen=True, slots=True)
class Query:
    added: Window
    updated: Window
    tests: tuple[Test, ...]
    sort: str
    descending: bool
    limit: int
    offset: int
    after: tuple[Any, str] | None


def read_query(body: bytes) -> Query:
    """Raises the refusal that the API would answer."""
    try:
        asked = msgspec.json.decode(body or b"{}", type=SearchBody)
    except msgspec.DecodeError as error:
        raise problem(400, f"Invalid request body: {error}") from error
    if not isinstance(asked.location_id, str):
        raise unprocessable("locationId must be a string", "locationId should not be empty")
    check_location(asked.location_id)
    limit = asked.page_limit
    if not isinstance(limit, int | float) or limit < 1:
        raise unprocessable("pageLimit must be a number conforming to the specified constraints")
    if limit > MAX_PAGE:
        raise problem(400, f"pageLimit must not be greater than {MAX_PAGE}")
    if len(asked.query) > LONGEST_QUERY:
        raise unprocessable(f"query must be shorter than or equal to {LONGEST_QUERY} characters")
    windows = {name: Window() for name in TIMES}
    tests = _tests(asked.filters or [], windows)
    if asked.query:
        tests.append(_mentions(asked.query.lower()))
    sort, descending = _sort(asked.sort or [])
    limit = int(limit)
    offset = limit * (max(1, asked.page or 1) - 1)
    if asked.search_after and asked.page is not None:
        raise problem(400, "page cannot be used with searchAfter")
    if offset + limit > REACHABLE and not asked.search_after and asked.page is not None:
        raise problem(400, f"Result window is too large, page * pageLimit must be less than or equal to {REACHABLE}")
    return Query(
        windows["dateAdded"], windows["dateUpdated"], tuple(tests), sort, descending, limit, offset, _after(asked)
    )


def check_location(wanted: str) -> None:
    if wanted != LOCATION:
        raise problem(403, "The token does not have access to this location.")


def milliseconds(value: Any) -> int:
    """Epoch milliseconds, or ISO text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    try:
        return round(datetime.fromisoformat(str(value)).timestamp() * 1000)
    except ValueError:
        raise problem(400, f"Invalid date {value}") from None


def _after(asked: SearchBody) -> tuple[Any, str] | None:
    if not asked.search_after:
        return None
    if len(asked.search_after) != 2:
        raise problem(400, "searchAfter must have as many values as the sort")
    return asked.search_after[0], str(asked.search_after[1])


def _sort(asked: list[SortBody]) -> tuple[str, bool]:
    """Without a sort the newest comes first, as recorded."""
    if not asked:
        return "dateAdded", True
    if len(asked) > 2:
        raise unprocessable("sort must contain no more than 2 elements")
    if asked[0].field not in _SORTED:
        raise unknown_field(asked[0].field)
    if asked[0].direction not in ("asc", "desc"):
        raise unprocessable("direction must be one of the following values: asc, desc")
    return asked[0].field, asked[0].direction == "desc"


def _tests(filters: list[dict[str, Any]], windows: dict[str, Window] | None) -> list[Test]:
    """Filters that must all hold. Windows of time are noted apart, where ``windows`` are given."""
    tests: list[Test] = []
    for one in filters:
        if "group" in one:
            tests.append(_group(one))
            continue
        field, operator = one.get("field"), one.get("operator")
        if field not in _FILTERED:
            raise unknown_field(str(field))
        if operator == "range" and isinstance(one.get("value"), dict):
            low, high = _bounds(one["value"])
            if field in TIMES and windows is not None:
                windows[str(field)] = windows[str(field)].within(low, high)
            else:
                tests.append(_in_range(str(field), Window(low, high)))
        elif operator in _OPERATORS:
            tests.append(_OPERATORS[str(operator)](str(field), one.get("value")))
        else:
            raise problem(400, f"Invalid operator {operator}")
    return tests


def _group(one: dict[str, Any]) -> Test:
    inner = _tests(list(one.get("filters") or []), None)
    if one["group"] == "OR":
        return lambda row: any(test(row) for test in inner)
    if one["group"] == "AND":
        return lambda row: all(test(row) for test in inner)
    raise problem(400, "group must be AND or OR")


def _bounds(value: dict[str, Any]) -> tuple[int | None, int | None]:
    lows = [milliseconds(value[name]) + step for name, step in (("gte", 0), ("gt", 1)) if name in value]
    highs = [milliseconds(value[name]) + step for name, step in (("lte", 1), ("lt", 0)) if name in value]
    return max(lows, default=None), min(highs, default=None)


def _in_range(field: str, window: Window) -> Test:
    return lambda row: row.get(field) is not None and window.holds(milliseconds(row[field]))


def _of(row: dict[str, Any], field: str) -> Any:
    value: Any = row
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(_equal(one, wanted) for one in value)
    if isinstance(value, str) and isinstance(wanted, str):
        return value.lower() == wanted.lower()
    return bool(value == wanted)


def _has(value: Any) -> bool:
    return value not in (None, "", [], {})


_OPERATORS: dict[str, Callable[[str, Any], Test]] = {
    "eq": lambda field, wanted: lambda row: _equal(_of(row, field), wanted),
    "not_eq": lambda field, wanted: lambda row: not _equal(_of(row, field), wanted),
    "contains": lambda field, wanted: lambda row: str(wanted).lower() in str(_of(row, field) or "").lower(),
    "not_contains": lambda field, wanted: lambda row: str(wanted).lower() not in str(_of(row, field) or "").lower(),
    "exists": lambda field, _: lambda row: _has(_of(row, field)),
    "not_exists": lambda field, _: lambda row: not _has(_of(row, field)),
}


def _mentions(words: str) -> Test:
    return lambda row: any(words in str(row.get(name) or "").lower() for name in ("contactName", "email", "phone"))
