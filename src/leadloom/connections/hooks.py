"""Addresses that other services call: a scheduler's cron, and Nango's webhook. Each proves itself with a secret.

Nothing here trusts what a body says: an event is a hint to look, and looking is a run.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import structlog
from django.conf import settings
from django.http import HttpRequest
from ninja import Router
from ninja.security import HttpBearer
from pydantic import Field

from leadloom.accounts.scope import account_scope, system_scope
from leadloom.connections import vault
from leadloom.connections.api import LONGEST_WAIT_S, Results, run_told
from leadloom.connections.models import Connection, Run, RunState, State, Trigger
from leadloom.connections.services import request_run
from leadloom.leads import undo
from leadloom.site.wire import ApiError, Failure, Wire
from leadloom.sync.due import DueResult, start_due_runs
from leadloom.sync.finish import finish_within

log = structlog.get_logger()

SIGNATURE = "X-Nango-Hmac-Sha256"
SHOWN_RESULTS = 1000


class CronAuth(HttpBearer):
    """The scheduler's secret. Without one configured nobody comes in."""

    def authenticate(self, request: HttpRequest, token: str) -> bool:  # noqa: ARG002 - the interface's
        if not settings.CRON_SECRET:
            log.warning("[cron/sync-crm] refused: CRON_SECRET is not set")
            return False
        return hmac.compare_digest(token.encode(), settings.CRON_SECRET.encode())


router = Router(by_alias=True, tags=["For other services"])


class CronResult(Wire):
    account_id: int
    connection_id: int
    run_id: int | None
    joined: bool
    state: str
    error: str = ""
    results: Results | None = None


class CronOut(Wire):
    success: bool
    total: int
    queued: int
    synced: int
    failed: int
    results: list[CronResult]


class HookOut(Wire):
    success: bool = True
    runs: int = 0


@router.get(
    "/cron/sync-crm",
    auth=CronAuth(),
    response={200: CronOut, 401: Failure, 422: Failure},
    summary="Start a run for every connection that is due",
)
def sync_crm(request: HttpRequest, wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)] = 0) -> CronOut:  # noqa: ARG001
    """For schedulers, with ``Authorization: Bearer $CRON_SECRET``. One failure never stops the rest.

    With ``wait`` the answer holds the results of the runs that ended by then. Where no worker is alive the work is
    done inside this request; what did not fit goes on at the next call.
    """
    due = start_due_runs().results
    deadline = time.monotonic() + wait
    results = [_finished(one, deadline) for one in due]
    if wait:
        undo.finish_here(deadline - time.monotonic())
    report = CronOut(
        success=not any(one.error for one in results),
        total=len(results),
        queued=sum(one.run_id is not None for one in results),
        synced=sum(one.state == RunState.DONE for one in results),
        failed=sum(bool(one.error) for one in results),
        results=results[:SHOWN_RESULTS],
    )
    counts = {"total": report.total, "queued": report.queued, "synced": report.synced, "failed": report.failed}
    log.info("[cron/sync-crm] done", **counts)
    return report


@router.post(
    "/webhooks/nango", auth=None, response={200: HookOut, 400: Failure, 401: Failure}, summary="Nango's events"
)
def nango_webhook(request: HttpRequest) -> HookOut:
    """Signed by Nango. A failed refresh or a new sign-in makes the connection's next run begin at once."""
    body = request.body
    _check_signature(body, request.headers.get(SIGNATURE, ""))
    try:
        event = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "bad_request", "The body is not JSON.") from error
    news = _read(event)
    if news is None:
        return HookOut()
    return HookOut(runs=sum(_look_again(account_id, pk, news) for account_id, pk in _known(news)))


def _finished(due: DueResult, deadline: float) -> CronResult:
    """What became of one. Never raises: the others must get their turn."""
    told = CronResult(
        account_id=due.account_id,
        connection_id=due.connection_id,
        run_id=due.run_id,
        joined=due.joined,
        state="" if due.run_id is None else RunState.QUEUED,
        error=due.error and "not_started",
    )
    if due.run_id is None or time.monotonic() >= deadline:
        return told
    try:
        run = finish_within(due.run_id, due.account_id, deadline - time.monotonic())
        with account_scope(due.account_id):
            return _with_results(told, run)
    except Exception:  # one account's trouble must not stop the others' hour
        log.exception("[cron/sync-crm] no result", account=due.account_id, run=due.run_id)
        told.error = "our_fault"
        return told


def _with_results(told: CronResult, run: Run) -> CronResult:
    told.state = run.state
    told.results = run_told(run, joined=told.joined).results
    if run.state == RunState.FAILED:
        told.error = run.error_code or "our_fault"
    return told


def _check_signature(body: bytes, signature: str) -> None:
    key = settings.NANGO_WEBHOOK_KEY
    good = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    if not key or not hmac.compare_digest(good.encode(), signature.strip().lower().encode()):
        raise ApiError(401, "bad_signature", "The signature is missing or wrong.")


@dataclass(frozen=True, slots=True)
class _News:
    nango_connection_id: str
    is_new_grant: bool


def _read(event: Any) -> _News | None:
    """What an event asks us to look at, if anything: creations are told to us by the browser."""
    if not isinstance(event, dict) or event.get("type") != "auth":
        return None
    is_refused = event.get("operation") == "refresh" and event.get("success") is False
    is_new_grant = event.get("operation") == "override" and event.get("success") is not False
    found = event.get("connectionId")
    if not (is_refused or is_new_grant) or not isinstance(found, str) or not found or "\0" in found:
        return None
    return _News(found, is_new_grant)


def _known(news: _News) -> list[tuple[int, int]]:
    asleep = [State.PAUSED] if news.is_new_grant else [State.PAUSED, State.NEEDS_RECONNECT]
    with system_scope():
        mine = Connection.objects.filter(nango_connection_id=news.nango_connection_id, is_active=True)
        return list(mine.exclude(state__in=asleep).values_list("account_id", "pk")[:10])


def _look_again(account_id: int, connection_id: int, news: _News) -> bool:
    try:
        with account_scope(account_id):
            found = Connection.objects.get(account_id=account_id, pk=connection_id)
            if news.is_new_grant:
                vault.forget(found)
            request_run(connection=found, trigger=Trigger.WEBHOOK)
    except Exception:  # Nango would repeat the event; the hourly pass looks anyway
        log.exception("webhook.not_started", account=account_id, connection=connection_id)
        return False
    return True
