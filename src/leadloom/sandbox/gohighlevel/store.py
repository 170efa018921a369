"""What has happened to the contacts since the start, laid over the untouched population.

Two views are kept: the contacts themselves, which change at once, and the search index, which follows after a delay.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.gohighlevel.records import Deal, Ids, Maker, Record
from leadloom.sandbox.people import Population

type Change = tuple[str, Record | None]
"""An id and what it holds now; None: deleted."""


class View:
    """One consistent picture: contacts that differ from the population, and the places whose own form is not true."""

    def __init__(self, ids: Ids, count: int) -> None:
        self._ids = ids
        self._count = count
        self.records: dict[str, Record] = {}
        self.covered: set[int] = set()
        self.version = 0

    def apply(self, changes: Sequence[Change]) -> None:
        self.version += 1
        for own_id, record in changes:
            if record is None:
                self.records.pop(own_id, None)
            else:
                self.records[own_id] = record
            place = self._ids.place(own_id)
            if place is not None and place < self._count:
                self.covered.add(place)

    def born(self, own_id: str) -> int | None:
        """The place of an untouched contact with this id."""
        place = self._ids.place(own_id)
        return place if place is not None and place < self._count and place not in self.covered else None

    @property
    def total(self) -> int:
        return self._count - len(self.covered) + len(self.records)


class Store:
    """The location's contacts and their opportunities. Ids are never used twice."""

    def __init__(self, population: Population, clock: Clock) -> None:
        self.population = population
        self.clock = clock
        self.ids = Ids(population.seed)
        self.maker = Maker(population, self.ids)
        self.now = View(self.ids, population.count)
        self._index = View(self.ids, population.count)
        self._waiting: deque[tuple[int, list[Change]]] = deque()
        self._deleted: dict[str, Record] = {}
        self._made = population.count
        self.index_lag_s = 0.0

    def index(self) -> View:
        """The search index as of now."""
        now = self.clock.now_ms()
        while self._waiting and self._waiting[0][0] <= now:
            self._index.apply(self._waiting.popleft()[1])
        return self._index

    def get(self, own_id: str) -> Record | None:
        found = self.now.records.get(own_id)
        if found is None and (place := self.now.born(own_id)) is not None:
            return self.maker.born(place)
        return found

    def put(self, records: Iterable[Record]) -> None:
        self._change([(record.id, record) for record in records])

    def create(self, values: dict[str, Any], *, at_ms: int | None = None) -> Record:
        at = self.clock.now_ms() if at_ms is None else at_ms
        record = Record(id=self.ids.of(self._made), values=values, deals=(), created_ms=at, modified_ms=at)
        self._made += 1
        self.put([record])
        return record

    def change(self, record: Record, values: dict[str, Any], *, at_ms: int | None = None) -> Record:
        at = self.clock.now_ms() if at_ms is None else at_ms
        changed = replace(record, values=record.values | values, modified_ms=at)
        self.put([changed])
        return changed

    def move(self, record: Record, *, stage: str, status: str) -> Deal:
        """The contact's last opportunity goes to a stage; one is made if there is none. ``dateUpdated`` of the contact
        does not move: whether it does is unconfirmed, and this is the harder case."""
        now = self.clock.now_ms()
        if record.deals:
            deal = replace(record.deals[-1], stage=stage, status=status, updated_ms=now)
        else:
            deal = Deal(
                id=f"o{record.id[1:]}", contact=record.id, stage=stage, status=status, created_ms=now, updated_ms=now
            )
        self.put([replace(record, deals=(*record.deals[:-1], deal))])
        return deal

    def delete(self, record: Record) -> None:
        """Nothing but the person at the screen can bring it back, and nothing lists it."""
        self._deleted[record.id] = record
        self._change([(record.id, None)])

    def restore(self, own_id: str) -> Record | None:
        """The same id comes back, as it was."""
        record = self._deleted.pop(own_id, None)
        if record is not None:
            self.put([record])
        return record

    def erase(self, own_id: str) -> None:
        self._deleted.pop(own_id, None)
        self._change([(own_id, None)])

    def merge(self, winner: Record, loser: Record) -> Record:
        """The winner keeps its id and its values; the loser fills its blanks, and leaves its numbers and addresses."""
        ours, theirs = winner.values, loser.values
        values = {name: value if value not in (None, [], {}) else theirs[name] for name, value in ours.items()}
        for single, several in (("phone", "additionalPhones"), ("email", "additionalEmails")):
            extra = [{single: theirs[single]}, *theirs[several]]
            known = {values[single], *(one[single] for one in ours[several])}
            values[several] = ours[several] + [one for one in extra if one[single] and one[single] not in known]
        values["dnd"] = bool(ours["dnd"] or theirs["dnd"])
        merged = replace(winner, values=values, deals=(*loser.deals, *winner.deals), modified_ms=self.clock.now_ms())
        self._change([(loser.id, None), (winner.id, merged)])
        return merged

    def some_live_ids(self, count: int) -> list[str]:
        """Live contacts spread over the location, for mass changes."""
        step = max(1, self.population.count // max(count, 1))
        places = [*range(0, self.population.count, step), *(n for n in range(self.population.count) if n % step)]
        found = [self.ids.of(place) for place in places if place not in self.now.covered][:count]
        return found + list(self.now.records)[: count - len(found)]

    def _change(self, changes: list[Change]) -> None:
        self.now.apply(changes)
        if self.index_lag_s > 0 or self._waiting:
            self._waiting.append((self.clock.now_ms() + int(self.index_lag_s * 1000), changes))
        else:
            self._index.apply(changes)
