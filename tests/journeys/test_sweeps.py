"""A CRM that cannot tell who was deleted, a real worker, and a person who decides about many at once."""

from collections.abc import Callable

import pytest
from tests.journeys.conftest import Until, Worker

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState, Trigger
from leadloom.connections.services import connect_with_token, mark_absent, request_run
from leadloom.leads.models import SourceContact
from leadloom.sandbox import Sandbox
from leadloom.sandbox.gohighlevel.staff import LOCATION

pytestmark = pytest.mark.journey

CONTACTS = 300


def has_ended(run: Run) -> bool:
    return not run.is_active


def sweep(connection: Connection) -> Run:
    with account_scope(connection.account_id):
        return request_run(connection=Connection.objects.get(pk=connection.pk), trigger=Trigger.SWEEP)[0]


def gone(connection: Connection) -> set[str]:
    with account_scope(connection.account_id):
        return set(SourceContact.objects.exclude(gone_at=None).values_list("external_id", flat=True))


@pytest.fixture
def imported(alice: Member, until: Until) -> Callable[[Sandbox], Connection]:
    def connect(box: Sandbox) -> Connection:
        with account_scope(alice.account_id):
            connection, run = connect_with_token(
                account=alice.account, member=alice, provider="gohighlevel", token=box.token, base_url=box.url,
                typed={"locationId": LOCATION},
            )  # fmt: skip
        assert until(run, has_ended).state == RunState.DONE
        return connection

    return connect


def test_a_crm_that_hides_half_of_its_contacts_loses_nobody_until_a_person_says_they_have_left(
    start_worker: Callable[[], Worker], imported: Callable[[Sandbox], Connection], until: Until
) -> None:
    with Sandbox("gohighlevel", contacts=CONTACTS, seed=7) as box:
        start_worker()
        connection = imported(box)
        hidden = {one.id for number, one in enumerate(box.contacts()) if number % 2}
        for one in hidden:
            box.archive(one)
        held = until(sweep(connection), has_ended)
        assert (held.state, held.absent, held.gone, gone(connection)) == (RunState.DONE, CONTACTS // 2, 0, set())

        back = set(sorted(hidden)[:100])
        for one in back:
            box.restore(one)
        with account_scope(connection.account_id):
            confirmed = mark_absent(Connection.objects.get(pk=connection.pk))
        run = until(confirmed, has_ended)
        assert (run.state, run.gone) == (RunState.DONE, 50)
        assert gone(connection) == hidden - back, "those who were back by then have not left"

        for one in hidden - back:
            box.restore(one)
        assert until(sweep(connection), has_ended).state == RunState.DONE
        assert gone(connection) == set()


def test_a_sweep_whose_worker_is_killed_ends_as_if_nothing_had_happened(
    start_worker: Callable[[], Worker], imported: Callable[[Sandbox], Connection], until: Until
) -> None:
    with Sandbox("gohighlevel", contacts=1500, seed=7) as box:
        first = start_worker()
        connection = imported(box)
        leaving = [one.id for number, one in enumerate(box.contacts()) if number % 100 == 0]
        for one in leaving:
            box.archive(one)
        box.set_latency(150)
        run = sweep(connection)
        until(run, lambda run: run.pages >= 5)
        first.kill()
        box.set_latency(0)
        start_worker()
        run = until(run, has_ended)
        assert (run.state, run.gone) == (RunState.DONE, len(leaving))
        assert gone(connection) == set(leaving)
