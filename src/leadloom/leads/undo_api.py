"""The JSON API of undoing a run."""

from datetime import datetime
from typing import Annotated, Literal

from ninja import Router, Status
from pydantic import Field

from leadloom.accounts.api_auth import (
    ApiRequest,
    acting_member,
    acting_user,
    in_account,
    require_manager,
    session_or_token,
)
from leadloom.connections.models import Run
from leadloom.leads.models import Undo
from leadloom.leads.undo import AlreadyUndone, NotUndoable, NotUndone, take_back, undo_run
from leadloom.leads.undone import Reversed, reversed_page
from leadloom.site.wire import ApiError, Failure, Wire

MOST = 200
BIGGEST_ID = 2**63 - 1
REFUSALS: dict[int, type[Failure]] = dict.fromkeys((401, 403, 404, 409, 422), Failure)

router = Router(auth=session_or_token, by_alias=True, tags=["Leads and runs"])


class UndoOut(Wire):
    success: bool = True
    undo_id: int
    run_id: int
    takes_back: int | None = Field(description="The undo that this one takes back, if it does.")
    state: Literal["working", "done"]
    archived: int = Field(description="Leads that the run had made.")
    restored: int = Field(description="Leads that are back from the archive.")
    set_back: int = Field(description="Leads whose fields are as they were before.")
    kept: int = Field(description="Leads of which something stays, each with its reason at ``/leads``.")
    created_at: datetime
    finished_at: datetime | None


class KeptOut(Wire):
    field: str
    message: str


class DifferenceOut(Wire):
    field: str
    before: str
    after: str


class ReversedOut(Wire):
    lead_id: int
    name: str
    differences: list[DifferenceOut]
    kept: list[KeptOut]


class ReversedPageOut(Wire):
    success: bool = True
    leads: list[ReversedOut]
    next: int | None


@router.post("/runs/{run_id}/undo", response={202: UndoOut, **REFUSALS}, summary="Undo a run")
@in_account
def undo(request: ApiRequest, run_id: int) -> Status[UndoOut]:
    """Archives the leads that the run made and sets back the fields that it changed, unless somebody has touched them
    since. Messages and opt-outs stay. A worker does it: ask ``/undos/{undoId}`` how far it is."""
    require_manager(request)
    run = Run.objects.filter(account_id=request.account.pk, pk=run_id).first() if run_id <= BIGGEST_ID else None
    if run is None:
        raise ApiError(404, "not_found", "There is no such run.")
    try:
        begun = undo_run(run=run, account=request.account, user=acting_user(request), member=acting_member(request))
    except (NotUndoable, AlreadyUndone) as error:
        raise ApiError(409, error.code, str(error)) from None
    return Status(202, _told(begun))


@router.get("/undos/{undo_id}", response={200: UndoOut, **REFUSALS}, summary="How far an undo is")
@in_account
def one(request: ApiRequest, undo_id: int) -> UndoOut:
    return _told(_mine(request, undo_id))


@router.get("/undos/{undo_id}/leads", response={200: ReversedPageOut, **REFUSALS}, summary="What an undo did, by lead")
@in_account
def leads(
    request: ApiRequest,
    undo_id: int,
    outcome: Literal["archived", "restored", "set_back", "kept"] | None = None,
    after: Annotated[int | None, Field(ge=1, le=BIGGEST_ID)] = None,
    limit: Annotated[int, Field(ge=1, le=MOST)] = 50,
) -> ReversedPageOut:
    """The last change first. ``kept`` says of each field that stays why it does."""
    page = reversed_page(_mine(request, undo_id), kind=outcome or "", after=after, limit=limit)
    return ReversedPageOut(leads=[_reversed(row) for row in page.rows], next=page.next)


@router.post("/undos/{undo_id}/take-back", response={202: UndoOut, **REFUSALS}, summary="Take an undo back")
@in_account
def back(request: ApiRequest, undo_id: int) -> Status[UndoOut]:
    """What it archived and set back becomes again as it was after the run, unless somebody has touched it since."""
    require_manager(request)
    found = _mine(request, undo_id)
    try:
        begun = take_back(undo=found, account=request.account, user=acting_user(request), member=acting_member(request))
    except (NotUndone, AlreadyUndone) as error:
        raise ApiError(409, error.code, str(error)) from None
    return Status(202, _told(begun))


def _mine(request: ApiRequest, undo_id: int) -> Undo:
    mine = Undo.objects.filter(account_id=request.account.pk).select_related("run")
    found = mine.filter(pk=undo_id).first() if undo_id <= BIGGEST_ID else None
    if found is None:
        raise ApiError(404, "not_found", "There is no such undo.")
    return found


def _told(undo: Undo) -> UndoOut:
    return UndoOut(
        undo_id=undo.pk,
        run_id=undo.run_id,
        takes_back=undo.takes_back_id,
        state="done" if undo.is_done else "working",
        archived=undo.archived,
        restored=undo.restored,
        set_back=undo.set_back,
        kept=undo.kept,
        created_at=undo.created_at,
        finished_at=undo.finished_at,
    )


def _reversed(row: Reversed) -> ReversedOut:
    return ReversedOut(
        lead_id=row.lead.pk,
        name=row.lead.name,
        differences=[DifferenceOut(field=one.label, before=one.before, after=one.after) for one in row.differences],
        kept=[KeptOut(field=one.label, message=one.why) for one in row.kept],
    )
