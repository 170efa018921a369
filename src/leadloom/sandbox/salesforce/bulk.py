"""Bulk API 2.0, queries only: make a job, ask how far it is, read its result in pages of CSV."""

import gzip
from base64 import b64decode, b64encode
from binascii import Error

import msgspec

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.salesforce.bulk_jobs import DELIMITERS, LINE_ENDS, Job
from leadloom.sandbox.salesforce.columns import Column
from leadloom.sandbox.salesforce.finder import Finder
from leadloom.sandbox.salesforce.hub import READ, ROUTES, VERSION, Hub
from leadloom.sandbox.salesforce.problems import problem, read_json
from leadloom.sandbox.salesforce.records import rest_time
from leadloom.sandbox.salesforce.soql import Every, Path, Query, read_soql
from leadloom.sandbox.salesforce.staff import US
from leadloom.sandbox.salesforce.telling import columns_of, csv_of

LARGEST_PAGE = 50_000  # of a reader that names no size
PAGES_AT_ONCE = 5
_LAST = "null"  # the word, not nothing


class Wanted(msgspec.Struct):
    operation: str
    query: str
    contentType: str = "CSV"  # noqa: N815
    columnDelimiter: str = "COMMA"  # noqa: N815
    lineEnding: str = "LF"  # noqa: N815


class NewState(msgspec.Struct):
    state: str


@ROUTES.add("POST", rf"{VERSION}/jobs/query/?", READ)
def make_job(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    body = read_json(request, Wanted)
    if body.operation not in ("query", "queryAll") or body.contentType != "CSV":
        raise problem(400, "API_ERROR", "INVALIDJOB : the operation or content type is not supported")
    if body.columnDelimiter not in DELIMITERS or body.lineEnding not in LINE_ENDS:
        raise problem(400, "API_ERROR", "INVALIDJOB : the delimiter or line ending is not supported")
    query = read_soql(body.query)
    _require_flat(query)
    view = hub.store.committed().frozen()
    finder = Finder(hub, view, query, with_deleted=body.operation == "queryAll")
    columns = columns_of(hub, query)
    _require_simple(columns)
    job = hub.jobs.add(
        operation=body.operation, query=body.query, kind=finder.kind, version=args[0], delimiter=body.columnDelimiter,
        line_ending=body.lineEnding, columns=columns, numbers=finder.find(), view=view,
    )  # fmt: skip
    return json_reply(200, _short(hub, job))


def _require_flat(query: Query) -> None:
    if query.is_count or query.offset or not all(isinstance(one, Path | Every) for one in query.items):
        raise problem(400, "API_ERROR", "FEATURENOTENABLED : aggregates, offsets and subqueries are not supported")
    if any(isinstance(one, Every) and one.which != "STANDARD" for one in query.items):
        raise problem(400, "API_ERROR", "FEATURENOTENABLED : of FIELDS only STANDARD is supported")


def _require_simple(columns: list[Column]) -> None:
    for one in columns:
        if one.field.type in ("address", "location"):
            raise problem(
                400, "API_ERROR",
                f"FEATURENOTENABLED : Selecting compound data not supported in Bulk Query: {one.field.name}",
            )  # fmt: skip


def _short(hub: Hub, job: Job[Column]) -> dict[str, Json]:
    return {
        "id": job.id,
        "operation": job.operation,
        "object": job.kind,
        "createdById": US.id,
        "createdDate": rest_time(job.created_ms),
        "systemModstamp": rest_time(job.created_ms),
        "state": job.state(hub.clock.now_ms()),
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.version),
        "lineEnding": job.line_ending,
        "columnDelimiter": job.delimiter,
    }


def _whole(hub: Hub, job: Job[Column]) -> dict[str, Json]:
    now = hub.clock.now_ms()
    told: dict[str, Json] = {
        **_short(hub, job),
        "jobType": "V2Query",
        "numberRecordsProcessed": job.processed(now),
        "retries": 0,
        "totalProcessingTime": max(0, min(now, job.ends_ms) - job.begins_ms),
        "isPkChunkingSupported": job.kind in ("Account", "Contact", "Lead"),
    }
    return {**told, "errorMessage": job.error} if told["state"] == "Failed" else told


