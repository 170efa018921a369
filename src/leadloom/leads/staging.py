"""A contact as a row of the staging table: clipped to what the columns hold, hashed, and free of what PostgreSQL
cannot store. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import msgspec

from leadloom.contact import Contact

LARGEST_RAW = 100_000  # bytes; a larger record is kept by its size alone: our columns already hold what we use
HASH_BYTES = 16

STAGED_COLUMNS = (
    "ordinal",
    "external_id",
    "content_hash",
    "name",
    "phone",
    "email",
    "company",
    "crm_url",
    "crm_owner",
    "crm_owner_email",
    "crm_status",
    "crm_stage",
    "crm_description",
    "crm_last_activity_at",
    "opted_out",
    "lead_type",
    "activity_at",
    "modified_at",
    "phones",
    "emails",
    "raw",
    "merged_ids",
    "reason",
    "reason_value",
    "is_alone",
)

_encode = msgspec.json.Encoder().encode
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot become a contact, and why."""

    external_id: str
    reason: str
    value: str = ""


def content_hash(contact: Contact) -> bytes:
    """Equal for equal content as a lead would show it; blind to timestamps and to fields we do not use."""
    content = _encode(
        (
            contact.name,
            [(phone.text, phone.label, phone.e164) for phone in contact.phones],
            contact.emails,
            contact.company,
            contact.url,
            contact.owner,
            contact.owner_email,
            contact.status,
            contact.stage,
            contact.description,
            contact.last_activity_at,
            contact.opted_out,
            contact.merged_ids,
        )
    )
    return blake2b(content, digest_size=HASH_BYTES).digest()


def staged_row(
    contact: Contact | Rejected, *, ordinal: int, now: datetime, new_since: datetime, is_alone: bool
) -> tuple[object, ...]:
    """The row, in the order of STAGED_COLUMNS. ``new_since``: contacts made before it are old leads. ``is_alone``: no
    other contact of the page could be the same person."""
    if isinstance(contact, Rejected):
        return _rejected_row(contact, ordinal, now)
    made = contact.created_at or now
    return (
        ordinal,
        contact.external_id,
        content_hash(contact),
        contact.name[:300],
        contact.phone,
        contact.email[:320],
        contact.company[:300],
        contact.url[:500],
        contact.owner[:300],
        contact.owner_email[:320],
        contact.status[:300],
        contact.stage[:300],
        contact.description,
        contact.last_activity_at,
        contact.opted_out,
        "new" if made >= new_since else "old",
        min(made, now),
        contact.modified_at,
        _encode(contact.phones).decode(),
        _encode(contact.emails).decode(),
        storable_json(contact.raw),
        list(contact.merged_ids),
        "",
        "",
        is_alone,
    )


def _rejected_row(record: Rejected, ordinal: int, now: datetime) -> tuple[object, ...]:
    blanks = ("",) * 8
    return (
        ordinal,
        record.external_id[:200],
        None,
        "",
        None,
        *blanks,
        None,
        False,
        "old",
        now,
        None,
        "[]",
        "[]",
        "{}",
        [],
        record.reason,
        record.value.replace("\0", "")[:300],
        False,
    )


def storable_json(raw: bytes) -> str:
    """JSON that ``jsonb`` takes: no escaped NUL characters, and not too large to keep."""
    if len(raw) > LARGEST_RAW:
        return f'{{"too_large_to_keep": {len(raw)}}}'
    if b"\\u0000" in raw:
        raw = _ESCAPED_NUL.sub(rb"\1", raw)
    return raw.decode(errors="replace")
