"""The JSON API of the account itself: what its people and programs did."""

from datetime import datetime
from typing import Annotated

from ninja import Router
from pydantic import Field

from leadloom.accounts.activity import Deed, activity
from leadloom.accounts.api_auth import ApiRequest, in_account, require_manager, session_or_token
from leadloom.site.wire import Failure, Wire

MOST = 200
BIGGEST_ID = 2**63 - 1

router = Router(auth=session_or_token, by_alias=True, tags=["Account"])


class DeedOut(Wire):
    id: int
    at: datetime
    user_id: int | None
    action: str
    target: str
    sentence: str


class ActivityOut(Wire):
    success: bool = True
    activity: list[DeedOut]
    next: int | None


@router.get("/activity", response={200: ActivityOut, 401: Failure, 403: Failure, 422: Failure}, summary="Who did what")
@in_account
def deeds(
    request: ApiRequest,
    after: Annotated[int | None, Field(ge=1, le=BIGGEST_ID)] = None,
    limit: Annotated[int, Field(ge=1, le=MOST)] = 50,
) -> ActivityOut:
    """The audit log, the newest first: who connected, disconnected, exported, erased, released, paused, changed a role.
    By ids alone. For owners, admins and tokens."""
    require_manager(request)
    page = activity(request.account, before=after, limit=limit)
    return ActivityOut(activity=[_deed(one) for one in page.deeds], next=page.next)


def _deed(one: Deed) -> DeedOut:
    entry = one.entry
    return DeedOut(
        id=entry.pk, at=entry.at, user_id=entry.user_id, action=entry.action, target=entry.target, sentence=one.words
    )
