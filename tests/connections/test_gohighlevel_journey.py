"""A team with GoHighLevel: its contacts become leads, stay in step with it, and those who left it leave Recent Threads.

Everything as a customer's program does it, over the JSON API, against the simulated CRM over HTTP.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx2
import pytest
from django.test import Client
from pytest_django import Settings
from tests.connections.conftest import post

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, State
from leadloom.connections.nango import ACCOUNT_TAG
from leadloom.leads.models import Lead, SourceContact, Suppression
from leadloom.sandbox import Sandbox
from leadloom.sandbox.gohighlevel.staff import LOCATION


@pytest.fixture
def box(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox("gohighlevel", contacts=250, seed=7) as sandbox:
        monkeypatch.setenv("CRM_GOHIGHLEVEL_BASE_URL", sandbox.url)
        settings.NANGO_HOST = sandbox.nango_url
        settings.NANGO_SECRET_KEY = sandbox.nango_key
        yield sandbox


@pytest.fixture
def connect(api: Client, box: Sandbox) -> Callable[[], Any]:
    """With a private integration token, as the dialog sends it."""

    def with_token() -> Any:
        credentials = {"method": "token", "token": box.token, "typed": {"locationId": LOCATION}}
        return post(api, "crm/connect", {"provider": "gohighlevel", "credentials": credentials})

    return with_token


def refresh(api: Client, **options: str) -> dict[str, Any]:
    answer = post(api, "crm/sync", {"wait": 60, **options})
    assert answer.status_code == 200, answer.content
    results: dict[str, Any] = answer.json()["results"]
    return results


def threads(api: Client) -> dict[str, dict[str, Any]]:
    """Recent Threads by the contact's id in the CRM, page after page."""
    found: dict[str, dict[str, Any]] = {}
    after = ""
    while True:
        page = api.get("/api/threads", {"limit": 100, "after": after} if after else {"limit": 100}).json()
        found |= {one["crmUrl"].rsplit("/", 1)[-1]: one for one in page["threads"]}
        after = page.get("next") or ""
        if not after:
            return found


def leads(member: Member) -> dict[str, Lead]:
    with account_scope(member.account_id):
        return {one.crm_id: one for one in Lead.objects.filter(archived_at=None)}


def test_its_contacts_are_leads_with_owner_stage_and_a_link(
    api: Client, alice: Member, box: Sandbox, connect: Callable[[], Any]
) -> None:
    opal = box.create(
        firstName="Opal", phone="+1 212 736 5000", assignedTo="uG7hollowayGusL2nBr1", companyName="Opal Inc",
        additionalPhones='[{"phone": "+12127365001", "phoneLabel": "Mobile"}]',
    )  # fmt: skip
    move(box, opal, "Offer sent 📄")
    assert connect().json()["success"] is True
    results = refresh(api)
    assert results["total"] == box.count() == 251
    lead = leads(alice)[opal]
    assert (lead.name, lead.phone, lead.company) == ("Opal", "+12127365001", "Opal Inc")
    assert (lead.crm_owner, lead.crm_status, lead.crm_stage) == ("Gus Holloway", "Lead", "Offer sent 📄")
    assert lead.crm_url == f"https://app.gohighlevel.com/v2/location/{LOCATION}/contacts/detail/{opal}"
    assert opal in threads(api)


def test_changes_moves_and_opt_outs_come_with_the_next_refresh(
    api: Client, alice: Member, box: Sandbox, connect: Callable[[], Any]
) -> None:
    ann = box.create(firstName="Ann", phone="+12127365010")
    ben = box.create(firstName="Ben", phone="+12127365011")
    connect()
    refresh(api)
    box.change(ann, firstName="Anna", **{"dndSettings.SMS.status": "active"})
    move(box, ben, "Contacted")
    new = box.create(firstName="New", phone="+12127365012")
    results = refresh(api)
    assert (results["created"], results["updated"]) == (1, 2)
    now = leads(alice)
    assert (now[ann].name, now[ann].opted_out) == ("Anna", True)
    assert now[ben].crm_stage == "Contacted"
    assert new in threads(api)
    assert refresh(api)["updated"] == 0


