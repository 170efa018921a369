"""A person as Pipedrive holds and tells them, in version 2 and, where it is still alive, in version 1."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from leadloom.sandbox.clock import DAY_MS, iso
from leadloom.sandbox.http import Json
from leadloom.sandbox.names import FIRMS
from leadloom.sandbox.people import Person, Persona, Population
from leadloom.sandbox.pipedrive.organizations import FIRST_ORGANIZATION
from leadloom.sandbox.pipedrive.staff import (
    BUDGET,
    BY_ID,
    COMPANY_ID,
    DO_NOT_TEXT,
    INTEREST_OPTIONS,
    INTERESTS,
    LABELS,
    LAST_CALL,
    NO_TEXTS,
    OWN_FIELDS,
    REMARK,
    TEXTS_ARE_FINE,
    USERS,
)

type Values = dict[str, Json]

KEPT_DAYS = 30  # so long a deleted row can be read and brought back
EVERYBODY, OWNER_ONLY = 3, 1
BLANK: Values = {
    "name": "", "owner_id": USERS[0].id, "org_id": None, "emails": [], "phones": [], "label_ids": [],
    "visible_to": EVERYBODY, "picture_id": None, "custom_fields": {}, "marketing_status": "no_consent",
    "doi_status": 1, "postal_address": None, "notes": None, "birthday": None, "job_title": None, "im": [],
}  # fmt: skip
"""What a person can hold, beside what Pipedrive works out itself."""
CAMPAIGNS = ("marketing_status", "doi_status")
CONTACT_SYNC = ("postal_address", "notes", "birthday", "job_title", "im")
EXTRAS = frozenset({
    "next_activity_id", "last_activity_id", "open_deals_count", "related_open_deals_count", "closed_deals_count",
    "related_closed_deals_count", "participant_open_deals_count", "participant_closed_deals_count",
    "email_messages_count", "activities_count", "done_activities_count", "undone_activities_count", "files_count",
    "notes_count", "followers_count", "won_deals_count", "related_won_deals_count", "lost_deals_count",
    "related_lost_deals_count", "last_incoming_mail_time", "last_outgoing_mail_time", "smart_bcc_email", *CAMPAIGNS,
})  # fmt: skip
"""What ``include_fields`` may name."""


COUNTED = {
    "open_deals_count": ("open",),
    "closed_deals_count": ("won", "lost"),
    "won_deals_count": ("won",),
    "lost_deals_count": ("lost",),
}
"""Deals of which statuses a number counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A person as they are now. Never altered: a change makes a new one."""

    id: int
    values: Values
    created_ms: int
    modified_ms: int
    spoke_ms: int | None = None
    """When somebody last wrote to them."""
    deleted_ms: int | None = None
    is_erased: bool = False
    """Not kept for thirty days."""

    def is_gone(self, now_ms: int) -> bool:
        """Deleted so long ago that not even its id is known."""
        return self.deleted_ms is not None and (self.is_erased or now_ms - self.deleted_ms >= KEPT_DAYS * DAY_MS)


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a person is to be told."""

    extras: Collection[str] = ()
    deals: Callable[[int], Mapping[str, int]] | None = None
    """How many deals a person has, by status."""
    own_fields: Collection[str] | None = None
    """None: all of them."""
    hidden: Collection[str] = ()
    option_labels: bool = False
    labels: bool = False


def stamp(ms: int) -> str:
    """``2026-05-15T09:54:31Z``: whole seconds."""
    return f"{iso(ms)[:19]}Z"


def v1_stamp(ms: int) -> str:
    return iso(ms)[:19].replace("T", " ")


def names_of(name: str) -> tuple[str | None, str | None]:
    """First and last, as Pipedrive takes a name apart."""
    first, _, last = name.partition(" ")
    return first or None, last or None


