"""Deals: which a person has from the start, and what has happened to them since."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Json
from leadloom.sandbox.people import Persona
from leadloom.sandbox.pipedrive.index import Index
from leadloom.sandbox.pipedrive.records import Ids, Maker, Record, stamp
from leadloom.sandbox.pipedrive.staff import BY_STAGE, STAGES

FIRST_DEAL = 500_001


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    id: int
    person_id: int | None
    org_id: int | None
    owner_id: int
    stage_id: int
    status: str
    created_ms: int
    modified_ms: int
    deleted_ms: int | None = None

    def row(self) -> dict[str, Json]:
        closed = None if self.status == "open" else stamp(self.modified_ms)
        return {
            "id": self.id,
            "title": f"Deal {self.id}",
            "creator_user_id": self.owner_id,
            "owner_id": self.owner_id,
            "person_id": self.person_id,
            "org_id": self.org_id,
            "pipeline_id": BY_STAGE[self.stage_id].pipeline_id,
            "stage_id": self.stage_id,
            "value": 1200,
            "currency": "USD",
            "add_time": stamp(self.created_ms),
            "update_time": stamp(self.modified_ms),
            "stage_change_time": stamp(self.modified_ms),
            "status": self.status,
            "is_archived": False,
            "is_deleted": self.deleted_ms is not None,
            "probability": None,
            "lost_reason": None,
            "visible_to": 3,
            "close_time": closed,
            "won_time": closed if self.status == "won" else None,
            "lost_time": closed if self.status == "lost" else None,
            "expected_close_date": None,
            "label_ids": [],
            "origin": "ManuallyCreated",
            "origin_id": None,
            "channel": None,
            "channel_id": None,
            "source_lead_id": None,
            "custom_fields": {},
        }


class Deals:
    """The company's deals."""

    def __init__(self, maker: Maker, ids: Ids, clock: Clock) -> None:
        self._maker = maker
        self._ids = ids
        self._clock = clock
        self._changed: dict[int, Deal] = {}
        self._gained: dict[int, list[int]] = {}
        """Deals of a person that are not as they were at the start."""
        self._made = 0
        self.index = Index(self._rows_at_start())
        """Of those that are not deleted."""
        self.version = 0
        """Goes up with every change."""

    def get(self, own_id: int) -> Deal | None:
        """In whatever state."""
        if own_id in self._changed:
            return self._changed[own_id]
        number, is_later = divmod(own_id - FIRST_DEAL, 2)
        if not 0 <= number < self._ids.count:
            return None
        return next((one for one in self._born(number) if (one.id - FIRST_DEAL) % 2 == is_later), None)

    def of_person(self, person_id: int) -> list[Deal]:
        """Not the deleted ones; ascending by id."""
        number = self._ids.number(person_id)
        ids = [one.id for one in self._born(number)] if number is not None else []
        found = (self.get(own_id) for own_id in sorted({*ids, *self._gained.get(person_id, [])}))
        return [one for one in found if one and one.person_id == person_id and one.deleted_ms is None]

    def counts(self, person_id: int) -> Counter[str]:
        """How many deals a person has of each status, the deleted ones left out."""
        number = self._ids.number(person_id)
        if number is None or person_id in self._gained:
            return Counter(one.status for one in self.of_person(person_id))
        return Counter(_statuses(self._maker.persona(number)))

    def deleted(self) -> list[Deal]:
        return [one for one in self._changed.values() if one.deleted_ms is not None]

    def move(self, person: Record, *, stage_id: int, status: str) -> Deal:
        """The person's last deal goes to a stage; one is made if there is none. ``update_time`` of the person does not
        move: whether it does is unconfirmed, and this is the harder case."""
        now = self._clock.now_ms()
        mine = self.of_person(person.id)
        if mine:
            return self._put(replace(mine[-1], stage_id=stage_id, status=status, modified_ms=now))
        self._made += 1
        org, owner = person.values["org_id"], person.values["owner_id"]
        return self._put(
            Deal(
                id=FIRST_DEAL + 2 * self._ids.count + self._made,
                person_id=person.id,
                org_id=org if isinstance(org, int) else None,
                owner_id=int(str(owner)),
                stage_id=stage_id,
                status=status,
                created_ms=now,
                modified_ms=now,
            )
        )

    def delete(self, one: Deal) -> None:
        now = self._clock.now_ms()
        self._put(replace(one, deleted_ms=now, modified_ms=now))

    def hand_over(self, loser: Record, winner: Record) -> None:
        """In a merge."""
        self._gained.setdefault(loser.id, [])
        for one in self.of_person(loser.id):
            self._put(replace(one, person_id=winner.id, modified_ms=self._clock.now_ms()))

    def _put(self, one: Deal) -> Deal:
        old = self.get(one.id)
        if old is not None:
            self.index.remove(old.id, created_ms=old.created_ms, modified_ms=old.modified_ms)
        if one.deleted_ms is None:
            self.index.add(one.id, created_ms=one.created_ms, modified_ms=one.modified_ms)
        self.version += 1
        self._changed[one.id] = one
        if one.person_id is not None and one.id not in self._gained.setdefault(one.person_id, []):
            self._gained[one.person_id].append(one.id)
        return one

    def _rows_at_start(self) -> Iterator[tuple[int, int, int]]:
        for number in range(self._ids.count):
            statuses = _statuses(self._maker.persona(number))
            if statuses:
                made = self._maker.created_ms(number)
                for at in range(2 - len(statuses), 2):
                    yield FIRST_DEAL + 2 * number + at, made, made

    def _born(self, number: int) -> list[Deal]:
        persona = self._maker.persona(number)
        statuses = _statuses(persona)
        if not statuses:
            return []
        person = self._maker.born(number)
        org, owner = person.values["org_id"], person.values["owner_id"]
        deal = Deal(
            id=FIRST_DEAL + 2 * number + 1,
            person_id=person.id,
            org_id=org if isinstance(org, int) else None,
            owner_id=int(str(owner)),
            stage_id=STAGES[persona.stage % len(STAGES)].id,
            status=statuses[-1],
            created_ms=person.created_ms,
            modified_ms=person.created_ms,
        )
        if len(statuses) == 1:
            return [deal]
        stage = STAGES[(persona.stage + 1) % len(STAGES)]
        return [replace(deal, id=deal.id - 1, stage_id=stage.id, status=statuses[0]), deal]


def _statuses(one: Persona) -> tuple[str, ...]:
    """Of the deals that such a person has: two in five have one, some of them an older one that is lost as well."""
    if one.status is None or one.status % 5 > 1:
        return ()
    later = "won" if one.status % 7 == 0 else "open"
    return (later,) if one.status % 3 else ("lost", later)
