"""The population: who contact N is, as a pure function of the seed, the number of contacts and N. Knows no vendor.

A contact is a *persona* (one of 2,048 prepared characters: names, firm, habits, which fields are blank) with numbers,
an address and times of its own. Nothing is stored per contact, so two million cost no more memory than two hundred.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from typing import NamedTuple

from leadloom.sandbox import names
from leadloom.sandbox.phones import EXTENSIONS, PLANS, UNPARSEABLE, Plan, Style
from leadloom.sandbox.timeline import Timeline

_PERSONA_BITS = 11
PERSONAS = 1 << _PERSONA_BITS
_MASK = (1 << 32) - 1
_GOLDEN = 0x9E3779B1  # 2**32 over the golden ratio: neighbours get unlike personas
_OWN_PART = re.compile("[0-9a-f]{1,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """What many contacts have in common. None means that the CRM holds nothing there."""

    first: str | None
    last: str | None
    plan: Plan
    country: str | None
    city: str
    state: str
    phone: Style | None
    phone_text: str | None
    """Typed instead of a number: "call office"."""
    mobile: Style | None
    shares_phone: bool
    """Has the number of the neighbour in the list: a family, a front desk."""
    mailbox: str | None
    """The address up to the contact's own part, and its host: ``anna.vogt.%x@example.com``."""
    shares_email: bool
    firm: int | None
    """The company this person is linked to."""
    company: str | None
    """The company as typed, which may be blank or differ from the linked one."""
    job: str | None
    owner: int | None
    status: int | None
    stage: int
    remark: str | None
    opted_out: bool | None
    texting_refused: bool | None
    contacted_after_m: int | None
    """Minutes before the last change at which somebody last spoke with them."""
    conversations: int


class Person(NamedTuple):
    """Contact N, with what is theirs alone."""

    persona: Persona
    phone: str
    mobile: str
    email: str
    phone_e164: str
    created_ms: int
    modified_ms: int


class Population:
    """``count`` contacts, numbered by their place from 0."""

    def __init__(self, *, count: int, seed: int, now_ms: int) -> None:
        self.count = count
        self.seed = seed
        self.timeline = Timeline(count=count, now_ms=now_ms, seed=seed)
        self._salt = (seed * 0xD1B54A32D192ED03 + 0x8CB92BA72F3D8DD7) & _MASK
        self._number_salt = Random(f"numbers {seed}").randrange(1 << 30)

    def persona_index(self, place: int) -> int:
        return ((place * _GOLDEN + self._salt) & _MASK) >> (32 - _PERSONA_BITS)

    def persona(self, index: int) -> Persona:
        return invent(self.seed, index)

    def person(self, place: int) -> Person:
        return self.person_of(self.persona(self.persona_index(place)), place)

    def person_of(self, persona: Persona, place: int) -> Person:
        """For callers that have looked the persona up already."""
        created, modified = self.timeline.times(place)
        phone = e164 = mobile = email = ""
        plan = persona.plan
        if persona.phone is not None:
            line = self._line(place, persona) if persona.shares_phone else place
            digits = plan.number(2 * line, self._number_salt)
            phone = persona.phone(digits)
            e164 = plan.prefix + digits
        elif persona.phone_text is not None:
            phone = persona.phone_text
        if persona.mobile is not None:
            mobile = persona.mobile(plan.number(2 * place + 1, self._number_salt))
        if persona.mailbox is not None:
            email = self._shared_address(place, persona) if persona.shares_email else persona.mailbox % place
        return Person(persona, phone, mobile, email, e164, created, modified)

    def place_of_email(self, address: str) -> int | None:
        """The first contact born with this address, without looking at all of them."""
        own = address.partition("@")[0].rpartition(".")[2]
        if not _OWN_PART.fullmatch(own):
            return None
        place = int(own, 16)
        return place if place < self.count and self.person(place).email == address else None

    def _line(self, place: int, persona: Persona) -> int:
        """Whose number stands in ``phone``: the neighbour's, where that one has a number of the same country."""
        neighbour = self.persona(self.persona_index(place - 1))
        shared = place and neighbour.phone is not None and neighbour.plan is persona.plan
        return place - 1 if shared and not neighbour.shares_phone else place

    def _shared_address(self, place: int, persona: Persona) -> str:
        neighbour = self.persona(self.persona_index(place - 1))
        if place and neighbour.mailbox is not None and not neighbour.shares_email:
            return neighbour.mailbox % (place - 1)
        assert persona.mailbox is not None
        return persona.mailbox % place


