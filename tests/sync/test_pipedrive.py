"""Pipedrive from connecting to the last change, over real HTTP: the stage is the open deal's, deletions are told."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from tests.sync.conftest import Refresh

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.connections.own_fields import own_fields_of
from leadloom.connections.services import connect_with_token
from leadloom.leads.models import Lead, SourceContact
from leadloom.sandbox import Sandbox
from leadloom.sandbox.client import TrueContact
from leadloom.sync.work import work_on

LONG_AGO_S = 3600  # so that what was imported lies before what a refresh reads again
type Connect = Callable[[], tuple[Connection, Run]]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox("pipedrive", contacts=900, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def connect(alice: Member, box: Sandbox) -> Connect:
    def connect_to() -> tuple[Connection, Run]:
        with account_scope(alice.account_id):
            connection, run = connect_with_token(
                account=alice.account, member=alice, provider="pipedrive", token=box.token, base_url=box.url
            )
        while (run := work_on(run.pk, run.account_id)).state == RunState.QUEUED:
            pass  # it made way: the queue is not empty, since nobody works on it here
        return connection, run

    return connect_to


def control(box: Sandbox, path: str, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = httpx2.post(f"{box.url}/_control/{path}", json=body).raise_for_status().json()
    return told


def asked(box: Sandbox, path: str, **query: str) -> list[dict[str, Any]]:
    """As the CRM tells it to anybody with the token."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        more = {"cursor": cursor} if cursor else {}
        headers = {"x-api-token": box.token}
        reply = httpx2.get(f"{box.url}/api/v2/{path}", params={**query, **more, "limit": "500"}, headers=headers)
        body = reply.raise_for_status().json()
        found += body["data"]
        cursor = body["additional_data"]["next_cursor"] or ""
        if not cursor:
            return found


def alone(box: Sandbox) -> list[TrueContact]:
    """Persons whose numbers are theirs alone, so that their lead is."""
    people = [one for one in box.contacts() if "phone" in one.properties]
    held = [one.properties["phone"] for one in people]
    found = [one for one in people if held.count(one.properties["phone"]) == 1]
    assert len(found) > 20
    return found


def source(connection: Connection, own_id: str) -> SourceContact:
    with account_scope(connection.account_id):
        return SourceContact.objects.get(connection=connection, external_id=own_id)


def lead_of(connection: Connection, own_id: str) -> Lead:
    with account_scope(connection.account_id):
        return Lead.objects.get(pk=source(connection, own_id).lead_id)


def a_new_one(box: Sandbox, name: str, number: str, **values: Any) -> str:
    return box.create(name=name, mobile=number, **values)


def test_persons_become_leads_each_with_owner_label_company_stage_and_link(connect: Connect, box: Sandbox) -> None:
    opal = a_new_one(box, "Opal Gray", "+12127365000", company="Opal Inc", label="Hot lead", owner_id="25760687")
    control(box, "contacts/move", id=opal, stage="Offer sent 📄", status="open")
    connection, run = connect()
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == box.count() == 901
    assert run.seen == run.created + run.linked + run.skipped + run.updated + run.unchanged + run.failed
    with account_scope(connection.account_id):
        kept = set(SourceContact.objects.values_list("external_id", flat=True))
    assert kept == {one.id for one in box.contacts()}
    lead = lead_of(connection, opal)
    assert (lead.name, lead.phone, lead.company) == ("Opal Gray", "+12127365000", "Opal Inc")
    assert (lead.crm_owner, lead.crm_status) == ("Hana Petrova", "Hot lead"), "who left, and still owns"
    assert lead.crm_stage == "Offer sent 📄 (Sales)"
    assert lead.crm_url == f"https://sandbox-sales.pipedrive.com/person/{opal}"


def test_every_lead_has_the_stage_of_the_open_deal_and_the_company_that_pipedrive_tells(
    connect: Connect, box: Sandbox
) -> None:
    connection, _ = connect()
    stages = {one["id"]: one["name"] for one in asked(box, "stages")}
    deals = {one["person_id"]: stages[one["stage_id"]] for one in asked(box, "deals", status="open")}
    companies = {one["id"]: one["name"] for one in asked(box, "organizations")}
    assert len(deals) > 100
    with account_scope(connection.account_id):
        leads = {one.crm_id: one for one in Lead.objects.all()}
    for person in asked(box, "persons"):
        lead = leads.get(str(person["id"]))
        if lead is not None:
            assert lead.crm_stage.partition(" (")[0] == deals.get(person["id"], "")
            assert person["org_id"] is None or lead.company == companies[person["org_id"]]


