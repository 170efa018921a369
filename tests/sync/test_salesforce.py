"""Salesforce from connecting to the last change, over real HTTP: one person is one lead, whatever object they are."""

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
from leadloom.providers.crms import salesforce
from leadloom.sandbox import Sandbox
from leadloom.sandbox.client import TrueContact
from leadloom.sync.work import work_on

LONG_AGO_S = 4 * 3600  # so that what was imported lies before what a refresh reads again
type Connect = Callable[..., tuple[Connection, Run]]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox("salesforce", contacts=900, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def connect(alice: Member, box: Sandbox) -> Connect:
    def connect_to(**settings: Any) -> tuple[Connection, Run]:
        with account_scope(alice.account_id):
            connection, run = connect_with_token(
                account=alice.account, member=alice, provider="salesforce", token=box.token, base_url=box.url
            )
            if settings:
                Connection.objects.filter(pk=connection.pk).update(settings=settings)
        return connection, work_on(run.pk, run.account_id)

    return connect_to


def control(box: Sandbox, path: str, /, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = httpx2.post(f"{box.url}/_control/{path}", json=body).raise_for_status().json()
    return told


def with_phone(box: Sandbox, kind: str) -> list[TrueContact]:
    """Those who can be told by their own number."""
    found = [one for one in box.contacts() if one.properties["object"] == kind and "MobilePhone" in one.properties]
    assert len(found) > 5
    return found


def source(connection: Connection, own_id: str) -> SourceContact:
    with account_scope(connection.account_id):
        return SourceContact.objects.get(connection=connection, external_id=own_id)


def lead_of(connection: Connection, own_id: str) -> Lead:
    with account_scope(connection.account_id):
        return Lead.objects.get(pk=source(connection, own_id).lead_id)


def require_all(connection: Connection, run: Run, box: Sandbox) -> None:
    """Everybody was met, and everybody is accounted for."""
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == run.created + run.linked + run.skipped + run.updated + run.unchanged + run.failed
    with account_scope(connection.account_id):
        living = SourceContact.objects.filter(gone_at=None).values_list("external_id", flat=True)
        assert set(living) == {one.id for one in box.contacts()}


# The first import


def test_both_objects_become_leads_each_with_owner_status_stage_and_link(connect: Connect, box: Sandbox) -> None:
    connection, run = connect()
    require_all(connection, run, box)
    assert run.seen == box.count() == 900
    with account_scope(connection.account_id):
        stages = set(Lead.objects.values_list("crm_stage", flat=True))
        statuses = set(Lead.objects.values_list("crm_status", flat=True))
        owners = set(Lead.objects.values_list("crm_owner", flat=True))
        companies = set(Lead.objects.values_list("company", flat=True))
        opted_out = set(Lead.objects.values_list("opted_out", flat=True))
    assert {"Lead", "Contact", "On-site visit booked"} <= stages
    assert "Needs Analysis" not in stages
    assert "Tried twice, no answer" in statuses, "as the customer calls it"
    assert "Working - Contacted" not in statuses
    assert "Hana Petrova" in owners, "who left, and still owns"
    assert "Inbound leads" in owners, "a queue"
    assert len(companies) > 10
    assert opted_out == {True, False}
    person = with_phone(box, "Contact")[0].id
    assert lead_of(connection, person).crm_url.endswith(f"salesforce.com/{person}")


def test_awkward_people_are_leads_or_have_a_reason(connect: Connect, box: Sandbox) -> None:
    box.add_awkward()
    connection, run = connect()
    require_all(connection, run, box)
    assert run.failed == 0


def test_very_many_come_by_a_bulk_job(connect: Connect, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salesforce, "BULK_FROM", 300)  # in place of a hundred thousand people
    monkeypatch.setattr(salesforce, "BULK_SIZE", 100)
    connection, run = connect()
    require_all(connection, run, box)
    assert run.seen == 900
    assert sum(count for path, count in box.stats().paths.items() if path.endswith("/results")) >= 9
    monkeypatch.undo()
    with account_scope(connection.account_id):
        before = dict(SourceContact.objects.values_list("external_id", "content_hash"))
    again = _sweep(connection)
    assert (again.created, again.updated) == (0, 0), "a job and a query tell the same of everybody"
    with account_scope(connection.account_id):
        assert dict(SourceContact.objects.values_list("external_id", "content_hash")) == before


def _sweep(connection: Connection) -> Run:
    from leadloom.connections.services import request_run

    with account_scope(connection.account_id):
        fresh = Connection.objects.get(pk=connection.pk)
        run, _ = request_run(connection=fresh, trigger="sweep")
    return work_on(run.pk, run.account_id)


@pytest.mark.usefixtures("hurried")
def test_a_job_that_is_still_being_prepared_is_waited_for(
    connect: Connect, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salesforce, "BULK_FROM", 300)
    control(box, "settings", bulk_queue_s=0.3)
    connection, run = connect()
    require_all(connection, run, box)


@pytest.mark.usefixtures("hurried")
def test_where_jobs_fail_everybody_is_read_by_queries(
    connect: Connect, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salesforce, "BULK_FROM", 300)
    control(box, "settings", failing_jobs=["Contact", "Lead"])
    connection, run = connect()
    require_all(connection, run, box)


def test_a_query_that_takes_too_long_costs_nobody(connect: Connect, box: Sandbox) -> None:
    connection, _ = connect()
    control(box, "trouble", kind="QUERY_TIMEOUT", times=2, path="/services/data/v63.0/query")
    run = _sweep(connection)
    require_all(connection, run, box)


def test_hidden_fields_leave_the_rest(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    control(box, "settings", hidden={"Contact": ["AccountId", "Fax"], "Lead": ["Description", "DoNotCall"]})
    connection, run = connect()
    require_all(connection, run, box)
    assert lead_of(connection, with_phone(box, "Contact")[0].id).company == ""
    box.advance(LONG_AGO_S)
    box.reset_stats()
    assert refresh(connection, trigger="cron").state == RunState.DONE
    assert not [path for path in box.stats().paths if "describe" in path], "what is hidden is remembered"


@pytest.mark.parametrize(
    "hidden", ["Lead", "Contact", "Account", "Opportunity", "OpportunityContactRole", "LeadStatus"]
)
def test_a_hidden_object_leaves_the_rest(connect: Connect, refresh: Refresh, box: Sandbox, hidden: str) -> None:
    control(box, "settings", hidden_objects=[hidden])
    connection, run = connect()
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == sum(one.properties["object"] != hidden for one in box.contacts())
    assert refresh(connection).state == RunState.DONE


# Changes


def test_a_refresh_brings_changes_of_both_objects_new_people_and_deletions(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    changed_lead, deleted_lead = with_phone(box, "Lead")[:2]
    changed_contact, deleted_contact = with_phone(box, "Contact")[:2]
    box.change(changed_lead.id, Status="Working - Contacted", Company="Cobalt Roofing")
    box.change(changed_contact.id, Company="Harbour Labs")
    new = box.create(object="Lead", LastName="Newcomer", Company="New Inc", MobilePhone="+1 212 736 5077")
    box.archive(deleted_lead.id)
    box.archive(deleted_contact.id)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert (run.created, run.updated, run.gone) == (1, 2, 2)
    assert lead_of(connection, changed_lead.id).crm_status == "Tried twice, no answer"
    assert lead_of(connection, changed_contact.id).company == "Harbour Labs"
    assert lead_of(connection, new).phone == "+12127365077"
    assert source(connection, deleted_lead.id).gone_at
    assert source(connection, deleted_contact.id).gone_at


def test_a_quiet_refresh_asks_three_questions(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    for _ in range(2):  # the first learns what time it is by now
        refresh(connection, trigger="cron")
    box.reset_stats()
    run = refresh(connection, trigger="cron")
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == run.unchanged
    assert sum(box.stats().paths.values()) == 3


def test_hundreds_loaded_in_one_second_are_all_updated(
    connect: Connect, refresh: Refresh, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salesforce, "PAGE_SIZE", 100)  # in place of two thousand
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    changed = box.bulk_change(700, LastName="Loaded")
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    with account_scope(connection.account_id):
        renamed = SourceContact.objects.filter(external_id__in=changed, last_run_id=run.pk).count()
    assert renamed == len(changed) == 700


def test_a_converted_lead_stays_one_lead_with_its_thread(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, "Lead")[0]
    before = lead_of(connection, person.id)
    contact = str(control(box, "contacts/convert", id=person.id, with_deal=True)["id"])
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert lead_of(connection, contact).pk == before.pk
    assert lead_of(connection, contact).crm_stage not in ("Lead", "Contact"), "the stage of the deal that came with it"
    assert source(connection, person.id).merged_into == contact
    box.advance(LONG_AGO_S)
    box.change(contact, FirstName="Renamed", LastName="Afterwards")
    refresh(connection)
    after = lead_of(connection, contact)
    assert (after.pk, after.name) == (before.pk, "Renamed Afterwards")


def test_a_lead_converted_into_a_contact_that_we_know_joins_it(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person, known = with_phone(box, "Lead")[0], with_phone(box, "Contact")[0]
    control(box, "contacts/convert", id=person.id, into=known.id)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert source(connection, person.id).merged_into == known.id
    assert lead_of(connection, person.id).pk == lead_of(connection, known.id).pk
    assert lead_of(connection, known.id).crm_id == known.id


def test_a_converted_lead_whose_number_changed_on_the_way_is_still_one_lead(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, "Lead")[0]
    contact = str(control(box, "contacts/convert", id=person.id)["id"])
    box.change(contact, MobilePhone="+1 212 736 5078", Phone=None, Email=None)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert lead_of(connection, person.id).pk == lead_of(connection, contact).pk
    assert lead_of(connection, contact).phone == "+12127365078"


@pytest.mark.parametrize("kind", ["Contact", "Lead"])
def test_of_two_merged_one_lead_goes_on_with_both_threads(
    connect: Connect, refresh: Refresh, box: Sandbox, kind: str
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    master, other = with_phone(box, kind)[:2]
    box.merge(master.id, other.id)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert source(connection, other.id).merged_into == master.id
    assert source(connection, master.id).gone_at is None
    assert lead_of(connection, other.id).pk == lead_of(connection, master.id).pk
    assert lead_of(connection, master.id).crm_id == master.id


def test_a_merger_of_a_merger_ends_at_the_last(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    first, second, last = with_phone(box, "Contact")[:3]
    box.merge(second.id, first.id)
    box.merge(last.id, second.id)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert len({lead_of(connection, one.id).pk for one in (first, second, last)}) == 1
    assert lead_of(connection, last.id).crm_id == last.id


@pytest.mark.parametrize("kind", ["Contact", "Lead"])
def test_a_record_out_of_the_recycle_bin_is_back_at_once(
    connect: Connect, refresh: Refresh, box: Sandbox, kind: str
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, kind)[0]
    box.archive(person.id)
    refresh(connection)
    assert source(connection, person.id).gone_at
    box.advance(LONG_AGO_S)
    box.restore(person.id)
    refresh(connection)
    assert source(connection, person.id).gone_at is None


def test_a_record_that_was_erased_leaves_with_an_overwrite(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, "Contact")[0]
    box.gdpr_delete(person.id)
    assert refresh(connection).gone == 0, "nothing tells of it"
    run = refresh(connection, strategy="overwrite")
    assert run.state == RunState.DONE, run.error_detail
    assert source(connection, person.id).gone_at
    require_all(connection, run, box)


def test_a_lead_converted_just_before_a_sweep_goes_on_as_its_contact(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    person = with_phone(box, "Lead")[0]
    contact = str(control(box, "contacts/convert", id=person.id)["id"])
    box.change(contact, MobilePhone="+1 212 736 5078", Phone=None, Email=None)
    box.advance(LONG_AGO_S)
    run = refresh(connection, trigger="sweep")
    assert run.state == RunState.DONE, run.error_detail
    assert source(connection, person.id).merged_into == contact
    assert lead_of(connection, person.id).pk == lead_of(connection, contact).pk


def test_a_deal_that_moves_moves_the_stage_of_its_contact(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    person = next(one.id for one in with_phone(box, "Contact") if lead_of(connection, one.id).crm_stage == "Contact")
    for stage, shown in (
        ("Prospecting", "Prospecting"),
        ("Needs Analysis", "On-site visit booked"),
        ("Closed Won", "Contact"),
    ):
        box.advance(LONG_AGO_S)
        control(box, "deals", contact=person, stage=stage)
        run = refresh(connection)
        assert run.state == RunState.DONE, run.error_detail
        assert lead_of(connection, person).crm_stage == shown


# Opt-outs


def test_an_opt_out_is_followed_and_stays(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    person = next(one.id for one in with_phone(box, "Contact") if not lead_of(connection, one.id).opted_out)
    for flag in ("true", "false"):
        box.advance(LONG_AGO_S)
        box.change(person, DoNotCall=flag)
        refresh(connection)
        assert lead_of(connection, person).opted_out


def test_a_customers_own_do_not_text_field_is_obeyed(connect: Connect, box: Sandbox) -> None:
    person = box.create(LastName="Quiet", MobilePhone="+1 212 736 5079", Do_Not_Text__c="true")
    connection, _ = connect(opt_out_properties=["Do_Not_Text__c"])
    assert lead_of(connection, person).opted_out


def test_a_do_not_text_field_that_is_hidden_stops_the_import_and_says_so(connect: Connect, box: Sandbox) -> None:
    control(box, "settings", hidden={kind: ["Do_Not_Text__c"] for kind in ("Contact", "Lead")})
    _, run = connect(opt_out_properties=["Do_Not_Text__c"])
    assert run.state == RunState.FAILED
    assert run.error_code == "not_allowed"
    assert run.created == 0


# Troubles


def test_a_session_that_ends_in_mid_run_asks_to_reconnect_and_loses_nothing(connect: Connect, box: Sandbox) -> None:
    box.expire_token(after_requests=4)
    connection, run = connect()
    assert run.state == RunState.FAILED
    assert run.error_code == "needs_reconnect"
    with account_scope(connection.account_id):
        assert Connection.objects.get(pk=connection.pk).state == "needs_reconnect"


@pytest.mark.parametrize(
    "kind", ["CONCURRENT", "SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION", "MAINTENANCE", "NOT_ACCEPTABLE"]
)
@pytest.mark.usefixtures("hurried")
def test_trouble_that_passes_fails_nothing(connect: Connect, box: Sandbox, kind: str) -> None:
    connection, _ = connect()
    control(box, "trouble", kind=kind, times=2)
    run = _sweep(connection)
    require_all(connection, run, box)


def test_an_org_out_of_calls_waits_and_says_so(connect: Connect, box: Sandbox) -> None:
    control(box, "settings", limits="real", daily=4)
    connection, run = connect()
    assert run.state == RunState.WAITING
    assert run.error_code == "quota"
    with account_scope(connection.account_id):
        assert Connection.objects.get(pk=connection.pk).state == "waiting_quota"


def test_an_org_whose_api_is_switched_off_says_so(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    control(box, "settings", api_enabled=False)
    run = refresh(connection)
    assert run.state == RunState.FAILED
    assert run.error_code == "not_allowed"
