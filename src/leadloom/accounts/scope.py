"""The one door to account data.

Row-level security shows nothing until a scope is open. ``account_scope`` opens one account's rows inside one
transaction; the three narrower scopes let a person find their memberships, a program its token, and the scheduler
the ids of what is due. All four end with the transaction: nothing leaks to the next user of a pooled connection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local

from django.db import connection, transaction

_open = local()


class ScopeError(RuntimeError):
    """Code already inside one account's scope asked for another's: a bug, never a user's mistake."""


@contextmanager
def account_scope(account_id: int) -> Iterator[None]:
    """One transaction in which this account's rows, and only these, can be seen and written.

    Commits on leaving, rolls back on an exception. Nested scopes must name the same account.
    """
    current = getattr(_open, "account_id", None)
    if current not in (None, account_id):
        raise ScopeError(f"account {current} is in scope; account {account_id} was asked for")
    with _setting("leadloom.account_id", str(account_id)):
        _open.account_id = account_id
        try:
            yield
        finally:
            _open.account_id = current


@contextmanager
def user_scope(user_id: int) -> Iterator[None]:
    """Lets a signed-in person read their own memberships and the names of those accounts."""
    with _setting("leadloom.user_id", str(user_id)):
        yield


@contextmanager
def key_scope(key_hash: str) -> Iterator[None]:
    """Lets the holder of an API token or invitation read the one row with this hash."""
    with _setting("leadloom.key_hash", key_hash):
        yield


@contextmanager
def system_scope() -> Iterator[None]:
    """Lets the scheduler read connections and runs of all accounts, to find what is due. Reads only."""
    with _setting("leadloom.system", "on"):
        yield


@contextmanager
def _setting(name: str, value: str) -> Iterator[None]:
    """Set a transaction-local setting, and put the old value back: a nested scope must not outlive itself."""
    is_nested = connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s, true), set_config(%s, %s, true)", [name, name, value])
            row = cursor.fetchone()
        yield
        if not is_nested:  # the setting ends with our transaction, now
            return
        # Only on success: an exception rolls back to before set_config, and the setting with it.
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [name, (row and row[0]) or ""])
