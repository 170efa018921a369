"""A search as asked: read, checked, and turned into windows and tests. Knows the rules of the API, no contact."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from leadloom.sandbox.hubspot.problems import invalid, unknown_property
from leadloom.sandbox.hubspot.properties import BY_OBJECT, shown

MAX_PAGE = 200
REACHABLE = 10_000
LONGEST_BODY = 3_000
MOST_GROUPS, MOST_FILTERS, MOST_IN_ALL = 5, 6, 18

type Scalar = str | int | float | bool


class FilterBody(msgspec.Struct, rename="camel"):
    property_name: str
    operator: str
    value: Scalar | None = None
    high_value: Scalar | None = None
    values: list[Scalar] | None = None


class GroupBody(msgspec.Struct, rename="camel"):
    filters: list[FilterBody] = []


class SortBody(msgspec.Struct, rename="camel"):
    property_name: str
    direction: str = "ASCENDING"


class SearchBody(msgspec.Struct, rename="camel"):
    filter_groups: list[GroupBody] | None = None
    sorts: list[SortBody | str] | None = None
    properties: list[str] | None = None
    limit: int | None = None
    after: str | int | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Whole numbers from ``low`` to before ``high``; None is open."""

    low: int | None = None
    high: int | None = None

    @property
    def open(self) -> bool:
        return self.low is None and self.high is None

    def holds(self, value: int) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)

    def within(self, other: "Window") -> "Window":
        lows = [one for one in (self.low, other.low) if one is not None]
        highs = [one for one in (self.high, other.high) if one is not None]
        return Window(max(lows, default=None), min(highs, default=None))


@dataclass(frozen=True, slots=True)
class Test:
    """One filter that only the contact's own value can answer."""

    name: str
    operator: str
    values: tuple[str, ...] = ()
    numeric: bool = False

    def passes(self, value: str | None) -> bool:
        return _TESTS[self.operator](self, value)


