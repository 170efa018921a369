"""Whoever describes a lead anew is shown at once, though the CRM has nothing new to say of them."""

from collections.abc import Iterator

import pytest
from tests.sync.conftest import Connect, Refresh

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.connections.services import connect_with_token
from leadloom.leads import services
from leadloom.leads.models import Lead, LeadChange, SourceContact
from leadloom.sandbox import Sandbox
from leadloom.sync.work import work_on

NUMBER = "+1 212 736 5000"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(contacts=5, seed=7) as sandbox:
        yield sandbox


def connect_two_with_one_number(box: Sandbox, connect: Connect, refresh: Refresh) -> tuple[Connection, str, str]:
    """Gerda, and Benno, whom she keeps from describing their lead since she was there before him."""
    first = box.create(firstname="Gerda", lastname="Geht", phone=NUMBER, company="Leaves Ltd", email="g@example.com")
    connection, _ = connect(box)
    other = box.create(firstname="Benno", lastname="Bleibt", phone=NUMBER, company="Stays Ltd", email="b@example.com")
    box.advance(3600)
    refresh(connection)
    return connection, first, other


def the_lead(connection: Connection) -> Lead:
    with account_scope(connection.account_id):
        return Lead.objects.get(phone="+12127365000")


def allow_gone(connection: Connection) -> None:
    with account_scope(connection.account_id):
        Connection.objects.filter(pk=connection.pk).update(gone_checked_at=None)


def accounts_for_all(run: Run) -> bool:
    return run.seen == run.created + run.updated + run.unchanged + run.linked + run.skipped + run.failed


def test_a_lead_shows_who_is_left_when_the_one_it_showed_is_deleted(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, first, other = connect_two_with_one_number(box, connect, refresh)
    assert the_lead(connection).name == "Gerda Geht"
    box.archive(first)
    allow_gone(connection)
    run = refresh(connection)
    lead = the_lead(connection)
    assert (lead.crm_id, lead.name, lead.company, lead.email) == (other, "Benno Bleibt", "Stays Ltd", "b@example.com")
    assert (run.state, run.gone, run.seen, run.updated) == (RunState.DONE, 1, 1, 1)
    assert accounts_for_all(run)
    with account_scope(connection.account_id):
        change = LeadChange.objects.get(lead=lead, run=run)
        assert (change.before["name"], change.after["name"]) == ("Gerda Geht", "Benno Bleibt")


def test_the_run_after_that_finds_nothing_new(box: Sandbox, connect: Connect, refresh: Refresh) -> None:
    connection, first, _ = connect_two_with_one_number(box, connect, refresh)
    box.archive(first)
    allow_gone(connection)
    refresh(connection)
    again = refresh(connection, trigger="sweep")
    assert (again.updated, again.created, again.failed) == (0, 0, 0)


def test_a_restored_lead_shows_at_the_next_refresh_what_its_crm_said_meanwhile(
    box: Sandbox, connect: Connect, refresh: Refresh, alice: Member
) -> None:
    own_id = box.create(firstname="Rosa", lastname="Rast", phone=NUMBER)
    connection, _ = connect(box)
    with account_scope(alice.account_id):
        services.archive(lead=the_lead(connection), member=alice)
    box.change(own_id, company="Said Meanwhile", lastname="Regen")
    refresh(connection)
    box.advance(3600)
    with account_scope(alice.account_id):
        services.restore(lead=the_lead(connection), member=alice)
    run = refresh(connection)
    lead = the_lead(connection)
    assert (lead.name, lead.company) == ("Rosa Regen", "Said Meanwhile")
    assert run.pages == 1, "what we hold is no page of the CRM"


def test_a_record_that_was_too_large_to_keep_waits_for_the_crm(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, first, other = connect_two_with_one_number(box, connect, refresh)
    with account_scope(connection.account_id):
        SourceContact.objects.filter(external_id=other).update(raw={"too_large_to_keep": 123_456})
    box.archive(first)
    allow_gone(connection)
    run = refresh(connection)
    assert (run.state, run.failed) == (RunState.DONE, 0)
    lead = the_lead(connection)
    assert (lead.crm_id, lead.name) == (other, "Gerda Geht")
    refresh(connection, trigger="sweep")
    assert the_lead(connection).name == "Benno Bleibt"


def test_a_person_of_another_crm_is_shown_at_its_next_hour_though_nothing_changed_there(
    box: Sandbox, connect: Connect, refresh: Refresh, alice: Member
) -> None:
    box.create(firstname="Benno", lastname="Bleibt", phone=NUMBER)
    with Sandbox("pipedrive", contacts=5, seed=7) as other:
        own_id = other.create(name="Gerda Geht", mobile=NUMBER)
        with account_scope(alice.account_id):
            pipedrive, run = connect_with_token(
                account=alice.account, member=alice, provider="pipedrive", token=other.token, base_url=other.url
            )
        work_on(run.pk, run.account_id)
        hubspot, _ = connect(box)
        for crm in (box, other):
            crm.advance(3600)
        refresh(hubspot)
        other.archive(own_id)
        refresh(pipedrive)
    assert (the_lead(hubspot).crm_source, the_lead(hubspot).name) == ("hubspot", "Gerda Geht")
    run = refresh(hubspot, trigger="cron")
    assert the_lead(hubspot).name == "Benno Bleibt"
    assert (run.pages, run.updated) == (1, 1)
