"""The JSON API of leads and runs: Recent Threads, the run history, and every contact a run met with its reason.

All lists are keyset-paged: send ``next`` of one page as ``after`` of the next. Only the erasing of a person
writes.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import AfterValidator, Field

from leadloom.accounts.api_auth import ApiRequest, acting_user, in_account, require_manager, session_or_token
from leadloom.accounts.services import audit
from leadloom.connections.models import Run
from leadloom.leads.erase import NeedsConfirmation, erase
from leadloom.leads.models import Lead, Outcome, SourceContact
from leadloom.leads.queries import NotAPlace, Place, threads_page
from leadloom.leads.reasons import REASONS, sentence_for
from leadloom.leads.records import records_of
from leadloom.leads.spreadsheet import as_csv
from leadloom.site.wire import ApiError, Failure, Wire

MOST = 200
MOST_IN_CSV = 10_000
BIGGEST_ID = 2**63 - 1

router = Router(auth=session_or_token, by_alias=True, tags=["Leads and runs"])


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a character that cannot be searched for")
    return text


# Not `type Text = …`: the OpenAPI description would lose the names of parameters of such a type.
Text = Annotated[str, AfterValidator(_storable)]
Limit = Annotated[int, Field(ge=1, le=MOST)]


class Thread(Wire):
    lead_id: int
    name: str
    phone: str | None
    email: str
    company: str
    status: str
    lead_type: str
    opted_out: bool
    owner: str
    crm_source: str
    crm_status: str
    crm_stage: str
    crm_url: str
    notes: str
    last_message: str
    last_message_at: datetime | None
    contacted_at: datetime | None
    activity_at: datetime


class ThreadsOut(Wire):
    success: bool = True
    threads: list[Thread]
    next: str | None


class RunOut(Wire):
    run_id: int
    connection_id: int
    trigger: str
    strategy: str
    state: str
    is_first: bool
    total: int | None
    seen: int
    created: int
    updated: int
    unchanged: int
    linked: int
    skipped: int
    failed: int
    gone: int
    absent: int
    requests: int
    created_at: datetime
    started_at: datetime | None
    first_lead_at: datetime | None
    finished_at: datetime | None
    resume_at: datetime | None
    error_code: str
    error: str


class RunsAsked(Wire):
    after: int | None = Field(None, ge=1, le=BIGGEST_ID)
    limit: Limit = 50
    connection_id: int | None = None


class RunsOut(Wire):
    success: bool = True
    runs: list[RunOut]
    next: int | None


class OneRunOut(Wire):
    success: bool = True
    run: RunOut


class RecordOut(Wire):
    external_id: str
    name: str
    phones: list[str]
    emails: list[str]
    outcome: str
    lead_id: int | None
    needs_review: bool
    reason: str
    message: str
    fix: str
    modified_at: datetime | None


class RecordsOut(Wire):
    success: bool = True
    records: list[RecordOut]
    next: str | None


class EraseAsked(Wire):
    confirmed: bool = False


class ErasedOut(Wire):
    success: bool = True
    lead_id: int
    message: str


@router.get("/threads", response={200: ThreadsOut, 401: Failure, 422: Failure}, summary="Recent Threads")
@in_account
def threads(request: ApiRequest, after: Text = "", limit: Limit = 50, search: Text = "") -> ThreadsOut:
    """Live leads, the latest activity first. ``search`` looks at names, phone numbers and e-mail addresses."""
    try:
        place = Place.read(after) if after else None
    except NotAPlace:
        raise ApiError(422, "invalid", "after: not a place in this list.") from None
    page = threads_page(request.account, after=place, limit=limit, search=search, is_whole=True)
    return ThreadsOut(threads=[_thread(lead) for lead in page.leads], next=str(page.next) if page.next else None)


@router.get("/runs", response={200: RunsOut, 401: Failure, 422: Failure}, summary="The run history")
@in_account
def runs(request: ApiRequest, asked: Query[RunsAsked]) -> RunsOut:
    """The newest first."""
    found = Run.objects.filter(account_id=request.account.pk)
    if asked.after is not None:
        found = found.filter(pk__lt=asked.after)
    if asked.connection_id is not None:
        found = found.filter(connection_id=asked.connection_id)
    some = list(found.order_by("-pk")[: asked.limit + 1])
    page = some[: asked.limit]
    return RunsOut(runs=[_run(run) for run in page], next=page[-1].pk if len(some) > asked.limit else None)


@router.get("/runs/{run_id}", response={200: OneRunOut, 401: Failure, 404: Failure, 422: Failure}, summary="One run")
@in_account
def run(request: ApiRequest, run_id: int) -> OneRunOut:
    return OneRunOut(run=_run(_mine(request, run_id)))


@router.get(
    "/runs/{run_id}/records",
    response={200: RecordsOut, 401: Failure, 404: Failure, 422: Failure},
    openapi_extra={"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}},
    summary="The contacts of a run, each with its outcome and reason",
)
@in_account
def records(
    request: ApiRequest,
    run_id: int,
    outcome: Outcome | Literal["absent"] | None = None,
    after: Text = "",
    limit: Annotated[int | None, Field(ge=1, le=MOST_IN_CSV)] = None,
    format: Literal["json", "csv"] = "json",
) -> Any:
    """By the contact's id in the CRM, as this run left them; what a later run wrote belongs to that one.

    ``format=csv`` answers up to 10,000 rows; a ``Link`` header with ``rel="next"`` tells of more.
    """
    found = _mine(request, run_id)
    most = min(limit or MOST, MOST) if format == "json" else limit or MOST_IN_CSV
    some = records_of(found, outcome=outcome or "", after=after, limit=most + 1)
    page = some[:most]
    following = page[-1].external_id if len(some) > most else None
    if format == "csv":
        audit(request.account, acting_user(request), "records.exported", f"run {run_id}")
        return _csv(request, run_id, page, following)
    return RecordsOut(records=[_record(one) for one in page], next=following)


@router.post(
    "/leads/{lead_id}/erase",
    response={200: ErasedOut, 400: Failure, 401: Failure, 403: Failure, 404: Failure, 422: Failure},
    summary="Erase a person",
)
@in_account
def erase_person(request: ApiRequest, lead_id: int, asked: EraseAsked) -> ErasedOut:
    """Removes the lead, its messages and history, and what every CRM said of the person, for good. The number stays
    suppressed, and no sync brings the person back. For owners, admins and tokens that may change things."""
    require_manager(request)
    found = Lead.objects.filter(account_id=request.account.pk, pk=lead_id).first() if lead_id <= BIGGEST_ID else None
    if found is None:
        raise ApiError(404, "not_found", "There is no such lead.")
    try:
        erase(lead=found, account=request.account, user=acting_user(request), is_confirmed=asked.confirmed)
    except NeedsConfirmation as error:
        raise ApiError(422, error.code, str(error)) from None
    return ErasedOut(lead_id=lead_id, message="Erased. No sync brings this person back.")


def _mine(request: ApiRequest, run_id: int) -> Run:
    found = Run.objects.filter(account_id=request.account.pk, pk=run_id).first()
    if found is None:
        raise ApiError(404, "not_found", "There is no such run.")
    return found


def _thread(lead: Lead) -> Thread:
    return Thread(
        lead_id=lead.pk,
        name=lead.name,
        phone=lead.phone,
        email=lead.email,
        company=lead.company,
        status=lead.status,
        lead_type=lead.lead_type,
        opted_out=lead.opted_out,
        owner=lead.crm_owner,
        crm_source=lead.crm_source,
        crm_status=lead.crm_status,
        crm_stage=lead.crm_stage,
        crm_url=lead.crm_url,
        notes=lead.crm_description,
        last_message=lead.last_message,
        last_message_at=lead.last_message_at,
        contacted_at=lead.contacted_at,
        activity_at=lead.activity_at,
    )


def _run(run: Run) -> RunOut:
    return RunOut(run_id=run.pk, **{name: getattr(run, name) for name in RunOut.model_fields if name != "run_id"})


def _record(one: SourceContact) -> RecordOut:
    reason = REASONS.get(one.reason)
    return RecordOut(
        external_id=one.external_id,
        name=one.name,
        phones=[str(phone.get("e164") or phone.get("text") or "") for phone in one.phones if isinstance(phone, dict)],
        emails=[str(email.get("text", "") if isinstance(email, dict) else email) for email in one.emails],
        outcome=one.outcome,
        lead_id=one.lead_id,
        needs_review=one.needs_review,
        reason=one.reason,
        message=sentence_for(one.reason, one.reason_value),
        fix=reason.fix if reason else "",
        modified_at=one.modified_at,
    )


CSV_HEADER = ("CRM id", "Name", "Phones", "E-mails", "Outcome", "Lead", "Reason", "What to do")


def _csv(request: ApiRequest, run_id: int, page: Any, following: str | None) -> HttpResponse:
    told = (_record(one) for one in page)
    rows = (
        (
            one.external_id,
            one.name,
            "; ".join(one.phones),
            "; ".join(one.emails),
            one.outcome,
            str(one.lead_id or ""),
            one.message,
            one.fix,
        )
        for one in told
    )
    response = HttpResponse(as_csv(CSV_HEADER, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="run-{run_id}-contacts.csv"'
    response["Cache-Control"] = "private, no-store"
    if following is not None:
        query = urlencode({**request.GET.dict(), "after": following})
        response["Link"] = f'<{request.path}?{query}>; rel="next"'
    return response
