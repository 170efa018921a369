"""What has happened to the persons since the start, laid over the untouched population."""

from collections.abc import Iterable
from dataclasses import replace

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Json
from leadloom.sandbox.people import Population
from leadloom.sandbox.pipedrive.deals import Deals
from leadloom.sandbox.pipedrive.index import Index, id_at
from leadloom.sandbox.pipedrive.organizations import Organizations
from leadloom.sandbox.pipedrive.records import BLANK, Ids, Maker, Record, Values
from leadloom.sandbox.pipedrive.staff import USERS
from leadloom.sandbox.timeline import SPAN_MS


class Store:
    """The company's persons, with their organizations and deals. Ids are never used twice."""

    def __init__(self, population: Population, clock: Clock) -> None:
        self.population = population
        self.clock = clock
        self.ids = Ids(population)
        self._maker = Maker(population, self.ids)
        self._changed: dict[int, Record] = {}
        self.index = Index(self._rows_at_start())
        """Of those that are not deleted."""
        self.deals = Deals(self._maker, self.ids, clock)
        self.organizations = Organizations(
            tuple(one.id for one in USERS if one.is_active), clock.start_ms - SPAN_MS - 30 * 86_400_000
        )
        self._made = population.count
        self.version = 0
        self.stamps_restored = False
        """Whether a person who comes back counts as changed: unconfirmed, so the harder case."""

    def _rows_at_start(self) -> Iterable[tuple[int, int, int]]:
        times, place_of = self.population.timeline.times, self.ids.place_of_number
        return ((self.ids.numbered(number), *times(place_of(number))) for number in range(self.ids.count))

    def get(self, own_id: int) -> Record | None:
        """In whatever state, as long as its id is known."""
        found = self._changed.get(own_id)
        if found is None and (number := self.ids.number(own_id)) is not None:
            return self._maker.born(number)
        return None if found is None or found.is_gone(self.clock.now_ms()) else found

    def live_ids(self) -> list[int]:
        return list(self.index.all("id"))

    def deleted(self) -> list[Record]:
        now = self.clock.now_ms()
        return [one for one in self._changed.values() if one.deleted_ms is not None and not one.is_gone(now)]

    def create(self, values: Values, *, at_ms: int | None = None) -> Record:
        at = self.clock.now_ms() if at_ms is None else at_ms
        own_id = self.ids.numbered(self._made)
        self._made += 1
        return self._put(Record(id=own_id, values={**BLANK, **values}, created_ms=at, modified_ms=at))

    def change(self, record: Record, values: Values, *, at_ms: int | None = None) -> Record:
        at = self.clock.now_ms() if at_ms is None else at_ms
        return self._put(replace(record, values={**record.values, **values}, modified_ms=at))

    def delete(self, record: Record, *, for_good: bool = False) -> Record:
        now = self.clock.now_ms()
        return self._put(replace(record, deleted_ms=now, modified_ms=now, is_erased=for_good))

    def restore(self, record: Record) -> Record:
        """The same id comes back. Only the person at the screen can do it."""
        modified = self.clock.now_ms() if self.stamps_restored else record.modified_ms
        return self._put(replace(record, deleted_ms=None, modified_ms=modified))

    def merge(self, winner: Record, loser: Record) -> Record:
        """The winner's values win and its blanks are filled; numbers, addresses, labels and deals are joined. The loser
        is deleted, and nothing points from one to the other."""
        self.deals.hand_over(loser, winner)
        self.delete(loser)
        ours, theirs = winner.values, loser.values
        values = {name: theirs[name] if value in (None, [], {}, "") else value for name, value in ours.items()}
        for name in ("phones", "emails"):
            values[name] = _joined(ours[name], theirs[name])
        values["label_ids"] = [*_list(ours["label_ids"]), *(
            one for one in _list(theirs["label_ids"]) if one not in _list(ours["label_ids"])
        )]  # fmt: skip
        return self.change(winner, values)

    def _put(self, record: Record) -> Record:
        self.version += 1
        old = self._changed.get(record.id) or (self.get(record.id))
        if old is not None:
            self.index.remove(old.id, created_ms=old.created_ms, modified_ms=old.modified_ms)
        self._changed[record.id] = record
        if record.deleted_ms is None:
            self.index.add(record.id, created_ms=record.created_ms, modified_ms=record.modified_ms)
        return record

    def changed_since(self, second: int) -> list[int]:
        """Ids of live and deleted persons, by ascending change: what "recents" tell of."""
        gone = [(one.modified_ms // 1000, one.id) for one in self.deleted() if one.modified_ms // 1000 >= second]
        live = [(place >> 32, id_at(place)) for place in self.index.changed(second, None)]
        return [own_id for _, own_id in sorted([*live, *gone])]


def _list(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value


def _joined(ours: Json, theirs: Json) -> Json:
    """Ours first; theirs that we have not, none of them primary."""
    mine = _list(ours)
    known = {one["value"] for one in mine if isinstance(one, dict)}
    new = [one for one in _list(theirs) if isinstance(one, dict) and one["value"] not in known]
    return [*mine, *({**one, "primary": not mine and at == 0} for at, one in enumerate(new))]
