"""What people do with connections: connect, refresh, pause, resume, disconnect, release the first import.

Each is one transaction. To connect, the CRM is asked first, so that a refused credential leaves nothing behind; those
functions open their own scope when they save, and called outside of any keep no transaction open while the CRM answers.
The others are called inside ``account_scope``.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db import connection as db

from leadloom.accounts.models import Account, Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.services import audit
from leadloom.connections import grants, nango, vault
from leadloom.connections.models import ACTIVE, Connection, Method, Run, RunState, State, Strategy, Trigger
from leadloom.connections.probe import account_behind, told_by
from leadloom.connections.secrets import seal
from leadloom.errors import BadRequest, LeadloomError, NeedsReconnect, NotAllowed, TokenExpired, WrongAccount
from leadloom.leads.absent import let_go
from leadloom.live.notify import announce
from leadloom.providers.base import CrmAccount, Provider
from leadloom.providers.catalogue import all_providers
from leadloom.providers.catalogue import provider as provider_of
from leadloom.sync.doorbell import PRIORITY, ring

log = structlog.get_logger()


class NotConnected(LeadloomError):
    """The connection has ended: connect again first."""

    code = "not_connected"


class Paused(LeadloomError):
    """Somebody paused the connection: resume it first."""

    code = "paused"


class NothingHeld(LeadloomError):
    """No pass waits for a person's word on those whom it did not meet."""

    code = "nothing_held"


class RunUnderWay(LeadloomError):
    """A pass of another kind is under way."""

    code = "run_under_way"


def connect_with_token(
    *,
    account: Account,
    member: Member | None,
    provider: str,
    token: str,
    typed: Mapping[str, str] | None = None,
    base_url: str = "",
    reconnect: Connection | None = None,
) -> tuple[Connection, Run]:
    """Connect with a private token or API key. Raises BadRequest, NeedsReconnect, NotAllowed, TryLater or WrongAccount:
    then nothing has been saved. ``typed``: what the provider asks for beside the token (``TokenHelp.asks``).
    ``base_url`` is the operator's alone, never a customer's."""
    crm = provider_of(provider)
    token = token.strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise NeedsReconnect(f"This is not a token of {crm.name}: paste it again, whole and without spaces.")
    found = account_behind(crm, _pasted(crm, token), told=_answers(crm, typed or {}), base_url=base_url)
    return _save(account, member, crm, found, method=Method.TOKEN, token=token, base_url=base_url, reconnect=reconnect)


def _answers(crm: Provider, typed: Mapping[str, str]) -> dict[str, Any]:
    """What was asked for and typed. Raises BadRequest for an answer that is missing."""
    asked = crm.token_help.asks if crm.token_help else ()
    answers = {one.name: typed.get(one.name, "").strip() for one in asked}
    for one in asked:
        if not answers[one.name]:
            raise BadRequest(f"{crm.name} also needs: {one.label}. {one.where}")
    return answers


def connect_to_sandbox(*, account: Account, member: Member | None, provider: str) -> tuple[Connection, Run]:
    """Connect to the demo's simulated CRM. Raises BadRequest where there is none."""
    if not settings.SANDBOX_URL or provider != settings.SANDBOX_CRM:
        raise BadRequest("There is no sandbox here: it comes with the demo.")
    crm = provider_of(provider)
    token = settings.SANDBOX_TOKEN  # well known; it opens nothing else
    found = account_behind(crm, _pasted(crm, token), told=settings.SANDBOX_TOLD, base_url=settings.SANDBOX_URL)
    return _save(
        account, member, crm, found,
        method=Method.SANDBOX, token=token, base_url=settings.SANDBOX_URL,
        options={"is_unpaced": settings.SANDBOX_UNPACED},
    )  # fmt: skip


def connect_with_nango(
    *, account: Account, member: Member | None, connection_id: str, provider_config_key: str
) -> tuple[Connection, Run]:
    """Connect with a grant that Nango holds. The id comes from a browser and proves nothing: it is accepted only if
    Nango's tags name this account. Raises NotAllowed for another account's."""
    signed_in = nango.Nango().connection(connection_id, provider_config_key)
    if signed_in.tags.get(nango.ACCOUNT_TAG) != str(account.pk):
        log.warning("connect.foreign_nango_connection", account=account.pk)
        raise NotAllowed("This sign-in was made for another account. Connect again from here.")
    crm = _provider_at_nango(signed_in.provider)

    def token(force: bool) -> str:
        if not force:
            return signed_in.access_token
        return nango.Nango().connection(connection_id, provider_config_key, force_refresh=True).access_token

    found = account_behind(crm, token, told=told_by(crm, signed_in.config))
    grant = grants.Grant(mark=grants.mark_of(signed_in.config))
    return _save(
        account, member, crm, found,
        method=Method.NANGO, nango_connection_id=connection_id, provider_config_key=provider_config_key,
        options={grants.KEY: asdict(grant)}, reconnect=_signed_in_as(account, connection_id, provider_config_key),
    )  # fmt: skip


