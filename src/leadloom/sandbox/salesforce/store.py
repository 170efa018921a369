"""What has happened since the start, laid over the untouched population.

Two views are kept: what is true, and what is committed and can be read. With a commit lag the second follows the first:
a stamp is taken when a record is written, and is seen when its transaction ends.
"""

from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Json
from leadloom.sandbox.names import FIRMS
from leadloom.sandbox.people import Population
from leadloom.sandbox.salesforce.catalogue import ACCOUNT, CONTACT, FIELDS, LEAD, OPPORTUNITY, PEOPLE, ROLE
from leadloom.sandbox.salesforce.ids import id_of, record_of
from leadloom.sandbox.salesforce.records import BLANK, Maker, Record, Values
from leadloom.sandbox.salesforce.staff import ORG_ID, USERS, organization, static_rows

BIN_DAYS = 15
_MANY = 200
type Change = tuple[str, int, Record | None]
"""An object, a number, and what it holds now; None: gone for good."""


class Rows:
    """One object's rows that differ from how they were born."""

    def __init__(self) -> None:
        self.records: dict[int, Record | None] = {}
        self.numbers: list[int] = []
        self.stamps: list[tuple[int, int]] = []
        """Second of ``SystemModstamp`` and number, ascending."""

    def apply(self, changes: Sequence[tuple[int, Record | None]]) -> None:
        few = len(changes) < _MANY
        for number, record in changes:
            if few:
                self._list(number, record)
            self.records[number] = record
        if not few:
            there = [one for one in self.records.values() if one is not None]
            self.numbers = sorted(one.number for one in there)
            self.stamps = sorted((one.second, one.number) for one in there)

    def _list(self, number: int, record: Record | None) -> None:
        old = self.records.get(number)
        if old is not None:
            del self.numbers[bisect_left(self.numbers, number)]
            del self.stamps[bisect_left(self.stamps, (old.second, number))]
        if record is not None:
            insort(self.numbers, number)
            insort(self.stamps, (record.second, number))


class View:
    """One consistent picture of everything."""

    def __init__(self, born: "Born", rows: dict[str, Rows] | None = None) -> None:
        self.born = born
        self.rows = rows or {kind: Rows() for kind in FIELDS}
        self.version = 0

    def apply(self, changes: Iterable[Change]) -> None:
        self.version += 1
        sorted_out: dict[str, list[tuple[int, Record | None]]] = {}
        for kind, number, record in changes:
            sorted_out.setdefault(kind, []).append((number, record))
        for kind, of_kind in sorted_out.items():
            self.rows[kind].apply(of_kind)

    def get(self, kind: str, number: int) -> Record | None:
        """In whatever state."""
        records = self.rows[kind].records
        if number in records:
            return records[number]
        return self.born.maker.born(kind, number) if self.born.maker.has(kind, number) else None

    def find(self, own_id: str, *kinds: str) -> Record | None:
        """By id of either length, if it is of one of these objects."""
        found = record_of(own_id)
        return self.get(*found) if found is not None and found[0] in kinds else None

    def roles_of(self, contact: Record) -> Iterator[Record]:
        rows = self.rows[ROLE]
        born = self.get(ROLE, contact.number) if contact.number not in rows.records else None
        if born is not None:
            yield born
        own_id = contact.id
        for number in rows.numbers:
            one = rows.records[number]
            if one is not None and one.values["ContactId"] == own_id:
                yield one

    def frozen(self) -> "View":
        """This picture, kept while the original goes on."""
        rows = {}
        for kind, one in self.rows.items():
            rows[kind] = copy = Rows()
            copy.records, copy.numbers, copy.stamps = dict(one.records), list(one.numbers), list(one.stamps)
        return View(self.born, rows)


class Born:
    """The untouched population in the orders that lists are walked in."""

    def __init__(self, maker: Maker) -> None:
        self.maker = maker
        self._numbers: dict[str, Sequence[int]] = dict(maker.numbers)
        self._by_stamp: dict[str, Sequence[int]] = {}

    def numbers(self, kind: str) -> Sequence[int]:
        if kind not in self._numbers:
            self._numbers[kind] = array("q", self.maker.roles()) if kind in (ROLE, OPPORTUNITY) else ()
        return self._numbers[kind]

    def by_stamp(self, kind: str) -> Sequence[int]:
        """By ``SystemModstamp`` and number. Sorted once, whatever is asked afterwards."""
        if kind not in PEOPLE:
            return self.numbers(kind)
        if kind not in self._by_stamp:
            second = self.maker.second
            keys = sorted((second(kind, number), number) for number in self.numbers(kind))
            self._by_stamp[kind] = array("q", (number for _, number in keys))
        return self._by_stamp[kind]