def row(record: Record, wish: Wish) -> Values:
    """As version 2 tells it."""
    values = record.values
    first, last = names_of(str(values["name"]))
    told: Values = {
        "id": record.id,
        "name": values["name"],
        "first_name": first,
        "last_name": last,
        "owner_id": values["owner_id"],
        "org_id": values["org_id"],
        "add_time": stamp(record.created_ms),
        "update_time": stamp(record.modified_ms),
        "is_deleted": record.deleted_ms is not None,
        "visible_to": values["visible_to"],
        "label_ids": values["label_ids"],
        "picture_id": values["picture_id"],
        "emails": values["emails"],
        "phones": values["phones"],
        "custom_fields": _own_fields(values["custom_fields"], wish),
    }
    told |= {name: values[name] for name in CONTACT_SYNC if name not in wish.hidden}
    told |= {name: _extra(record, name) for name in wish.extras if name not in wish.hidden}
    if wish.deals is not None and (counted := [name for name in wish.extras if name in COUNTED]):
        deals = wish.deals(record.id)
        told |= {name: sum(deals.get(status, 0) for status in COUNTED[name]) for name in counted}
    if wish.labels:
        held = values["label_ids"]
        assert isinstance(held, list)
        told["labels"] = [{"id": one.id, "label": one.label} for one in LABELS if one.id in held]
    return told


def _own_fields(held: Json, wish: Wish) -> Json:
    assert isinstance(held, dict)
    told: Values = {code: held.get(code) for code in OWN_FIELDS if wish.own_fields is None or code in wish.own_fields}
    if not wish.option_labels:
        return told
    for code, value in told.items():
        known = {one.id: one.label for one in OWN_FIELDS[code].options}
        if isinstance(value, list):
            told[code] = [{"id": one, "label": known.get(int(str(one)))} for one in value]
        elif known and value is not None:
            told[code] = {"id": value, "label": known.get(int(str(value)))}
    return told


def _extra(record: Record, name: str) -> Json:
    if name in CAMPAIGNS:
        return record.values[name]
    spoke = None if record.spoke_ms is None else stamp(record.spoke_ms)
    match name:
        case "last_outgoing_mail_time":
            return spoke
        case "last_activity_id":
            return None if spoke is None else activity_of(record.id)
        case "smart_bcc_email":
            return f"sandbox-sales+{record.id}@pipedrivemail.com"
    return None if name.endswith(("_id", "_time")) else 0


def v1_row(record: Record, organization: str | None) -> Values:
    """As version 1 tells it, in what is left of it."""
    values = record.values
    first, last = names_of(str(values["name"]))
    owner = BY_ID.get(int(str(values["owner_id"])))
    nothing: Json = [{"value": "", "primary": True}]
    held, labels = values["custom_fields"], values["label_ids"]
    assert isinstance(held, dict)
    assert isinstance(labels, list)
    return {
        "id": record.id,
        "company_id": COMPANY_ID,
        "name": values["name"],
        "first_name": first,
        "last_name": last,
        "owner_id": None if owner is None else {**owner.as_json(you=USERS[0]), "value": owner.id},
        "org_id": None if values["org_id"] is None else {"name": organization, "value": values["org_id"]},
        "org_name": organization,
        "phone": values["phones"] or nothing,
        "email": values["emails"] or nothing,
        "active_flag": record.deleted_ms is None,
        "add_time": v1_stamp(record.created_ms),
        "update_time": v1_stamp(record.modified_ms),
        "visible_to": str(values["visible_to"]),
        "label": labels[0] if labels else None,
        "label_ids": labels,
        **held,
    }


FIRST_ACTIVITY = 70_000_000


def activity_of(person: int) -> int:
    return FIRST_ACTIVITY + person


class Ids:
    """Ids grow in the order in which persons are made, with gaps."""

    FIRST, STEP = 10_001, 3

    def __init__(self, population: Population) -> None:
        self._timeline = population.timeline
        self.count = population.count

    def of(self, place: int) -> int:
        return self.numbered(self.count - 1 - self._timeline.rank(place))

    def numbered(self, number: int) -> int:
        """The id of the person who was made as number so and so."""
        return self.FIRST + number * self.STEP + number * 2654435761 % self.STEP

    def number(self, own_id: int) -> int | None:
        """The number of the person of the population who was born with this id."""
        number = (own_id - self.FIRST) // self.STEP
        return number if 0 <= number < self.count and self.numbered(number) == own_id else None

    def place_of_number(self, number: int) -> int:
        return self._timeline.place(self.count - 1 - number)


