"""Bulk Read: a job is asked for, takes its time, and leaves a ZIP archive with one CSV file.

https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/overview.html. What Zoho does not tell, the order of the rows,
can be set: tests must pass with any.
"""

import csv
from dataclasses import dataclass
from io import BytesIO, StringIO
from operator import ge, gt, le, lt
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec

from leadloom.sandbox.clock import DAY_MS
from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.zoho.catalogue import MODULES, NAMES
from leadloom.sandbox.zoho.hub import ROUTES, Gate, Hub
from leadloom.sandbox.zoho.problems import invalid, invalid_module, problem, too_many
from leadloom.sandbox.zoho.records import Record

BULK = r"/crm/bulk/v8/read"
SCOPES = ("ZohoCRM.bulk.READ", "ZohoCRM.bulk.ALL")
CREATE = Gate(*SCOPES, credits=50)
READ = Gate(*SCOPES)
KEPT_MS = DAY_MS
MOST_PAGES = 50
_COMPARISONS = {"less_than": lt, "less_equal": le, "greater_than": gt, "greater_equal": ge}
_OF_ACCOUNT = "Account_Name.Account_Name"


class Named(msgspec.Struct):
    api_name: str


class Criteria(msgspec.Struct):
    """A condition, or a group of them."""

    field: Named | None = None
    comparator: str = ""
    value: str | int = ""
    group_operator: str = "and"
    group: list["Criteria"] = []


class Query(msgspec.Struct):
    module: Named
    fields: list[str] = []
    criteria: Criteria | None = None
    page: int = 1


class Body(msgspec.Struct):
    query: Query


@dataclass(frozen=True, slots=True)
class Job:
    """What is read is fixed when the job is asked for."""

    id: int
    query: Query
    ids: list[int]
    has_more: bool
    asked_ms: int


@ROUTES.add("POST", BULK, CREATE)
def create(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    try:
        query = msgspec.json.decode(request.body, type=Body).query
    except msgspec.DecodeError as error:
        raise problem(400, "MANDATORY_NOT_FOUND", "required field not found", api_name="query") from error
    module = query.module.api_name
    if module not in MODULES:
        raise invalid_module(module)
    if not 1 <= query.page <= MOST_PAGES:
        raise problem(400, "PAGE_RANGE_EXCEEDED", "page is out of range", range=f"1 to {MOST_PAGES}")
    refused = {*hub.exports.refused}
    for name in query.fields:
        if name in refused or name not in {*NAMES[module], "id", "Converted__s", "Full_Name", _OF_ACCOUNT}:
            raise problem(400, "FIELD_NOT_SUPPORTED", "the field is not supported in bulk read", api_name=name)
    chosen = [own_id for own_id in _readable(hub, module) if _holds(own_id, query.criteria)]
    hub.exports.sort(chosen)
    start = (query.page - 1) * hub.exports.per_page
    page = chosen[start : start + hub.exports.per_page]
    has_more = len(chosen) > start + len(page)
    job = Job(hub.exports.new_id(), query, page, has_more, hub.clock.now_ms())
    hub.exports.jobs[job.id] = job
    details: Json = {
        "id": str(job.id),
        "operation": "read",
        "state": "ADDED",
        "created_by": {"id": "4876876000000377001", "name": "Ada Okafor"},
        "created_time": hub.teller.time(job.asked_ms),
    }
    done: Json = {
        "status": "success",
        "code": "ADDED_SUCCESSFULLY",
        "message": "Added successfully.",
        "details": details,
    }
    return json_reply(201, {"data": [done], "info": {}})


def _readable(hub: Hub, module: str) -> list[int]:
    """Converted leads are among them, as everywhere but in lists."""
    return [*hub.store.live[module], *(hub.store.converted if module == "Leads" else [])]


def _holds(own_id: int, criteria: Criteria | None) -> bool:
    if criteria is None:
        return True
    if criteria.group:
        found = [_holds(own_id, one) for one in criteria.group]
        return any(found) if criteria.group_operator.lower() == "or" else all(found)
    if criteria.field is None or criteria.field.api_name != "id" or criteria.comparator not in _COMPARISONS:
        raise invalid("this simulation knows conditions on id only")
    return bool(_COMPARISONS[criteria.comparator](own_id, int(criteria.value)))


@ROUTES.add("GET", rf"{BULK}/(\d+)", READ)
def show(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    job = _known(hub, args[0])
    state = _state(hub, job)
    told: dict[str, Json] = {
        "id": str(job.id),
        "operation": "read",
        "state": state,
        "query": {
            "module": {"api_name": job.query.module.api_name},
            "page": job.query.page,
            "fields": job.query.fields,
        },
        "created_by": {"id": "4876876000000377001", "name": "Ada Okafor"},
        "created_time": hub.teller.time(job.asked_ms),
        "file_type": "csv",
    }
    if state == "COMPLETED":
        told["result"] = {
            "page": job.query.page,
            "count": len(job.ids),
            "download_url": f"/crm/bulk/v8/read/{job.id}/result",
            "per_page": hub.exports.per_page,
            "more_records": job.has_more,
        }
    return json_reply(200, {"data": [told]})


def _state(hub: Hub, job: Job) -> str:
    if hub.exports.fails:
        return "FAILURE"
    passed_ms = hub.clock.now_ms() - job.asked_ms
    if passed_ms >= hub.exports.takes_s * 1000:
        return "COMPLETED"
    return "ADDED" if passed_ms < hub.exports.takes_s * 300 else "IN PROGRESS"


@ROUTES.add("GET", rf"{BULK}/(\d+)/result", READ)
def result(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    job = _known(hub, args[0])
    if _state(hub, job) != "COMPLETED":
        raise problem(400, "RESULT_NOT_READY", "the job is not completed")
    if hub.limits.mode != "none" and not hub.exports.downloads.take():
        raise too_many()
    name = f"attachment; filename={job.id}.zip"
    return Reply(200, _archive(hub, job), b"application/zip", [(b"content-disposition", name.encode())])


def _known(hub: Hub, own_id: str) -> Job:
    job = hub.exports.jobs.get(int(own_id))
    if job is None or hub.clock.now_ms() - job.asked_ms > KEPT_MS:
        raise problem(404, "RESOURCE_NOT_FOUND", "The requested resource doesn't exist.")
    return job


def _archive(hub: Hub, job: Job) -> bytes:
    names = ["id", *(name for name in job.query.fields if name != "id")]
    text = StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(names)
    for record in hub.store.rows(job.ids):
        if record.deleted_ms is None:
            lines.writerow(_values(hub, record, names))
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(f"{job.id}.csv", text.getvalue())
    return packed.getvalue()


def _values(hub: Hub, record: Record, names: list[str]) -> list[str]:
    """All as text; a lookup is its id."""
    held = hub.teller.whole(record)
    account = held.get("Account_Name")
    held[_OF_ACCOUNT] = account.get("name") if isinstance(account, dict) else None
    return [_text(held.get(name)) for name in names]


def _text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return str(value.get("id") or "")
    return str(value)
