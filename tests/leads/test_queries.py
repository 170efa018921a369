"""Recent Threads: everybody once, the latest first, found by whatever people type."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.factories import make_lead

from leadloom.accounts.models import Account
from leadloom.leads.queries import EXCERPT, NotAPlace, Place, threads_page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("scope")]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def names(account: Account, search: str) -> list[str]:
    return sorted(lead.name for lead in threads_page(account, search=search).leads)


def test_the_latest_activity_comes_first_and_archived_leads_do_not(account: Account) -> None:
    make_lead(account, name="Older", activity_at=NOON)
    make_lead(account, name="Newer", activity_at=NOON + timedelta(minutes=1))
    make_lead(account, name="Gone", activity_at=NOON + timedelta(minutes=2), archived_at=NOON)
    assert [lead.name for lead in threads_page(account).leads] == ["Newer", "Older"]


def test_pages_show_everybody_once_even_when_all_came_at_the_same_moment(account: Account) -> None:
    for _ in range(25):
        make_lead(account, activity_at=NOON)
    met: list[int] = []
    place: Place | None = None
    while True:
        page = threads_page(account, after=place, limit=10)
        met += [lead.pk for lead in page.leads]
        if page.next is None:
            break
        place = Place.read(str(page.next))
    assert len(met) == len(set(met)) == 25


@pytest.mark.parametrize("text", ["", "x", "%%%", "MjAyNi0xMS0yM3wx", "2026-11-23T12:00:00+00:00|1", "é"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(NotAPlace):
        Place.read(text)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("wirth", ["Wanda Wirth"]),
        ("WANDA  wirth", ["Wanda Wirth"]),  # however it is spaced
        ("wanda@", ["Wanda Wirth"]),
        ("+49 30 1234", ["Wanda Wirth"]),
        ("030 1234", ["Wanda Wirth"]),  # as people dial at home
        ("0049301234", ["Wanda Wirth"]),
        ("(415) 555", ["Zoë O'Neil"]),
        ("555-0123", ["Zoë O'Neil"]),  # the end of a number
        ("o'neil", ["Zoë O'Neil"]),
        ("ZOË", ["Zoë O'Neil"]),
        ("12", ["Wanda Wirth", "Zoë O'Neil"]),  # as it stands in a number; too short to be looked for as one
        ("100%", []),  # not a pattern
        ("_", []),
        ("wanda\0", ["Wanda Wirth"]),
        ("   ", ["Wanda Wirth", "Zoë O'Neil"]),
    ],
)
def test_search_finds_by_name_number_and_e_mail(account: Account, typed: str, found: list[str]) -> None:
    make_lead(account, name="Wanda Wirth", phone="+493012345678", email="wanda@example.de")
    make_lead(account, name="Zoë O'Neil", phone="+14155550123", email="zoe@example.com")
    assert names(account, typed) == found


def test_somebody_with_a_very_long_name_is_found_by_number_and_name(account: Account) -> None:
    make_lead(account, name=f"{'Wolfeschlegel' * 23}", phone="+493012345678", email=f"{'w' * 300}@example.de")
    assert len(names(account, "030 1234")) == len(names(account, "wolfeschlegel")) == 1


def test_a_novel_in_the_notes_is_cut_before_it_is_read(account: Account) -> None:
    make_lead(account, crm_description="n" * 1_000_000, last_message="m" * 10_000)
    [lead] = threads_page(account).leads
    assert len(lead.notes) == len(lead.last_words) == EXCERPT  # type: ignore[attr-defined]
    assert "crm_description" in lead.get_deferred_fields()


def test_a_page_is_two_queries_however_long(account: Account) -> None:
    for _ in range(30):
        make_lead(account)
    with CaptureQueriesContext(connection) as queries:
        threads_page(account)
    assert len(queries) == 2
