"""Record ids: three letters for the object, twelve that tell instance and number, three that make them safe where case
is lost.

Numbers grow in the order in which records are made, with gaps; ids sort as their numbers do.
"""

from functools import lru_cache

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIXES = {
    "Account": "001",
    "Contact": "003",
    "User": "005",
    "Opportunity": "006",
    "Group": "00G",
    "OpportunityContactRole": "00K",
    "Lead": "00Q",
    "LeadStatus": "01J",
    "OpportunityStage": "01K",
    "Organization": "00D",
}
SHORT, LONG = 15, 18
_INSTANCE = "5g0000"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_PAIRS = [high + low for high in LETTERS for low in LETTERS]
_FIRST = 2_750_000_000  # the sixth letter from the end is in use
_STEP = 97
_KINDS = {prefix: kind for kind, prefix in PREFIXES.items()}


def _chunk(five: str) -> str:
    """The letter that keeps which of five letters are capitals."""
    return _SUFFIX[sum(1 << at for at, letter in enumerate(five) if "A" <= letter <= "Z")]


_FRONT = {kind: (f"{prefix}{_INSTANCE}", _chunk(f"{prefix}{_INSTANCE}"[:5])) for kind, prefix in PREFIXES.items()}
_CAPITALS = ["A" <= letter <= "Z" for letter in LETTERS]
_SECOND = [_SUFFIX[16 if capital else 0] for capital in _CAPITALS]  # four digits and the first letter of the number


def _serial(number: int) -> int:
    return _FIRST + number * _STEP + number * 2654435761 % 61


@lru_cache(maxsize=1 << 14)
def id_of(kind: str, number: int) -> str:
    """All 18 characters."""
    front, first = _FRONT[kind]
    rest, low = divmod(_serial(number), 3844)
    high, middle = divmod(rest, 3844)
    d0, d1 = divmod(high, 62)
    d2, d3 = divmod(middle, 62)
    d4, d5 = divmod(low, 62)
    capital = _CAPITALS
    third = capital[d1] | capital[d2] << 1 | capital[d3] << 2 | capital[d4] << 3 | capital[d5] << 4
    return f"{front}{_PAIRS[high]}{_PAIRS[middle]}{_PAIRS[low]}{first}{_SECOND[d0]}{_SUFFIX[third]}"


def short_id(kind: str, number: int) -> str:
    return id_of(kind, number)[:SHORT]


def is_id(text: str) -> bool:
    """Whether it has the form: of anything, here or elsewhere."""
    if len(text) not in (SHORT, LONG) or not (text.isascii() and text.isalnum()):
        return False
    return len(text) == SHORT or text[SHORT:].upper() == lengthen(text[:SHORT])[SHORT:]


def lengthen(short: str) -> str:
    return short + "".join(_chunk(short[at : at + 5]) for at in (0, 5, 10))


@lru_cache(maxsize=1 << 16)
def record_of(own_id: str) -> tuple[str, int] | None:
    """The object and number behind an id of either length; None for one that was never given out here."""
    if not is_id(own_id):
        return None
    kind = _KINDS.get(own_id[:3])
    if kind is None or own_id[3:9] != _INSTANCE:
        return None
    serial = 0
    for letter in own_id[9:SHORT]:
        serial = serial * 62 + LETTERS.index(letter)
    number = (serial - _FIRST) // _STEP
    return (kind, number) if number >= 0 and _serial(number) == serial else None
