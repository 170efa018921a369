"""What people do with connections: connect, refresh, pause, resume, disconnect, release the first import.

Each is called inside ``account_scope`` and is one transaction. Network calls to test a credential happen before
anything is written, so a refused one leaves nothing behind.
"""

from datetime import UTC, datetime
from typing import Any

import structlog
from django.conf import settings
from django.db import connection as db
from django.db import transaction

from leadloom.accounts.models import Account, Member
from leadloom.accounts.services import audit
from leadloom.connections import nango, vault
from leadloom.connections.models import ACTIVE, Connection, Method, Run, RunState, State, Strategy, Trigger
from leadloom.connections.secrets import seal
from leadloom.errors import BadRequest, LeadloomError, NeedsReconnect, NotAllowed, TokenExpired, WrongAccount
from leadloom.providers.base import CrmAccount, Provider
from leadloom.providers.catalogue import provider as provider_of
from leadloom.sync.client import CrmClient
from leadloom.sync.doorbell import ring
from leadloom.sync.hosts import operator_base_url

log = structlog.get_logger()


def connect_with_token(
    *,
    account: Account,
    member: Member | None,
    provider: str,
    token: str,
    base_url: str = "",
    reconnect: Connection | None = None,
) -> tuple[Connection, Run]:
    """Connect with a private token or API key. Raises NeedsReconnect, NotAllowed, TryLater or WrongAccount: then
    nothing has been saved. ``base_url`` is the operator's alone, never a customer's."""
    crm = provider_of(provider)
    token = token.strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise NeedsReconnect(f"This is not a token of {crm.name}: paste it again, whole and without spaces.")
    found = _test(crm, token, base_url)
    return _save(account, member, crm, found, method=Method.TOKEN, token=token, base_url=base_url, reconnect=reconnect)


def connect_to_sandbox(*, account: Account, member: Member | None, provider: str) -> tuple[Connection, Run]:
    """Connect to the demo's simulated CRM. Raises BadRequest where there is none."""
    if not settings.SANDBOX_URL:
        raise BadRequest("There is no sandbox here: it comes with the demo.")
    crm = provider_of(provider)
    token = "pat-na1-sandbox"  # noqa: S105 - the sandbox's well-known token opens nothing else
    found = _test(crm, token, settings.SANDBOX_URL)
    connection, run = _save(
        account, member, crm, found, method=Method.SANDBOX, token=token, base_url=settings.SANDBOX_URL
    )
    if settings.SANDBOX_UNPACED:
        _set(connection, settings={**connection.settings, "is_unpaced": True})
    return connection, run


def connect_with_nango(
    *, account: Account, member: Member | None, connection_id: str, provider_config_key: str
) -> tuple[Connection, Run]:
    """Connect with a grant that Nango holds. The id comes from a browser and proves nothing: it is accepted only if
    Nango's tags name this account. Raises NotAllowed for another account's."""
    signed_in = nango.Nango().connection(connection_id, provider_config_key)
    if signed_in.tags.get(nango.ACCOUNT_TAG) != str(account.pk):
        log.warning("connect.foreign_nango_connection", account=account.pk)
        raise NotAllowed("This sign-in was made for another account. Connect again from here.")
    crm = provider_of(_slug_at_nango(signed_in.provider))
    found = _test(crm, signed_in.access_token, "")
    return _save(
        account, member, crm, found,
        method=Method.NANGO, nango_connection_id=connection_id, provider_config_key=provider_config_key,
    )  # fmt: skip


def request_run(
    *,
    connection: Connection,
    trigger: Trigger | str,
    strategy: Strategy | str = Strategy.APPEND,
    member: Member | None = None,
) -> tuple[Run, bool]:
    """A run of this connection, new or the one under way; the flag says that it was joined.

    The database decides: one active run a connection, whoever asks at the same moment.
    """
    with transaction.atomic(), db.cursor() as cursor:
        cursor.execute(
            _NEW_RUN,
            {
                "account": connection.account_id,
                "connection": connection.pk,
                "trigger": trigger,
                "strategy": strategy,
                "member": member.pk if member else None,
                "is_first": connection.bookmark is None and strategy == Strategy.APPEND,
            },
        )
        made = cursor.fetchone()
    active = Run.objects.filter(account_id=connection.account_id, connection=connection, state__in=ACTIVE)
    run = Run.objects.get(pk=made[0]) if made else active.first()
    if run is None:  # the one we collided with has just ended
        return request_run(connection=connection, trigger=trigger, strategy=strategy, member=member)
    if made or run.state == RunState.WAITING:
        ring(run)
    return run, made is None


