"""``POST /contacts/search``: answered from the index, which lags behind.

By page only for the first 10,000; else by ``searchAfter``, the sort value and id that every row carries. By creation
and by change, pages are found by arithmetic and bisection, so a walk is quick at any size; any other sort or filter
looks at every contact.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

from leadloom.sandbox.gohighlevel.hub import READ_CONTACTS, ROUTES, Hub
from leadloom.sandbox.gohighlevel.problems import trace_id
from leadloom.sandbox.gohighlevel.query import TIMES, Query, Window, read_query
from leadloom.sandbox.gohighlevel.records import Record
from leadloom.sandbox.gohighlevel.store import Store, View
from leadloom.sandbox.http import Reply, Request, as_json

type Place = tuple[Any, str, int | Record]
"""Sort value, id, and the contact: an untouched one by its place."""

type Hit = tuple[int, str, int]
"""Time, id and place of an untouched contact."""

_KEPT = 4
MOST_REMEMBERED = 3_000  # pages of up to a megabyte are few; small ones are many


@ROUTES.add("POST", "/contacts/search/?", READ_CONTACTS)
def search_contacts(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    if not hub.remembers:
        return Reply(200, _page(hub, request.body))
    asked = (hub.store.index().version, request.body)
    if asked not in hub.pages:
        if len(hub.pages) >= MOST_REMEMBERED:
            hub.pages.clear()
        hub.pages[asked] = _page(hub, request.body)
    return Reply(200, hub.pages[asked])


def _page(hub: Hub, body: bytes) -> bytes:
    finder = Finder.of(hub)
    total, rows = finder.find(read_query(body))
    return as_json({"contacts": rows, "total": total, "traceId": trace_id()})


class _ByCreation(Sequence[Hit]):
    """Untouched contacts by ascending time of creation, worked out when they are looked at."""

    def __init__(self, store: Store, ranks: range) -> None:
        self._store = store
        self._timeline = store.population.timeline
        self._ranks = ranks[::-1]  # rank 0 is the newest

    def __len__(self) -> int:
        return len(self._ranks)

    def __getitem__(self, at: Any) -> Any:
        place = self._timeline.place(self._ranks[at])
        return self._timeline.times(place)[0], self._store.ids.of(place), place


class Finder:
    """Finds contacts of one location, and remembers the last few orders so that walking them is quick."""

    _all: "WeakKeyDictionary[Hub, Finder]" = WeakKeyDictionary()

    def __init__(self, hub: Hub) -> None:
        self._store = hub.store
        self._timeline = hub.population.timeline
        self._count = hub.population.count
        self._orders: OrderedDict[tuple[int | None, int | None], list[Hit]] = OrderedDict()

    @classmethod
    def of(cls, hub: Hub) -> "Finder":
        return cls._all.get(hub) or cls._all.setdefault(hub, cls(hub))

    def find(self, query: Query) -> tuple[int, list[dict[str, Any]]]:
        view = self._store.index()
        other = query.updated if query.sort == "dateAdded" else query.added
        if query.sort in TIMES and not query.tests and other == Window():
            total, places = self._by_time(view, query)
        else:
            total, places = self._by_looking(view, query)
        start = 0 if query.after is not None else query.offset
        found = islice(places, start, start + query.limit)
        return total, [self._record(one).found([value, own_id]) for value, own_id, one in found]

    def _by_time(self, view: View, query: Query) -> tuple[int, Iterator[Place]]:
        """One window of creation or change, in the order of that time."""
        by_creation = query.sort == "dateAdded"
        window = query.added if by_creation else query.updated
        born = self._order(query.sort, window.low, window.high)
        hidden = sum(window.holds(self._timeline.times(place)[0 if by_creation else 1]) for place in view.covered)
        changed = sorted(
            (at, record.id, record)
            for record in view.records.values()
            if window.holds(at := record.created_ms if by_creation else record.modified_ms)
        )  # fmt: skip
        total = len(born) - hidden + len(changed)
        return total, self._walk(view, born, changed, query)

    def _walk(
        self, view: View, born: Sequence[Hit], changed: list[tuple[int, str, Record]], query: Query
    ) -> Iterator[Place]:
        untouched = self._from(born, query)
        touched = self._from(changed, query)
        merged = merge(
            ((value, own_id, place) for value, own_id, place in untouched if place not in view.covered),
            touched,
            key=lambda one: (one[0], one[1]),
            reverse=query.descending,
        )
        yield from merged

    def _from(self, ordered: Sequence[Any], query: Query) -> Iterator[Any]:
        """Those behind ``searchAfter``, in the query's direction."""
        if not query.descending:
            start = 0 if query.after is None else bisect_right(ordered, query.after, key=lambda one: (one[0], one[1]))
            return islice(ordered, start, None) if start == 0 else (ordered[at] for at in range(start, len(ordered)))
        end = len(ordered)
        if query.after is not None:
            end = bisect_right(ordered, query.after, key=lambda one: (one[0], one[1]))
            while end and (ordered[end - 1][0], ordered[end - 1][1]) >= query.after:
                end -= 1
        return (ordered[at] for at in range(end - 1, -1, -1))

    def _order(self, sort: str, low: int | None, high: int | None) -> Sequence[Hit]:
        """Untouched contacts of a window by ascending time. By creation they need no sorting; by change they are
        remembered."""
        if sort == "dateAdded":
            return _ByCreation(self._store, self._timeline.created_ranks(low, high))
        if (low, high) not in self._orders:
            is_open = low is None and high is None
            places = range(self._count) if is_open else self._timeline.modified_places(low, high)
            of, times = self._store.ids.of, self._timeline.times
            self._orders[low, high] = sorted((times(place)[1], of(place), place) for place in places)
            if len(self._orders) > _KEPT:
                self._orders.popitem(last=False)
        return self._orders[low, high]

    def _by_looking(self, view: View, query: Query) -> tuple[int, Iterator[Place]]:
        places = (place for place in range(self._count) if place not in view.covered)
        records = [*(self._store.maker.born(place) for place in places), *view.records.values()]
        wanted = []
        for record in records:
            if not (query.added.holds(record.created_ms) and query.updated.holds(record.modified_ms)):
                continue
            row = record.found([])
            if all(test(row) for test in query.tests):
                wanted.append((_sort_value(row, record, query.sort), record.id, record))
        wanted.sort(key=lambda one: (one[0], one[1]), reverse=query.descending)
        if query.after is None:
            return len(wanted), iter(wanted)
        behind = query.after
        rest = (one for one in wanted if ((one[0], one[1]) < behind if query.descending else (one[0], one[1]) > behind))
        return len(wanted), rest

    def _record(self, one: int | Record) -> Record:
        return self._store.maker.born(one) if isinstance(one, int) else one


def _sort_value(row: dict[str, Any], record: Record, sort: str) -> Any:
    if sort in TIMES:
        return record.created_ms if sort == "dateAdded" else record.modified_ms
    return str(row.get(sort) or "")
