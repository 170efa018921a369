"""Reading vendor values: whatever type they have, what comes out is clean text, a time, a yes or no. Never raises."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from leadloom.providers.phones import REGIONS

LONGEST_NAME = 300
LONGEST_TEXT = 20_000  # of notes and descriptions: more than anybody reads; the raw record keeps the rest
LONGEST_EMAIL = 254  # RFC 5321; a longer one is no address, and half of one is somebody else's

# Control characters, half surrogates, and the marks that set the direction of text: nobody sees them, everybody copies
# them. Joiners stay: Persian names and family emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SPACES = re.compile(r"\s+")
_EMAIL = re.compile(r"[^@\s,;<>()\"]+@[^@\s,;<>()\"]+\.[^@\s,;<>()\".]+")
_FALSE = frozenset({"", "false", "0", "no", "n", "off", "none", "null"})
_LONGEST_TIME = 64
_SHORTEST_EPOCH = 9  # digits: milliseconds of 1970-01-02; fewer is a year, a number, anything but a time


def text(value: Any, *, longest: int = LONGEST_NAME) -> str:
    """One line: trimmed, spaces folded, unseen characters dropped. Numbers written out; blank for what is no scalar."""
    if value is None:
        return ""
    if isinstance(value, str):
        if value.isascii() and value.isprintable() and "  " not in value:  # most values: nothing to clean
            line = value.strip()
            return line if len(line) <= longest else line[:longest].rstrip()
        return _SPACES.sub(" ", _UNSEEN.sub("", value)).strip()[:longest].rstrip()
    if isinstance(value, bool) or not isinstance(value, int | float) or (not value and isinstance(value, float)):
        return ""
    try:
        return str(value)[:longest]
    except ValueError:  # Python refuses to write out integers of thousands of digits
        return ""


def long_text(value: Any) -> str:
    """Text that keeps its lines."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return text(value, longest=LONGEST_TEXT)
    return _UNSEEN.sub("", value).strip()[:LONGEST_TEXT]


def parts(value: Any, separator: str = ";") -> list[str]:
    """The values of a field that holds several: ``a;b``. Cut nowhere but at the separators."""
    return [part for found in value.split(separator) if (part := text(found))] if isinstance(value, str) else []


def is_true(value: Any) -> bool:
    """Whether a flag is set. Vendors send ``"false"`` as text; a date says since when; in doubt it is set."""
    if isinstance(value, str):
        return value.strip().lower() not in _FALSE
    return bool(value)


def time(value: Any) -> datetime | None:
    """An aware time in UTC from ISO text or epoch milliseconds; None for anything else."""
    if not value or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _time_of(value) if len(value) <= _LONGEST_TIME else None
    return _epoch(value) if isinstance(value, int | float) else None


@lru_cache(maxsize=4096)
def _time_of(written: str) -> datetime | None:
    """Records tell one instant several times over, and the engine asks again where the vendor's clock stands."""
    if written.isdigit() and len(written) >= _SHORTEST_EPOCH:
        try:
            return _epoch(int(written))
        except ValueError:  # digits of other scripts, or thousands of them
            return None
    try:
        found = datetime.fromisoformat(written)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _epoch(milliseconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def full_name(first: Any, last: Any) -> str:
    return f"{text(first)} {text(last)}".strip()[:LONGEST_NAME]


def emails(values: Iterable[Any]) -> tuple[str, ...]:
    """Lower-cased addresses, each once, in order; what is no address is left out."""
    found: dict[str, None] = {}
    for value in values:
        if value is None:
            continue
        address = text(value, longest=LONGEST_EMAIL + 1).lower()
        if address and len(address) <= LONGEST_EMAIL and _EMAIL.fullmatch(address):
            found[address] = None
    return tuple(found)


@lru_cache(maxsize=1024)
def region_of(country: str) -> str | None:
    """``DE`` for ``Germany``, ``Deutschland``, ``de`` or ``DEU``; None when we do not know the country."""
    name = country.strip().strip(".").casefold()
    code = _REGIONS.get(name, name.upper())
    return code if code in REGIONS else None


_COUNTRIES = """
US usa united states|united states of america|u.s.a|u.s|america
CA can canada
MX mex mexico|méxico
BR bra brazil|brasil
AR arg argentina
CL chl chile
CO col colombia
PE per peru|perú
GB gbr uk|united kingdom|great britain|england|scotland|wales|northern ireland|u.k
IE irl ireland|éire
FR fra france
DE deu germany|deutschland
AT aut austria|österreich
CH che switzerland|schweiz|suisse|svizzera
NL nld netherlands|the netherlands|nederland|holland
BE bel belgium|belgië|belgique
LU lux luxembourg
ES esp spain|españa
PT prt portugal
IT ita italy|italia
GR grc greece|ελλάδα
DK dnk denmark|danmark
SE swe sweden|sverige
NO nor norway|norge
FI fin finland|suomi
IS isl iceland
PL pol poland|polska
CZ cze czechia|czech republic|česko
SK svk slovakia
HU hun hungary|magyarország
RO rou romania|românia
BG bgr bulgaria
HR hrv croatia|hrvatska
RS srb serbia
UA ukr ukraine|україна
RU rus russia|russian federation|россия
TR tur turkey|türkiye|turkiye
IL isr israel|ישראל
AE are united arab emirates|uae
SA sau saudi arabia|السعودية
QA qat qatar
EG egy egypt|مصر
MA mar morocco|maroc
NG nga nigeria
KE ken kenya
GH gha ghana
ZA zaf south africa
IN ind india|भारत
PK pak pakistan
BD bgd bangladesh
LK lka sri lanka
CN chn china|中国
HK hkg hong kong
TW twn taiwan|台灣
JP jpn japan|日本
KR kor south korea|korea|republic of korea|대한민국
SG sgp singapore
MY mys malaysia
TH tha thailand
VN vnm vietnam|viet nam
PH phl philippines
ID idn indonesia
AU aus australia
NZ nzl new zealand
"""


def _regions() -> dict[str, str]:
    found = {}
    for line in _COUNTRIES.strip().splitlines():
        code, three, names = line.split(" ", 2)
        for name in (three, *names.split("|")):
            found[name] = code
    return found


_REGIONS = _regions()
