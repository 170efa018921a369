"""Zoho CRM from connecting to the last change, over real HTTP: one person is one lead, whatever module they are in."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from tests.sync.conftest import Refresh

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.connections.services import connect_with_token
from leadloom.leads.models import Lead, SourceContact
from leadloom.sandbox import Sandbox
from leadloom.sandbox.client import TrueContact
from leadloom.sync.work import work_on

LONG_AGO_S = 3600  # so that what was imported lies before what a refresh reads again
type Connect = Callable[[], tuple[Connection, Run]]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox("zoho", contacts=900, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def connect(alice: Member, box: Sandbox) -> Connect:
    def connect_to() -> tuple[Connection, Run]:
        with account_scope(alice.account_id):
            connection, run = connect_with_token(
                account=alice.account, member=alice, provider="zoho", token=box.token, base_url=box.url
            )
        run = work_on(run.pk, run.account_id)
        while run.state == RunState.QUEUED:  # on a busy machine it takes several turns
            run = work_on(run.pk, run.account_id)
        return connection, run

    return connect_to


def control(box: Sandbox, path: str, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = httpx2.post(f"{box.url}/_control/{path}", json=body).raise_for_status().json()
    return told


def with_phone(box: Sandbox, module: str) -> list[TrueContact]:
    """Those who can be told by their own number."""
    found = [one for one in box.contacts() if one.properties["module"] == module and "Mobile" in one.properties]
    assert len(found) > 3
    return found


def source(connection: Connection, own_id: str) -> SourceContact:
    with account_scope(connection.account_id):
        return SourceContact.objects.get(connection=connection, external_id=own_id)


def lead_of(connection: Connection, own_id: str) -> Lead:
    with account_scope(connection.account_id):
        return Lead.objects.get(pk=source(connection, own_id).lead_id)


def test_both_modules_become_leads_each_with_owner_status_and_link(connect: Connect, box: Sandbox) -> None:
    connection, run = connect()
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == box.count() == 900
    assert run.seen == run.created + run.linked + run.skipped + run.updated + run.unchanged + run.failed
    with account_scope(connection.account_id):
        kept = set(SourceContact.objects.values_list("external_id", flat=True))
        stages = set(Lead.objects.values_list("crm_stage", flat=True))
        statuses = set(Lead.objects.values_list("crm_status", flat=True))
        owners = set(Lead.objects.values_list("crm_owner", flat=True))
    assert kept == {one.id for one in box.contacts()}
    assert stages == {"Lead", "Contact"}
    assert "Tried twice, no answer" in statuses, "as the customer calls it"
    assert "Attempted to Contact" not in statuses
    assert "Hana Petrova" in owners, "who left, and still owns"
    lead = lead_of(connection, with_phone(box, "Contacts")[0].id)
    assert lead.crm_url.startswith("https://crm.zoho.com/crm/org20081234567/tab/Contacts/")


def test_a_refresh_brings_changes_of_both_modules_new_people_and_deletions(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    changed_lead, deleted_lead = with_phone(box, "Leads")[:2]
    changed_contact, deleted_contact = with_phone(box, "Contacts")[:2]
    box.change(changed_lead.id, Lead_Status="Attempted to Contact", Company="Cobalt Roofing")
    box.change(changed_contact.id, Company="Harbour Labs")
    new = box.create(module="Leads", Last_Name="Newcomer", Mobile="+1 212 736 5077")
    box.archive(deleted_lead.id)
    box.gdpr_delete(deleted_contact.id)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert (run.created, run.updated, run.gone) == (1, 2, 2)
    assert lead_of(connection, changed_lead.id).crm_status == "Tried twice, no answer"
    assert lead_of(connection, changed_contact.id).company == "Harbour Labs"
    assert lead_of(connection, new).phone == "+12127365077"
    assert source(connection, deleted_lead.id).gone_at
    assert source(connection, deleted_contact.id).gone_at


def test_a_converted_lead_stays_one_lead_with_its_thread(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, "Leads")[0]
    before = lead_of(connection, person.id)
    contact = str(control(box, "contacts/convert", id=person.id)["id"])
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert lead_of(connection, contact).pk == before.pk
    assert lead_of(connection, contact).crm_stage == "Contact", "at once"
    assert source(connection, person.id).merged_into == contact
    box.advance(LONG_AGO_S)
    box.change(contact, First_Name="Renamed", Last_Name="Afterwards")
    refresh(connection)
    after = lead_of(connection, contact)
    assert (after.pk, after.name, after.crm_stage) == (before.pk, "Renamed Afterwards", "Contact")


def test_a_converted_lead_whose_number_changed_on_the_way_is_still_one_lead(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, "Leads")[0]
    contact = str(control(box, "contacts/convert", id=person.id)["id"])
    box.change(contact, Mobile="+1 212 736 5078", Phone=None, Email=None)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert source(connection, person.id).merged_into == contact
    assert lead_of(connection, person.id).pk == lead_of(connection, contact).pk
    assert lead_of(connection, contact).phone == "+12127365078"


def test_of_two_merged_the_master_lives_and_the_other_is_marked_as_gone(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    master, other = with_phone(box, "Contacts")[:2]
    box.merge(master.id, other.id)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert run.gone == 1
    assert source(connection, other.id).gone_at
    assert source(connection, master.id).gone_at is None
    assert lead_of(connection, other.id).archived_at is None, "its thread stays"


def test_two_records_of_one_number_that_are_merged_stay_one_lead(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    first = box.create(module="Contacts", Last_Name="Twin", Mobile="+1 212 736 5079", First_Name="A")
    second = box.create(module="Contacts", Last_Name="Twin", Mobile="+1 212 736 5079", First_Name="B")
    connection, _ = connect()
    lead = lead_of(connection, first)
    assert lead_of(connection, second).pk == lead.pk
    box.advance(LONG_AGO_S)
    master, other = (second, first) if lead.crm_id == first else (first, second)
    box.merge(master, other)
    refresh(connection)
    survivor = lead_of(connection, master)
    assert (survivor.pk, survivor.crm_id) == (lead.pk, master)
    assert survivor.name != lead.name, "its own values describe the lead"


def test_a_restored_record_comes_back_at_once_if_zoho_says_that_it_changed(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    control(box, "settings", stamps_restored=True)
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, "Leads")[0]
    box.archive(person.id)
    refresh(connection)
    assert source(connection, person.id).gone_at
    box.advance(LONG_AGO_S)
    box.restore(person.id)
    refresh(connection)
    assert source(connection, person.id).gone_at is None


def test_a_restored_record_comes_back_at_the_weekly_sweep_at_the_latest(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, "Leads")[0]
    box.archive(person.id)
    refresh(connection)
    box.restore(person.id)
    run = refresh(connection, trigger="sweep")
    assert run.state == RunState.DONE, run.error_detail
    assert source(connection, person.id).gone_at is None


@pytest.mark.parametrize("order", ["asc", "none"])
@pytest.mark.usefixtures("hurried")
def test_what_lists_do_not_reach_is_read_from_a_file_and_written_once(
    connect: Connect, refresh: Refresh, box: Sandbox, order: str
) -> None:
    control(
        box, "settings", reach=200, export={"takes_s": 0.2, "order": order, "per_page": 150, "refused": ["Full_Name"]}
    )
    connection, run = connect()
    assert run.state == RunState.DONE, run.error_detail
    with account_scope(connection.account_id):
        assert set(SourceContact.objects.values_list("external_id", flat=True)) == {one.id for one in box.contacts()}
        assert "Hana Petrova" in set(Lead.objects.values_list("crm_owner", flat=True)), "a file holds ids of owners"
    assert any(path.endswith("/result") for path in box.stats().paths)
    assert run.seen == run.created + run.linked + run.skipped + run.updated + run.unchanged + run.failed
    contents = contents_of(connection)
    control(box, "settings", reach=100_000)
    refresh(connection, strategy="overwrite")
    assert contents_of(connection) == contents, "a person of a file is the same as one of a list"


def contents_of(connection: Connection) -> dict[str, bytes]:
    with account_scope(connection.account_id):
        hashes = SourceContact.objects.values_list("external_id", "content_hash")
        return {own_id: bytes(content) for own_id, content in hashes if content}


def test_a_file_that_is_cut_on_the_way_is_asked_for_again(connect: Connect, box: Sandbox) -> None:
    control(box, "settings", reach=200, export={"takes_s": 0})
    box.fault("cut_json", times=1, path="/result")
    connection, run = connect()
    assert run.state == RunState.DONE, run.error_detail
    with account_scope(connection.account_id):
        assert set(SourceContact.objects.values_list("external_id", flat=True)) == {one.id for one in box.contacts()}


def test_a_quiet_refresh_asks_four_questions(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    refresh(connection, trigger="cron")
    box.reset_stats()
    run = refresh(connection, trigger="cron")
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == run.unchanged
    assert sum(box.stats().paths.values()) == 4


def test_a_token_that_runs_out_in_mid_run_asks_to_reconnect_and_loses_nothing(connect: Connect, box: Sandbox) -> None:
    box.expire_token(after_requests=4)
    connection, run = connect()
    assert run.state == RunState.FAILED
    assert run.error_code == "needs_reconnect"
    with account_scope(connection.account_id):
        assert Connection.objects.get(pk=connection.pk).state == "needs_reconnect"


def test_too_many_calls_at_once_slow_the_import_down_and_fail_nothing(connect: Connect, box: Sandbox) -> None:
    box.set_limits("real", burst=2)
    box.set_latency(80)
    _, run = connect()
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == 900


def test_an_org_out_of_credits_waits_and_says_so(connect: Connect, box: Sandbox) -> None:
    control(box, "settings", limits="real", credits=4)
    connection, run = connect()
    assert run.state == RunState.WAITING
    assert run.error_code == "quota"
    with account_scope(connection.account_id):
        assert Connection.objects.get(pk=connection.pk).state == "waiting_quota"
