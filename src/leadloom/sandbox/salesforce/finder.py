"""Which records a query finds, in its order: by walking an order that is there already wherever one fits.

By id, by creation and by change a page costs its own rows alone, at any size. Other orders, and conditions on what a
person holds, look at every row of the smallest stretch that the conditions leave.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice
from typing import Any

from leadloom.sandbox.clock import DAY_MS
from leadloom.sandbox.salesforce.catalogue import CONTACT, PEOPLE, ROLE
from leadloom.sandbox.salesforce.columns import column_of, object_of
from leadloom.sandbox.salesforce.conditions import Check, check_of, is_known_unread
from leadloom.sandbox.salesforce.hub import Hub
from leadloom.sandbox.salesforce.ids import SHORT, record_of, short_id
from leadloom.sandbox.salesforce.problems import problem
from leadloom.sandbox.salesforce.ranges import BY_ID, Key, Range, range_of, rest_of
from leadloom.sandbox.salesforce.records import Record
from leadloom.sandbox.salesforce.soql import Both, Node, Order, Path, Query, Test
from leadloom.sandbox.salesforce.store import BIN_DAYS, View

BY_CHANGE, BY_CREATION = "systemmodstamp", "createddate"
ORDERS = (BY_ID, BY_CHANGE, BY_CREATION)
MOST_SKIPPED = 2000

type Spot = tuple[int, int]
"""Second and number."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of an order: untouched rows from here to there, and the others in it."""

    order: str
    born: Sequence[int]
    start: int
    end: int
    touched: list[Spot]

    def __len__(self) -> int:
        return self.end - self.start + len(self.touched)


