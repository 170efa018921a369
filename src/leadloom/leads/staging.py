"""A contact as a line of ``COPY``: clipped to what the columns hold, hashed, and free of what PostgreSQL cannot store.

Pure. The text format of https://www.postgresql.org/docs/current/sql-copy.html is written here by hand, in a third of
the time that a driver needs to look at each value by itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import count

import msgspec

from leadloom.contact import Contact

NEW_FOR = timedelta(days=30)
"""A contact made in the CRM this recently is a *new* lead when it is first imported; an older one is *old*."""

LARGEST_RAW = 100_000  # bytes; a larger record is kept by its size alone: our columns already hold what we use
TOO_LARGE = "too_large_to_keep"  # the name under which that size is kept
HASH_BYTES = 16

STAGED_COLUMNS = (
    # what a lead shows of the contact: hashed
    "name",
    "email",
    "company",
    "crm_url",
    "crm_owner",
    "crm_owner_email",
    "crm_status",
    "crm_stage",
    "crm_description",
    "phones",
    "emails",
    "merged_ids",
    "opted_out",
    "phone",
    "crm_last_activity_at",
    # and the rest
    "external_id",
    "reason",
    "reason_value",
    "ordinal",
    "content_hash",
    "lead_type",
    "activity_at",
    "modified_at",
    "raw",
)

NULL = r"\N"
_NOTHING = "\t".join(("",) * 9 + ("[]", "[]", "{}", "f", NULL, NULL))  # the shown columns of a record we cannot read

_encode = msgspec.json.Encoder().encode
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot become a contact, and why."""

    external_id: str
    reason: str
    value: str = ""


class Stager:
    """Makes the lines of one pass, in the vendor's order: the first of two alike goes first. Touches no database, so a
    page can be staged while another one is being saved."""

    def __init__(self, *, is_first: bool) -> None:
        self._now = datetime.now(UTC)
        self._new_since = self._now - NEW_FOR if is_first else datetime.min.replace(tzinfo=UTC)
        self._ordinals = count()

    def __call__(self, contact: Contact | Rejected) -> bytes:
        return staged_line(contact, ordinal=next(self._ordinals), now=self._now, new_since=self._new_since)


def staged_line(contact: Contact | Rejected, *, ordinal: int, now: datetime, new_since: datetime) -> bytes:
    """The line, in the order of STAGED_COLUMNS. ``new_since``: contacts made before it are old leads."""
    if isinstance(contact, Rejected):
        whom = _escaped((contact.external_id[:200], contact.reason, contact.value.replace("\0", "")[:300]))
        return _bytes(f"{_NOTHING}\t{whom}\t{ordinal}\t{NULL}\told\t{now.isoformat()}\t{NULL}\t{{}}\n")
    shown = _bytes(_shown(contact))
    made = contact.created_at or now
    modified = contact.modified_at.isoformat() if contact.modified_at else NULL
    rest = _bytes(
        f"\t{_escaped((contact.external_id,))}\t\t\t{ordinal}\t\\\\x{_hash(shown)}"
        f"\t{'new' if made >= new_since else 'old'}\t{min(made, now).isoformat()}\t{modified}\t"
    )
    return b"%b%b%b\n" % (shown, rest, storable_json(contact.raw).replace(b"\\", rb"\\"))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # half a character is for PostgreSQL to refuse, not to end the page


def _shown(contact: Contact) -> str:
    """What a lead shows of the contact. Equal for equal content, blind to timestamps and to fields we do not use."""
    texts = _escaped(
        (
            contact.name[:300],
            contact.email[:320],
            contact.company[:300],
            contact.url[:500],
            contact.owner[:300],
            contact.owner_email[:320],
            contact.status[:300],
            contact.stage[:300],
            contact.description,
            _encode(contact.phones).decode(),
            _encode(contact.emails).decode(),
            _array(contact.merged_ids) if contact.merged_ids else "{}",
        )
    )
    activity = contact.last_activity_at.isoformat() if contact.last_activity_at else NULL
    return f"{texts}\t{'t' if contact.opted_out else 'f'}\t{contact.phone or NULL}\t{activity}"


def _hash(shown: bytes) -> str:
    return blake2b(shown, digest_size=HASH_BYTES).hexdigest()


def _escaped(texts: Sequence[str]) -> str:
    """Texts as columns. Most hold nothing to escape, which one look at all of them tells."""
    columns = "\t".join(texts)
    if "\\" in columns or "\n" in columns or "\r" in columns or columns.count("\t") >= len(texts):
        return "\t".join([text.translate(_ESCAPES) for text in texts])
    return columns


def _array(texts: Sequence[str]) -> str:
    """The literal of a ``text[]``."""
    quoted = [text.replace("\\", r"\\").replace('"', r"\"") for text in texts]
    return "{" + ",".join([f'"{text}"' for text in quoted]) + "}"


def storable_json(raw: bytes) -> bytes:
    """JSON on one line that PostgreSQL takes: no escaped NUL characters, and not too large to keep."""
    if len(raw) > LARGEST_RAW:
        return b'{"%b": %d}' % (TOO_LARGE.encode(), len(raw))
    if raw.find(b"\\") >= 0 and b"\\u0000" in raw:
        raw = _ESCAPED_NUL.sub(rb"\1", raw)
    return raw.replace(b"\n", b"").replace(b"\r", b"").replace(b"\t", b"")  # inside of texts JSON has them escaped
