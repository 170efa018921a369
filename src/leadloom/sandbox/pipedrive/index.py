"""Ids in the three orders that Pipedrive lists by, each a sorted array: a list never sorts, a change moves memory only.

A place in an order by time is the second and the id in one number, because Pipedrive keeps whole seconds.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import Literal

type Order = Literal["id", "add_time", "update_time"]
ORDERS: tuple[Order, ...] = ("id", "add_time", "update_time")
_BITS = 32
_MASK = (1 << _BITS) - 1
_KEPT = 4


def place_of(order: Order, own_id: int, *, created_ms: int, modified_ms: int) -> int:
    """Where a row stands in this order."""
    if order == "id":
        return own_id
    return (created_ms if order == "add_time" else modified_ms) // 1000 << _BITS | own_id


def id_at(place: int) -> int:
    return place & _MASK


class Index:
    """Rows are (id, created, modified); adding one that is there already is an error of the caller's."""

    def __init__(self, rows: Iterable[tuple[int, int, int]]) -> None:
        held = list(rows)
        self._places: dict[Order, array[int]] = {
            order: array("q", sorted(place_of(order, one, created_ms=made, modified_ms=at) for one, made, at in held))
            for order in ORDERS
        }
        self._windows: dict[tuple[Order, int | None, int | None], list[int]] = {}

    def __len__(self) -> int:
        return len(self._places["id"])

    def add(self, own_id: int, *, created_ms: int, modified_ms: int) -> None:
        self._windows.clear()
        for order, places in self._places.items():
            insort(places, place_of(order, own_id, created_ms=created_ms, modified_ms=modified_ms))

    def remove(self, own_id: int, *, created_ms: int, modified_ms: int) -> None:
        """Nothing happens to a row that is not there."""
        self._windows.clear()
        for order, places in self._places.items():
            place = place_of(order, own_id, created_ms=created_ms, modified_ms=modified_ms)
            at = bisect_left(places, place)
            if at < len(places) and places[at] == place:
                del places[at]

    def all(self, order: Order) -> Sequence[int]:
        """Every place of this order, ascending."""
        return self._places[order]

    def within(self, order: Order, low_s: int | None, high_s: int | None) -> Sequence[int]:
        """Places of rows that were changed in these seconds. The last few answers are remembered, for whoever walks."""
        changed = self.changed(low_s, high_s)
        if order == "update_time":
            return changed
        if len(changed) == len(self):
            return self._places[order]
        if (order, low_s, high_s) not in self._windows:
            ids = {id_at(place) for place in changed}
            found = sorted(ids) if order == "id" else [one for one in self._places[order] if id_at(one) in ids]
            self._windows[order, low_s, high_s] = found
            if len(self._windows) > _KEPT:
                del self._windows[next(iter(self._windows))]
        return self._windows[order, low_s, high_s]

    def changed(self, low_s: int | None, high_s: int | None) -> Sequence[int]:
        """Places in the order of change, of seconds from ``low_s`` to before ``high_s``."""
        places = self._places["update_time"]
        start = 0 if low_s is None else bisect_left(places, low_s << _BITS)
        end = len(places) if high_s is None else bisect_left(places, high_s << _BITS)
        return places if (start, end) == (0, len(places)) else places[start : max(start, end)]


def behind(places: Sequence[int], after: int | None, *, descending: bool) -> range:
    """The positions of ``places`` that follow ``after`` in this direction."""
    if descending:
        return range((len(places) if after is None else bisect_left(places, after)) - 1, -1, -1)
    return range(0 if after is None else bisect_right(places, after), len(places))
