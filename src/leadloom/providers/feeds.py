"""What feeds of several vendors share: where the next pass starts, and reading JSON that may not be JSON."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec

from leadloom.contact import JSON
from leadloom.errors import Unreadable
from leadloom.providers import fields
from leadloom.providers.base import Reply

REMEMBERED = 100
"""How many contacts at the edge of a pass the bookmark remembers: a quiet hour then reads none of them again."""

_decode = msgspec.json.Decoder().decode


def json_object(reply: Reply, vendor: str) -> dict[str, Any]:
    """The reply's JSON object. Raises Unreadable for anything else: HTML, a cut body, a list."""
    try:
        body = _decode_leniently(reply.body)
    except ValueError as error:
        kind = reply.headers.get("content-type", "no content type")
        raise Unreadable(
            f"{vendor} sent a page that is not readable. We ask for it again.",
            detail=f"status {reply.status}, {kind}, {len(reply.body)} bytes",
        ) from error
    if not isinstance(body, dict):
        raise Unreadable(
            f"{vendor} sent a page of an unexpected form. We ask for it again.", detail=f"JSON {type(body).__name__}"
        )
    return body


def _decode_leniently(body: bytes) -> Any:
    """Half a character (an emoji cut in two) is no valid JSON text; it must not cost the page that it is on."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        repaired = json.dumps(json.loads(body.decode(errors="replace")), ensure_ascii=False)
        return _decode(repaired.encode(errors="replace"))


def rows_of(body: dict[str, Any], key: str, vendor: str) -> list[dict[str, Any]]:
    """The list of objects under ``key``. Raises Unreadable when it is missing: that is no empty page."""
    rows = body.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unreadable(f"{vendor} sent a page without its contacts. We ask for it again.", detail=f"no list {key!r}")
    return rows


def whole_number(body: dict[str, Any], key: str, vendor: str) -> int:
    """The count under ``key``. Raises Unreadable when there is none: that is no zero."""
    found = body.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise Unreadable(f"{vendor} did not say how many contacts it has.", detail=f"no number {key!r}")
    return found


def next_bookmark(
    *, latest_seen: datetime | None, started: datetime, overlap: timedelta, previous: datetime | None
) -> datetime:
    """Where the next pass starts: min(latest change seen, start of this pass) minus an overlap, never backwards.

    The latest change *seen*, not the clock, heals an index that stood still: while it stands, so does the bookmark.
    """
    reached = min(latest_seen, started) if latest_seen else (previous + overlap if previous else started)
    found = reached - overlap
    return max(found, previous) if previous else found


def reach(cursor: Mapping[str, JSON], changed: Mapping[str, str], *, overlap: timedelta) -> dict[str, JSON]:
    """How far the pass has come: the latest change seen, and the contacts at its edge, as the next pass meets them.

    ``changed``: ids of the page and when each was last changed, in the vendor's own writing.
    """
    latest = fields.time(cursor["latest"])
    times = {contact: at for contact, text in changed.items() if (at := fields.time(text)) is not None}
    if not times or (latest and max(times.values()) < latest - overlap):  # most pages of a walk: nothing at the edge
        return {"latest": cursor["latest"], "edge": cursor["edge"]}
    latest = max(times.values()) if latest is None else max(latest, *times.values())
    seen = {**cast(dict[str, str], cursor["edge"]), **changed}
    times |= {contact: at for contact, text in seen.items() if contact not in changed and (at := fields.time(text))}
    edge = sorted((contact for contact, at in times.items() if at >= latest - overlap), key=lambda one: times[one])
    return {"latest": latest.isoformat(), "edge": {contact: seen[contact] for contact in edge[-REMEMBERED:]}}


def bookmark_after(cursor: Mapping[str, JSON], *, previous: datetime | None, overlap: timedelta) -> dict[str, JSON]:
    """Where the next pass starts, and which contacts it will meet again there unless they have changed."""
    started = fields.time(cursor["started"])
    assert started is not None, "first() put it there"
    latest = fields.time(cursor["latest"])
    found = next_bookmark(latest_seen=latest, started=started, overlap=overlap, previous=previous)
    return {"since": found.isoformat(), "edge": cursor["edge"]}
