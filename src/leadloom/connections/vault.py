"""The credential to call a CRM with: unsealed from the row, or fetched from Nango and kept in memory for a while.

Nango counts every read against all tenants together, so a token is kept until shortly before it expires, and beyond
that while Nango has no newer one: until the CRM itself refuses it. What Nango answers when a refresh fails does not
tell a revoked grant from a vendor's bad minute: it is *try later*, until grants.py says that it has lasted.
"""

import threading
import time
from dataclasses import dataclass, field

from django.db import connection as db

from leadloom.accounts.scope import account_scope
from leadloom.connections import nango
from leadloom.connections.grants import Grant, keep_grant, mark_of, read_grant
from leadloom.connections.models import Connection, Method
from leadloom.connections.probe import account_behind, told_by
from leadloom.connections.secrets import CannotOpen, open_sealed
from leadloom.errors import LeadloomError, NeedsReconnect, TryLater, WrongAccount
from leadloom.providers.base import CrmAccount
from leadloom.providers.catalogue import provider as provider_of

KEEP_UNTIL_S = 180.0  # before expiry: longer than any request takes
KEEP_WITHOUT_EXPIRY_S = 600.0
DOES_NOT_EXPIRE = float("inf")


@dataclass(slots=True)
class _Entry:
    token: str = field(default="", repr=False)
    good_until: float = 0.0
    """When to ask for a newer one, if there is any."""
    expires_at: float = 0.0
    answered_at: float = 0.0
    forced_at: float = 0.0
    error: LeadloomError | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def drop_token(self) -> None:
        self.token, self.good_until, self.expires_at = "", 0.0, 0.0

    def take(self, found: nango.NangoConnection) -> None:
        now = time.monotonic()
        self.token = found.access_token
        self.expires_at = DOES_NOT_EXPIRE if found.expires_in_s is None else now + found.expires_in_s
        left = KEEP_WITHOUT_EXPIRY_S if found.expires_in_s is None else found.expires_in_s - KEEP_UNTIL_S
        self.good_until = now + max(0.0, left)


_entries: dict[tuple[int, str], _Entry] = {}
_entries_lock = threading.Lock()


def context_of(connection: Connection) -> str:
    """What a connection's credentials are bound to."""
    return f"connection:{connection.account_id}:{connection.provider}:{connection.external_account_id}"


def access_token(connection: Connection, *, force: bool = False) -> str:
    """The credential. ``force``: the CRM refused the last one, get another.

    Raises NeedsReconnect, or TryLater when Nango has no token just now. Safe from several threads: one asks, the
    others take its answer. Opens scopes of its own, and none while it waits for the network.
    """
    asked_at = time.monotonic()
    refused, connection = connection, _as_stored(connection) if force else connection
    if connection.method != Method.NANGO:
        return _another(connection, refused) if force else _unsealed(connection)
    entry = _entry(connection)
    with entry.lock:
        if entry.answered_at >= asked_at and (entry.forced_at >= asked_at or not force):
            return _same_answer(entry)
        if not force and entry.token and asked_at < entry.good_until:
            return entry.token
        return _ask_nango(connection, entry, force=force)


def forget(connection: Connection) -> None:
    """The grant may be another one now: drop its token here, and check whose it is before the next use anywhere.

    Called inside the account's scope.
    """
    with _entries_lock:
        _entries.pop((connection.pk, connection.nango_connection_id), None)
    if connection.method == Method.NANGO and connection.pk is not None:
        keep_grant(connection, Grant())


def _entry(connection: Connection) -> _Entry:
    with _entries_lock:
        return _entries.setdefault((connection.pk, connection.nango_connection_id), _Entry())


def _as_stored(connection: Connection) -> Connection:
    try:
        with account_scope(connection.account_id):
            return Connection.objects.get(account_id=connection.account_id, pk=connection.pk)
    finally:
        _give_back()


def _give_back() -> None:
    """A run's fetching thread has no other use for a database connection."""
    if not db.in_atomic_block:
        db.close()