def request_run(
    *,
    connection: Connection,
    is_certain: bool = False,
    trigger: Trigger | str,
    strategy: Strategy | str = Strategy.APPEND,
    member: Member | None = None,
    is_confirmed: bool = False,
) -> tuple[Run, bool]:
    """A run of this connection, new or the one under way; the flag says that it was joined.

    ``is_confirmed``: a new run may mark as many as it likes of those it does not meet.

    The database decides: one active run a connection, whoever asks at the same moment. Raises Paused or NotConnected.
    """
    with transaction.atomic(), db.cursor() as cursor:
        cursor.execute(
            _NEW_RUN,
            {
                "account": connection.account_id,
                "connection": connection.pk,
                "is_certain": is_certain,
                "trigger": trigger,
                "strategy": strategy,
                "member": member.pk if member else None,
                "is_confirmed": is_confirmed,
            },
        )
        made = cursor.fetchone()
    active = Run.objects.filter(account_id=connection.account_id, connection=connection, state__in=ACTIVE)
    run = Run.objects.get(pk=made[0]) if made else active.first()
    if run is None:  # the one we collided with has just ended, or there must be none
        if not is_certain:
            _require_runs(connection)
        return request_run(
            connection=connection, is_certain=is_certain, trigger=trigger, strategy=strategy, member=member
        )
    if made is None:
        _hurry(run, trigger)
    elif strategy == Strategy.OVERWRITE:  # the one kind of run that archives
        audit(connection.account, member.user if member else None, "run.overwrite_asked", f"run {run.pk}")
    priority = PRIORITY[Trigger(trigger)]
    is_overtaken = run.state == RunState.QUEUED and priority > PRIORITY[Trigger(run.trigger)]
    if made or run.state == RunState.WAITING or is_overtaken:
        ring(run, priority=priority)
    return run, made is None


_NEW_RUN = """
INSERT INTO sync_runs (
    account_id, connection_id, trigger, strategy, requested_by_id, state, is_first, feed, seen, created, updated,
    unchanged, linked, skipped, failed, gone, pages, requests, waited_s, retries, error_code, error, error_detail,
    is_confirmed
)
SELECT
    account_id, id, %(trigger)s, %(strategy)s, %(member)s, 'queued', bookmark IS NULL AND %(strategy)s = 'append',
    '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '', %(is_confirmed)s
FROM crm_connections
WHERE account_id = %(account)s AND id = %(connection)s AND (%(is_certain)s OR is_active AND state <> 'paused')
ON CONFLICT (connection_id) WHERE state IN ('queued', 'running', 'waiting') DO NOTHING
RETURNING id
"""


def _require_runs(connection: Connection) -> None:
    rows = Connection.objects.filter(account_id=connection.account_id, pk=connection.pk, is_active=True)
    state = rows.values_list("state", flat=True).first()
    if state is None:
        raise NotConnected("This CRM is disconnected. Connect it again to refresh.")
    if state == State.PAUSED:
        raise Paused("This connection is paused. Resume it to refresh.")


def _hurry(run: Run, trigger: Trigger | str) -> None:
    """A person who asks, or new credentials, need not wait for a run that only backs off. The CRM's limits hold."""
    if trigger not in (Trigger.MANUAL, Trigger.CONNECT) or run.error_code in ("rate_limited", "quota"):
        return
    waiting = Run.objects.filter(account_id=run.account_id, pk=run.pk, state=RunState.WAITING)
    waiting.update(resume_at=datetime.now(UTC))


def pause(connection: Connection, member: Member | None = None) -> None:
    """No passes until it is resumed; one under way stops at its next page, its cursor kept."""
    _require_active(connection)
    _stop_runs(connection)
    _set(connection, state=State.PAUSED, reason_code="", reason="")
    _note(connection, member, "connection.paused")


