"""A contact as GoHighLevel tells it: which field holds what, and its two shapes, in a search and read alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leadloom.sandbox.clock import iso
from leadloom.sandbox.gohighlevel.staff import JOB_FIELD, LOCATION, REMARK_FIELD, STAGES, USERS
from leadloom.sandbox.http import Json
from leadloom.sandbox.names import FIRMS
from leadloom.sandbox.people import Population
from leadloom.sandbox.phones import PLANS

type Values = dict[str, Any]
"""A contact's fields by the names of a search reply."""

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [high + low for high in _LETTERS for low in _LETTERS]
_VALUE = {pair: at for at, pair in enumerate(_PAIRS)}
_LENGTH = 20
_SPACE = len(_PAIRS) ** (_LENGTH // 2)
_STRIDE = _SPACE * 618 // 1000 // 62 * 62 + 1  # shares no factor with the space: ids of neighbours are unlike
_BACK = pow(_STRIDE, -1, _SPACE)
_BLANK: Values = {
    "type": "lead", "firstName": None, "lastName": None, "email": None, "phone": None, "phoneLabel": None,
    "additionalEmails": [], "additionalPhones": [], "companyName": None, "businessName": None, "businessId": None,
    "address": None, "city": None, "state": None, "postalCode": None, "country": "US", "website": None,
    "timezone": None, "dateOfBirth": None, "source": None, "tags": [], "customFields": [], "assignedTo": None,
    "followers": [], "validEmail": None, "dnd": False, "dndSettings": {}, "inboundDndSettings": {},
}  # fmt: skip
FIELDS = frozenset(_BLANK)
_OFF: Json = {"status": "inactive", "code": "103"}
_COUNTRIES = {name: plan.region for plan in PLANS for name in plan.names}


class Ids:
    """Twenty letters and digits, in no order that means anything."""

    def __init__(self, seed: int) -> None:
        self._salt = seed * 0x9E3779B97F4A7C15F39CC0605CEDC835 % _SPACE

    def of(self, place: int) -> str:
        rest = (place * _STRIDE + self._salt) % _SPACE
        pairs = []
        for _ in range(_LENGTH // 2):
            rest, pair = divmod(rest, len(_PAIRS))
            pairs.append(_PAIRS[pair])
        return "".join(pairs)

    def place(self, own_id: str) -> int | None:
        """The place that has this id, of all places there could be; None for what is no id."""
        if len(own_id) != _LENGTH:
            return None
        number = 0
        for at in range(_LENGTH - 2, -1, -2):
            pair = _VALUE.get(own_id[at : at + 2])
            if pair is None:
                return None
            number = number * len(_PAIRS) + pair
        return int((number - self._salt) * _BACK % _SPACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One opportunity of a contact."""

    id: str
    contact: str
    stage: str
    status: str
    created_ms: int
    updated_ms: int

    def short(self) -> dict[str, Json]:
        """As a contact in a search shows it."""
        pipeline = next(stage.pipeline for stage in STAGES if stage.id == self.stage)
        return {
            "id": self.id,
            "pipelineId": pipeline,
            "pipelineStageId": self.stage,
            "monetaryValue": 1200,
            "status": self.status,
        }

    def full(self) -> dict[str, Json]:
        return {
            **self.short(),
            "name": f"Deal {self.id[:4]}",
            "contactId": self.contact,
            "locationId": LOCATION,
            "assignedTo": None,
            "lastStageChangeAt": iso(self.updated_ms),
            "createdAt": iso(self.created_ms),
            "updatedAt": iso(self.updated_ms),
            "sort": [self.updated_ms, self.id],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A live contact with all it holds. Never altered: a change makes a new one."""

    id: str
    values: Values
    deals: tuple[Deal, ...]
    created_ms: int
    modified_ms: int

    def found(self, after: list[Json]) -> dict[str, Json]:
        """The row of a search; ``after`` leads to the rows behind it."""
        values = self.values
        return {
            "id": self.id,
            "locationId": LOCATION,
            **values,
            "contactName": _name(values).lower(),
            "firstNameLowerCase": _lower(values["firstName"]),
            "lastNameLowerCase": _lower(values["lastName"]),
            "opportunities": [deal.short() for deal in self.deals],
            "dateAdded": iso(self.created_ms),
            "dateUpdated": iso(self.modified_ms),
            "searchAfter": after,
            "attributionSource": {},
            "lastAttributionSource": {},
        }

    def alone(self) -> dict[str, Json]:
        """As ``GET /contacts/{id}`` shows it: other names, nothing that is empty, no opportunities."""
        told: Values = {
            "id": self.id,
            "locationId": LOCATION,
            **self.values,
            "address1": self.values["address"],
            "name": _name(self.values),
            "fullNameLowerCase": _name(self.values).lower(),
            "emailLowerCase": _lower(self.values["email"]),
            "dateAdded": iso(self.created_ms),
            "dateUpdated": iso(self.modified_ms),
            "lastActivity": iso(self.modified_ms),
        }
        hidden = ("address", "businessName")
        return {name: value for name, value in told.items() if name not in hidden and value not in (None, [], {})}


def blank() -> Values:
    return {name: value.copy() if isinstance(value, list | dict) else value for name, value in _BLANK.items()}


class Maker:
    """Makes contacts as they were born, from the population."""

    def __init__(self, population: Population, ids: Ids) -> None:
        self._population = population
        self._ids = ids

    def born(self, place: int) -> Record:
        """Who N is. HighLevel itself writes most numbers as E.164; a mobile stands beside a first number."""
        population = self._population
        person = population.person(place)
        persona = person.persona
        values = blank()
        first, mobile = person.phone_e164 or person.phone, person.mobile
        own_fields = [
            {"id": field, "value": value}
            for field, value in ((JOB_FIELD, persona.job), (REMARK_FIELD, persona.remark))
            if value
        ]
        values |= {
            "type": ("lead", "lead", "customer")[persona.stage % 3],
            "firstName": persona.first,
            "lastName": persona.last,
            "email": person.email or None,
            "phone": first or mobile or None,
            "phoneLabel": "Mobile" if mobile and not first else None,
            "additionalPhones": [{"phone": mobile, "phoneLabel": "Mobile"}] if first and mobile else [],
            "companyName": persona.company,
            "businessName": None if persona.firm is None else FIRMS[persona.firm],
            "businessId": None if persona.firm is None else business_id(persona.firm),
            "city": persona.city,
            "state": persona.state or None,
            "country": _COUNTRIES.get(persona.country or "", "US"),
            "tags": ["follow-up"] if persona.stage % 5 == 0 else [],
            "customFields": own_fields,
            "assignedTo": None if persona.owner is None else USERS[persona.owner % len(USERS)].id,
            # "Do not disturb on all channels", although each by itself says it is not: seen in real replies.
            "dnd": persona.opted_out is True,
            "dndSettings": {"Call": _OFF, "Email": _OFF, "SMS": _OFF} if persona.opted_out else {},
        }
        if persona.texting_refused:
            values["dndSettings"] = {"SMS": {"status": "active", "message": "STOP", "code": "101"}}
        own_id = self._ids.of(place)
        deals = self._deals(own_id, persona.status, persona.stage, person.created_ms)
        return Record(
            id=own_id, values=values, deals=deals, created_ms=person.created_ms, modified_ms=person.modified_ms
        )

    def _deals(self, contact: str, status: int | None, stage: int, created_ms: int) -> tuple[Deal, ...]:
        """Two in five contacts have one, some of them an older one that is lost as well."""
        if status is None or status % 5 > 1:
            return ()
        found = [
            Deal(
                id=f"o{contact[1:]}",
                contact=contact,
                stage=STAGES[stage % len(STAGES)].id,
                status="won" if status % 7 == 0 else "open",
                created_ms=created_ms,
                updated_ms=created_ms,
            )
        ]
        if status % 3 == 0:
            older = Deal(
                id=f"p{contact[1:]}",
                contact=contact,
                stage=STAGES[(stage + 1) % len(STAGES)].id,
                status="lost",
                created_ms=created_ms,
                updated_ms=created_ms,
            )
            found.insert(0, older)
        return tuple(found)


def business_id(firm: int) -> str:
    return f"6a59d5ac9c1110415540{firm:04x}"


def firm_of(business: str) -> int | None:
    number = business.removeprefix("6a59d5ac9c1110415540")
    firm = int(number, 16) if len(number) == 4 and all(letter in "0123456789abcdef" for letter in number) else -1
    return firm if 0 <= firm < len(FIRMS) and business == business_id(firm) else None


def _name(values: Mapping[str, Any]) -> str:
    return " ".join(part for part in (values["firstName"], values["lastName"]) if part)


def _lower(value: Any) -> Json:
    return value.lower() if isinstance(value, str) else None