class Finder:
    """For one query on one picture."""

    def __init__(self, hub: Hub, view: View, query: Query, *, with_deleted: bool) -> None:
        self._hub = hub
        self._view = view
        self._query = query
        self._with_deleted = with_deleted
        self.kind = object_of(hub, query)
        self._rows = view.rows[self.kind]
        self._maker = view.born.maker
        self._oldest_in_bin = hub.clock.now_ms() - BIN_DAYS * DAY_MS
        if query.offset > MOST_SKIPPED:
            raise problem(400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")

    def find(self) -> array[int]:
        """Their numbers."""
        found = self._found(self._query.where, self._query.order)
        if self._query.limit is None and not self._query.offset:
            return found if isinstance(found, array) else array("q", found)
        end = None if self._query.limit is None else self._query.offset + self._query.limit
        return array("q", islice(found, self._query.offset, end))

    def _found(self, where: Node | None, order: tuple[Order, ...]) -> Iterator[int] | array[int]:
        check = None if where is None else self._check(where)  # says what is wrong with it, before anything is read
        keys = [(column_of(self._hub, self.kind, one.path, self._query.text), one) for one in order]
        if (named := self._named(where)) is not None:
            return self._sorted(self._passing(iter(sorted(named)), where, check), order, keys)
        name, is_down, has_ties = _order_of(order)
        ranges = {one: range_of(where, one) for one in ORDERS}
        worth = [one for one in ORDERS if one == name or ranges[one].is_bounded] or [BY_ID]
        stretches = {one: self._stretch(one, ranges[one]) for one in worth}
        best = min(worth, key=lambda one: len(stretches[one]))
        if name and len(stretches[name]) <= 4 * len(stretches[best]):
            rest = rest_of(where, name)
            walked = self._walk(stretches[name], is_down=is_down, has_ties=has_ties)
            return self._passing(walked, rest, None if rest is None else self._check(rest))
        rest = rest_of(where, best)
        walked = self._walk(stretches[best], is_down=False, has_ties=False)
        return self._sorted(self._passing(walked, rest, None if rest is None else self._check(rest)), order, keys)

    def _named(self, where: Node | None) -> set[int] | None:
        """The numbers among which all that is wanted must be, where the condition names ids one by one."""
        if (ids := _ids_of(where, "id")) is not None:
            given = (record_of(one) for one in ids)
            return {one[1] for one in given if one is not None and one[0] == self.kind}
        if self.kind == ROLE and (ids := _ids_of(where, "contactid")) is not None:
            contacts = (self._view.find(one, CONTACT) for one in ids)
            return {role.number for one in contacts if one is not None for role in self._view.roles_of(one)}
        return None

    def _check(self, where: Node) -> Check:
        return check_of(self._hub, self.kind, where, self._query.text, self._asked)

    def _asked(self, query: Query) -> set[str]:
        """The values of the one column of a query inside."""
        item = query.items[0] if len(query.items) == 1 else None
        if not isinstance(item, Path):
            raise problem(400, "MALFORMED_QUERY", "a query inside selects one field")
        inner = Finder(self._hub, self._view, query, with_deleted=self._with_deleted)
        read = column_of(self._hub, inner.kind, item, query.text).value
        found = (read(one, self._view) for one in inner.records(inner.find()))
        return {one[:SHORT] for one in found if isinstance(one, str)}

    def records(self, numbers: Sequence[int]) -> Iterator[Record]:
        for number in numbers:
            if (one := self._view.get(self.kind, number)) is not None:
                yield one

    # Walking

    def _stretch(self, order: str, within: Range) -> Stretch:
        born = self._view.born.by_stamp(self.kind) if order == BY_CHANGE else self._view.born.numbers(self.kind)
        key = self._key(order)
        start, end = (bisect_left(born, one, key=key) for one in (within.low, within.high))
        return Stretch(order, born, start, max(start, end), self._touched(order, within))

    def _key(self, order: str) -> Callable[[int], Key]:
        kind, maker = self.kind, self._maker
        match order:
            case "systemmodstamp":
                return lambda number: (maker.second(kind, number), short_id(kind, number))
            case "createddate":
                return lambda number: (maker.created_ms(number) // 1000, short_id(kind, number))
        return lambda number: (0, short_id(kind, number))

    def _touched(self, order: str, within: Range) -> list[Spot]:
        kind, numbers = self.kind, self._rows.numbers
        ends = (within.low, within.high)
        if order == BY_ID:
            start, end = (bisect_left(numbers, one, key=lambda number: (0, short_id(kind, number))) for one in ends)
            return [(0, number) for number in numbers[start:end]]
        spots = self._rows.stamps
        if order == BY_CREATION:
            records = (self._rows.records[number] for number in numbers)
            spots = sorted((one.created_ms // 1000, one.number) for one in records if one is not None)
        start, end = (bisect_left(spots, one, key=lambda spot: (spot[0], short_id(kind, spot[1]))) for one in ends)
        return spots[start:end]

    def _walk(self, stretch: Stretch, *, is_down: bool, has_ties: bool) -> Iterator[int]:
        """Numbers in the order, those of the bin left out as the query wants it."""
        places = range(stretch.start, stretch.end)
        if is_down:
            places = places[::-1]
        covered = self._rows.records
        born = (number for at in places if (number := stretch.born[at]) not in covered)
        if not stretch.touched and not has_ties:
            return born
        touched = (one for one in _way(stretch.touched, is_down) if self._is_there(covered[one[1]]))
        second = self._second(stretch.order)
        spots = merge(((second(number), number) for number in born), touched, reverse=is_down)
        return _scrambled(spots) if has_ties else (number for _, number in spots)

    def _second(self, order: str) -> Callable[[int], int]:
        kind, maker = self.kind, self._maker
        if order == BY_ID:
            return lambda _number: 0
        if order == BY_CHANGE:
            return lambda number: maker.second(kind, number)
        return lambda number: maker.created_ms(number) // 1000

    def _is_there(self, record: Record | None) -> bool:
        if record is None or record.deleted_ms is None:
            return record is not None
        return self._with_deleted and record.deleted_ms > self._oldest_in_bin

    def _passing(self, numbers: Iterator[int], where: Node | None, check: Check | None) -> Iterator[int]:
        if where is None or check is None:
            return numbers
        make = self._maker.sketch if self.kind in PEOPLE and is_known_unread(where) else self._maker.born
        return self._checked(numbers, check, make)

    def _checked(self, numbers: Iterator[int], check: Check, make: Callable[[str, int], Record]) -> Iterator[int]:
        rows, view, kind = self._rows.records, self._view, self.kind
        for number in numbers:
            if number in rows:
                one = rows[number]
            elif self._maker.has(kind, number):
                one = make(kind, number)
            else:
                continue
            if one is not None and self._is_there(one) and check(one, view):
                yield number

    def _sorted(self, numbers: Iterator[int], order: tuple[Order, ...], keys: list[tuple[Any, Order]]) -> Iterator[int]:
        if not order:
            return numbers
        rows = sorted(self.records(list(numbers)), key=lambda one: _scramble(one.number))
        for column, one in reversed(keys):
            nulls_last = one.is_down if one.nulls_last is None else one.nulls_last
            rows = _ordered(rows, column.value, self._view, is_down=one.is_down, nulls_last=nulls_last)
        return (one.number for one in rows)


def _ordered(
    rows: list[Record], read: Callable[[Record, View], Any], view: View, *, is_down: bool, nulls_last: bool
) -> list[Record]:
    held = [(read(one, view), one) for one in rows]
    nothing = [one for value, one in held if value is None]
    something = [(value, one) for value, one in held if value is not None]
    something.sort(key=lambda one: one[0].casefold() if isinstance(one[0], str) and not is_id_like(one[0]) else one[0],
                   reverse=is_down)  # fmt: skip
    there = [one for _, one in something]
    return [*there, *nothing] if nulls_last else [*nothing, *there]


def is_id_like(text: str) -> bool:
    """Ids sort by case."""
    return record_of(text) is not None


def _ids_of(where: Node | None, name: str) -> list[str] | None:
    """Ids that the condition names one by one."""
    match where:
        case Test(path, "in" | "=", values, None) if path.text.lower() == name:
            return [one for one in values if isinstance(one, str)]
        case Both(nodes):
            return next((found for one in nodes if (found := _ids_of(one, name)) is not None), None)
    return None


def _order_of(order: tuple[Order, ...]) -> tuple[str, bool, bool]:
    """The order there is already that fits, whether it is walked from its end, and whether rows of one second come in
    no order."""
    if not order:
        return BY_ID, False, False
    names = [one.path.text.lower() for one in order]
    first = order[0].is_down
    if names[0] == BY_ID:
        return BY_ID, first, False
    if names[0] not in ORDERS or len(order) > 2:
        return "", False, False
    if len(order) == 1:
        return names[0], first, True
    return (names[0], first, False) if names[1] == BY_ID and order[1].is_down == first else ("", False, False)


def _way(spots: list[Spot], is_down: bool) -> Iterator[Spot]:
    return reversed(spots) if is_down else iter(spots)


def _scrambled(spots: Iterator[Spot]) -> Iterator[int]:
    for _, same in groupby(spots, key=lambda spot: spot[0]):
        yield from sorted((number for _, number in same), key=_scramble)


def _scramble(number: int) -> int:
    return number * 2654435761 % (1 << 32)
