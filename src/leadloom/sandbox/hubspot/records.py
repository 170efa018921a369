"""A contact as HubSpot tells it: which property holds what, and its row as JSON.

Contacts as they were born are rendered from one template per persona and requested properties, filled by a single
``%``: about five microseconds each, so a page of 100 leaves the processor to whoever is being measured. Contacts that
were changed since are rendered the plain way. Both read the same table, ``facts``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from operator import itemgetter

from leadloom.sandbox.clock import iso
from leadloom.sandbox.http import Json, as_json
from leadloom.sandbox.hubspot.companies import company_id
from leadloom.sandbox.hubspot.owners import OWNERS
from leadloom.sandbox.hubspot.properties import STAGES, STATUSES
from leadloom.sandbox.people import PERSONAS, Person, Persona, Population

PORTAL = 24681357
UI_DOMAIN = "app.hubspot.com"
_LANGUAGES = {"US": "en", "GB": "en-gb", "DE": "de", "FR": "fr", "IN": "en-in"}


class Slot(IntEnum):
    """A value that differs from contact to contact of the same persona."""

    ID = 0
    PHONE = 1
    MOBILE = 2
    EMAIL = 3
    E164 = 4
    CREATED = 5
    MODIFIED = 6
    CONTACTED = 7
    E164_DIGITS = 8


type Fact = str | Slot | None


def facts(persona: Persona) -> dict[str, Fact]:
    """Every property that can hold something. A name not listed here is empty."""
    spoke = Slot.CONTACTED if persona.contacted_after_m is not None else None
    parsed = persona.phone is not None
    return {
        "associatedcompanyid": None if persona.firm is None else str(company_id(persona.firm)),
        "city": persona.city,
        "company": persona.company,
        "country": persona.country,
        "createdate": Slot.CREATED,
        "do_not_text": _flag(persona.texting_refused),
        "email": Slot.EMAIL if persona.mailbox else None,
        "firstname": persona.first,
        "hs_calculated_phone_number": Slot.E164 if parsed else None,
        "hs_email_optout": _flag(persona.opted_out),
        "hs_is_unworked": _flag(spoke is None),
        "hs_language": _LANGUAGES[persona.plan.region],
        "hs_last_sales_activity_timestamp": spoke,
        "hs_lead_status": None if persona.status is None else STATUSES[persona.status % len(STATUSES)].value,
        "hs_object_id": Slot.ID,
        "hs_object_source": "IMPORT",
        "hs_object_source_label": "IMPORT",
        "hs_pipeline": "contacts-lifecycle-pipeline",
        "hs_searchable_calculated_international_phone_number": Slot.E164_DIGITS if parsed else None,
        "hubspot_owner_id": None if persona.owner is None else str(OWNERS[persona.owner % len(OWNERS)].id),
        "jobtitle": persona.job,
        "lastmodifieddate": Slot.MODIFIED,
        "lastname": persona.last,
        "lifecyclestage": STAGES[persona.stage % len(STAGES)].value,
        "message": persona.remark,
        "mobilephone": Slot.MOBILE if persona.mobile else None,
        "notes_last_contacted": spoke,
        "notes_last_updated": spoke,
        "num_contacted_notes": None if spoke is None else str(persona.conversations),
        "num_notes": None if spoke is None else str(persona.conversations),
        "phone": Slot.PHONE if parsed or persona.phone_text is not None else None,
        "state": persona.state or None,
    }


def cells(own_id: int, person: Person) -> tuple[str, ...]:
    """What goes into the slots, in their order."""
    persona, phone, mobile, email, e164, created, modified = person
    minutes = persona.contacted_after_m
    spoke = "" if minutes is None else iso(max(created, modified - minutes * 60_000))
    return (str(own_id), phone, mobile, email, e164, iso(created), iso(modified), spoke, e164[1:])


class Ids:
    """Ids grow with the place, with gaps in which contacts made later find room, so those can land anywhere."""

    STEP = 131
    _FIRST = 713_000_000_000
    _JITTER = 128
    GAPS = STEP - _JITTER

    def __init__(self, seed: int) -> None:
        self._first = self._FIRST + (seed % 1000) * 1_000_003
        self._salt = seed * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF

    def of(self, place: int) -> int:
        return self._first + place * 131 + ((place * 2654435761 + self._salt) >> 15 & 127)

    def place(self, own_id: int) -> int | None:
        """The place that was born with this id, of all places there could be."""
        place = (own_id - self._first) // self.STEP
        return place if place >= 0 and self.of(place) == own_id else None

    def first_from(self, own_id: int) -> int:
        """The lowest place whose id is not below ``own_id``."""
        place = max(0, (own_id - self._first) // self.STEP)
        return place if self.of(place) >= own_id else place + 1

    def gap(self, place: int, which: int) -> int:
        return self._first + place * self.STEP + self._JITTER + which


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A contact that was made or changed since the start. Never altered: a change makes a new one."""

    id: int
    place: int | None
    """Whose untouched values lie below ``changes``; None for a contact made later."""
    changes: dict[str, str | None]
    created_ms: int
    modified_ms: int
    companies: tuple[int, ...]
    archived_ms: int | None = None


