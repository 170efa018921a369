"""Rows as a reply tells them: JSON with parents inside each other, or CSV with parents' columns side by side."""

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from leadloom.sandbox.http import Json
from leadloom.sandbox.salesforce.catalogue import CHILDREN, OWNER, Field
from leadloom.sandbox.salesforce.columns import Column, column_of, object_of
from leadloom.sandbox.salesforce.conditions import check_of
from leadloom.sandbox.salesforce.hub import Hub
from leadloom.sandbox.salesforce.problems import malformed, problem
from leadloom.sandbox.salesforce.records import Record, bulk_time, is_held, rest_time
from leadloom.sandbox.salesforce.soql import Every, Path, Query, marked
from leadloom.sandbox.salesforce.store import View

type Cell = Callable[[Record, View], Json]
type Named = tuple[str, str, Cell]
"""A name in the reply, under which name the record holds the value as it is told (or nothing), and how to tell it."""

MOST_OF_EVERY = 200
_MOST_PARENTS = 5000


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows of one query are told."""

    kind: str
    version: str
    cells: tuple[Named, ...]
    children: tuple[str, ...] = ()

    def row(self, record: Record, view: View) -> dict[str, Json]:
        told: dict[str, Json] = {"attributes": attributes(record, self.version)}
        values = record.values
        for name, held, cell in self.cells:
            told[name] = values[held] if held else cell(record, view)
        return told

    def weight(self, told: dict[str, Json]) -> int:
        """A row and its children: all of them count against the size of a page."""
        inner = (told[name] for name in self.children)
        return 1 + sum(len(one["records"]) for one in inner if isinstance(one, dict))


def attributes(record: Record, version: str, as_owner: bool = False) -> Json:
    url = f"/services/data/v{version}/sobjects/{record.kind}/{record.id}"
    return {"type": OWNER if as_owner else record.kind, "url": url}


def columns_of(hub: Hub, query: Query) -> list[Column]:
    """Of every path, ``FIELDS(…)`` spelt out."""
    kind = object_of(hub, query)
    found: list[Column] = []
    for item in query.items:
        if isinstance(item, Path):
            found.append(column_of(hub, kind, item, query.text))
        elif isinstance(item, Every):
            names = [one.name for one in hub.fields(kind).values() if _is_of(one, item.which)]
            if item.which != "STANDARD" and (query.limit is None or query.limit > MOST_OF_EVERY):
                raise malformed("The SOQL FIELDS function must have a LIMIT of at most 200")
            found += [column_of(hub, kind, Path((name,), 1), query.text) for name in names]
    return found


def _is_of(field: Field, which: str) -> bool:
    if which not in ("ALL", "STANDARD", "CUSTOM"):
        raise malformed(f"unexpected token: '{which}'")
    return which == "ALL" or field.is_custom == (which == "CUSTOM")


def plan_of(hub: Hub, query: Query, version: str) -> Plan:
    """As a tree: parents of one name come together where the first of them stands."""
    kind = object_of(hub, query)
    columns = iter(columns_of(hub, query))
    tree: dict[str, object] = {}
    children = []
    for item in query.items:
        if isinstance(item, Query):
            name, cell = _subquery(hub, kind, item, version)
            tree[name] = _Leaf(cell)
            children.append(name)
        elif isinstance(item, Path):
            _plant(tree, next(columns), item, query)
    for column in columns:  # of FIELDS(…)
        tree[column.names[0]] = _leaf(column, as_label=False)
    return Plan(kind, version, tuple(_cells(tree, version)), tuple(children))


def _plant(tree: dict[str, object], column: Column, path: Path, query: Query) -> None:
    node = tree
    for depth, name in enumerate(column.names[:-1]):
        inner = node.setdefault(name, _Parent(column, depth + 1, {}))
        if not isinstance(inner, _Parent):
            raise malformed(f"{marked(query.text, path.at)}duplicate alias: {name}")
        node = inner.inside
    if column.names[-1] in node:
        text = f"{marked(query.text, path.at)}duplicate field selected: {path.names[-1]}"
        raise problem(400, "INVALID_FIELD", text)
    node[column.names[-1]] = _leaf(column, as_label=path.as_label)


@dataclass(frozen=True, slots=True)
class _Parent:
    column: Column
    depth: int
    inside: dict[str, object]


def _cells(tree: dict[str, object], version: str) -> Iterable[Named]:
    for name, one in tree.items():
        if isinstance(one, _Parent):
            yield name, "", _parent_cell(one, version)
        elif isinstance(one, _Leaf):
            yield name, one.held, one.cell


def _parent_cell(parent: _Parent, version: str) -> Cell:
    steps = parent.column.steps[: parent.depth]
    cells = tuple(_cells(parent.inside, version))
    as_owner = parent.column.kind == OWNER and parent.depth == len(parent.column.steps)
    kept: dict[tuple[int, str, int], Json] = {}

    def cell(record: Record, view: View) -> Json:
        found: Record | None = record
        for step in steps:
            found = None if found is None else step(found, view)
        if found is None:
            return None
        key = view.version, found.kind, found.number
        if key not in kept:
            if len(kept) > _MOST_PARENTS:
                kept.clear()
            # The cells inside start from the record itself.
            inside = {name: one(record, view) for name, _, one in cells}
            kept[key] = {"attributes": attributes(found, version, as_owner), **inside}
        return kept[key]

    return cell


@dataclass(frozen=True, slots=True)
class _Leaf:
    cell: Cell
    held: str = ""


def _leaf(column: Column, *, as_label: bool) -> _Leaf:
    name, is_as_told = column.own_name, column.field.type != "datetime" and not as_label
    held = name if name and is_as_told and is_held(column.kind, name) else ""
    return _Leaf(_cell(column, as_label=as_label), held)


def _cell(column: Column, *, as_label: bool) -> Cell:
    read = column.value
    if column.field.type == "datetime":

        def moment(record: Record, view: View) -> Json:
            found = read(record, view)
            return rest_time(found) if isinstance(found, int) else None

        return moment
    if as_label:
        labels = {one.value: one.label for one in column.field.options}

        def label(record: Record, view: View) -> Json:
            found = read(record, view)
            return labels.get(found, found) if isinstance(found, str) else found

        return label
    return read


def _subquery(hub: Hub, kind: str, query: Query, version: str) -> tuple[str, Cell]:
    known = CHILDREN.get((kind, query.source.lower()))
    if known is None or known[0] in hub.hidden_objects:
        told = f"Didn't understand relationship '{query.source}' in FROM part of query call."
        raise problem(400, "INVALID_TYPE", marked(query.text, query.source_at) + told)
    inner = Query(query.text, known[0], query.source_at, query.items, where=query.where)
    plan = plan_of(hub, inner, version)
    if any(isinstance(one, Query) for one in query.items):
        raise malformed("a subquery cannot hold another")
    check = None if query.where is None else check_of(hub, known[0], query.where, query.text, _nothing_inside)
    keys = [(column_of(hub, known[0], one.path, query.text), one) for one in query.order]

    def cell(record: Record, view: View) -> Json:
        rows = [one for one in view.roles_of(record) if one.deleted_ms is None and (check is None or check(one, view))]
        for column, one in reversed(keys):
            rows.sort(key=lambda row, read=column.value: str(read(row, view) or ""), reverse=one.is_down)  # type: ignore[misc]
        rows = rows[: query.limit]
        if not rows:
            return None
        return {"totalSize": len(rows), "done": True, "records": [plan.row(one, view) for one in rows]}

    return query.source, cell


def _nothing_inside(_: Query) -> set[str]:
    raise malformed("a subquery cannot hold another")


# -- CSV


def csv_of(columns: list[Column], records: Iterable[Record], view: View, *, delimiter: str, line_end: str) -> bytes:
    """A header, then every value in quotes, all of it text; nothing is an empty one."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerow([".".join(one.names) for one in columns])
    for record in records:
        writer.writerow([_text(column, column.value(record, view)) for column in columns])
    return out.getvalue().encode()


def _text(column: Column, value: Json) -> str:
    if value is None:
        return ""
    if column.field.type == "datetime" and isinstance(value, int):
        return bulk_time(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
