"""An account with a HubSpot connection, and a short way to sync contacts into it."""

from collections.abc import Callable, Iterator

import pytest
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.models import Account
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection
from leadloom.contact import Contact
from leadloom.leads.staging import Rejected
from leadloom.leads.store import Target, Written, write_contacts

type Sync = Callable[..., Written]


@pytest.fixture
def account(db: None) -> Account:
    return make_member().account


@pytest.fixture
def scope(account: Account) -> Iterator[None]:
    with account_scope(account.pk):
        yield


@pytest.fixture
def hubspot(account: Account) -> Connection:
    return make_connection(account)


@pytest.fixture
def sync(account: Account, hubspot: Connection, scope: None) -> Sync:
    """``sync(contact, …)`` writes the contacts as a run of their own; ``run=`` continues an earlier run."""

    def write(
        *contacts: Contact | Rejected,
        connection: Connection = hubspot,
        run_id: int | None = None,
        **options: bool,
    ) -> Written:
        if run_id is None:
            run_id = make_run(connection, state="done").pk
        target = Target(
            account_id=account.pk, connection_id=connection.pk, run_id=run_id, provider=connection.provider, **options
        )
        return write_contacts(target, contacts)

    return write