@ROUTES.add("GET", rf"{VERSION}/jobs/query/?", READ)
def list_jobs(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    return json_reply(200, {"done": True, "nextRecordsUrl": None, "records": [_whole(hub, x) for x in hub.jobs.all()]})


@ROUTES.add("GET", rf"{VERSION}/jobs/query/(\w+)/?", READ)
def get_job(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    return json_reply(200, _whole(hub, hub.jobs.get(args[1])))


@ROUTES.add("PATCH", rf"{VERSION}/jobs/query/(\w+)/?", READ)
def abort_job(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    job = hub.jobs.get(args[1])
    if read_json(request, NewState).state != "Aborted":
        raise problem(400, "API_ERROR", "INVALIDJOB : a job can only be aborted")
    if job.state(hub.clock.now_ms()) not in ("UploadComplete", "InProgress"):
        raise problem(400, "API_ERROR", "INVALIDJOBSTATE : the job has ended already")
    job.aborted_ms = hub.clock.now_ms()
    return json_reply(200, _short(hub, job))


@ROUTES.add("DELETE", rf"{VERSION}/jobs/query/(\w+)/?", READ)
def delete_job(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    job = hub.jobs.get(args[1])
    if job.state(hub.clock.now_ms()) in ("UploadComplete", "InProgress"):
        raise problem(400, "API_ERROR", "INVALIDJOBSTATE : the job has not ended")
    hub.jobs.delete(job)
    return Reply(204)


@ROUTES.add("GET", rf"{VERSION}/jobs/query/(\w+)/results/?", READ)
def get_results(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """Always compressed. The same page again is the same again."""
    job = _ended(hub, args)
    query = request.query
    start = _start(job, query.get("locator", ""))
    size = _size(query.get("maxRecords", str(LARGEST_PAGE)))
    chosen = job.numbers[start : start + size]
    records = [one for number in chosen if (one := job.view.get(job.kind, number)) is not None]
    body = csv_of(
        list(job.columns), records, job.view, delimiter=DELIMITERS[job.delimiter], line_end=LINE_ENDS[job.line_ending]
    )
    following = _locator(start + size) if start + size < len(job.numbers) else _LAST
    headers = [
        (b"sforce-numberofrecords", str(len(records)).encode()),
        (b"sforce-locator", following.encode()),
        (b"content-encoding", b"gzip"),
    ]
    return Reply(200, gzip.compress(body, 1), b"text/csv", headers)


@ROUTES.add("GET", rf"{VERSION}/jobs/query/(\w+)/resultPages/?", READ)
def get_result_pages(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """Where pages are that can be read side by side."""
    job = _ended(hub, args)
    size = min(_size(request.query.get("maxRecords", str(LARGEST_PAGE))), LARGEST_PAGE)
    first = _start(job, request.query.get("locator", ""))
    starts = [*range(first, len(job.numbers), size)] or [first]
    base = f"/services/data/v{args[0]}/jobs/query/{job.id}"
    pages: list[Json] = [
        {"resultUrl": f"{base}/results?maxRecords={size}&locator={_locator(start)}"} for start in starts[:PAGES_AT_ONCE]
    ]
    told: dict[str, Json] = {"resultPages": pages, "done": len(starts) <= PAGES_AT_ONCE}
    if len(starts) > PAGES_AT_ONCE:
        told["nextRecordsUrl"] = f"{base}/resultPages?maxRecords={size}&locator={_locator(starts[PAGES_AT_ONCE])}"
    return json_reply(200, told)


def _ended(hub: Hub, args: tuple[str, ...]) -> Job[Column]:
    job = hub.jobs.get(args[1])
    if args[0] != job.version:
        raise problem(409, "API_ERROR", f"the job was made with API version {job.version}")
    if job.state(hub.clock.now_ms()) != "JobComplete":
        raise problem(400, "API_ERROR", "INVALIDJOBSTATE : the job has no results yet")
    return job


def _size(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise problem(400, "API_ERROR", "maxRecords is a number from 1")
    return int(text)


def _locator(start: int) -> str:
    """``MTAwMDA``."""
    return b64encode(str(start).encode()).decode().rstrip("=")


def _start(job: Job[Column], locator: str) -> int:
    if not locator:
        return 0
    try:
        start = int(b64decode(locator + "=" * (-len(locator) % 4), validate=True))
    except (ValueError, Error) as error:
        raise problem(400, "API_ERROR", "the locator is invalid") from error
    if not 0 <= start <= len(job.numbers):
        raise problem(400, "API_ERROR", "the locator is invalid")
    return start
