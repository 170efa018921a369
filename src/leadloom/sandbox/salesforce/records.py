"""Records, and the population as Salesforce's: two of five people are leads, the others contacts, some with a deal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from leadloom.sandbox.clock import DAY_MS, iso
from leadloom.sandbox.http import Json
from leadloom.sandbox.names import FIRMS
from leadloom.sandbox.people import Person, Persona, Population
from leadloom.sandbox.salesforce.catalogue import (
    ACCOUNT,
    CONTACT,
    FIELDS,
    LEAD,
    OPPORTUNITY,
    PEOPLE,
    ROLE,
    SOURCES,
    STAGES,
    STATUSES,
)
from leadloom.sandbox.salesforce.ids import id_of
from leadloom.sandbox.salesforce.staff import LEAD_OWNERS, OWNERS, US, is_closed

type Values = Mapping[str, Json]

NOT_PROVIDED = "[not provided]"
"""What Salesforce itself writes where a form left a required field empty."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of any object as it is now. Never altered: a change makes a new one."""

    kind: str
    number: int
    values: Values
    created_ms: int
    edited_ms: int
    """``LastModifiedDate``: the last change a person would call one."""
    modified_ms: int
    """``SystemModstamp``: also moved by what the platform does by itself."""
    deleted_ms: int | None = None
    master: str | None = None
    """The record that it was merged into."""

    @property
    def id(self) -> str:
        return id_of(self.kind, self.number)

    @property
    def second(self) -> int:
        return self.modified_ms // 1000


type Reader = Callable[[Record], Json]
"""A field's value: times as milliseconds."""

_SYSTEM: dict[str, Reader] = {
    "Id": lambda one: one.id,
    "IsDeleted": lambda one: one.deleted_ms is not None,
    "MasterRecordId": lambda one: one.master,
    "CreatedDate": lambda one: one.created_ms // 1000 * 1000,
    "LastModifiedDate": lambda one: one.edited_ms // 1000 * 1000,
    "SystemModstamp": lambda one: one.modified_ms // 1000 * 1000,
}
_OF_PEOPLE: dict[str, Reader] = {
    "Name": lambda one: " ".join(
        str(part) for part in (one.values["Salutation"], one.values["FirstName"], one.values["LastName"]) if part
    ),
    "MailingAddress": lambda one: _address(one, "Mailing"),
    "Address": lambda one: _address(one, ""),
}
_OF_OPPORTUNITIES: dict[str, Reader] = {
    "IsClosed": lambda one: is_closed(one.values["StageName"]),
    "IsWon": lambda one: one.values["StageName"] == "Closed Won",
}
_WORKED_OUT = {
    CONTACT: _SYSTEM | _OF_PEOPLE,
    LEAD: _SYSTEM | _OF_PEOPLE,
    OPPORTUNITY: _SYSTEM | _OF_OPPORTUNITIES,
}
BLANK: dict[str, Values] = {
    kind: {
        field.name: False if field.type == "boolean" else US.id if field.name.endswith("ById") else None
        for field in fields
        if field.name not in _WORKED_OUT.get(kind, _SYSTEM)
    }
    for kind, fields in FIELDS.items()
}
BLANK[LEAD] = {**BLANK[LEAD], "Status": STATUSES[0].value}
"""What a record of each object can hold, beside what Salesforce works out itself."""
KNOWN_UNREAD = frozenset(
    {*_SYSTEM, "IsConverted", "ConvertedDate", "ConvertedContactId", "ConvertedAccountId", "ConvertedOpportunityId"}
)
"""Fields whose values of an untouched person are known without making up the person."""


def is_held(kind: str, name: str) -> bool:
    """Whether the field is one of the record's values, as they are."""
    return name not in _WORKED_OUT.get(kind, _SYSTEM)


def reader(kind: str, name: str) -> Reader:
    found = _WORKED_OUT.get(kind, _SYSTEM).get(name)
    return found or (lambda one: one.values.get(name))


def _address(one: Record, front: str) -> Json:
    names = ("Street", "City", "State", "PostalCode", "Country")
    parts: dict[str, Json] = {f"{name[0].lower()}{name[1:]}": one.values.get(f"{front}{name}") for name in names}
    if not any(parts.values()):
        return None
    return {**parts, "geocodeAccuracy": None, "latitude": None, "longitude": None}


def rest_time(ms: int) -> str:
    """``2026-05-01T07:25:37.000+0000``."""
    return f"{iso(ms // 1000 * 1000)[:-1]}+0000"


def bulk_time(ms: int) -> str:
    """``2026-05-01T07:25:37.000Z``."""
    return iso(ms // 1000 * 1000)


class Numbers(Sequence[int]):
    """The numbers below ``count`` that leave one of these remainders when divided by five."""

    def __init__(self, count: int, remainders: tuple[int, ...]) -> None:
        self._remainders = remainders
        self._width = len(remainders)
        whole, rest = divmod(count, 5)
        self._length = whole * self._width + sum(one < rest for one in remainders)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> int: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...

    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(self._length))]
        if not 0 <= at < self._length:
            raise IndexError(at)
        whole, rest = divmod(at, self._width)
        return whole * 5 + self._remainders[rest]


