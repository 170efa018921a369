"""What has happened to leads and contacts since the start, laid over the untouched population."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import replace

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.people import Population
from leadloom.sandbox.zoho.catalogue import CONTACTS, LEADS, MODULES
from leadloom.sandbox.zoho.records import BLANK, Ids, Maker, Record, Values
from leadloom.sandbox.zoho.staff import account_named

BY_US = 4876876000000377001
"""The user whom changes made here are put down to."""


class Store:
    """The organisation's people. Ids are never used twice."""

    def __init__(self, population: Population, clock: Clock) -> None:
        self.population = population
        self.clock = clock
        self.ids = Ids(population)
        self._maker = Maker(population, self.ids)
        self.records: dict[int, Record] = {}
        """Those made or changed since the start."""
        self.live: dict[str, list[int]] = {module: [] for module in MODULES}
        """Ids of each module, ascending, without converted and deleted ones."""
        self.converted: list[int] = []
        self._made = population.count
        self.version = 0
        self.stamps_restored = False
        """Whether a record that comes back from the recycle bin counts as modified: unconfirmed, so the harder case."""
        for place in range(population.count):
            self.live[self._maker.module(place)].append(self.ids.of(place))
        for ids in self.live.values():
            ids.sort()

    def get(self, own_id: int) -> Record | None:
        """In whatever state."""
        found = self.records.get(own_id)
        if found is None and (place := self.ids.place(own_id)) is not None:
            return self._maker.born(place)
        return found

    def rows(self, ids: Iterable[int]) -> list[Record]:
        found = (self.get(own_id) for own_id in ids)
        return [one for one in found if one is not None]

    def modified_after(self, second: int) -> list[Record]:
        """Leads, converted ones too, and contacts whose last change is later, by whole seconds."""
        places = self.population.timeline.modified_places((second + 1) * 1000, None)
        born = (self.ids.of(place) for place in places)
        untouched = [own_id for own_id in born if own_id not in self.records]
        touched = [one for one in self.records.values() if not one.deleted_ms and one.modified_ms // 1000 > second]
        return [*self.rows(untouched), *touched]

    def deleted(self, module: str) -> list[Record]:
        """The latest first."""
        found = [one for one in self.records.values() if one.module == module and one.deleted_ms is not None]
        return sorted(found, key=lambda one: -(one.deleted_ms or 0))

    def put(self, record: Record) -> Record:
        self.version += 1
        old = self.get(record.id) if record.id in self.records or self.ids.place(record.id) is not None else None
        if old is not None and (listed := self._list_of(old)) is not None:
            at = bisect_left(listed, record.id)
            if at < len(listed) and listed[at] == record.id:
                del listed[at]
        self.records[record.id] = record
        if (listed := self._list_of(record)) is not None:
            insort(listed, record.id)
        return record

    def _list_of(self, record: Record) -> list[int] | None:
        if record.deleted_ms is not None:
            return None
        return self.converted if record.became is not None else self.live[record.module]

    def create(self, module: str, values: Values, *, at_ms: int | None = None) -> Record:
        at = self.clock.now_ms() if at_ms is None else at_ms
        own_id = self.ids.numbered(self._made)
        self._made += 1
        held = {**BLANK[module], **values}
        return self.put(Record(id=own_id, module=module, values=held, created_ms=at, modified_ms=at))

    def change(self, record: Record, values: Values, *, at_ms: int | None = None) -> Record:
        at = self.clock.now_ms() if at_ms is None else at_ms
        return self.put(replace(record, values={**record.values, **values}, modified_ms=at))

    def delete(self, record: Record, *, for_good: bool = False) -> Record:
        return self.put(replace(record, deleted_ms=self.clock.now_ms(), is_erased=for_good, deleted_by=BY_US))

    def restore(self, record: Record) -> Record:
        """The same id comes back."""
        modified = self.clock.now_ms() if self.stamps_restored else record.modified_ms
        return self.put(replace(record, deleted_ms=None, deleted_by=None, modified_ms=modified))

    def merge(self, master: Record, other: Record) -> Record:
        """The master keeps its id, takes what it lacks, and is modified; the other is deleted. Nothing points from one
        to the other."""
        self.delete(other)
        filled = {name: theirs for name, theirs in other.values.items() if master.values[name] in (None, "")}
        return self.change(master, filled)

    def convert(self, lead: Record, into: Record | None = None) -> Record:
        """The contact that the lead becomes, new or one there is already. The lead stays, out of the usual lists."""
        now = self.clock.now_ms()
        mine = lead.values
        contact: Values = {name: mine[name] for name in BLANK[LEADS] if name in BLANK[CONTACTS]}
        company = mine["Company"]
        contact |= {
            "Title": mine["Designation"],
            "Account_Name": account_named(str(company)) if company else None,
            "Mailing_Country": mine["Country"],
            "Mailing_State": mine["State"],
            "Mailing_City": mine["City"],
        }
        if into is None:
            made = self.create(CONTACTS, contact)
        else:
            lacking = {name: value for name, value in contact.items() if into.values[name] in (None, "")}
            made = self.change(into, lacking)
        self.put(replace(lead, became=made.id, converted_ms=now, modified_ms=now))
        return made

    def all_live(self) -> list[int]:
        """Leads that were not converted, and contacts, ascending."""
        return sorted([*self.live[LEADS], *self.live[CONTACTS]])
