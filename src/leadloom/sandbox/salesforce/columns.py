"""What a path of a query leads to: a field of the object or of a parent, as far as the user may see them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leadloom.sandbox.http import Json
from leadloom.sandbox.salesforce.catalogue import KINDS, OWNER, OWNER_FIELDS, Field
from leadloom.sandbox.salesforce.hub import Hub
from leadloom.sandbox.salesforce.problems import no_such_field, no_such_object, problem
from leadloom.sandbox.salesforce.records import Record, reader
from leadloom.sandbox.salesforce.soql import Path, Query, marked
from leadloom.sandbox.salesforce.store import View

type Step = Callable[[Record, View], Record | None]
"""From a record to its parent."""

_OWNER_FIELDS = {one.name.lower(): one for one in OWNER_FIELDS}
_DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Column:
    field: Field
    kind: str
    """The object that the field is of."""
    steps: tuple[Step, ...]
    names: tuple[str, ...]
    """The path as the reply writes it."""
    value: Callable[[Record, View], Json]
    """Raw: times as milliseconds. A missing parent has nothing."""

    @property
    def own_name(self) -> str:
        """Of a field of the object itself; empty for a parent's."""
        return "" if self.steps else self.field.name


def object_of(hub: Hub, query: Query) -> str:
    """The name as it is written. Raises what Salesforce says of an unknown and of a hidden one alike."""
    kind = KINDS.get(query.source.lower())
    if kind is None or kind in hub.hidden_objects:
        raise no_such_object(query.source, marked=marked(query.text, query.source_at))
    return kind


def column_of(hub: Hub, kind: str, path: Path, text: str) -> Column:
    fields: Mapping[str, Field] = hub.fields(kind)
    steps: list[Step] = []
    names: list[str] = []
    if len(path.names) > _DEEPEST + 1:
        raise problem(400, "INVALID_FIELD", f"{marked(text, path.at)}the path is too long")
    for name in path.names[:-1]:
        link = next((one for one in fields.values() if (one.relationship or "").lower() == name.lower()), None)
        if link is None or not [one for one in link.leads_to if one not in hub.hidden_objects]:
            raise _no_such_relationship(name, path, text)
        steps.append(_step(kind, link))
        names.append(link.relationship or "")
        kind = link.leads_to[0] if len(link.leads_to) == 1 else OWNER
        fields = _OWNER_FIELDS if kind == OWNER else hub.fields(kind)
    field = fields.get(path.names[-1].lower())
    if field is None:
        raise no_such_field(path.names[-1], kind, marked=marked(text, path.at))
    read = _owner_reader(field.name) if kind == OWNER else reader(kind, field.name)
    return Column(field, kind, tuple(steps), (*names, field.name), _value(tuple(steps), read))


def _no_such_relationship(name: str, path: Path, text: str) -> Exception:
    told = (
        f"{marked(text, path.at)}Didn't understand relationship '{name}' in field path. If you are attempting to use a "
        "custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your "
        "WSDL or the describe call for the appropriate names."
    )
    return problem(400, "INVALID_FIELD", told)


def _step(kind: str, link: Field) -> Step:
    read = (lambda _one: None) if kind == OWNER else reader(kind, link.name)

    def step(one: Record, view: View) -> Record | None:
        own_id = read(one)
        return view.find(own_id, *link.leads_to) if isinstance(own_id, str) else None

    return step


def _value(steps: tuple[Step, ...], read: Callable[[Record], Json]) -> Callable[[Record, View], Json]:
    if not steps:
        return lambda one, _view: read(one)

    def value(one: Record, view: View) -> Json:
        found: Record | None = one
        for step in steps:
            if found is None:
                return None
            found = step(found, view)
        return None if found is None else read(found)

    return value


def _owner_reader(name: str) -> Callable[[Record], Json]:
    """Of a user or a queue; a queue has a name and no address here, whatever the queue itself has."""
    if name == "Id":
        return lambda one: one.id
    if name in ("Name", "Type"):
        return lambda one: one.values.get(name)
    return lambda one: one.values.get(name) if one.kind == "User" else None
