"""What was deleted and what was changed between two moments: ids only."""

from datetime import UTC, datetime

from leadloom.sandbox.clock import DAY_MS
from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.salesforce.describing import visible
from leadloom.sandbox.salesforce.finder import Finder
from leadloom.sandbox.salesforce.hub import READ, ROUTES, VERSION, Hub
from leadloom.sandbox.salesforce.ids import id_of
from leadloom.sandbox.salesforce.problems import problem
from leadloom.sandbox.salesforce.records import rest_time
from leadloom.sandbox.salesforce.soql import Both, Moment, Path, Query, Test
from leadloom.sandbox.salesforce.store import BIN_DAYS

UPDATED_DAYS = 30
_STAMP = Path(("SystemModstamp",), 1)


@ROUTES.add("GET", rf"{VERSION}/sobjects/(\w+)/deleted/?", READ)
def deleted(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """Those in the recycle bin, merged ones among them; what was erased leaves nothing."""
    kind = visible(hub, args[1])
    start, end = _window(hub, request, BIN_DAYS)
    rows = hub.store.committed().rows[kind]
    found = sorted(
        (one.deleted_ms, one.id)
        for one in rows.records.values()
        if one is not None and one.deleted_ms is not None and start <= one.deleted_ms < end
    )
    body: Json = {
        "deletedRecords": [{"id": own_id, "deletedDate": rest_time(at or 0)} for at, own_id in found],
        "earliestDateAvailable": rest_time(hub.clock.now_ms() - BIN_DAYS * DAY_MS),
        "latestDateCovered": rest_time(_covered(hub, end)),
    }
    return json_reply(200, body)


@ROUTES.add("GET", rf"{VERSION}/sobjects/(\w+)/updated/?", READ)
def updated(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    kind = visible(hub, args[1])
    start, end = _window(hub, request, UPDATED_DAYS)
    where = Both((Test(_STAMP, ">=", (Moment(start),)), Test(_STAMP, "<", (Moment(end),))))
    query = Query("", kind, 1, where=where)
    numbers = Finder(hub, hub.store.committed(), query, with_deleted=False).find()
    ids: list[Json] = [id_of(kind, number) for number in numbers]
    return json_reply(200, {"ids": ids, "latestDateCovered": rest_time(_covered(hub, end))})


def _covered(hub: Hub, end: int) -> int:
    """Stands still behind transactions that are still open."""
    return min(end, hub.clock.now_ms() - int(hub.store.commit_lag_s * 1000))


def _window(hub: Hub, request: Request, days: int) -> tuple[int, int]:
    """Seconds are ignored."""
    start, end = (_minute(request.query.get(name, "")) for name in ("start", "end"))
    if start >= end:
        raise _refusal("startDate must be less than endDate")
    if start < hub.clock.now_ms() - days * DAY_MS:
        raise _refusal(f"startDate cannot be more than {days} days ago")
    return start, end


def _minute(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise _refusal(f"'{text}' is no time") from error
    if found.tzinfo is None:
        raise _refusal(f"'{text}' has no time zone")
    return int(found.astimezone(UTC).replace(second=0, microsecond=0).timestamp() * 1000)


def _refusal(message: str) -> Exception:
    return problem(400, "INVALID_REPLICATION_DATE", message)