def _another(connection: Connection, refused: Connection) -> str:
    """Somebody may have pasted a new token while a run was using the old one."""
    new, old = connection.sealed_credentials, refused.sealed_credentials
    if new is None or (old is not None and bytes(new) == bytes(old)):
        raise NeedsReconnect("The access token is no longer accepted. Paste a new one to go on; your leads are kept.")
    return _unsealed(connection)


def _unsealed(connection: Connection) -> str:
    if connection.sealed_credentials is None:
        raise NeedsReconnect("The access token is no longer accepted. Paste a new one to go on; your leads are kept.")
    try:
        return open_sealed(bytes(connection.sealed_credentials), context_of(connection))
    except CannotOpen as error:
        raise NeedsReconnect(
            "The stored access token cannot be opened. Paste it again to go on; your leads are kept.", detail=str(error)
        ) from error


def _same_answer(entry: _Entry) -> str:
    if entry.error is not None:
        raise entry.error
    return entry.token


def _ask_nango(connection: Connection, entry: _Entry, *, force: bool) -> str:
    was_denied = force and time.monotonic() < entry.expires_at
    refused = entry.token if force else ""
    if force:
        entry.drop_token()
    try:
        found = nango.Nango().connection(
            connection.nango_connection_id, connection.provider_config_key, force_refresh=force
        )
        _note_success(connection, found)
        entry.take(found)
        entry.error = None
        return entry.token
    except LeadloomError as error:
        entry.error = _note_failure(connection, error, was_denied=was_denied, token=refused)
        if entry.token and isinstance(entry.error, TryLater):  # good until the CRM says otherwise
            entry.good_until = time.monotonic() + entry.error.after.total_seconds()
            entry.error = None
            return entry.token
        entry.drop_token()
        raise entry.error from error
    finally:
        _give_back()
        entry.answered_at = time.monotonic()
        if force:
            entry.forced_at = entry.answered_at


def _note_failure(connection: Connection, error: LeadloomError, *, was_denied: bool, token: str) -> LeadloomError:
    """The error as it should be told: a refused refresh that has lasted asks for a reconnect."""
    if not isinstance(error, TryLater) or error.code != nango.REFUSED:
        return error
    now = time.time()
    grant = read_grant(connection).after_refusal(was_denied=was_denied, now=now, token=token)
    keep_grant(connection, grant)
    if not grant.is_dead(now):
        return error
    return NeedsReconnect(
        "The sign-in has run out or was withdrawn. Reconnect to go on; your leads are kept.", detail=error.detail
    )


def _note_success(connection: Connection, found: nango.NangoConnection) -> None:
    """Raises WrongAccount if somebody signed in to another CRM account under this connection's id."""
    grant = read_grant(connection)
    checked = grant.after_success(mark=mark_of(found.config), token=found.access_token)
    if grant == checked:
        return
    if grant.mark != checked.mark:
        _check_account(connection, found)
    keep_grant(connection, checked)


def _check_account(connection: Connection, found: nango.NangoConnection) -> None:
    crm = provider_of(connection.provider)

    def token(force: bool) -> str:
        if not force:
            return found.access_token
        again = nango.Nango().connection(
            connection.nango_connection_id, connection.provider_config_key, force_refresh=True
        )
        return again.access_token

    theirs = account_behind(crm, token, told=told_by(crm, found.config), base_url=connection.base_url)
    if theirs.external_id != connection.external_account_id:
        raise WrongAccount(
            f"The sign-in opens another {crm.name} account ({theirs.name}) than the one connected here "
            f"({connection.external_account_name}). Reconnect and choose that one; your leads are kept."
        )
    _keep_facts(connection, theirs)


def _keep_facts(connection: Connection, theirs: CrmAccount) -> None:
    """The account may have moved to another of the vendor's hosts."""
    facts = {**connection.facts, **theirs.facts}
    if facts == connection.facts:
        return
    connection.facts = facts
    with account_scope(connection.account_id):
        Connection.objects.filter(account_id=connection.account_id, pk=connection.pk).update(facts=facts)