_NEW_RUN = """
INSERT INTO sync_runs (
    account_id, connection_id, trigger, strategy, requested_by_id, state, is_first, feed, seen, created, updated,
    unchanged, linked, skipped, failed, gone, pages, requests, waited_s, retries, error_code, error, error_detail
)
VALUES (
    %(account)s, %(connection)s, %(trigger)s, %(strategy)s, %(member)s, 'queued', %(is_first)s, '', 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', ''
)
ON CONFLICT (connection_id) WHERE state IN ('queued', 'running', 'waiting') DO NOTHING
RETURNING id
"""


def pause(connection: Connection, member: Member | None = None) -> None:
    """No passes until it is resumed; one under way stops at its next page, its cursor kept."""
    _stop_runs(connection)
    _set(connection, state=State.PAUSED, reason_code="", reason="")
    _audit(connection, member, "connection.paused")


def resume(connection: Connection, member: Member | None = None) -> tuple[Run, bool]:
    """Go on where it was paused."""
    if connection.state == State.PAUSED:
        _set(connection, state=State.CATCHING_UP, reason_code="", reason="")
        _audit(connection, member, "connection.resumed")
    return request_run(connection=connection, trigger=Trigger.MANUAL, member=member)


def disconnect(connection: Connection, member: Member | None = None) -> None:
    """End the connection and its grant; leads, messages and opt-outs stay. Doing it twice is fine."""
    _stop_runs(connection)
    if connection.method == Method.NANGO and connection.is_active:
        try:
            nango.Nango().delete(connection.nango_connection_id, connection.provider_config_key)
        except LeadloomError as error:  # the customer wants out: a grant we could not end must not hold them
            log.warning("connection.grant_not_ended", connection=connection.pk, detail=error.detail)
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
    _audit(connection, member, "connection.disconnected")


def release_import(connection: Connection, member: Member | None = None) -> None:
    """Let AI Texter have the leads of the first import."""
    _set(connection, released_at=datetime.now(UTC))
    _audit(connection, member, "connection.import_released")


def _test(crm: Provider, token: str, base_url: str) -> CrmAccount:
    """Ask the CRM whose account the credential opens: one request, before anything is saved."""

    def give(force: bool) -> str:
        if force:
            raise TokenExpired(f"{crm.name} does not accept this token. Copy it again and paste it whole.")
        return token

    with CrmClient(crm, base_url=base_url or operator_base_url(crm), token=give) as client:
        try:
            return crm.read_account(client.send(crm.account_request()))
        except TokenExpired as error:
            raise NeedsReconnect(str(error), detail=error.detail) from error


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
    reconnect: Connection | None = None,
) -> tuple[Connection, Run]:
    """The connection and its first run, in one transaction. The same CRM account connected again is a reconnect:
    the row is revived with its bookmark, and a catch-up run follows."""
    if reconnect is not None and reconnect.external_account_id != found.external_id:
        raise WrongAccount(
            f"This is another {crm.name} account ({found.name}) than the one connected here "
            f"({reconnect.external_account_name}). Sign in to that one, or connect this one as a new connection."
        )
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
    with transaction.atomic():
        connection = _same_crm_account(account, crm, found)
        if connection is None:
            connection = Connection(
                account=account, provider=crm.slug, external_account_id=found.external_id, created_by=member
            )
        for name, value in values.items():
            setattr(connection, name, value)
        connection.sealed_credentials = seal(token, vault.context_of(connection)) if token else None
        connection.save()
        vault.forget(connection)
        run, _ = request_run(connection=connection, trigger=Trigger.CONNECT, member=member)
        _audit(connection, member, "connection.connected")
    return connection, run


def _same_crm_account(account: Account, crm: Provider, found: CrmAccount) -> Connection | None:
    known = Connection.objects.select_for_update().filter(
        account=account, provider=crm.slug, external_account_id=found.external_id
    )
    return known.order_by("-is_active", "-pk").first()


def _slug_at_nango(nango_provider: str) -> str:
    from leadloom.providers.catalogue import all_providers

    return next((crm.slug for crm in all_providers() if crm.nango_key == nango_provider), nango_provider)


def _stop_runs(connection: Connection) -> None:
    Run.objects.filter(account_id=connection.account_id, connection=connection, state__in=ACTIVE).update(
        state=RunState.STOPPED, finished_at=datetime.now(UTC), lease_token=None, lease_until=None
    )


def _set(connection: Connection, **values: Any) -> None:
    for name, value in values.items():
        setattr(connection, name, value)
    connection.save(update_fields=list(values))


def _audit(connection: Connection, member: Member | None, action: str) -> None:
    audit(connection.account, member.user if member else None, action, f"connection {connection.pk}")
