"""Whom a pass over everybody has not met: counted, listed and marked, on a real PostgreSQL."""

import pytest
from tests.factories import make_run
from tests.leads.conftest import Sync
from tests.leads.test_store import contact, only_lead

from leadloom.connections.models import Connection, Run
from leadloom.leads import absent
from leadloom.leads.absent import Count
from leadloom.leads.models import Lead, Message, RunContact, SourceContact
from leadloom.leads.records import records_of
from leadloom.leads.staging import Rejected
from leadloom.leads.store import Target, write_merges
from leadloom.providers.base import Merge

pytestmark = pytest.mark.django_db


@pytest.fixture
def sweep(hubspot: Connection) -> Run:
    return make_run(hubspot, state="done", trigger="sweep")


def target_of(run: Run) -> Target:
    return Target(
        account_id=run.account_id, connection_id=run.connection_id, run_id=run.pk, provider="hubspot", notes_met=True
    )


def mark_all(run: Run) -> int:
    marked = 0
    while some := absent.mark_slice(target_of(run)):
        marked += some
    return marked


def gone() -> set[str]:
    return set(SourceContact.objects.exclude(gone_at=None).values_list("external_id", flat=True))


def test_whoever_was_not_met_is_counted_and_marked_and_the_lead_stays(sync: Sync, sweep: Run) -> None:
    sync(contact("1", "+14155550101"), contact("2", "+14155550102"), contact("3", None))
    sync(contact("1", "+14155550101"), run_id=sweep.pk, notes_met=True)
    assert absent.count(target_of(sweep)) == Count(known=3, absent=2, is_void=False)
    assert mark_all(sweep) == 2
    assert gone() == {"2", "3"}
    left = SourceContact.objects.get(external_id="2")
    assert (left.outcome, left.reason, left.last_run_id) == ("gone", "gone_from_crm", sweep.pk)
    assert Lead.objects.filter(archived_at=None).count() == 2


def test_one_that_had_left_before_is_neither_known_nor_absent(sync: Sync, sweep: Run) -> None:
    sync(contact("1", "+14155550101"), contact("2", "+14155550102"))
    mark_all(sweep)
    assert absent.count(target_of(sweep)) == Count(known=0, absent=0, is_void=False)


def test_an_unchanged_skipped_or_unreadable_contact_was_met(sync: Sync, sweep: Run) -> None:
    everybody = (contact("1", "+14155550101"), contact("2", None), Rejected("3", "unreadable_record", "[]"))
    sync(*everybody)
    sync(*everybody, run_id=sweep.pk, notes_met=True)
    assert absent.count(target_of(sweep)) == Count(known=3, absent=0, is_void=False)


def test_a_record_without_an_id_may_be_anybody_and_voids_the_count(sync: Sync, sweep: Run) -> None:
    sync(contact("1", "+14155550101"))
    sync(Rejected("without-id-0011223344556677", "unreadable_record", "{}"), run_id=sweep.pk, notes_met=True)
    assert absent.count(target_of(sweep)).is_void


def test_a_deleted_contact_that_is_met_again_is_back_with_its_lead_thread_and_opt_out(
    sync: Sync, sweep: Run, hubspot: Connection
) -> None:
    sync(contact("1", opted_out=True))
    lead = only_lead()
    Message.objects.create(account=hubspot.account, lead=lead, direction="in", body="STOP")
    mark_all(sweep)
    assert gone() == {"1"}
    sync(contact("1"))
    assert gone() == set()
    back = only_lead()
    assert (back.pk, back.crm_id, back.opted_out, back.message_set.get().body) == (lead.pk, "1", True, "STOP")


def test_a_merged_contact_is_not_absent_and_its_lead_keeps_thread_and_opt_out(
    sync: Sync, sweep: Run, hubspot: Connection
) -> None:
    sync(contact("A", "+14155550101"), contact("B", "+14155550102", opted_out=True))
    of_b = Lead.objects.get(crm_id="B")
    Message.objects.create(account=hubspot.account, lead=of_b, direction="in", body="STOP")
    write_merges(target_of(sweep), [Merge("B", "A")])
    sync(contact("A", "+14155550101"), run_id=sweep.pk, notes_met=True)
    assert absent.count(target_of(sweep)) == Count(known=1, absent=0, is_void=False)
    lead = only_lead()
    assert (lead.crm_id, lead.opted_out, lead.message_set.get().body) == ("A", True, "STOP")


def test_a_lead_whose_contact_left_without_a_word_is_described_by_another_of_its_contacts(
    sync: Sync, sweep: Run
) -> None:
    sync(contact("A", "+14155550101", name="Ann"))
    sync(contact("B", "+14155550101", name="Ann Too"))
    sync(contact("B", "+14155550101", name="Ann Too"), run_id=sweep.pk, notes_met=True)
    mark_all(sweep)
    assert only_lead().crm_id == "B"


def test_those_who_wait_for_a_persons_word_are_listed_page_by_page_until_it_is_given(
    sync: Sync, sweep: Run, hubspot: Connection
) -> None:
    sync(*(contact(str(n), f"+1415555{n}") for n in range(1001, 1006)))
    sync(contact("1003", "+14155551003"), run_id=sweep.pk, notes_met=True)
    absent.hold_for_a_person(target_of(sweep), absent.count(target_of(sweep)))
    sweep.refresh_from_db()
    assert (sweep.absent, absent.is_held(sweep)) == (4, True)
    first = records_of(sweep, outcome="absent", after="", limit=2)
    rest = records_of(sweep, outcome="absent", after=first[-1].external_id, limit=9)
    assert [one.external_id for one in (*first, *rest)] == ["1001", "1002", "1004", "1005"]
    assert gone() == set()
    absent.let_go(hubspot.account_id, hubspot.pk)
    assert not absent.is_held(sweep)
    assert not RunContact.objects.exists()


def test_a_later_pass_takes_the_place_of_one_that_nobody_has_decided_on(
    sync: Sync, sweep: Run, hubspot: Connection
) -> None:
    sync(contact("1", "+14155550101"), contact("2", "+14155550102"))
    absent.hold_for_a_person(target_of(sweep), absent.count(target_of(sweep)))
    later = make_run(hubspot, state="running", trigger="sweep")
    sync(contact("1", "+14155550101"), run_id=later.pk, notes_met=True)
    absent.hold_for_a_person(target_of(later), absent.count(target_of(later)))
    assert [one.external_id for one in records_of(later, outcome="absent", after="", limit=9)] == ["2"]
    assert not records_of(sweep, outcome="absent", after="", limit=9)
    assert not absent.is_held(sweep)