def test_those_who_left_leave_recent_threads_and_what_they_said_stays(
    api: Client, alice: Member, box: Sandbox, connect: Callable[[], Any]
) -> None:
    """No list tells of deletions: only a pass over everything does."""
    gone = box.create(firstName="Gone", phone="+12127365020", dnd="true")
    winner = box.create(firstName="Win", phone="+12127365021")
    loser = box.create(firstName="Lose", phone="+12127365022", dnd="true")
    connect()
    refresh(api)
    box.archive(gone)
    box.merge(winner, loser)
    assert {gone, loser} <= set(threads(api))
    refresh(api, strategy="overwrite")
    shown = threads(api)
    assert not {gone, loser} & set(shown)
    assert winner in shown
    with account_scope(alice.account_id):
        assert set(Suppression.objects.values_list("phone", flat=True)) >= {"+12127365020", "+12127365022"}
        assert not SourceContact.objects.filter(external_id=gone, gone_at=None).exists()
    box.restore(gone)
    refresh(api, strategy="overwrite")
    assert gone in threads(api)
    assert leads(alice)[gone].opted_out


def test_signing_in_through_nango_tells_which_location_it_is(api: Client, alice: Member, box: Sandbox) -> None:
    nango_id = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    answer = post(api, "crm/connect", {"connectionId": nango_id, "providerConfigKey": "highlevel"})
    assert answer.status_code == 200, answer.content
    assert refresh(api)["total"] == 250
    assert the_connection(alice).external_account_id == LOCATION


def test_a_token_that_runs_out_is_renewed_though_each_renewal_spends_the_refresh_token(
    api: Client, alice: Member, box: Sandbox
) -> None:
    nango_id = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    post(api, "crm/connect", {"connectionId": nango_id, "providerConfigKey": "highlevel"})
    refresh(api)
    for name in ("First", "Second", "Third"):
        new = box.create(firstName=name, email=f"{name}@example.com")
        box.nango_expire(nango_id)
        refresh(api)
        assert new in threads(api)
    assert the_connection(alice).state == State.LIVE


@pytest.mark.parametrize("kind", ["502", "cut_json", "html", "429", "drop"])
@pytest.mark.usefixtures("hurried")
def test_replies_that_fail_on_the_way_cost_nobody(
    api: Client, alice: Member, box: Sandbox, connect: Callable[[], Any], kind: Any
) -> None:
    box.fault(kind, times=2, skip=4, retry_after=1 if kind == "429" else None)
    connect()
    results = refresh(api)
    assert results["total"] == 250
    with account_scope(alice.account_id):
        assert SourceContact.objects.count() == 250


def test_another_location_than_the_token_s_is_refused_and_nothing_is_kept(
    api: Client, alice: Member, box: Sandbox
) -> None:
    credentials = {"method": "token", "token": box.token, "typed": {"locationId": "AnotherLocation"}}
    answer = post(api, "crm/connect", {"provider": "gohighlevel", "credentials": credentials})
    assert answer.status_code >= 400
    assert "sub-account" in answer.json()["error"]["message"]
    with account_scope(alice.account_id):
        assert not Connection.objects.exists()


def the_connection(member: Member) -> Connection:
    with account_scope(member.account_id):
        return Connection.objects.get()


def move(box: Sandbox, contact: str, stage: str) -> None:
    httpx2.post(f"{box.url}/_control/contacts/move", json={"id": contact, "stage": stage}).raise_for_status()


def test_the_newest_contacts_are_the_first_threads(api: Client, box: Sandbox, connect: Callable[[], Any]) -> None:
    connect()
    refresh(api)
    added = {one.id: datetime.fromisoformat(one.properties["dateAdded"]) for one in box.contacts()}
    shown = [added[one] for one in threads(api) if one in added]
    assert shown == sorted(shown, reverse=True)
