"""The one door for phone numbers: text as people type it in, E.164 or nothing out.

``rphonenumbers`` does the work, about ten times faster than the pure-Python ``phonenumbers`` it mirrors, which is the
fallback where no wheel exists and the oracle in the tests.
"""

import re
from functools import lru_cache

try:
    import rphonenumbers as library
except ImportError:  # no wheel for this platform: slower, same answers
    import phonenumbers as library  # type: ignore[no-redef]

from leadloom.contact import Phone

LONGEST = 100  # characters; the longest number with words around it is far shorter

# Marks that copying from chats and right-to-left texts leaves around numbers.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x1f]")
# Two numbers in one field: "555-1234 / 555-9876", "a; b", "a or b".
_SEPARATORS = re.compile(r"\s*(?:[;/|,\n]|\bor\b|\boder\b|\band\b|\bund\b)\s*", re.IGNORECASE)


@lru_cache(maxsize=4096)
def to_e164(text: str, region: str) -> str | None:
    """``+14155550123``, or None when the text holds no number that can be dialled.

    ``region`` (``US``) reads numbers without a country code. Of several numbers in one text, the first valid one.
    """
    text = _INVISIBLE.sub("", text).strip()
    if not text or len(text) > LONGEST:
        return None
    whole = _parse(text, region)
    if whole is not None:
        return whole
    parts = _SEPARATORS.split(text)
    if len(parts) == 1:
        return None
    return next((found for part in parts if part and (found := _parse(part, region))), None)


def _parse(text: str, region: str) -> str | None:
    try:
        number = library.parse(text, region or None)
    except library.NumberParseException:
        return _parse(f"+{text[2:]}", region) if text.startswith("00") else None
    if library.is_valid_number(number):
        return str(library.format_number(number, library.PhoneNumberFormat.E164))
    # The international prefix of most of the world, typed in a country that has another one.
    return _parse(f"+{text[2:]}", region) if text.startswith("00") else None


def read_phone(text: str, label: str, region: str) -> Phone:
    """A number as a contact holds it, with what we made of it."""
    return Phone(text=text, label=label, e164=to_e164(text, region))