@dataclass(frozen=True, slots=True)
class Group:
    """Filters that must all hold: windows for id and times, which arithmetic can find, and tests for the rest."""

    ids: Window = Window()
    created: Window = Window()
    modified: Window = Window()
    tests: tuple[Test, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    groups: tuple[Group, ...]
    sort: str
    descending: bool
    names: tuple[str, ...]
    limit: int
    offset: int
    words: tuple[str, ...] = field(default=())


_WINDOWS = {"hs_object_id": "ids", "createdate": "created", "lastmodifieddate": "modified"}
_RANGES: dict[str, Callable[[int, int], Window]] = {
    "EQ": lambda value, _: Window(value, value + 1),
    "LT": lambda value, _: Window(None, value),
    "LTE": lambda value, _: Window(None, value + 1),
    "GT": lambda value, _: Window(value + 1, None),
    "GTE": lambda value, _: Window(value, None),
    "BETWEEN": lambda value, high: Window(value, high + 1),
}


def read_query(body: bytes) -> Query:
    """Raises the 400 that the API would answer."""
    if len(body) > LONGEST_BODY and len(body.decode(errors="replace")) > LONGEST_BODY:
        raise invalid(f"The request body is too long: at most {LONGEST_BODY} characters.")
    try:
        asked = msgspec.json.decode(body or b"{}", type=SearchBody)
    except msgspec.DecodeError as error:
        raise invalid(f"Invalid input JSON: {error}") from error
    groups = tuple(_group(group) for group in _checked_groups(asked)) or (Group(),)
    sort, descending = _sort(asked.sorts or [])
    limit = 10 if asked.limit is None else asked.limit
    if not 0 <= limit <= MAX_PAGE:
        raise invalid(f"Invalid limit: {limit}. The limit must be between 0 and {MAX_PAGE}.")
    offset = _offset(asked.after)
    if offset + limit > REACHABLE:
        raise invalid(f"Paging beyond {REACHABLE} results is not possible: after {offset}, limit {limit}.")
    names = shown(",".join(asked.properties or ()))
    words = tuple((asked.query or "").lower().split())
    return Query(groups, sort, descending, names, limit, offset, words)


def milliseconds(text: str) -> int:
    """Epoch milliseconds, or ISO, which is accepted too."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise invalid(f"Invalid date value: {text}") from None


def _checked_groups(asked: SearchBody) -> list[GroupBody]:
    groups = asked.filter_groups or []
    if len(groups) > MOST_GROUPS:
        raise invalid(f"At most {MOST_GROUPS} filterGroups are allowed.")
    if any(len(group.filters) > MOST_FILTERS for group in groups):
        raise invalid(f"At most {MOST_FILTERS} filters are allowed in a group.")
    if sum(len(group.filters) for group in groups) > MOST_IN_ALL:
        raise invalid(f"At most {MOST_IN_ALL} filters are allowed in all.")
    return groups


def _group(asked: GroupBody) -> Group:
    windows = {"ids": Window(), "created": Window(), "modified": Window()}
    tests = []
    for one in asked.filters:
        if one.property_name not in BY_OBJECT["contacts"]:
            raise unknown_property(one.property_name)
        if one.operator not in _TESTS:
            raise invalid(f"Unknown operator: {one.operator}")
        kind = _WINDOWS.get(one.property_name)
        if kind is None or one.operator not in _RANGES:
            tests.append(_test(one))
            continue
        value = milliseconds(_text(one, one.value))
        high = milliseconds(_text(one, one.high_value)) if one.operator == "BETWEEN" else value
        windows[kind] = windows[kind].within(_RANGES[one.operator](value, high))
    return Group(**windows, tests=tuple(tests))


def _text(asked: FilterBody, value: Scalar | None) -> str:
    if value is None:
        raise invalid(f"A value is required for operator {asked.operator} on {asked.property_name}.")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _test(asked: FilterBody) -> Test:
    kind = BY_OBJECT["contacts"][asked.property_name].type
    if asked.operator in {"IN", "NOT_IN"}:
        if not asked.values:
            raise invalid(f"values are required for operator {asked.operator} on {asked.property_name}.")
        values = tuple(_text(asked, value) for value in asked.values)
    elif asked.operator in {"HAS_PROPERTY", "NOT_HAS_PROPERTY"}:
        values = ()
    elif asked.operator == "BETWEEN":
        values = (_text(asked, asked.value), _text(asked, asked.high_value))
    else:
        values = (_text(asked, asked.value),)
    numeric = kind in {"number", "datetime", "date"}
    if numeric:
        values = tuple(str(milliseconds(value)) if kind != "number" else value for value in values)
    return Test(asked.property_name, asked.operator, values, numeric)


def _sort(asked: list[SortBody | str]) -> tuple[str, bool]:
    """Without a sort the oldest comes first."""
    if len(asked) > 1:
        raise invalid("Only one sort is allowed.")
    if not asked:
        return "createdate", False
    one = asked[0]
    name, descending = (
        (one.removeprefix("-"), one.startswith("-"))
        if isinstance(one, str)
        else (one.property_name, one.direction == "DESCENDING")
    )
    if name not in BY_OBJECT["contacts"]:
        raise unknown_property(name)
    return name, descending


def _offset(after: str | int | None) -> int:
    """An offset, although it looks like the list's cursor; a cursor sent here ends beyond what can be reached."""
    if after is None or after == "":
        return 0
    try:
        return int(after)
    except ValueError:
        raise invalid(f'Cannot deserialize value of type `int` from String "{after}": not a valid integer') from None


def amount(test: Test, value: str) -> float:
    """A number to compare by, from a stored value or a filter's."""
    if not test.numeric:
        raise TypeError(test.name)
    return float(value) if value.lstrip("-").replace(".", "", 1).isdecimal() else milliseconds(value)


def _compare(check: Callable[[float, float], bool], check_text: Callable[[str, str], bool]) -> "_Check":
    def passes(test: Test, value: str | None) -> bool:
        if not value:
            return False
        if test.numeric:
            return check(amount(test, value), amount(test, test.values[0]))
        return check_text(value.lower(), test.values[0].lower())

    return passes


def _equals(test: Test, value: str | None) -> bool:
    """Enumerations are compared with their case, text without."""
    if not value:
        return False
    if test.numeric:
        return amount(test, value) == amount(test, test.values[0])
    if BY_OBJECT["contacts"][test.name].type == "enumeration":
        return value == test.values[0]
    return value.lower() == test.values[0].lower()


def _is_in(test: Test, value: str | None) -> bool:
    """On text the values asked for must be lower case: others match nothing."""
    if not value:
        return False
    if BY_OBJECT["contacts"][test.name].type == "string":
        return value.lower() in test.values
    return value in test.values


def _between(test: Test, value: str | None) -> bool:
    if not value or not test.numeric:
        return False
    return amount(test, test.values[0]) <= amount(test, value) <= amount(test, test.values[1])


def _contains(test: Test, value: str | None) -> bool:
    """A whole word, or a beginning of one when the token ends in ``*``."""
    wanted = test.values[0].lower().strip("*")
    words = "".join(letter if letter.isalnum() else " " for letter in (value or "").lower()).split()
    if "*" in test.values[0]:
        return any(wanted in word for word in [*words, (value or "").lower()])
    return wanted in words or wanted == (value or "").lower()


type _Check = Callable[[Test, str | None], bool]
_TESTS: dict[str, _Check] = {
    "EQ": _equals,
    "NEQ": lambda test, value: not _equals(test, value),
    "LT": _compare(lambda a, b: a < b, lambda a, b: a < b),
    "LTE": _compare(lambda a, b: a <= b, lambda a, b: a <= b),
    "GT": _compare(lambda a, b: a > b, lambda a, b: a > b),
    "GTE": _compare(lambda a, b: a >= b, lambda a, b: a >= b),
    "BETWEEN": _between,
    "IN": _is_in,
    "NOT_IN": lambda test, value: bool(value) and not _is_in(test, value),
    "HAS_PROPERTY": lambda _, value: bool(value),
    "NOT_HAS_PROPERTY": lambda _, value: not value,
    "CONTAINS_TOKEN": _contains,
    "NOT_CONTAINS_TOKEN": lambda test, value: not _contains(test, value),
}
