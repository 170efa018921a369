"""Tags of a connection, and the people whose names end up in them."""

import re

import msgspec

from leadloom.sandbox.http import Json
from leadloom.sandbox.nango.replies import bad_body, issue

MOST_TAGS, LONGEST_TAG_KEY, LONGEST_TAG = 10, 64, 255
_TAG_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_\-./]*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class EndUser(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    email: str | None = None
    display_name: str | None = None
    tags: dict[str, str] | None = None


class Organization(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    display_name: str | None = None


def checked_tags(tags: dict[str, str]) -> dict[str, str]:
    """Keys are lower-cased on storage. Raises ``invalid_body``."""
    if len(tags) > MOST_TAGS:
        raise bad_body(issue("custom", f"Tags cannot contain more than {MOST_TAGS} keys", "tags"))
    kept: dict[str, str] = {}
    for name, value in tags.items():
        if not _TAG_KEY.fullmatch(name) or len(name) > LONGEST_TAG_KEY:
            raise bad_body(issue("invalid_key", "Invalid key in record", "tags", name))
        if not 1 <= len(value) <= LONGEST_TAG:
            raise bad_body(issue("too_big", f"Tag values must be at most {LONGEST_TAG} characters", "tags", name))
        if name.lower() in kept:
            message = f'Duplicate tag key after case normalization: "{name.lower()}"'
            raise bad_body(issue("custom", message, "tags"))
        kept[name.lower()] = value
    if not _EMAIL.fullmatch(kept.get("end_user_email", "a@example.com")):
        raise bad_body(issue("custom", 'Tag "end_user_email" must be a valid email', "tags"))
    return kept


def all_tags(tags: dict[str, str] | None, user: EndUser | None, firm: Organization | None) -> dict[str, str]:
    """End user and organization are merged into the tags."""
    merged = checked_tags(tags or {})
    if user is not None:
        merged |= user.tags or {}
        own = {"end_user_id": user.id, "end_user_email": user.email, "end_user_display_name": user.display_name}
        merged |= {name: value for name, value in own.items() if value}
    if firm is not None:
        own = {"organization_id": firm.id, "organization_display_name": firm.display_name}
        merged |= {name: value for name, value in own.items() if value}
    return merged


def end_user_body(user: EndUser | None, firm: Organization | None) -> dict[str, Json] | None:
    if user is None:
        return None
    organization: Json = None if firm is None else {"id": firm.id, "display_name": firm.display_name}
    return {
        "id": user.id,
        "display_name": user.display_name,
        "email": user.email,
        "tags": user.tags or {},
        "organization": organization,
    }