class Maker:
    """Makes records as they were born, from the population. Numbers follow creation."""

    def __init__(self, population: Population) -> None:
        self._population = population
        self._timeline = population.timeline
        self._count = population.count
        self.numbers: dict[str, Sequence[int]] = {
            CONTACT: Numbers(self._count, (0, 2, 4)),
            LEAD: Numbers(self._count, (1, 3)),
        }

    def has(self, kind: str, number: int) -> bool:
        """Whether something was born with this number."""
        if not 0 <= number < self._count:
            return False
        if kind in PEOPLE:
            return (number % 5 in (1, 3)) == (kind == LEAD)
        return kind in (ROLE, OPPORTUNITY) and self._has_deal(number)

    def roles(self) -> list[int]:
        """Every deal of the population: one a contact at most, with the contact's number."""
        return [number for number in self.numbers[CONTACT] if self._has_deal(number)]

    def _has_deal(self, number: int) -> bool:
        """Two in five contacts."""
        if number % 5 in (1, 3):
            return False
        population = self._population
        status = population.persona(population.persona_index(self._place(number))).status
        return status is not None and status % 5 < 2

    def _place(self, number: int) -> int:
        return self._timeline.place(self._count - 1 - number)

    def second(self, kind: str, number: int) -> int:
        """``SystemModstamp``."""
        created, modified = self._timeline.times(self._place(number))
        return (modified if kind in PEOPLE else created) // 1000

    def created_ms(self, number: int) -> int:
        return self._timeline.times(self._place(number))[0]

    def sketch(self, kind: str, number: int) -> Record:
        """With its times, and of its values only what all have in common."""
        created, modified = self._timeline.times(self._place(number))
        return Record(kind, number, BLANK[kind], created, _edited(created, modified), modified)

    def born(self, kind: str, number: int) -> Record:
        place = self._place(number)
        population = self._population
        persona = population.persona(population.persona_index(place))
        if kind in PEOPLE:
            person = population.person_of(persona, place)
            values = _lead(person, number) if kind == LEAD else _contact(person, number)
            created, modified = person.created_ms, person.modified_ms
            return Record(kind, number, values, created, _edited(created, modified), modified)
        created = self._timeline.times(place)[0]
        values = _deal(persona, number, created) if kind == OPPORTUNITY else _role(number)
        return Record(kind, number, values, created, created, created)

    def firms(self, at_ms: int) -> Iterator[Record]:
        """The accounts there are, one for each firm."""
        for number, firm in enumerate(FIRMS):
            values = {**BLANK[ACCOUNT], "Name": firm, "OwnerId": OWNERS[number % len(OWNERS)]}
            yield Record(ACCOUNT, number, values, at_ms, at_ms, at_ms)


_SEVEN_HOURS, _NINE_HOURS = 7 * 3_600_000, 9 * 3_600_000 + 300_000


def _edited(created: int, modified: int) -> int:
    """What the platform does in the night after a record was made is nobody's edit."""
    return created if _SEVEN_HOURS <= modified - created <= _NINE_HOURS else modified


def _activity(person: Person) -> str | None:
    """A day in no zone; of a task that is still to be done, one that lies ahead."""
    spoke = person.persona.contacted_after_m
    if spoke is None:
        return None
    ahead = 20 * DAY_MS if person.persona.stage % 29 == 0 else -spoke * 60_000
    return iso(max(person.created_ms, person.modified_ms + ahead))[:10]


def _shared(person: Person) -> dict[str, Json]:
    one = person.persona
    return {
        "FirstName": one.first if one.last else None,
        "LastName": one.last or one.first or NOT_PROVIDED,
        "Phone": person.phone or None,
        "MobilePhone": person.mobile or None,
        "Email": person.email or None,
        "Title": one.job,
        "Description": one.remark,
        "LeadSource": SOURCES[one.stage % len(SOURCES)].value,
        "HasOptedOutOfEmail": bool(one.opted_out),
        "DoNotCall": one.stage % 41 == 0,
        "Do_Not_Text__c": bool(one.texting_refused),
        "LastActivityDate": _activity(person),
    }


def _lead(person: Person, number: int) -> Values:
    one = person.persona
    return {
        **BLANK[LEAD],
        **_shared(person),
        "OwnerId": LEAD_OWNERS[(one.owner or 0) % len(LEAD_OWNERS)],
        "Company": one.company or (NOT_PROVIDED if one.firm is None else FIRMS[one.firm]),
        "Street": _street(number),
        "City": one.city,
        "State": one.state or None,
        "Country": one.country,
        # Those that were converted are the business of whoever converts one.
        "Status": STATUSES[(0, 1, 2, 4)[(one.status or 0) % 4]].value,
        "Rating": None if one.status is None else ("Hot", "Warm", "Cold")[one.status % 3],
    }


def _contact(person: Person, number: int) -> Values:
    one = person.persona
    return {
        **BLANK[CONTACT],
        **_shared(person),
        "OwnerId": OWNERS[(one.owner or 0) % len(OWNERS)],
        "AccountId": None if one.firm is None else id_of(ACCOUNT, one.firm),
        "MailingStreet": _street(number),
        "MailingCity": one.city,
        "MailingState": one.state or None,
        "MailingCountry": one.country,
    }


def _street(number: int) -> str | None:
    if number % 3 == 0:
        return None
    return f"{number % 211 + 1} Market Street" + ("\nSecond floor" if number % 7 == 0 else "")


def _deal(one: Persona, number: int, created_ms: int) -> Values:
    return {
        **BLANK[OPPORTUNITY],
        "AccountId": None if one.firm is None else id_of(ACCOUNT, one.firm),
        "Name": f"Deal {number}",
        "StageName": STAGES[one.stage % len(STAGES)].value,
        "Amount": 1200.0,
        "CloseDate": iso(created_ms + 90 * DAY_MS)[:10],
        "OwnerId": OWNERS[(one.owner or 0) % len(OWNERS)],
    }


def _role(number: int) -> Values:
    return {
        **BLANK[ROLE],
        "OpportunityId": id_of("Opportunity", number),
        "ContactId": id_of(CONTACT, number),
        "Role": "Decision Maker",
        "IsPrimary": number % 4 > 0,
    }
