"""The one door for phone numbers: text as people type it in, E.164 or nothing out.

``rphonenumbers`` does the work, about ten times faster than the pure-Python ``phonenumbers`` it mirrors, which is the
fallback where no wheel exists and the oracle in the tests. What either finds valid is taken; a wrong number is worse
than none, so nothing is guessed beyond undoing the habits listed here.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

try:
    import rphonenumbers as library
except ImportError:  # no wheel for this platform: slower, same answers
    import phonenumbers as library

from leadloom.contact import Phone

LONGEST = 100  # characters; the longest number with words around it is far shorter
REGIONS: frozenset[str] = frozenset(library.SUPPORTED_REGIONS)

_PLAIN = re.compile(r"[+(\d][\d ().+-]*", re.ASCII)
# Marks that copying from chats and right-to-left texts leaves inside numbers, and what no phone can have.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_WORD = re.compile(r"[^\W\d_]{3}")
# Two numbers in one field: "415-555-1234 / 415-555-9876", one number a line, "a or b".
_SEPARATORS = re.compile(r"\s*(?:[;/|,\r\n]|\b(?:or|and|oder|und|ou|et|y|o)\b)\s*", re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d\d([-/.])\d\d?\1\d\d?\b")  # in the wrong column; some countries would dial it
_RUN = re.compile(r"[+＋(]*\d[\d\s().+\-‐-―]{4,}\d")  # what of a text with words is the number
_ZERO = re.compile(r"\(\s*0\s*\)")
_TWO_COUNTRIES = re.compile(r"(?:\+|00)\s*(\d{1,3})[\s.-]*(?:\+|00)?\s*(?=\1)", re.ASCII)


@lru_cache(maxsize=4096)
def to_e164(text: str, region: str) -> str | None:
    """``+14155550123``, or None when the text holds no number that can be dialled. Never raises.

    ``region`` (``US``) reads numbers without a country code. Of several numbers in one text, the first valid one.
    """
    if _PLAIN.fullmatch(text):  # most numbers: nothing to clean, no words
        has_words = False
    else:
        text = _INVISIBLE.sub("", text).strip()
        has_words = _WORD.search(text) is not None
    if not text or len(text) > LONGEST or _DATE.match(text):
        return None
    if not has_words and (found := _valid(text, region)):
        return found
    return next((found for reading in _readings(text, has_words) if (found := _valid(reading, region))), None)


def read_phone(text: str, label: str, region: str) -> Phone:
    """A number as a contact holds it, with what we made of it."""
    return Phone(text=text, label=label, e164=to_e164(text, region))


def _valid(text: str, region: str) -> str | None:
    try:
        number = library.parse(text, region or None)
    except library.NumberParseException:
        return None
    if not library.is_valid_number(number):
        return None
    return str(library.format_number(number, library.PhoneNumberFormat.E164))


def _readings(text: str, has_words: bool) -> Iterator[str]:
    """The text with one habit undone at a time. The libraries' own search in texts is not used: they differ there."""
    for part in _SEPARATORS.split(text):
        run = _RUN.search(part)
        if run is None:
            continue
        digits = run.group()
        yield digits
        if digits.startswith("00"):  # the international prefix of most of the world, typed where it is another
            yield f"+{digits[2:]}"
        if (without := _ZERO.sub("", digits)) != digits:  # +36 (0)1 …: a zero that is not dialled from abroad
            yield without
        doubled = _TWO_COUNTRIES.match(digits)  # +44 44 20 …: a form added a country code to one that was there
        if doubled and int(doubled[1]) in library.COUNTRY_CODE_TO_REGION_CODE:
            yield f"+{digits[doubled.end() :]}"
    if has_words:
        # Letters are digits only where nothing else makes a number: "1-800-FLOWERS" is one, "030 1234 office" is not.
        yield text


@lru_cache(maxsize=4096)
def readable(e164: str) -> str:
    """``+1 415-555-0123``: as people write it to be dialled from anywhere. Unreadable text comes back as it is."""
    try:
        number = library.parse(e164, None)
    except library.NumberParseException:
        return e164
    return str(library.format_number(number, library.PhoneNumberFormat.INTERNATIONAL))
