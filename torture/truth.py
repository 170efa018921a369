"""What a CRM's people should be here, worked out from what it holds and from nothing that Leadloom has read.

No code of the product is used: properties are named here once more, numbers are read by another library, countries by
the list that the simulated people were made of. Where people write numbers in ways that need judgement (words, two
numbers in a field), nothing is said of the number; ``Person.phone`` is then UNSAID.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers

from leadloom.sandbox.client import TrueContact
from leadloom.sandbox.phones import PLANS

UNSAID = "unsaid"
HOME = "US"  # the region of the accounts here
_PLAIN = re.compile(r"[+(\d][\d ().+-]*", re.ASCII)
_DATE = re.compile(r"(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Under which names a CRM holds what a lead shows."""

    first: str
    """The whole name, where there is no ``last``."""
    last: str = ""
    phones: tuple[str, ...] = ()
    """Best first."""
    lists: tuple[tuple[str, str], ...] = ()
    """Lists of numbers with labels, as JSON text: under which names the list is held, and a number in it. They come
    after ``phones``."""
    label: str = ""
    """Under which name a number's label is held, in a list or beside ``phones``. A mobile comes first."""
    email: str
    company: str
    description: str = ""
    countries: tuple[str, ...] = ()
    fills_countries: bool = False
    """It writes its own country where nobody chose one: a national number then says little."""
    new_phone: str = ""
    """The name under which a new person is given a number, where it is none of ``phones``."""
    also: Mapping[str, str] | None = None
    """What a new person needs beside."""


WORDS: Mapping[str, Words] = {
    "hubspot": Words(
        first="firstname",
        last="lastname",
        phones=("mobilephone", "phone"),
        email="email",
        company="company",
        description="message",
        countries=("hs_country_region_code", "country"),
    ),
    "zoho": Words(
        first="First_Name",
        last="Last_Name",
        phones=("Mobile", "Phone", "Home_Phone", "Other_Phone"),
        email="Email",
        company="Company",
        description="Description",
        countries=("Country", "Mailing_Country", "Other_Country"),
        also={"module": "Leads"},
    ),
    "gohighlevel": Words(
        first="firstName",
        last="lastName",
        phones=("phone",),
        lists=(("additionalPhones", "phone"),),
        label="phoneLabel",
        email="email",
        company="companyName",
        countries=("country",),
        fills_countries=True,
    ),
    "salesforce": Words(
        first="FirstName",
        last="LastName",
        phones=("MobilePhone", "Phone", "HomePhone", "OtherPhone"),
        email="Email",
        company="Company",
        description="Description",
        countries=("Country", "MailingCountry"),
        also={"object": "Lead"},
    ),
    "pipedrive": Words(
        first="name",
        lists=(("phones", "value"),),
        label="label",
        new_phone="phone",
        email="email",
        company="company",
        fills_countries=True,  # a company's own, where a person has no address
    ),
}
"""A CRM that is missing here is compared with a second import alone (compare.py), and nobody new is added to it."""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    phone: str | None
    email: str
    company: str
    description: str


def person(crm: str, contact: TrueContact) -> Person | None:
    """What a lead of this contact shows; a blank is no statement, since a CRM's blank erases nothing."""
    words = WORDS.get(crm)
    if words is None:
        return None
    held = contact.properties
    email = held.get(words.email, "").strip().lower()
    return Person(
        name=_line(" ".join(held.get(name, "").strip() for name in (words.first, words.last) if name)),
        phone=_phone(words, held),
        email=email if _ADDRESS.fullmatch(email) else "",
        company=_line(held.get(words.company, "")),
        description=held.get(words.description, "").strip(),
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _phone(words: Words, held: Mapping[str, str]) -> str | None:
    known = {*words.phones, *(name for name, _ in words.lists), words.label, words.new_phone}
    others = [name for name in held if "phone" in name.lower() and name not in known]
    country = next((found for name in words.countries if (found := held.get(name, "").strip())), "")
    region = _regions().get(country.casefold(), HOME) if country else HOME
    for text in _numbers(words, held):
        if not _PLAIN.fullmatch(text) or _DATE.match(text) or (words.fills_countries and text[0] != "+"):
            return UNSAID
        return _dialled(text, region) or UNSAID
    return UNSAID if others else None


def _numbers(words: Words, held: Mapping[str, str]) -> Iterator[str]:
    """All that somebody has, best first."""
    alone = [(held.get(words.label, ""), held.get(name, "")) for name in words.phones]
    listed = [
        (str(one.get(words.label) or ""), str(one.get(number) or ""))
        for name, number in words.lists
        for one in json.loads(held.get(name, "[]"))
    ]
    in_order = sorted([*alone, *listed], key=lambda entry: "mobile" not in entry[0].lower())
    yield from (text for _, number in in_order if (text := number.strip()))


@lru_cache(maxsize=200_000)
def _dialled(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


@cache
def _regions() -> Mapping[str, str]:
    return {name.casefold(): plan.region for plan in PLANS for name in (plan.region, *plan.names)}


def newcomer(crm: str, number: int) -> dict[str, str]:
    """Somebody whom no CRM here holds yet: nobody else has the number or the address."""
    words = WORDS[crm]
    area = (212, 312, 415, 503, 617, 702, 206, 305)[number // 10_000 % 8]
    return {
        **({words.first: f"New{number}", words.last: "Comer"} if words.last else {words.first: f"New{number} Comer"}),
        words.new_phone or words.phones[0]: f"+1 {area} 736 {number % 10_000:04}",
        words.email: f"new.comer.{number}@torture.example",
        words.company: "Made While You Slept",
        **(words.also or {}),
    }


def people(crm: str, contacts: Mapping[str, TrueContact]) -> Iterator[tuple[str, Person]]:
    for own_id, contact in contacts.items():
        found = person(crm, contact)
        if found is not None:
            yield own_id, found
