"""Every page that links lead to can be used: on a phone, by name instead of by sight, in the dark, under a strict
policy; with nothing in the account yet, and with the long, strange and broken things that CRMs hold."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext
from tests.browser.walk import pages
from tests.factories import make_connection, make_lead, make_run

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run, RunState, State
from leadloom.connections.services import connect_with_token
from leadloom.leads.models import Direction, Lead, Message, Undo
from leadloom.leads.services import edit_lead
from leadloom.leads.undo import take_back, undo_run
from leadloom.sandbox import Sandbox
from leadloom.sync.work import work_on

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_every_page_of_a_new_account_can_be_used(signed_in: BrowserContext) -> None:
    assert_all_well(signed_in, "/")


def test_every_page_of_a_busy_account_can_be_used(signed_in: BrowserContext, alice: Member) -> None:
    undone = fill(alice)
    assert_all_well(signed_in, "/", f"/runs/{undone.run_id}", f"/undos/{undone.pk}")


def assert_all_well(context: BrowserContext, *starts: str) -> None:
    wrong = [f"{path}: {said}" for path, _, complaints in pages(context, *starts) for said in complaints]
    assert not wrong, "\n".join(wrong)


def fill(alice: Member) -> Undo:
    """Answers an undo of which something stayed."""
    with Sandbox(contacts=120) as crm:
        crm.add_awkward()
        with account_scope(alice.account_id):
            _, run = connect_with_token(
                account=alice.account, member=alice, provider="hubspot", token=crm.token, base_url=crm.url
            )
        run = work_on(run.pk, alice.account_id)
        undone = undo(run, alice)
    now = datetime.now(UTC)
    endless = "Wolfeschlegelsteinhausenbergerdorff" * 6
    lead = make_lead(
        alice.account, name=endless, company=endless, crm_owner=endless, crm_status=endless, crm_stage=endless,
        crm_description=f"{endless} https://example.com/{endless}", last_message=endless, last_message_at=now,
        last_message_direction=Direction.IN, contacted_at=now, opted_out=True, pinned=["name"], activity_at=now,
    )  # fmt: skip
    with account_scope(alice.account_id):
        for direction in Direction:
            Message.objects.create(account=alice.account, lead=lead, direction=direction, body=endless)
        assert Lead.objects.count() > 50  # there is an older page
    for number, (state, run_state) in enumerate(
        [
            (State.NEEDS_RECONNECT, RunState.FAILED),
            (State.WAITING_QUOTA, RunState.WAITING),
            (State.STUCK, RunState.FAILED),
            (State.IMPORTING, RunState.RUNNING),
            (State.PAUSED, RunState.STOPPED),
        ]
    ):
        connection = make_connection(
            alice.account, external_account_id=str(number), external_account_name=endless[:120], state=state,
            reason=f"Something happened. {endless[:80]}",
        )  # fmt: skip
        make_run(
            connection, state=run_state, seen=1_234_567, created=1_234_567, total=2_000_000,
            started_at=now - timedelta(minutes=3), first_lead_at=now, resume_at=now + timedelta(hours=1), error=endless,
            finished_at=now if run_state in (RunState.FAILED, RunState.STOPPED) else None,
        )  # fmt: skip
    return undone


def undo(run: Run, alice: Member) -> Undo:
    """Of the first import, which is then taken back, so that its leads are there; one of them was edited since."""
    who = {"account": alice.account, "user": alice.user, "member": alice}
    with account_scope(alice.account_id):
        lead = Lead.objects.exclude(phone=None).earliest("pk")
        edit_lead(lead=lead, member=alice, name="Edited Since", phone=lead.phone or "", email="", company="")
        undone = undo_run(run=run, **who)
        take_back(undo=undone, **who)
    return undone
