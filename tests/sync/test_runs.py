"""Whole runs against a sandbox HubSpot over HTTP, on a real PostgreSQL, in this thread."""

from tests.sync.conftest import Connect, Refresh

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, RunState, State
from leadloom.leads.models import Lead, LeadChange, SourceContact
from leadloom.sandbox import Sandbox


def live_leads(connection: Connection) -> list[Lead]:
    with account_scope(connection.account_id):
        return list(Lead.objects.filter(archived_at=None).order_by("-activity_at"))


def test_a_first_run_accounts_for_every_contact_of_the_crm(box: Sandbox, connect: Connect) -> None:
    connection, run = connect(box)
    assert (run.state, run.error) == (RunState.DONE, "")
    assert run.seen == 350
    with account_scope(connection.account_id):
        records = SourceContact.objects.all()
        assert records.count() == 350
        assert {contact.id for contact in box.contacts()} == set(records.values_list("external_id", flat=True))
        by_outcome = {name: records.filter(outcome=name).count() for name in ("created", "linked", "skipped", "failed")}
        assert by_outcome == {name: getattr(run, name) for name in by_outcome}
        assert all(one.reason for one in records.filter(outcome__in=["skipped", "failed"]))
        connection.refresh_from_db()
        assert (connection.state, connection.next_due_at is not None) == (State.LIVE, True)


def test_a_second_run_with_nothing_changed_asks_twice_at_most_and_writes_nothing(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(box)
    run = refresh(connection, trigger="cron")
    assert run.requests <= 2, dict(box.stats().paths).items()
    assert (run.created, run.updated, run.linked, run.skipped) == (0, 0, 0, 0)
    with account_scope(connection.account_id):
        assert not LeadChange.objects.filter(run=run).exists()


def test_names_read_a_moment_ago_are_not_read_again_when_the_crms_clock_is_ahead(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    box.advance(3600)
    connection, _ = connect(box)
    refresh(connection)
    box.reset_stats()
    refresh(connection)
    assert "GET /crm/v3/owners" not in box.stats().paths


def test_a_change_in_the_crm_reaches_the_lead_at_the_next_refresh(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(box)
    lead = next(lead for lead in live_leads(connection) if lead.phone)
    box.change(lead.crm_id, company="Changed Ltd")
    run = refresh(connection)
    assert run.updated == 1
    with account_scope(connection.account_id):
        assert Lead.objects.get(pk=lead.pk).company == "Changed Ltd"


def test_an_empty_crm_is_a_complete_run_of_nothing(connect: Connect) -> None:
    with Sandbox(contacts=0) as empty:
        connection, run = connect(empty)
    assert (run.state, run.seen) == (RunState.DONE, 0)
    assert live_leads(connection) == []