@lru_cache(4 * PERSONAS)
def invent(seed: int, index: int) -> Persona:
    """Persona ``index``: the same for the same seed, for ever."""
    dice = Random(f"persona {seed} {index}")
    culture = dice.choices(names.CULTURES, weights=[one.weight for one in names.CULTURES])[0]
    plan = _plan(dice.choice(culture.regions))
    first, last = _name(dice, culture)
    country = None if dice.random() < 0.08 else dice.choice(plan.names)
    stranger = dice.random() < 0.02  # lives elsewhere than the number says
    if stranger:
        country = dice.choice([other for other in PLANS if other is not plan]).names[0]
    known = not stranger and (country is not None or plan.region == "US")
    reach = _reach(dice)
    phone, phone_text = _phone(dice, plan, known) if "p" in reach else (None, None)
    firm, company = _company(dice)
    city, state = dice.choice(names.PLACES[plan.region])
    return Persona(
        first=first,
        last=last,
        plan=plan,
        country=country,
        city=city,
        state=state,
        phone=phone,
        phone_text=phone_text,
        mobile=dice.choice(_styles(plan, known)) if "m" in reach else None,
        shares_phone=dice.random() < 0.015,
        mailbox=_mailbox(dice, first, last) if "e" in reach else None,
        shares_email=dice.random() < 0.01,
        firm=firm,
        company=company,
        job=dice.choice(names.JOBS) if dice.random() < 0.5 else None,
        owner=dice.randrange(1 << 16) if dice.random() < 0.85 else None,
        status=dice.randrange(1 << 16) if dice.random() < 0.8 else None,
        stage=dice.randrange(1 << 16),
        remark=dice.choice(names.REMARKS) if dice.random() < 0.25 else None,
        opted_out=dice.choices((True, False, None), weights=(4, 36, 60))[0],
        texting_refused=dice.choices((True, False, None), weights=(2, 20, 78))[0],
        contacted_after_m=dice.randrange(1, 400) if dice.random() < 0.4 else None,
        conversations=dice.randrange(1, 20),
    )


def _reach(dice: Random) -> str:
    """Which of **p**hone, **m**obile and **e**-mail this persona has."""
    return dice.choices(
        ("pe", "pme", "me", "p", "m", "e", ""),
        weights=(50, 22, 14, 4, 2, 6, 2),
    )[0]


@cache
def _plan(region: str) -> Plan:
    return next(plan for plan in PLANS if plan.region == region)


def _styles(plan: Plan, known: bool) -> tuple[Style, ...]:
    """Without a country only an international number can be understood."""
    return plan.local + plan.abroad if known else plan.abroad


def _phone(dice: Random, plan: Plan, known: bool) -> tuple[Style | None, str | None]:
    if dice.random() < 0.012:
        return None, dice.choice(UNPARSEABLE)
    style = dice.choice(_styles(plan, known))
    if dice.random() < 0.02 and plan.region == "US":
        return _extended(style, dice.choice(EXTENSIONS).format(dice.randrange(10, 999))), None
    return style, None


def _extended(style: Style, suffix: str) -> Style:
    return lambda digits: style(digits) + suffix


def _name(dice: Random, culture: names.Culture) -> tuple[str | None, str | None]:
    first, last = dice.choice(culture.firsts), dice.choice(culture.lasts)
    shape = dice.random()
    if shape < 0.02:
        return None, None
    if shape < 0.05:
        return first, None
    if shape < 0.07:
        return None, last
    return first, last


def _mailbox(dice: Random, first: str | None, last: str | None) -> str:
    parts = [_plain(part) for part in (first, last) if part]
    local = ".".join(part for part in parts if part) or dice.choice(("info", "office", "sales", "hello"))
    return f"{local}.%x@{dice.choice(names.MAIL_HOSTS)}"


def _plain(name: str) -> str:
    """``Müller`` as people write it in an address: ASCII letters only, whatever is left of it."""
    folded = name.lower().translate(str.maketrans("áéíóúàèâêîôûäëïöüñçß", "aeiouaeaeiouaeiouncs"))
    return "".join(letter for letter in folded if letter.isascii() and letter.isalnum())


def _company(dice: Random) -> tuple[int | None, str | None]:
    """The linked company and the typed one: mostly both and equal, sometimes either is missing, sometimes neither."""
    firm = dice.randrange(len(names.FIRMS))
    shape = dice.random()
    if shape < 0.45:
        return firm, names.FIRMS[firm]
    if shape < 0.65:
        return firm, None
    if shape < 0.80:
        return None, names.FIRMS[firm]
    return None, None