def test_a_refresh_brings_changes_new_persons_and_deletions(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    changed, deleted = (one.id for one in alone(box)[:2])
    box.change(changed, name="Renamed Afterwards", company="Cobalt Roofing")
    new = a_new_one(box, "Newcomer", "+12127365077")
    box.archive(deleted)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert (run.created, run.updated, run.gone) == (1, 1, 1)
    assert (lead_of(connection, changed).name, lead_of(connection, changed).company) == (
        "Renamed Afterwards",
        "Cobalt Roofing",
    )
    assert lead_of(connection, new).phone == "+12127365077"
    assert source(connection, deleted).gone_at
    assert lead_of(connection, deleted).archived_at is None, "its thread stays"


def test_a_deal_that_moves_moves_the_lead_though_the_person_did_not_change(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    person = a_new_one(box, "Mona Move", "+12127365010")
    connection, _ = connect()
    assert lead_of(connection, person).crm_stage == ""
    for stage, status, shown in (
        ("Contacted", "open", "Contacted (Sales)"),
        ("Follow-up", "open", "Follow-up (Service visits)"),
        ("Follow-up", "won", ""),
    ):
        box.advance(LONG_AGO_S)
        control(box, "contacts/move", id=person, stage=stage, status=status)
        run = refresh(connection)
        assert run.state == RunState.DONE, run.error_detail
        assert (run.seen, run.updated) == (1, 1)
        assert lead_of(connection, person).crm_stage == shown


def test_a_deleted_deal_is_no_stage_any_more(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    person = a_new_one(box, "Dora Deal", "+12127365011")
    deal = control(box, "contacts/move", id=person, stage="Contacted", status="open")["id"]
    connection, _ = connect()
    assert lead_of(connection, person).crm_stage == "Contacted (Sales)"
    box.advance(LONG_AGO_S)
    control(box, "deals/delete", id=str(deal))
    refresh(connection)
    assert lead_of(connection, person).crm_stage == ""


def test_of_two_merged_the_survivor_lives_and_the_other_is_marked_as_gone(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    survivor, other = (one.id for one in alone(box)[:2])
    box.merge(survivor, other)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert run.gone == 1
    assert source(connection, other).gone_at
    assert source(connection, survivor).gone_at is None


def test_two_persons_of_one_number_that_are_merged_stay_one_lead(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    first = a_new_one(box, "Twin A", "+1 212 736 5079")
    second = a_new_one(box, "Twin B", "+1 212 736 5079")
    connection, _ = connect()
    lead = lead_of(connection, first)
    assert lead_of(connection, second).pk == lead.pk
    box.advance(LONG_AGO_S)
    survivor, other = (second, first) if lead.crm_id == first else (first, second)
    box.merge(survivor, other)
    refresh(connection)
    after = lead_of(connection, survivor)
    assert (after.pk, after.crm_id, after.archived_at) == (lead.pk, survivor, None)
    assert after.name != lead.name, "its own values describe the lead"


def test_a_deleted_person_who_is_brought_back_comes_back(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    person = alone(box)[0].id
    box.advance(LONG_AGO_S)
    box.archive(person)
    refresh(connection)
    assert source(connection, person).gone_at
    box.advance(LONG_AGO_S)
    box.restore(person)
    run = refresh(connection)
    assert run.state == RunState.DONE, run.error_detail
    assert source(connection, person).gone_at is None


def test_a_deletion_that_the_old_api_may_not_tell_is_found_by_an_overwrite(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    token = control(box, "tokens", private=True, scopes=["base", "contacts:read", "deals:read", "users:read"])
    connection, _ = connect()
    with account_scope(connection.account_id):
        connect_with_token(
            account=connection.account, member=None, provider="pipedrive", token=token["access_token"],
            base_url=box.url,
        )  # fmt: skip
    person, erased = (one.id for one in alone(box)[:2])
    box.advance(LONG_AGO_S)
    box.archive(person)
    box.gdpr_delete(erased)
    assert refresh(connection).state == RunState.DONE
    assert source(connection, person).gone_at is None
    assert refresh(connection, strategy="overwrite").state == RunState.DONE
    assert source(connection, person).gone_at
    assert source(connection, erased).gone_at


def test_a_do_not_text_field_opts_out_and_clearing_it_does_not_opt_in(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    with account_scope(connection.account_id):
        kept = Connection.objects.get(pk=connection.pk)
        [field] = [one.name for one in own_fields_of(kept) if one.label == "Do not text"]
        Connection.objects.filter(pk=connection.pk).update(settings={"opt_out_properties": ["Do not text"]})
    refused, fine = (one.id for one in alone(box)[:2])
    box.advance(LONG_AGO_S)
    for own_id, answer in ((refused, "41"), (fine, "42")):
        told: dict[str, Any] = {field: answer}
        box.change(own_id, **told)
    refresh(connection)
    assert lead_of(connection, refused).opted_out
    assert not lead_of(connection, fine).opted_out, "the field says No"
    box.advance(LONG_AGO_S)
    cleared: dict[str, Any] = {field: None}
    box.change(refused, **cleared)
    refresh(connection)
    assert lead_of(connection, refused).opted_out


def test_a_quiet_refresh_asks_three_questions_and_costs_forty_tokens(
    connect: Connect, refresh: Refresh, box: Sandbox
) -> None:
    connection, _ = connect()
    box.advance(LONG_AGO_S)
    refresh(connection, trigger="cron")
    box.reset_stats()
    run = refresh(connection, trigger="cron")
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == 0
    assert box.stats().paths == {"GET /api/v2/persons": 1, "GET /api/v2/deals": 1, "GET /v1/recents": 1}


def test_an_import_and_a_sweep_of_the_same_persons_agree(connect: Connect, refresh: Refresh, box: Sandbox) -> None:
    connection, _ = connect()
    run = refresh(connection, trigger="sweep")
    assert run.state == RunState.DONE, run.error_detail
    assert (run.seen, run.updated, run.gone) == (900, 0, 0)


@pytest.mark.parametrize("kind", ["502", "cut_json", "html", "429", "drop"])
@pytest.mark.usefixtures("hurried")
def test_replies_that_fail_on_the_way_cost_nobody(connect: Connect, box: Sandbox, kind: Any) -> None:
    box.fault(kind, times=2, skip=3, retry_after=1 if kind == "429" else None)
    connection, run = connect()
    assert run.state == RunState.DONE, run.error_detail
    assert run.seen == 900
    with account_scope(connection.account_id):
        assert SourceContact.objects.count() == 900


def test_a_token_that_is_withdrawn_in_mid_run_asks_to_reconnect_and_loses_nothing(
    connect: Connect, box: Sandbox
) -> None:
    box.expire_token(after_requests=6)
    connection, run = connect()
    assert run.state == RunState.FAILED
    assert run.error_code == "needs_reconnect"
    with account_scope(connection.account_id):
        assert Connection.objects.get(pk=connection.pk).state == "needs_reconnect"


def test_a_company_out_of_tokens_waits_and_says_so(connect: Connect, box: Sandbox) -> None:
    control(box, "settings", limits="real", daily=90)
    connection, run = connect()
    assert run.state == RunState.WAITING
    assert run.error_code == "quota"
    with account_scope(connection.account_id):
        assert Connection.objects.get(pk=connection.pk).state == "waiting_quota"


def test_an_import_whose_place_the_crm_knows_no_more_begins_anew_at_the_next_refresh(
    alice: Member, box: Sandbox, refresh: Refresh
) -> None:
    """Persons told under another question's cursor: it is refused, and would be refused for ever."""
    with account_scope(alice.account_id):
        connection, run = connect_with_token(
            account=alice.account, member=alice, provider="pipedrive", token=box.token, base_url=box.url
        )
        place = {"step": "walk", "started": run.created_at.isoformat(), "latest": None, "edge": {}, "after": "bm9uZQ=="}
        Run.objects.filter(pk=run.pk).update(feed="everything", cursor=place)
    assert work_on(run.pk, run.account_id).error_code == "our_fault"
    again = refresh(connection)
    while again.state == RunState.QUEUED:
        again = work_on(again.pk, again.account_id)
    assert (again.state, again.error_code) == (RunState.DONE, "")
    with account_scope(alice.account_id):
        assert set(SourceContact.objects.values_list("external_id", flat=True)) == {one.id for one in box.contacts()}