def resume(connection: Connection, member: Member | None = None) -> tuple[Run, bool]:
    """Go on where it was paused."""
    if connection.state == State.PAUSED:
        _set(connection, state=State.CATCHING_UP, reason_code="", reason="")
        _note(connection, member, "connection.resumed")
    return request_run(connection=connection, trigger=Trigger.MANUAL, member=member)


def disconnect(connection: Connection, member: Member | None = None) -> None:
    """End the connection and its grant; leads, messages and opt-outs stay. Doing it twice is fine."""
    if not connection.is_active:
        return
    _stop_runs(connection)
    vault.forget(connection)
    _set(
        connection,
        state=State.DISCONNECTED,
        is_active=False,
        reason_code="",
        reason="",
        sealed_credentials=None,
        disconnected_at=datetime.now(UTC),
        next_due_at=None,
    )
    _note(connection, member, "connection.disconnected")
    if connection.method == Method.NANGO:
        transaction.on_commit(partial(_end_grant, connection))


def mark_absent(connection: Connection, member: Member | None = None) -> Run:
    """Whom the last pass over everybody did not meet has left, says a person: everybody is read once more, and whoever
    is still not there is marked. Raises NothingHeld, RunUnderWay, Paused or NotConnected."""
    held = _held(connection)
    run, joined = request_run(
        connection=connection, trigger=held.trigger, strategy=held.strategy, member=member, is_confirmed=True
    )
    if joined and not run.is_confirmed:
        raise RunUnderWay("Another pass is under way. Ask again when it has ended.")
    ring(run, priority=PRIORITY[Trigger.MANUAL])  # whatever it is, a person waits for it
    _note(connection, member, "connection.absent_marked")
    return run


def keep_absent(connection: Connection, member: Member | None = None) -> None:
    """They stay as they are, says a person; the next pass over everybody asks again.

    Raises NothingHeld or RunUnderWay."""
    _held(connection)
    if confirming(connection) is not None:
        raise RunUnderWay("Somebody has said already that they have left, and they are being looked for.")
    let_go(connection.account_id, connection.pk)
    _note(connection, member, "connection.absent_kept")


def confirming(connection: Connection) -> Run | None:
    """The run under way that marks whomever it does not meet, because a person said so."""
    mine = Run.objects.filter(account_id=connection.account_id, connection=connection, state__in=ACTIVE)
    return mine.filter(is_confirmed=True).first()


def _held(connection: Connection) -> Run:
    mine = Run.objects.filter(account_id=connection.account_id, connection=connection)
    held = None if connection.held_run_id is None else mine.filter(pk=connection.held_run_id).first()
    if held is None:
        raise NothingHeld("Nobody waits for a decision here.")
    return held


def release_import(connection: Connection, member: Member | None = None) -> None:
    """Let AI Texter have the leads of the first import."""
    _set(connection, released_at=datetime.now(UTC))
    _note(connection, member, "connection.import_released")


def _pasted(crm: Provider, token: str) -> Callable[[bool], str]:
    def give(force: bool) -> str:
        if force:
            raise TokenExpired(f"{crm.name} does not accept this token. Copy it again and paste it whole.")
        return token

    return give


def _provider_at_nango(name: str) -> Provider:
    crm = next((crm for crm in all_providers() if crm.nango_key == name), None)
    if crm is None:
        log.warning("connect.unknown_nango_provider", provider=name)
        raise BadRequest("This CRM is not supported yet.", detail=f"nango provider {name}")
    return crm


def _signed_in_as(account: Account, nango_connection_id: str, provider_config_key: str) -> Connection | None:
    """The connection that this sign-in belongs to, when it is a reconnect: Nango keeps the id."""
    with account_scope(account.pk):
        known = Connection.objects.filter(
            account=account, nango_connection_id=nango_connection_id, provider_config_key=provider_config_key
        )
        return known.order_by("-is_active", "-pk").first()


def _end_grant(connection: Connection) -> None:
    """Never raises: the customer wants out, and a grant that we could not end must not hold them."""
    try:
        nango.Nango().delete(connection.nango_connection_id, connection.provider_config_key)
    except LeadloomError as error:
        log.warning("connection.grant_not_ended", connection=connection.pk, detail=error.detail)


