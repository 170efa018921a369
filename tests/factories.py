"""Rows for tests: the boring values are here, so that a test shows only the one it is about.

Each function opens the account's scope itself. The cast: Alice owns Acme, Bob is on her team, Charlie is a
stranger with an account of his own and must see nothing.
"""

from itertools import count
from typing import Any

from leadloom.accounts.models import Account, Member, Role, User
from leadloom.accounts.scope import account_scope
from leadloom.accounts.services import open_account_for
from leadloom.connections.models import Connection, Method, Run, State, Trigger
from leadloom.leads.models import Lead

PASSWORD = "correct horse battery"
_serial = count(100)


def make_user(email: str = "alice@example.com", password: str = PASSWORD) -> User:
    user = User(email=email.lower(), name=email.split("@")[0].title())
    user.set_password(password)
    user.save()
    return user


def make_member(
    email: str = "alice@example.com",
    account_name: str = "Acme",
    role: str = "owner",
    password: str = PASSWORD,
    *,
    account: Account | None = None,
) -> Member:
    """Somebody with an account of their own, or with a place in ``account``."""
    user = User.objects.filter(email=email.lower()).first() or make_user(email, password)
    member = open_account_for(user, name=account_name) if account is None else Member(account=account, user=user)
    with account_scope(member.account_id):
        member.role = Role(role)
        member.save()
    return member


def make_connection(account: Account, **fields: Any) -> Connection:
    values: dict[str, Any] = {
        "provider": "hubspot",
        "method": Method.TOKEN,
        "external_account_id": "147893286",
        "external_account_name": "acme.example",
        "state": State.LIVE,
    }
    with account_scope(account.pk):
        return Connection.objects.create(account=account, **values | fields)


def make_lead(account: Account, **fields: Any) -> Lead:
    serial = next(_serial)
    values: dict[str, Any] = {
        "name": f"Lead {serial}",
        "phone": f"+1415555{serial % 10_000:04}",
        "email": f"lead{serial}@example.com",
        "company": "Example Inc",
    }
    with account_scope(account.pk):
        return Lead.objects.create(account=account, **values | fields)


def make_run(connection: Connection, **fields: Any) -> Run:
    with account_scope(connection.account_id):
        return Run.objects.create(
            account_id=connection.account_id, connection=connection, **{"trigger": Trigger.CONNECT} | fields
        )