class Store:
    """The organisation's records. Ids are never used twice."""

    def __init__(self, population: Population, clock: Clock) -> None:
        self.population = population
        self.clock = clock
        self.maker = Maker(population)
        born = Born(self.maker)
        self.now = View(born)
        self._committed = View(born)
        self._waiting: deque[tuple[int, list[Change]]] = deque()
        self.commit_lag_s = 0.0
        self.undelete_is_stamped = True
        self.cascade_is_stamped = True
        """Both unconfirmed of the vendor: a test can have the harder case."""
        count = population.count
        self._made = {CONTACT: count, LEAD: count, ROLE: count, OPPORTUNITY: count, ACCOUNT: len(FIRMS)}
        self._found()

    def _found(self) -> None:
        """The small tables, which are older than anybody."""
        at = self.clock.start_ms - 4 * 365 * 86_400_000
        found = [*self.maker.firms(at)]
        rows: list[tuple[str, int, dict[str, Json]]] = [("User", one.number, one.values()) for one in USERS]
        for kind, all_values in static_rows().items():
            rows += [(kind, number, values) for number, values in enumerate(all_values)]
        rows.append(("Organization", 1, organization()))
        found += [Record(kind, number, {**BLANK[kind], **values}, at, at, at) for kind, number, values in rows]
        assert id_of("Organization", 1) == ORG_ID
        self._change([(one.kind, one.number, one) for one in found])

    def committed(self) -> View:
        """What can be read as of now."""
        now = self.clock.now_ms()
        while self._waiting and self._waiting[0][0] <= now:
            self._committed.apply(self._waiting.popleft()[1])
        return self._committed

    def put(self, records: Iterable[Record]) -> None:
        self._change([(one.kind, one.number, one) for one in records])

    def create(self, kind: str, values: Values, *, at_ms: int | None = None) -> Record:
        at = self.clock.now_ms() if at_ms is None else at_ms
        number = self._made[kind]
        self._made[kind] += 1
        made = Record(kind, number, {**BLANK[kind], **values}, at, at, at)
        self.put([made])
        return made

    def changed(self, record: Record, values: Values, *, at_ms: int | None = None) -> Record:
        at = self.clock.now_ms() if at_ms is None else at_ms
        return replace(record, values={**record.values, **values}, edited_ms=at, modified_ms=at)

    def change(self, record: Record, values: Values, *, at_ms: int | None = None) -> Record:
        changed = self.changed(record, values, at_ms=at_ms)
        self.put([changed])
        return changed

    def delete(self, record: Record, *, master: str | None = None, is_stamped: bool = True) -> Record:
        """Into the recycle bin, where ``queryAll`` still finds it. The stamp moves."""
        now = self.clock.now_ms()
        gone = replace(record, deleted_ms=now, modified_ms=now if is_stamped else record.modified_ms, master=master)
        self.put([gone])
        return gone

    def undelete(self, record: Record) -> Record:
        """The same id comes back; nothing that was merged comes apart."""
        at = self.clock.now_ms() if self.undelete_is_stamped else record.modified_ms
        back = replace(record, deleted_ms=None, modified_ms=at, master=None)
        self.put([back])
        return back

    def erase(self, record: Record) -> None:
        """Out of the recycle bin as well: nothing is left to read."""
        self._change([(record.kind, record.number, None)])

    def merge(self, master: Record, loser: Record) -> Record:
        """The master keeps its id and takes what it lacks; the loser is deleted and points to it."""
        filled = {name: value for name, value in loser.values.items() if master.values[name] in (None, "")}
        self.delete(loser, master=master.id)
        return self.change(master, filled)

    def account_named(self, name: str) -> Record:
        """The first with this name, or a new one."""
        if name in FIRMS:
            known = self.now.get(ACCOUNT, FIRMS.index(name))
            if known is not None and known.values["Name"] == name:
                return known
        for number in self.now.rows[ACCOUNT].numbers:
            one = self.now.rows[ACCOUNT].records[number]
            if one is not None and one.values["Name"] == name and one.deleted_ms is None:
                return one
        return self.create(ACCOUNT, {"Name": name})

    def live(self) -> Iterator[Record]:
        """Leads that were not converted, and contacts, by ascending id."""
        for kind in PEOPLE:
            yield from self.live_of(kind)

    def live_of(self, kind: str, start: int = 0) -> Iterator[Record]:
        """From this number on."""
        rows, maker = self.now.rows[kind], self.maker
        for number in self.live_numbers(kind, start):
            found = rows.records.get(number)
            yield found if found is not None else maker.born(kind, number)

    def live_numbers(self, kind: str, start: int = 0) -> Iterator[int]:
        rows, born = self.now.rows[kind], self.now.born.numbers(kind)
        for at in range(bisect_left(born, start), len(born)):
            if (number := born[at]) not in rows.records or _is_live(rows.records[number]):
                yield number
        for number in rows.numbers[bisect_left(rows.numbers, start) :]:
            if number >= self.population.count and _is_live(rows.records[number]):
                yield number

    def live_count(self) -> int:
        count = 0
        for kind in PEOPLE:
            rows = self.now.rows[kind].records
            touched = sum(number < self.population.count for number in rows)
            count += len(self.now.born.numbers(kind)) - touched + sum(_is_live(one) for one in rows.values())
        return count

    def _change(self, changes: list[Change]) -> None:
        self.now.apply(changes)
        if self.commit_lag_s > 0 or self._waiting:
            self._waiting.append((self.clock.now_ms() + int(self.commit_lag_s * 1000), changes))
        else:
            self._committed.apply(changes)


def _is_live(record: Record | None) -> bool:
    return record is not None and record.deleted_ms is None and record.values.get("IsConverted") is not True