class Maker:
    """Makes persons as they were born, from the population."""

    def __init__(self, population: Population, ids: Ids) -> None:
        self._population = population
        self._ids = ids
        self._shared: dict[int, Values] = {}
        """What the persons of a persona have in common."""

    def born(self, number: int) -> Record:
        place = self._ids.place_of_number(number)
        index = self._population.persona_index(place)
        persona = self._population.persona(index)
        person = self._population.person_of(persona, place)
        spoke = persona.contacted_after_m
        shared = self._shared.get(index) or self._shared.setdefault(index, _shared(persona))
        return Record(
            id=self._ids.numbered(number),
            values={**shared, **_own(person, str(shared["name"]))},
            created_ms=person.created_ms,
            modified_ms=person.modified_ms,
            spoke_ms=None if spoke is None else max(person.created_ms, person.modified_ms - spoke * 60_000),
        )

    def created_ms(self, number: int) -> int:
        return self._population.timeline.times(self._ids.place_of_number(number))[0]

    def persona(self, number: int) -> Persona:
        return self._population.persona(self._population.persona_index(self._ids.place_of_number(number)))


def _own(person: Person, name: str) -> Values:
    """The first number and address are the primary ones, at work; a mobile number follows."""
    reach = [(text, label) for text, label in ((person.phone, "work"), (person.mobile, "mobile")) if text]
    return {
        "name": name or person.email or person.phone or "-",  # it must not be empty
        "emails": [{"value": person.email, "primary": True, "label": "work"}] if person.email else [],
        "phones": [{"value": text, "primary": at == 0, "label": label} for at, (text, label) in enumerate(reach)],
    }


def _shared(one: Persona) -> Values:
    firm = one.firm if one.firm is not None or one.company is None else FIRMS.index(one.company)
    return {
        **BLANK,
        "name": " ".join(part for part in (one.first, one.last) if part),
        "owner_id": USERS[(one.owner or 0) % len(USERS)].id,
        "org_id": None if firm is None else FIRST_ORGANIZATION + firm,
        "label_ids": [] if one.status is None else [LABELS[one.status % len(LABELS)].id],
        "visible_to": OWNER_ONLY if one.stage % 11 == 0 else EVERYBODY,
        "marketing_status": _marketing(one.opted_out),
        "custom_fields": _customs(one),
        "postal_address": _address(one),
        "job_title": one.job,
    }


def _marketing(opted_out: bool | None) -> str:
    if opted_out is None:
        return "no_consent"
    return "unsubscribed" if opted_out else "subscribed"


def _customs(one: Persona) -> Values:
    held: Values = {REMARK: one.remark} if one.remark else {}
    if one.texting_refused is not None:
        held[DO_NOT_TEXT] = NO_TEXTS.id if one.texting_refused else TEXTS_ARE_FINE.id
    if one.stage % 4 == 0:
        held[BUDGET] = {"value": 1200, "currency": "USD"}
    if one.stage % 5 == 0:
        held[INTERESTS] = [option.id for option in INTEREST_OPTIONS[: 1 + one.stage % 3]]
    if one.stage % 7 == 0:
        held[LAST_CALL] = "2026-02-11"
    return held


def _address(one: Persona) -> Json:
    parts = (one.city, one.state, one.country)
    return {
        "value": ", ".join(part for part in parts if part),
        "country": one.country,
        "admin_area_level_1": one.state or None,
        "locality": one.city,
        "sublocality": None,
        "route": None,
        "street_number": None,
        "subpremise": None,
        "postal_code": None,
    }


def parse_time(text: str) -> int | None:
    """Seconds of a time with an offset and no fraction; None for anything else: Pipedrive takes whole seconds only."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    is_whole = "T" in text and "." not in text and found.tzinfo is not None
    return int(found.astimezone(UTC).timestamp()) if is_whole else None