def _save(
    account: Account,
    member: Member | None,
    crm: Provider,
    found: CrmAccount,
    *,
    method: Method,
    token: str = "",
    base_url: str = "",
    nango_connection_id: str = "",
    provider_config_key: str = "",
    options: Mapping[str, Any] | None = None,
    reconnect: Connection | None = None,
) -> tuple[Connection, Run]:
    """The connection and its first run, in one transaction. The same CRM account connected again is a reconnect:
    the row is revived with its bookmark, and a catch-up run follows."""
    if reconnect is not None and reconnect.external_account_id != found.external_id:
        error = WrongAccount(
            f"This is another {crm.name} account ({found.name}) than the one connected here "
            f"({reconnect.external_account_name}). Sign in to that one, or connect this one as a new connection."
        )
        if method == Method.NANGO:
            _lock_out(reconnect, error)
        raise error
    values: dict[str, Any] = {
        "method": method,
        "base_url": base_url,
        "nango_connection_id": nango_connection_id,
        "provider_config_key": provider_config_key,
        "external_account_name": found.name[:200],
        "facts": dict(found.facts),
        "is_active": True,
        "state": State.CONNECTING,
        "reason_code": "",
        "reason": "",
        "disconnected_at": None,
    }
    write = partial(_write, account, member, crm, found, values, token=token, options=dict(options or {}))
    try:
        return write()
    except IntegrityError:  # the same CRM account was connected this very moment: that is the row to revive
        return write()


def _write(
    account: Account,
    member: Member | None,
    crm: Provider,
    found: CrmAccount,
    values: Mapping[str, Any],
    *,
    token: str,
    options: Mapping[str, Any],
) -> tuple[Connection, Run]:
    with account_scope(account.pk):
        connection = _same_crm_account(account, crm, found)
        run = None
        if connection is None:
            connection = Connection(
                account=account, provider=crm.slug, external_account_id=found.external_id, created_by=member
            )
        else:
            run = _hold_run(connection, member)
            vault.forget(connection)
            connection.refresh_from_db()  # what a run that was just ending has written to it
        for name, value in values.items():
            setattr(connection, name, value)
        connection.settings = {**connection.settings, **options}
        connection.sealed_credentials = seal(token, vault.context_of(connection)) if token else None
        connection.save()
        if run is None:
            run, _ = request_run(connection=connection, trigger=Trigger.CONNECT, member=member)
        _note(connection, member, "connection.connected")
    return connection, run


def _lock_out(connection: Connection, error: WrongAccount) -> None:
    """What Nango holds under this connection's id now opens somebody else's contacts: nothing may be read with it."""
    with account_scope(connection.account_id):
        _stop_runs(connection)
        vault.forget(connection)
        Connection.objects.filter(account_id=connection.account_id, pk=connection.pk, is_active=True).update(
            state=State.NEEDS_RECONNECT, reason_code=error.code, reason=str(error)
        )


def _same_crm_account(account: Account, crm: Provider, found: CrmAccount) -> Connection | None:
    known = Connection.objects.filter(account=account, provider=crm.slug, external_account_id=found.external_id)
    return known.order_by("-is_active", "-pk").first()


def _hold_run(connection: Connection, member: Member | None) -> Run:
    """A run of a connection that is about to be revived, locked before the connection's own row is written: a worker
    that begins or ends a run takes the two in this order as well. Were there none yet, one might come to be meanwhile,
    and be begun by a worker that then waited for us, and we for it."""
    active = Run.objects.filter(account_id=connection.account_id, connection=connection, state__in=ACTIVE)
    while True:
        list(active.select_for_update().values_list("pk"))  # what one that is just ending writes, the next one must see
        run, _ = request_run(connection=connection, is_certain=True, trigger=Trigger.CONNECT, member=member)
        if (found := active.select_for_update().filter(pk=run.pk).first()) is not None:
            return found


def _stop_runs(connection: Connection) -> None:
    Run.objects.filter(account_id=connection.account_id, connection=connection, state__in=ACTIVE).update(
        state=RunState.STOPPED, finished_at=datetime.now(UTC), lease_token=None, lease_until=None
    )


def _set(connection: Connection, **values: Any) -> None:
    for name, value in values.items():
        setattr(connection, name, value)
    connection.save(update_fields=list(values))


def _require_active(connection: Connection) -> None:
    if not connection.is_active:
        raise NotConnected("This CRM is disconnected. Connect it again first.")


def _note(connection: Connection, member: Member | None, action: str) -> None:
    """For the record, and for every dashboard that is open."""
    audit(connection.account, member.user if member else None, action, f"connection {connection.pk}")
    announce(connection.account_id, {"kind": "connection", "connection": connection.pk})
