"""What feeds of several vendors share: where the next pass starts, and reading JSON that may not be JSON."""

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec

from leadloom.errors import Unreadable
from leadloom.providers.base import Reply

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


def next_bookmark(
    *, latest_seen: datetime | None, started: datetime, overlap: timedelta, previous: datetime | None
) -> datetime:
    """Where the next pass starts: min(latest change seen, start of this pass) minus an overlap, never backwards.

    The latest change *seen*, not the clock, heals an index that stood still: while it stands, so does the bookmark.
    """
    reached = min(latest_seen, started) if latest_seen else (previous + overlap if previous else started)
    found = reached - overlap
    return max(found, previous) if previous else found
