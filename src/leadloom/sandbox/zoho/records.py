"""A person as Zoho tells them: which field of which module holds what. Leads and contacts are one population."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

from leadloom.sandbox.http import Json
from leadloom.sandbox.names import FIRMS
from leadloom.sandbox.people import Person, Population
from leadloom.sandbox.zoho.catalogue import CONTACTS, LEADS, SOURCES, STATUSES
from leadloom.sandbox.zoho.staff import OFFSET_MINUTES, USERS, account

type Values = dict[str, Json]

_ONLY_CONTACTS = {
    "Account_Name": None, "Title": None, "Department": None, "Home_Phone": None, "Other_Phone": None,
    "Asst_Phone": None, "Mailing_Country": None, "Mailing_State": None, "Mailing_City": None, "Other_Country": None,
}  # fmt: skip
_ONLY_LEADS = {"Company": None, "Designation": None, "Lead_Status": None, "Country": None, "State": None, "City": None}
_BOTH = {
    "First_Name": None, "Last_Name": None, "Phone": None, "Mobile": None, "Fax": None, "Email": None,
    "Secondary_Email": None, "Email_Opt_Out": False, "Do_Not_Text": False, "Lead_Source": None, "Description": None,
    "Owner": None, "Last_Activity_Time": None,
}  # fmt: skip
BLANK: dict[str, Values] = {LEADS: {**_BOTH, **_ONLY_LEADS}, CONTACTS: {**_BOTH, **_ONLY_CONTACTS}}
"""What a person of each module can hold, beside what Zoho works out itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A person as they are now. Never altered: a change makes a new one."""

    id: int
    module: str
    values: Values
    created_ms: int
    modified_ms: int
    became: int | None = None
    """The contact that a lead was converted to."""
    converted_ms: int | None = None
    deleted_ms: int | None = None
    is_erased: bool = False
    """Deleted for good: its name is not told any more."""
    deleted_by: int | None = None

    @property
    def full_name(self) -> str:
        return f"{self.values['First_Name'] or ''} {self.values['Last_Name'] or ''}".strip()


@dataclass(slots=True)
class Teller:
    """Writes records as JSON, with times as one user has chosen to see them."""

    offset_minutes: int = OFFSET_MINUTES
    _zone: timezone = field(init=False)

    def __post_init__(self) -> None:
        self._zone = timezone(timedelta(minutes=self.offset_minutes))

    def time(self, ms: int | None) -> str | None:
        """``2026-05-14T11:36:18+03:00``: whole seconds."""
        return None if ms is None else datetime.fromtimestamp(ms // 1000, self._zone).isoformat()

    def held(self, record: Record) -> Values:
        """Every field, by name."""
        is_converted = record.became is not None
        values: Values = {
            **record.values,
            "Full_Name": record.full_name,
            "Created_Time": self.time(record.created_ms),
            "Modified_Time": self.time(record.modified_ms),
            "Last_Activity_Time": self._activity(record.values["Last_Activity_Time"]),
            "$approved": True,
            "$in_merge": False,
            "$editable": True,
            "Record_Status__s": "Trash" if record.deleted_ms else "Available",
        }
        if record.module == LEADS:
            detail: Json = {"contact": str(record.became), "account": None, "deal": None} if is_converted else {}
            values |= {
                "$converted": is_converted,
                "Converted__s": is_converted,
                "$converted_detail": detail,
                "Converted_Date_Time": self.time(record.converted_ms),
            }
        return values

    def _activity(self, ms: Json) -> str | None:
        return self.time(ms) if isinstance(ms, int) else None

    def row(self, record: Record, names: list[str]) -> Values:
        """The fields that were asked for, of those there are."""
        held = self.held(record)
        return {**{name: held[name] for name in names if name in held}, "id": str(record.id)}

    def whole(self, record: Record) -> Values:
        return {**self.held(record), "id": str(record.id)}


class Ids:
    """Ids grow in the order in which records are made, with gaps."""

    STEP = 1000
    _FIRST = 4876876000010000000

    def __init__(self, population: Population) -> None:
        self._timeline = population.timeline
        self.count = population.count

    def of(self, place: int) -> int:
        return self.numbered(self.count - 1 - self._timeline.rank(place))

    def numbered(self, number: int) -> int:
        """The id of the record that was made as number so and so."""
        return self._FIRST + number * self.STEP + number * 2654435761 % 997

    def place(self, own_id: int) -> int | None:
        """The place of the population that was born with this id."""
        number = (own_id - self._FIRST) // self.STEP
        if not 0 <= number < self.count or self.numbered(number) != own_id:
            return None
        return self._timeline.place(self.count - 1 - number)


class Maker:
    """The population as Zoho's: two in five are leads, the others contacts."""

    def __init__(self, population: Population, ids: Ids) -> None:
        self._population = population
        self._ids = ids

    def module(self, place: int) -> str:
        return LEADS if place * 2654435761 % 5 < 2 else CONTACTS

    def born(self, place: int) -> Record:
        person = self._population.person(place)
        module = self.module(place)
        return Record(
            id=self._ids.of(place),
            module=module,
            values=_values(person, module),
            created_ms=person.created_ms,
            modified_ms=person.modified_ms,
        )


def _values(person: Person, module: str) -> Values:
    one = person.persona
    spoke = one.contacted_after_m
    typed = one.company or (None if one.firm is None else FIRMS[one.firm])
    values: Values = {
        **BLANK[module],
        "First_Name": one.first if one.last else None,
        "Last_Name": one.last or one.first or "-",  # it must not be empty
        "Phone": person.phone or None,
        "Mobile": person.mobile or None,
        "Email": person.email or None,
        "Email_Opt_Out": bool(one.opted_out),
        "Do_Not_Text": bool(one.texting_refused),
        "Lead_Source": SOURCES[one.stage % len(SOURCES)].value,
        "Description": one.remark,
        "Owner": USERS[(one.owner or 0) % len(USERS)].lookup(),
        "Last_Activity_Time": None if spoke is None else max(person.created_ms, person.modified_ms - spoke * 60_000),
    }
    if module == LEADS:
        status = None if one.status is None else STATUSES[one.status % len(STATUSES)].value
        own: Values = {"Lead_Status": status, "Company": typed, "Designation": one.job}
        return {**values, **own, "Country": one.country, "State": one.state or None, "City": one.city}
    linked = None if one.firm is None else account(one.firm)
    address: Values = {"Mailing_Country": one.country, "Mailing_State": one.state or None, "Mailing_City": one.city}
    return {**values, "Account_Name": linked, "Title": one.job, **address}


def parse_time(text: str) -> int | None:
    """Milliseconds of a time that has an offset; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else int(found.astimezone(UTC).timestamp() * 1000)
