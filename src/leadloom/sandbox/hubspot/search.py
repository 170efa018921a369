"""``POST /crm/v3/objects/contacts/search``: answered from the index, which lags behind; never past 10,000 results.

Windows of time and id are found by arithmetic, so a poll for changes and the newest contacts first are quick at any
size. A filter on any other property looks at every contact in its windows: seconds at a million.
"""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from weakref import WeakKeyDictionary

from leadloom.sandbox.http import Reply, Request
from leadloom.sandbox.hubspot.hub import CONTACTS, ROUTES, Gate, Hub
from leadloom.sandbox.hubspot.properties import BY_OBJECT
from leadloom.sandbox.hubspot.query import Group, Query, Test, Window, milliseconds, read_query
from leadloom.sandbox.hubspot.records import Record
from leadloom.sandbox.hubspot.store import View

type Hit = int | Record
"""The place of an untouched contact, or a changed one."""

_TEXT_SEARCHED = ("firstname", "lastname", "email", "phone", "mobilephone", "company")
_KEPT = 8


@ROUTES.add("POST", rf"{CONTACTS}/search", Gate("search", "crm.objects.contacts.read"))
def search_contacts(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    query = read_query(request.body)
    total, hits = Finder.of(hub).find(query)
    rows = [_row(hub, hit, query.names) for hit in hits]
    end = query.offset + query.limit
    paging = f',"paging":{{"next":{{"after":"{end}"}}}}' if query.limit and end < total else ""
    return Reply(200, f'{{"total":{total},"results":[{",".join(rows)}]{paging}}}'.encode())


def _row(hub: Hub, hit: Hit, names: tuple[str, ...]) -> str:
    if isinstance(hit, int):
        return hub.renderer.born_rows([hit], names, companies=False)[0]
    return hub.renderer.row_text(hit, names)


class Finder:
    """Finds contacts of one portal, and remembers the last few answers so that paging through them is quick."""

    _all: "WeakKeyDictionary[Hub, Finder]" = WeakKeyDictionary()

    def __init__(self, hub: Hub) -> None:
        self._store = hub.store
        self._renderer = hub.renderer
        self._timeline = hub.population.timeline
        self._count = hub.population.count
        self._found: OrderedDict[tuple[int, Group], tuple[Sequence[int], list[Record]]] = OrderedDict()

    @classmethod
    def of(cls, hub: Hub) -> "Finder":
        return cls._all.get(hub) or cls._all.setdefault(hub, cls(hub))

    def find(self, query: Query) -> tuple[int, list[Hit]]:
        view = self._store.index()
        groups = tuple(self._with_words(group, query.words) for group in query.groups)
        if len(groups) == 1 and query.sort == "hs_object_id":
            return self._by_id(view, groups[0], query)
        if len(groups) == 1 and query.sort == "createdate" and groups[0] == Group(created=groups[0].created):
            return self._by_creation(view, groups[0].created, query)
        return self._any_order(view, groups, query)

    def _by_id(self, view: View, group: Group, query: Query) -> tuple[int, list[Hit]]:
        """The id window is cut out last, so that a walk by id computes its matches once."""
        born, changed = self._matches(view, Group(Window(), group.created, group.modified, group.tests))
        born, changed = self._cut(born, changed, group.ids)
        untouched: Iterable[int] = born
        hidden = 0
        if isinstance(born, range) and view.covered:
            untouched = (place for place in born if place not in view.covered)
            hidden = sum(place in born for place in view.covered)
        ids = self._store.ids
        total = len(born) - hidden + len(changed)
        if query.descending:
            untouched = (place for place in reversed(born) if place not in view.covered)
            changed = changed[::-1]
        hits: Iterator[tuple[int, Hit]] = merge(
            ((ids.of(place), place) for place in untouched),
            ((record.id, record) for record in changed),
            key=lambda pair: pair[0],
            reverse=query.descending,
        )
        return total, [hit for _, hit in islice(hits, query.offset, query.offset + query.limit)]

    def _by_creation(self, view: View, created: Window, query: Query) -> tuple[int, list[Hit]]:
        """Ranks are in order of creation already: the newest are at hand without sorting anybody."""
        ranks = self._timeline.created_ranks(created.low, created.high)
        hidden = sum(self._timeline.rank(place) in ranks for place in view.covered)
        changed = self._changed(view, Group(created=created))
        sign = -1 if query.descending else 1
        changed.sort(key=lambda record: (sign * record.created_ms, record.id))
        hits = merge(
            self._born_by_creation(view, ranks if query.descending else ranks[::-1], sign),
            ((sign * record.created_ms, record) for record in changed),
            key=lambda pair: pair[0],
        )
        total = len(ranks) - hidden + len(changed)
        return total, [hit for _, hit in islice(hits, query.offset, query.offset + query.limit)]

    def _born_by_creation(self, view: View, ranks: range, sign: int) -> Iterator[tuple[int, Hit]]:
        for rank in ranks:
            place = self._timeline.place(rank)
            if place not in view.covered:
                yield sign * self._timeline.times(place)[0], place

    def _any_order(self, view: View, groups: tuple[Group, ...], query: Query) -> tuple[int, list[Hit]]:
        hits: dict[int, Hit] = {}
        for group in groups:
            born, changed = self._cut(*self._matches(view, _without_ids(group)), group.ids)
            hits |= {self._store.ids.of(place): place for place in born if place not in view.covered}
            hits |= {record.id: record for record in changed}
        ordered = sorted(hits.items(), key=lambda pair: self._sort_key(pair, query.sort), reverse=query.descending)
        return len(ordered), [hit for _, hit in ordered[query.offset : query.offset + query.limit]]

    def _sort_key(self, pair: tuple[int, Hit], name: str) -> tuple[bool, float, str, int]:
        own_id, hit = pair
        if name in {"createdate", "lastmodifieddate"}:
            created, modified = _times(self, hit)
            return (True, created if name == "createdate" else modified, "", own_id)
        value = self._values(hit).get(name) or ""
        if BY_OBJECT["contacts"][name].type in {"number", "datetime"}:
            number = 0.0 if not value else float(value) if value.isdecimal() else milliseconds(value)
            return (bool(value), number, "", own_id)
        return (bool(value), 0.0, value.lower(), own_id)

    def _matches(self, view: View, group: Group) -> tuple[Sequence[int], list[Record]]:
        """Untouched places and changed records in this group, both by ascending id; remembered until a change."""
        known = self._found.get((view.version, group))
        if known is None:
            known = (self._born(view, group), self._changed(view, group))
            self._found[view.version, group] = known
            if len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return known

    def _born(self, view: View, group: Group) -> Sequence[int]:
        if group == Group():
            return range(self._count)
        named = self._named(group.tests)
        places = self._in_time(group) if named is None else named
        return array("q", (place for place in places if place not in view.covered and self._holds(place, group)))

    def _named(self, tests: tuple[Test, ...]) -> list[int] | None:
        """An exact address leads straight to its contact."""
        for test in tests:
            if test.name == "email" and test.operator in {"EQ", "IN"}:
                found = {self._store.population.place_of_email(value.lower()) for value in test.values}
                near = {place + step for place in found if place is not None for step in (0, 1)}
                return sorted(place for place in near if place < self._count)
        return None

    def _in_time(self, group: Group) -> Sequence[int]:
        if not group.modified.open:
            return self._timeline.modified_places(group.modified.low, group.modified.high)
        if not group.created.open:
            ranks = self._timeline.created_ranks(group.created.low, group.created.high)
            return sorted(self._timeline.place(rank) for rank in ranks)
        return range(self._count)

    def _holds(self, place: int, group: Group) -> bool:
        created, modified = self._timeline.times(place)
        if not (group.created.holds(created) and group.modified.holds(modified)):
            return False
        return not group.tests or _pass(group.tests, self._renderer.born_values(place))

    def _changed(self, view: View, group: Group) -> list[Record]:
        records = (view.records[own_id] for own_id in view.live)
        return [
            record
            for record in records
            if group.created.holds(record.created_ms)
            and group.modified.holds(record.modified_ms)
            and (not group.tests or _pass(group.tests, self._renderer.values(record)))
        ]

    def _cut(self, born: Sequence[int], changed: list[Record], ids: Window) -> tuple[Sequence[int], list[Record]]:
        first_from = self._store.ids.first_from
        low = 0 if ids.low is None else bisect_left(born, first_from(ids.low))
        high = len(born) if ids.high is None else bisect_left(born, first_from(ids.high))
        return born[low : max(low, high)], [record for record in changed if ids.holds(record.id)]

    def _with_words(self, group: Group, words: tuple[str, ...]) -> Group:
        tests = tuple(Test("", "WORD", (word,)) for word in words)
        return Group(group.ids, group.created, group.modified, group.tests + tests) if tests else group

    def _values(self, hit: Hit) -> dict[str, str | None]:
        return self._renderer.born_values(hit) if isinstance(hit, int) else self._renderer.values(hit)


def _times(finder: Finder, hit: Hit) -> tuple[int, int]:
    if isinstance(hit, int):
        return finder._timeline.times(hit)
    return hit.created_ms, hit.modified_ms


def _without_ids(group: Group) -> Group:
    return Group(Window(), group.created, group.modified, group.tests)


def _pass(tests: tuple[Test, ...], values: dict[str, str | None]) -> bool:
    return all(
        _mentions(test.values[0], values) if test.operator == "WORD" else test.passes(values.get(test.name))
        for test in tests
    )


def _mentions(word: str, values: dict[str, str | None]) -> bool:
    """The free-text ``query``: each word in any of the fields that are searched by default."""
    return any(word in (values.get(name) or "").lower() for name in _TEXT_SEARCHED)
