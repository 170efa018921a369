"""What has happened to the contacts since the start, laid over the untouched population.

Two views are kept: the object store, which changes at once, and the search index, which follows after a delay.
"""

from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.hubspot.companies import company_id
from leadloom.sandbox.hubspot.records import Ids, Record
from leadloom.sandbox.people import Population

type Change = tuple[int, Record | None]
"""An id and what it holds now; None: gone for good."""

_MANY = 200


class View:
    """One consistent picture: records that differ from the population, and the ids they answer for."""

    def __init__(self, ids: Ids, count: int) -> None:
        self._ids = ids
        self._count = count
        self.records: dict[int, Record] = {}
        self.live: list[int] = []
        self.archived: list[int] = []
        self.covered: set[int] = set()
        """Places whose untouched form is no longer true."""
        self.version = 0

    def apply(self, changes: Sequence[Change]) -> None:
        self.version += 1
        few = len(changes) < _MANY
        for own_id, record in changes:
            if few:
                self._unlist(own_id)
                self._list(record)
            if record is None:
                self.records.pop(own_id, None)
            else:
                self.records[own_id] = record
            place = self._ids.place(own_id)
            if place is not None and place < self._count:
                self.covered.add(place)
        if not few:
            self._relist()

    def born(self, own_id: int) -> int | None:
        """The place of an untouched contact with this id."""
        place = self._ids.place(own_id)
        return place if place is not None and place < self._count and place not in self.covered else None

    def untouched(self, place: int, limit: int) -> range | list[int]:
        """Up to ``limit`` places from ``place`` on that nobody has touched."""
        end = min(place + limit, self._count)
        if not self.covered:
            return range(place, end)
        found: list[int] = []
        while place < self._count and len(found) < limit:
            if place not in self.covered:
                found.append(place)
            place += 1
        return found

    def _unlist(self, own_id: int) -> None:
        old = self.records.get(own_id)
        if old is not None:
            ids = self.live if old.archived_ms is None else self.archived
            del ids[bisect_left(ids, own_id)]

    def _list(self, record: Record | None) -> None:
        if record is not None:
            insort(self.live if record.archived_ms is None else self.archived, record.id)

    def _relist(self) -> None:
        self.live = sorted(one.id for one in self.records.values() if one.archived_ms is None)
        self.archived = sorted(one.id for one in self.records.values() if one.archived_ms is not None)


class Store:
    """The portal's contacts. Every change moves ``lastmodifieddate``; ids are never used twice."""

    def __init__(self, population: Population, clock: Clock) -> None:
        self.population = population
        self.clock = clock
        self.ids = Ids(population.seed)
        self.now = View(self.ids, population.count)
        self._index = View(self.ids, population.count)
        self._waiting: deque[tuple[int, list[Change]]] = deque()
        self._forwards: dict[int, int] = {}
        self._dice = Random(f"new ids {population.seed}")
        self._beyond = population.count
        self.by_email: dict[str, int] = {}
        self.blocked_emails: set[str] = set()
        self.index_lag_s = 0.0

    def index(self) -> View:
        """The search index as of now."""
        now = self.clock.now_ms()
        while self._waiting and self._waiting[0][0] <= now:
            self._index.apply(self._waiting.popleft()[1])
        return self._index

    def get(self, own_id: int) -> Record | None:
        """Live or archived."""
        found = self.now.records.get(own_id)
        if found is None and (place := self.now.born(own_id)) is not None:
            return self.born(place)
        return found

    def born(self, place: int) -> Record:
        person = self.population.person(place)
        firm = person.persona.firm
        return Record(
            id=self.ids.of(place),
            place=place,
            changes={},
            created_ms=person.created_ms,
            modified_ms=person.modified_ms,
            companies=() if firm is None else (company_id(firm),),
        )

    def resolve(self, own_id: int) -> int:
        """Where a merged contact's former id leads."""
        while own_id in self._forwards:
            own_id = self._forwards[own_id]
        return own_id

    def forward(self, old_id: int, new_id: int) -> None:
        self._forwards[old_id] = new_id

    def put(self, records: Iterable[Record]) -> None:
        records = list(records)
        for record in records:
            email = record.changes.get("email")
            if email:
                self.by_email.setdefault(email, record.id)
        self._change([(record.id, record) for record in records])

    def remove(self, own_ids: Iterable[int]) -> None:
        self._change([(own_id, None) for own_id in own_ids])

    def change(self, record: Record, properties: dict[str, str | None], *, at_ms: int | None = None) -> Record:
        changed = replace(
            record,
            changes=record.changes | properties,
            modified_ms=self.clock.now_ms() if at_ms is None else at_ms,
        )
        self.put([changed])
        return changed

    def new_id(self) -> int:
        """Mostly between two old ids, so that it can land behind a reader's cursor; sometimes beyond the last."""
        while True:
            if self.population.count == 0 or self._dice.random() < 0.3:
                self._beyond += 1
                place = self._beyond
            else:
                place = self._dice.randrange(self.population.count)
            own_id = self.ids.gap(place, self._dice.randrange(Ids.GAPS))
            if own_id not in self.now.records and own_id not in self._forwards:
                return own_id

    def live_count(self) -> int:
        return self.population.count - len(self.now.covered) + len(self.now.live)

    def some_live_ids(self, count: int) -> array[int]:
        """``count`` live contacts spread over the portal, for mass changes."""
        found = array("q")
        step = max(1, self.population.count // max(count, 1))
        places = [*range(0, self.population.count, step)]
        for place in [*places, *(one for one in range(self.population.count) if one % step)]:
            if len(found) >= count:
                return found
            if place not in self.now.covered:
                found.append(self.ids.of(place))
        found.extend(self.now.live[: count - len(found)])
        return found

    def _change(self, changes: list[Change]) -> None:
        self.now.apply(changes)
        if self.index_lag_s > 0 or self._waiting:
            self._waiting.append((self.clock.now_ms() + int(self.index_lag_s * 1000), changes))
        else:
            self._index.apply(changes)
