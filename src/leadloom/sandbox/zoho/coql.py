"""COQL: ``select … from … where … order by id … limit …``, as much of it as a walk by id needs."""

import re
from collections.abc import Callable
from operator import eq, ge, gt, le, lt

import msgspec

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.zoho.catalogue import MODULES, NAMES
from leadloom.sandbox.zoho.hub import API, ROUTES, Gate, Hub
from leadloom.sandbox.zoho.listing import NOTHING
from leadloom.sandbox.zoho.problems import problem
from leadloom.sandbox.zoho.records import Record, parse_time

MOST_ROWS = 2000
_QUERY = re.compile(
    r"\s*select\s+(?P<columns>[\w$., ]+?)\s+from\s+(?P<module>\w+)\s+where\s+(?P<where>.+?)"
    r"(?:\s+order\s+by\s+(?P<sort>\w+)(?:\s+(?P<order>asc|desc))?)?(?:\s+limit\s+(?:(?P<offset>\d+)\s*,\s*)?(?P<limit>\d+))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"(\w+)\s*(>=|<=|>|<|=|is not null)\s*(?:'([^']*)'|(\d+))?", re.IGNORECASE)
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {">=": ge, "<=": le, ">": gt, "<": lt, "=": eq}


class Body(msgspec.Struct):
    select_query: str


@ROUTES.add("POST", rf"{API}/coql", Gate("ZohoCRM.coql.READ", "ZohoCRM.coql.ALL", credits=3))
def query(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Converted leads are among the rows, deleted records are not. Lookups come as ids."""
    try:
        text = msgspec.json.decode(request.body, type=Body).select_query
    except msgspec.DecodeError as error:
        raise problem(400, "MANDATORY_NOT_FOUND", "required field not found", api_name="select_query") from error
    parts = _QUERY.fullmatch(text)
    if parts is None:
        raise problem(400, "SYNTAX_ERROR", "error occurred while parsing the query", near="where")
    module, limit, offset = parts["module"], int(parts["limit"] or 200), int(parts["offset"] or 0)
    columns = [name.strip() for name in parts["columns"].split(",")]
    if module not in MODULES:
        raise problem(400, "INVALID_QUERY", "unable to process your request, please verify the module name")
    if unknown := [name for name in columns if name != "id" and name not in NAMES[module]]:
        raise problem(400, "INVALID_QUERY", "column given seems to be invalid", column_name=unknown[0])
    if limit > MOST_ROWS:
        raise problem(400, "LIMIT_EXCEEDED", "limit is more than allowed", limit=MOST_ROWS)
    if (parts["sort"] or "id") != "id":
        raise problem(400, "INVALID_QUERY", "this simulation sorts by id only")
    found = [one for one in _rows(hub, module) if _holds(one, parts["where"])]
    found.sort(key=lambda one: one.id, reverse=(parts["order"] or "asc").lower() == "desc")
    page = found[offset : offset + limit]
    if not page:
        return NOTHING
    data: list[Json] = [hub.teller.row(one, [name for name in columns if name != "id"]) for one in page]
    return json_reply(200, {"data": data, "info": {"count": len(page), "more_records": len(found) > offset + limit}})


def _rows(hub: Hub, module: str) -> list[Record]:
    ids = hub.store.live[module]
    return hub.store.rows(ids + hub.store.converted if module == "Leads" else ids)


def _holds(record: Record, where: str) -> bool:
    conditions = where.replace("(", " ").replace(")", " ")
    return all(_is_so(record, one) for one in re.split(r"\s+and\s+", conditions.strip(), flags=re.IGNORECASE))


def _is_so(record: Record, condition: str) -> bool:
    parts = _CONDITION.fullmatch(condition.strip())
    if parts is None:
        raise problem(400, "SYNTAX_ERROR", "error occurred while parsing the query", near=condition)
    name, operator, quoted, number = parts.groups()
    if operator.lower() == "is not null":
        return name == "id" or record.values.get(name) not in (None, "")
    value: int | None
    if name == "id":
        value, held = int(quoted or number), record.id
    elif name in ("Modified_Time", "Created_Time"):
        value = parse_time(quoted or "")
        held = record.modified_ms if name == "Modified_Time" else record.created_ms
        held -= held % 1000
    else:
        raise problem(400, "INVALID_QUERY", "this simulation knows conditions on id and times only", column_name=name)
    if value is None:
        raise problem(400, "INVALID_QUERY", "invalid value", column_name=name)
    return {">=": held >= value, "<=": held <= value, ">": held > value, "<": held < value, "=": held == value}[
        operator
    ]
