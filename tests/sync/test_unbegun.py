"""A run that cannot even begin must end, or workers would take it up again for ever."""

import pytest
from tests.factories import make_connection, make_run

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run
from leadloom.providers.catalogue import UnknownProvider
from leadloom.sync.work import work_on


def test_a_run_whose_crm_we_no_longer_know_ends_as_our_fault(alice: Member) -> None:
    connection = make_connection(alice.account, provider="nosuch")
    run = make_run(connection)
    with pytest.raises(UnknownProvider):
        work_on(run.pk, alice.account_id)
    with account_scope(alice.account_id):
        ended = Run.objects.get(pk=run.pk)
        card = Connection.objects.get(pk=connection.pk)
    assert (ended.state, ended.error_code, ended.lease_token) == ("failed", "our_fault", None)
    assert (card.state, card.reason_code) == ("stuck", "our_fault")
    assert card.next_due_at is not None
