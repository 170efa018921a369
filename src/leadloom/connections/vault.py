"""The credential to call a CRM with: unsealed from the row, or fetched from Nango and kept in memory for a while.

Nango counts every read against all tenants together, so a token is kept until shortly before it expires. What Nango
answers when a refresh fails does not tell a revoked grant from a vendor's bad minute: the first failures are *try
later*, and only one that repeats past Nango's own back-off asks the customer to reconnect.
"""

import threading
import time
from dataclasses import dataclass, field

from leadloom.connections import nango
from leadloom.connections.models import Connection, Method
from leadloom.connections.secrets import CannotOpen, open_sealed
from leadloom.errors import NeedsReconnect, TryLater

KEEP_UNTIL_S = 180.0  # before expiry: longer than any request takes
KEEP_WITHOUT_EXPIRY_S = 600.0
FAILURES_BEFORE_RECONNECT = 3  # over more than Nango's back-off of 30 s


@dataclass(slots=True)
class _Entry:
    token: str = ""
    good_until: float = 0.0
    failures: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_entries: dict[tuple[int, str], _Entry] = {}
_entries_lock = threading.Lock()


def context_of(connection: Connection) -> str:
    """What a connection's credentials are bound to."""
    return f"connection:{connection.account_id}:{connection.provider}:{connection.external_account_id}"


def access_token(connection: Connection, *, force: bool = False) -> str:
    """The credential. ``force``: the last one was refused, get a fresh one.

    Raises NeedsReconnect, or TryLater when Nango has no token just now. Safe from several threads: one asks, the
    others wait for its answer.
    """
    if connection.method != Method.NANGO:
        return _unsealed(connection, force)
    with _entries_lock:
        entry = _entries.setdefault((connection.pk, connection.nango_connection_id), _Entry())
    with entry.lock:
        now = time.monotonic()
        if not force and now < entry.good_until:
            return entry.token
        return _from_nango(connection, entry, force=force)


def forget(connection: Connection) -> None:
    """Drop what is in memory, after a reconnect or a disconnect."""
    with _entries_lock:
        _entries.pop((connection.pk, connection.nango_connection_id), None)


def _unsealed(connection: Connection, force: bool) -> str:
    if force or connection.sealed_credentials is None:
        raise NeedsReconnect("The access token is no longer accepted. Paste a new one to go on; your leads are kept.")
    try:
        return open_sealed(bytes(connection.sealed_credentials), context_of(connection))
    except CannotOpen as error:
        raise NeedsReconnect(
            "The stored access token cannot be opened. Paste it again to go on; your leads are kept.", detail=str(error)
        ) from error


def _from_nango(connection: Connection, entry: _Entry, *, force: bool) -> str:
    try:
        found = nango.Nango().connection(
            connection.nango_connection_id, connection.provider_config_key, force_refresh=force
        )
    except TryLater as error:
        if error.code == "grant_refused":
            entry.failures += 1
            if entry.failures >= FAILURES_BEFORE_RECONNECT:
                raise NeedsReconnect(
                    "The sign-in was refused again and again. Reconnect to go on; your leads are kept.",
                    detail=error.detail,
                ) from error
        raise
    entry.failures = 0
    entry.token = found.access_token
    left = KEEP_WITHOUT_EXPIRY_S if found.expires_in_s is None else found.expires_in_s - KEEP_UNTIL_S
    entry.good_until = time.monotonic() + max(0.0, left)
    return found.access_token
