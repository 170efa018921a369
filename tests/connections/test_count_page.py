"""Is everybody accounted for? What the card, the page and the API say of the last count."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.connections.conftest import program
from tests.connections.test_pages import browser_of, left_out
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection
from leadloom.leads.models import SourceContact

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def alice() -> Member:
    return make_member()


def counted(alice: Member, crm: int, **fields: object) -> Connection:
    return make_connection(alice.account, counted_at=NOW, counted_crm=crm, counted_ours=412_903, **fields)


def test_the_card_says_that_everybody_is_accounted_for_and_leads_to_the_page(alice: Member) -> None:
    connection = counted(alice, 412_903)
    page = browser_of(alice).get("/").content.decode()
    assert "412,903 of 412,903" in page
    assert f'href="/connections/{connection.pk}/count"' in page


def test_the_card_says_how_many_differ(alice: Member) -> None:
    counted(alice, 412_906, differs_since=NOW - HOUR)
    assert "3 differ" in browser_of(alice).get("/").content.decode()


def test_a_crm_that_does_not_tell_its_number_has_a_page_without_one(alice: Member) -> None:
    connection = make_connection(alice.account)
    browser = browser_of(alice)
    assert "3 differ" not in browser.get("/").content.decode()
    assert "has not told how many" in browser.get(f"/connections/{connection.pk}/count").content.decode()


def test_the_page_tells_what_became_of_them_and_names_the_read_that_found_the_difference(alice: Member) -> None:
    connection = counted(alice, 412_903)
    for number in range(3):
        left_out(connection, f"skipped {number}")
    left_out(connection, "gone", gone_at=NOW)
    left_out(connection, "lead", outcome="updated", reason="")
    with account_scope(alice.account_id):
        assert SourceContact.objects.count() == 5
    sweep = make_run(connection, state="done", trigger="sweep", gone=3, created=1, seen=1)
    make_run(connection, state="done", trigger="cron")
    page = browser_of(alice).get(f"/connections/{connection.pk}/count").content.decode()
    assert "no phone or e-mail" in page
    assert "?reason=no_phone_or_email" in page
    assert "Became leads" in page
    assert f'href="/runs/{sweep.pk}"' in page
    assert "3 gone" in page


def test_those_who_wait_for_a_decision_are_a_click_away(alice: Member) -> None:
    connection = counted(alice, 300_000, differs_since=NOW - HOUR)
    held = make_run(connection, state="done", trigger="sweep", absent=112_903)
    with account_scope(alice.account_id):
        Connection.objects.update(held_run_id=held.pk)
    page = browser_of(alice).get(f"/connections/{connection.pk}/count").content.decode()
    assert f'href="/runs/{held.pk}">See which' in page


def test_a_program_reads_the_proof_with_the_status(alice: Member) -> None:
    counted(alice, 412_906, differs_since=NOW - HOUR, swept_at=NOW)
    [shown] = program(alice).get("/api/crm/status").json()["connections"]
    count = shown["count"]
    assert (count["crm"], count["accounted"], count["standing"]) == (412_906, 412_903, "unexplained")
    assert "3 more" in count["message"]


def test_before_the_first_count_there_is_none(alice: Member) -> None:
    make_connection(alice.account)
    [shown] = program(alice).get("/api/crm/status").json()["connections"]
    assert shown["count"] is None


def test_a_stranger_has_no_such_page(alice: Member) -> None:
    connection = counted(alice, 412_903)
    charlie = make_member("charlie@example.net", "Charlie")
    assert browser_of(charlie).get(f"/connections/{connection.pk}/count").status_code == 404