class Renderer:
    """Rows of one portal's contacts."""

    def __init__(self, population: Population, ids: Ids) -> None:
        self.population = population
        self.ids = ids
        self._shapes: dict[tuple[tuple[str, ...], bool], list[_Template | None]] = {}

    def born_rows(self, places: range | list[int], names: tuple[str, ...], *, companies: bool) -> list[str]:
        """Rows of contacts nobody has touched."""
        shape = self._shape(names, companies)
        population, of = self.population, self.ids.of
        index_of, person_of = population.persona_index, population.person_of
        rows = []
        for place in places:
            index = index_of(place)
            template = shape[index]
            if template is None:
                template = shape[index] = _template(population.persona(index), names, companies=companies)
            persona, text, pick = template
            rows.append(text % pick(cells(of(place), person_of(persona, place))))
        return rows

    def values(self, record: Record) -> dict[str, str | None]:
        """All properties that hold something, by name."""
        values: dict[str, str | None] = {} if record.place is None else self.born_values(record.place)
        values |= record.changes
        values["createdate"] = iso(record.created_ms)
        values["lastmodifieddate"] = iso(record.modified_ms)
        values["hs_object_id"] = str(record.id)
        return {name: value for name, value in values.items() if value not in (None, "")}

    def born_values(self, place: int) -> dict[str, str | None]:
        own = cells(self.ids.of(place), self.population.person(place))
        persona = self.population.persona(self.population.persona_index(place))
        return {name: own[fact] if isinstance(fact, Slot) else fact for name, fact in facts(persona).items()}

    def row(self, record: Record, names: tuple[str, ...], *, companies: bool = False) -> dict[str, Json]:
        values = self.values(record)
        body: dict[str, Json] = {
            "id": str(record.id),
            "properties": {name: values.get(name) for name in names},
            "createdAt": iso(record.created_ms),
            "updatedAt": iso(record.modified_ms),
            "archived": record.archived_ms is not None,
        }
        if record.archived_ms is not None:
            body["archivedAt"] = iso(record.archived_ms)
        body["url"] = _url(str(record.id))
        if companies and record.companies:
            body["associations"] = _associations(record.companies)
        return body

    def row_text(self, record: Record, names: tuple[str, ...], *, companies: bool = False) -> str:
        return as_json(self.row(record, names, companies=companies)).decode()

    def _shape(self, names: tuple[str, ...], companies: bool) -> "list[_Template | None]":
        """Templates by persona. Only a few sets of properties are kept, so odd requests cannot fill the memory."""
        shape = self._shapes.get((names, companies))
        if shape is None:
            if len(self._shapes) >= 6:
                self._shapes.pop(next(iter(self._shapes)))
            shape = self._shapes[names, companies] = [None] * PERSONAS
        return shape


type _Template = tuple[Persona, str, Callable[[tuple[str, ...]], str | tuple[str, ...]]]


def _template(persona: Persona, names: tuple[str, ...], *, companies: bool) -> _Template:
    """The row with ``%s`` where the slots go, and the function that picks their values in that order."""
    known = facts(persona)
    slots = [Slot.ID]
    properties = []
    for name in names:
        fact = known.get(name)
        if isinstance(fact, Slot):
            slots.append(fact)
        value = '"%s"' if isinstance(fact, Slot) else _escaped(fact)
        properties.append(f'"{name}":{value}')
    tail = ""
    if companies and persona.firm is not None:
        tail = f',"associations":{_escaped(_associations((company_id(persona.firm),)))}'
    text = (
        f'{{"id":"%s","properties":{{{",".join(properties)}}},"createdAt":"%s","updatedAt":"%s",'
        f'"archived":false,"url":"{_url("%s")}"{tail}}}'
    )
    return persona, text, itemgetter(*slots, Slot.CREATED, Slot.MODIFIED, Slot.ID)


def _escaped(value: Json) -> str:
    return as_json(value).decode().replace("%", "%%")


def _url(own_id: str) -> str:
    return f"https://{UI_DOMAIN}/contacts/{PORTAL}/record/0-1/{own_id}"


def _associations(companies: tuple[int, ...]) -> Json:
    """Some companies appear twice, under two names of the link; a reader must drop the double."""
    results: list[Json] = []
    for company in companies:
        results.append({"id": str(company), "type": "contact_to_company"})
        if company % 4 == 0:
            results.append({"id": str(company), "type": "contact_to_company_unlabeled"})
    return {"companies": {"results": results}}


def _flag(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()
