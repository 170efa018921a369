"""Many contacts were not there at the last full read: what people are shown, and what they and their programs say."""

import pytest
from django.test import Client
from tests.connections.conftest import post, program
from tests.connections.test_pages import HTMX, browser_of
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.models import AuditEntry, Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.history import found_nothing
from leadloom.connections.models import Connection, Run, RunState, State
from leadloom.leads.models import RunContact, SourceContact

pytestmark = pytest.mark.django_db

ABSENT = 61


@pytest.fixture
def alice() -> Member:
    return make_member()


@pytest.fixture
def held(alice: Member) -> Run:
    """A sweep that did not meet 61 of the contacts we know."""
    hubspot = make_connection(alice.account, bookmark="x")
    run = make_run(hubspot, state="done", trigger="sweep", absent=ABSENT, seen=2000, unchanged=2000)
    with account_scope(alice.account_id):
        Connection.objects.filter(pk=hubspot.pk).update(held_run_id=run.pk)
        for number in range(ABSENT):
            SourceContact.objects.create(
                account=alice.account, connection=hubspot, external_id=f"{number:04}", outcome="created",
                name=f"Person {number}", last_run=run,
            )  # fmt: skip
            RunContact.objects.create(account=alice.account, run=run, external_id=f"{number:04}")
    return run


def connection_of(run: Run) -> Connection:
    with account_scope(run.account_id):
        return Connection.objects.get(pk=run.connection_id)


def audited(member: Member) -> list[str]:
    with account_scope(member.account_id):
        return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def test_the_card_asks_and_leads_to_the_run_which_lists_them_and_asks_for_the_word(alice: Member, held: Run) -> None:
    browser = browser_of(alice)
    assert f'href="/runs/{held.pk}">Have they left?' in browser.get("/").content.decode()
    page = browser.get(f"/runs/{held.pk}").content.decode()
    assert "Have 61 contacts left HubSpot?" in page
    assert "They have left" in page
    assert "Leave them" in page
    assert "Person 0" in page
    assert "Not found" in page


def test_they_have_left_starts_a_pass_that_may_mark_them_and_the_question_is_not_asked_again(
    alice: Member, held: Run
) -> None:
    browser = browser_of(alice)
    answer = browser.post(f"/connections/{held.connection_id}/absent", {"have_left": "yes"})
    with account_scope(alice.account_id):
        run = Run.objects.get(is_confirmed=True)
    assert answer.headers["Location"] == f"/runs/{run.pk}"
    assert (run.trigger, run.state, run.requested_by_id) == ("sweep", RunState.QUEUED, alice.pk)
    assert "Have they left?" not in browser.get("/").content.decode()
    page = browser.get(f"/runs/{held.pk}").content.decode()
    assert "They have left" not in page
    assert f'href="/runs/{run.pk}"' in page
    assert "connection.absent_marked" in audited(alice)
    browser.post(f"/connections/{held.connection_id}/absent", {"have_left": "no"})
    assert connection_of(held).held_run_id == held.pk, "who said yes first is not contradicted half-way"


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain form", "htmx"])
def test_leave_them_ends_the_question_and_changes_nobody(alice: Member, held: Run, headers: dict[str, str]) -> None:
    browser = browser_of(alice)
    browser.post(f"/connections/{held.connection_id}/absent", {"have_left": "no"}, **headers)
    assert connection_of(held).held_run_id is None
    with account_scope(alice.account_id):
        assert not RunContact.objects.exists()
        assert SourceContact.objects.filter(gone_at=None).count() == ABSENT
        assert Run.objects.get() == held
    assert "Have they left?" not in browser.get("/").content.decode()
    assert "Have 61 contacts left" not in browser.get(f"/runs/{held.pk}").content.decode()
    assert "connection.absent_kept" in audited(alice)


def test_a_member_who_may_not_manage_reads_the_question_and_cannot_answer_it(alice: Member, held: Run) -> None:
    bob = make_member("bob@example.com", role="member", account=alice.account)
    browser = browser_of(bob)
    page = browser.get(f"/runs/{held.pk}").content.decode()
    assert "Have 61 contacts left HubSpot?" in page
    assert "They have left" not in page
    assert browser.post(f"/connections/{held.connection_id}/absent", {"have_left": "yes"}).status_code == 403
    assert connection_of(held).held_run_id == held.pk


@pytest.mark.parametrize("state", [State.PAUSED, State.NEEDS_RECONNECT])
def test_a_connection_that_cannot_be_read_says_so_and_goes_on_asking(alice: Member, held: Run, state: State) -> None:
    with account_scope(alice.account_id):
        Connection.objects.filter(pk=held.connection_id).update(state=state)
    browser = browser_of(alice)
    browser.post(f"/connections/{held.connection_id}/absent", {"have_left": "yes"})
    assert post(program(alice), "crm/absent", {"haveLeft": True}).status_code == 409
    assert connection_of(held).held_run_id == held.pk
    with account_scope(alice.account_id):
        assert not Run.objects.filter(is_confirmed=True).exists()


def test_a_program_reads_who_they_are_and_says_that_they_have_left(alice: Member, held: Run) -> None:
    api = program(alice)
    [shown] = api.get("/api/crm/status").json()["connections"]
    assert shown["heldRunId"] == held.pk
    listed = api.get(f"/api/runs/{held.pk}/records?outcome=absent&limit=100").json()["records"]
    assert len(listed) == ABSENT
    assert api.get(f"/api/runs/{held.pk}").json()["run"]["absent"] == ABSENT
    answer = post(api, "crm/absent", {"haveLeft": True})
    with account_scope(alice.account_id):
        assert answer.json() == {"success": True, "runId": Run.objects.get(is_confirmed=True).pk}
    assert post(api, "crm/absent", {"haveLeft": True}).status_code == 200, "saying it twice is saying it once"


def test_a_program_leaves_them_and_is_told_when_nobody_asks(alice: Member, held: Run) -> None:
    api = program(alice)
    assert post(api, "crm/absent", {"haveLeft": False}).json() == {"success": True, "runId": None}
    refused = post(api, "crm/absent", {"haveLeft": False})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "nothing_held")


def test_what_is_not_said_is_not_guessed(alice: Member, held: Run) -> None:
    assert post(program(alice), "crm/absent", {}).status_code == 422
    assert connection_of(held).held_run_id == held.pk


def test_a_stranger_can_neither_see_nor_say_anything(held: Run) -> None:
    charlie = make_member("charlie@example.net", "Charlie")
    assert (
        browser_of(charlie).post(f"/connections/{held.connection_id}/absent", {"have_left": "yes"}).status_code == 404
    )
    asked = {"haveLeft": True, "connectionId": held.connection_id}
    assert post(program(charlie), "crm/absent", asked).status_code == 404
    assert Client().post(f"/connections/{held.connection_id}/absent", {"have_left": "yes"}).status_code == 302
    assert connection_of(held).held_run_id == held.pk


def test_a_pass_that_waits_for_a_persons_word_is_not_folded_away_in_the_history(held: Run) -> None:
    assert not found_nothing(held)


def test_the_pass_that_marks_them_says_who_asked_for_it(alice: Member, held: Run) -> None:
    browser = browser_of(alice)
    browser.post(f"/connections/{held.connection_id}/absent", {"have_left": "yes"})
    with account_scope(alice.account_id):
        run = Run.objects.get(is_confirmed=True)
    assert alice.user.name in browser.get(f"/runs/{run.pk}").content.decode().partition("run-summary")[0]
