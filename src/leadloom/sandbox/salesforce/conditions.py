"""WHERE: from a parsed condition to a check of one record.

Text is compared without regard to case, ids with regard to it and at either length. Nothing is smaller or larger than
null.
"""

import re
from collections.abc import Callable
from operator import eq, ge, gt, le, lt
from typing import Any

from leadloom.sandbox.clock import DAY_MS, iso
from leadloom.sandbox.http import Json
from leadloom.sandbox.salesforce.columns import Column, column_of
from leadloom.sandbox.salesforce.hub import Hub
from leadloom.sandbox.salesforce.ids import SHORT, is_id
from leadloom.sandbox.salesforce.problems import problem
from leadloom.sandbox.salesforce.records import KNOWN_UNREAD, Record
from leadloom.sandbox.salesforce.soql import Both, Day, Either, Moment, Node, Not, Query, Relative, Test, Value, marked
from leadloom.sandbox.salesforce.store import View

type Check = Callable[[Record, View], bool]
type Asked = Callable[[Query], set[str]]
"""The ids, of 15 letters, that a query inside brings."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq}
_NUMBERS = ("double", "int", "currency", "percent")
_FILTER_LENGTH = 255


def check_of(hub: Hub, kind: str, node: Node, text: str, asked: Asked) -> Check:
    match node:
        case Both(nodes):
            both = [check_of(hub, kind, one, text, asked) for one in nodes]
            return lambda record, view: all(check(record, view) for check in both)
        case Either(nodes):
            either = [check_of(hub, kind, one, text, asked) for one in nodes]
            return lambda record, view: any(check(record, view) for check in either)
        case Not(inner):
            opposite = check_of(hub, kind, inner, text, asked)
            return lambda record, view: not opposite(record, view)
        case Test():
            return _test(hub, kind, node, text, asked)


def is_known_unread(node: Node | None) -> bool:
    """Whether it can be told without making up the person."""
    match node:
        case None:
            return True
        case Both(nodes) | Either(nodes):
            return all(is_known_unread(one) for one in nodes)
        case Not(inner):
            return is_known_unread(inner)
        case Test():
            names = {name.lower() for name in KNOWN_UNREAD}
            return len(node.path.names) == 1 and node.path.names[0].lower() in names


def _test(hub: Hub, kind: str, test: Test, text: str, asked: Asked) -> Check:
    column = column_of(hub, kind, test.path, text)
    _require_filterable(column, test, text)
    read = column.value
    if test.query is not None:
        wanted, is_in = asked(test.query), test.operator == "in"
        return lambda record, view: (_short(read(record, view)) in wanted) is is_in
    values = [_literal(hub, column, value, test, text) for value in test.values]
    held = _holder(column)
    if test.operator in ("in", "not in"):
        among, is_in = set(values), test.operator == "in"
        return lambda record, view: (held(read(record, view)) in among) is is_in
    value = values[0]
    if test.operator == "like":
        pattern = _pattern(str(value))
        return lambda record, view: bool(pattern.fullmatch(str(read(record, view) or "")))
    if test.operator == "!=":
        return lambda record, view: held(read(record, view)) != value
    if test.operator == "=" or value is None:
        return lambda record, view: held(read(record, view)) == value
    compare = _COMPARE[test.operator]

    def check(record: Record, view: View) -> bool:
        found = held(read(record, view))
        return found is not None and compare(found, value)

    return check


def _require_filterable(column: Column, test: Test, text: str) -> None:
    field = column.field
    if field.type == "address" or (field.type == "textarea" and field.length > _FILTER_LENGTH):
        raise problem(
            400, "INVALID_FIELD",
            f"{marked(text, test.path.at)}field '{field.name}' can not be filtered in a query call",
        )  # fmt: skip
    if test.operator in ("<", "<=", ">", ">=") and field.type == "boolean":
        raise problem(400, "INVALID_FIELD", f"{marked(text, test.path.at)}invalid operator on boolean field")
    if test.operator == "like" and field.type in ("id", "reference", "datetime", "date", "boolean", *_NUMBERS):
        raise problem(
            400, "INVALID_QUERY_FILTER_OPERATOR",
            f"{marked(text, test.path.at)}invalid operator on {field.type} field",
        )  # fmt: skip


def _literal(hub: Hub, column: Column, value: Value, test: Test, text: str) -> Json:
    """As the field holds it. Raises the 400 for a value of another type."""
    field = column.field
    if value is None:
        return None
    match field.type:
        case "id" | "reference" if isinstance(value, str):
            if not is_id(value):
                raise problem(
                    400, "INVALID_QUERY_FILTER_OPERATOR", f"{marked(text, test.path.at)}invalid ID field: {value}"
                )
            return value[:SHORT]
        case "datetime" if isinstance(value, Moment):
            return value.ms
        case "datetime" if isinstance(value, Relative):
            return _start_of(hub, value)
        case "date" if isinstance(value, Day):
            return value.text
        case "date" if isinstance(value, Relative):
            return iso(_start_of(hub, value))[:10]
        case "boolean" if isinstance(value, bool):
            return value
        case name if name in _NUMBERS and isinstance(value, float):
            return value
        case "id" | "reference" | "datetime" | "date" | "boolean" | "double" | "int" | "currency" | "percent":
            raise _wrong_type(field.name, field.type, value, test, text)
        case _ if isinstance(value, str):
            return value.casefold()
    raise _wrong_type(field.name, "string", value, test, text)


def _wrong_type(name: str, kind: str, value: Value, test: Test, text: str) -> Exception:
    told = {"datetime": "dateTime", "reference": "ID", "id": "ID"}.get(kind, kind)
    quotes = "should not be enclosed in quotes" if isinstance(value, str) else "should be enclosed in quotes"
    detail = f" and {quotes}" if isinstance(value, str) != (kind in ("string", "id", "reference")) else ""
    return problem(
        400, "INVALID_FIELD",
        f"{marked(text, test.path.at)}value of filter criterion for field '{name}' must be of type {told}{detail}",
    )  # fmt: skip


def _start_of(hub: Hub, value: Relative) -> int:
    """Days as this user sees them; UTC here."""
    today = hub.clock.now_ms() // DAY_MS
    match value.name:
        case "this_month":
            day = int(iso(today * DAY_MS)[8:10])
            return (today - day + 1) * DAY_MS
        case "yesterday":
            return (today - 1) * DAY_MS
        case "tomorrow":
            return (today + 1) * DAY_MS
    return (today - value.days if value.name == "last_n_days" else today) * DAY_MS


def _holder(column: Column) -> Callable[[Json], Json]:
    """A value as literals are compared with it."""
    match column.field.type:
        case "id" | "reference":
            return _short
        case "datetime" | "date" | "boolean" | "double" | "int" | "currency" | "percent":
            return lambda found: found
    return lambda found: found.casefold() if isinstance(found, str) else found


def _short(found: Json) -> Json:
    return found[:SHORT] if isinstance(found, str) else found


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"([%_])", text)
    made = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts)
    return re.compile(made, re.IGNORECASE | re.DOTALL)
