"""Reading vendor values: whatever type they have, what comes out is clean text, a time, a yes or no. Never raises."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

LONGEST_NAME = 300
LONGEST_TEXT = 20_000  # of notes and descriptions: more than anybody reads; the raw record keeps the rest

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_FALSE = frozenset({"", "false", "0", "no", "n", "off", "none", "null"})


def text(value: Any, *, longest: int = LONGEST_NAME) -> str:
    """One line: trimmed, spaces folded, control characters and half surrogates dropped. Blank for what is no scalar."""
    if value is None:
        return ""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ""
        value = str(value)
    if value.isascii() and value.isprintable() and "  " not in value:  # most values: nothing to clean
        return value.strip()[:longest]
    return _SPACES.sub(" ", _CONTROL.sub("", value)).strip()[:longest]


def long_text(value: Any) -> str:
    """Text that keeps its lines."""
    if not isinstance(value, str):
        return text(value, longest=LONGEST_TEXT)
    return _CONTROL.sub("", value).strip()[:LONGEST_TEXT]


def is_true(value: Any) -> bool:
    """Whether a flag is set. Vendors send ``"false"`` as text; a date means that it was set then."""
    if isinstance(value, str):
        return value.strip().lower() not in _FALSE
    return bool(value) and isinstance(value, bool | int | float)


def time(value: Any) -> datetime | None:
    """An aware time in UTC from ISO text or epoch milliseconds; None for anything else."""
    try:
        if isinstance(value, str) and value:
            if value.isdigit():
                return datetime.fromtimestamp(int(value) / 1000, UTC)
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value:
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def full_name(first: Any, last: Any) -> str:
    return f"{text(first)} {text(last)}".strip()[:LONGEST_NAME]


def emails(values: Iterable[Any]) -> tuple[str, ...]:
    """Lower-cased addresses, each once, in order; what is no address is left out."""
    found: dict[str, None] = {}
    for value in values:
        address = text(value, longest=320).lower()
        if address and _EMAIL.fullmatch(address):
            found[address] = None
    return tuple(found)


@lru_cache(maxsize=1024)
def region_of(country: str) -> str | None:
    """``DE`` for ``Germany``, ``Deutschland``, ``de`` or ``DEU``; None when we do not know the country."""
    name = country.strip().strip(".").casefold()
    if len(name) == 2 and name.isalpha() and name.isascii():
        return {"uk": "GB"}.get(name, name.upper())
    return _REGIONS.get(name)


_COUNTRIES = """
US usa united states|united states of america|u.s.a|u.s|america
CA can canada
MX mex mexico|méxico
BR bra brazil|brasil
AR arg argentina
CL chl chile
CO col colombia
PE per peru|perú
GB gbr united kingdom|great britain|england|scotland|wales|northern ireland|u.k
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
