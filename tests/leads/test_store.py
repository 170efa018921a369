"""What becomes of contacts: promises 2 to 6 of the engine, on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from tests.factories import make_connection, make_lead, make_run
from tests.leads.conftest import Sync

from leadloom.connections.models import Connection
from leadloom.contact import Contact, Phone
from leadloom.leads.absent import archive_deserted, mark_slice
from leadloom.leads.models import Lead, LeadChange, Message, SourceContact, Suppression
from leadloom.leads.staging import Rejected
from leadloom.leads.store import Target, write_gone, write_merges
from leadloom.providers.base import Gone, Merge

pytestmark = pytest.mark.django_db


def contact(external_id: str = "1", phone: str | None = "+14155550101", **fields: object) -> Contact:
    phones = (Phone(text=phone, label="phone", e164=phone),) if phone else ()
    return Contact(external_id=external_id, **{"name": f"Person {external_id}", "phones": phones, **fields})  # type: ignore[arg-type]


def only_lead() -> Lead:
    return Lead.objects.get(archived_at=None)


class TestNewContacts:
    def test_a_contact_becomes_a_lead_with_what_the_crm_says(self, sync: Sync, hubspot: Connection) -> None:
        written = sync(
            contact(
                emails=("ana@example.com",), company="Acme", owner="Olga", status="Open", stage="Lead", description="Hi"
            )
        )
        lead = only_lead()
        assert written.outcomes == {"created": 1}
        assert (lead.name, lead.phone, lead.email, lead.company) == (
            "Person 1", "+14155550101", "ana@example.com", "Acme",
        )  # fmt: skip
        assert (lead.crm_source, lead.crm_id, lead.crm_owner) == ("hubspot", "1", "Olga")
        assert (lead.crm_status, lead.crm_stage, lead.crm_description) == ("Open", "Lead", "Hi")
        assert lead.crm_connection_id == hubspot.pk

    def test_a_contact_with_only_an_email_is_a_lead_that_cannot_be_texted(self, sync: Sync) -> None:
        sync(contact(phone=None, emails=("ana@example.com",)))
        assert (only_lead().phone, only_lead().email) == (None, "ana@example.com")

    def test_a_contact_nobody_can_reach_is_kept_with_the_reason_and_imported_once_it_has_a_phone(
        self, sync: Sync
    ) -> None:
        written = sync(contact(phone=None))
        kept = SourceContact.objects.get()
        assert (written.outcomes, written.reasons) == ({"skipped": 1}, {"no_phone_or_email": 1})
        assert (kept.outcome, kept.reason, kept.lead_id) == ("skipped", "no_phone_or_email", None)
        assert sync(contact()).outcomes == {"created": 1}
        assert SourceContact.objects.get().lead_id == only_lead().pk

    def test_a_phone_that_cannot_be_dialled_is_skipped_with_its_text(self, sync: Sync) -> None:
        sync(replace(contact(phone=None), phones=(Phone(text="call office", label="phone", e164=None),)))
        kept = SourceContact.objects.get()
        assert (kept.reason, kept.reason_value) == ("phone_unreadable", "call office")

    def test_a_record_that_could_not_be_mapped_is_failed_with_its_reason(self, sync: Sync) -> None:
        written = sync(Rejected("9", "unreadable_record", "[]"), contact())
        assert written.outcomes == {"failed": 1, "created": 1}
        assert SourceContact.objects.get(external_id="9").reason == "unreadable_record"

    def test_recent_threads_starts_with_the_contacts_made_last(self, sync: Sync) -> None:
        now = datetime.now(UTC)
        sync(
            contact("old", "+14155550101", created_at=now - timedelta(days=400)),
            contact("new", "+14155550102", created_at=now - timedelta(days=1)),
            is_first=True,
        )
        leads = list(Lead.objects.order_by("-activity_at"))
        assert [(lead.crm_id, lead.lead_type) for lead in leads] == [("new", "new"), ("old", "old")]


class TestNothingIsDoubled:
    def test_reading_a_page_again_writes_nothing_and_counts_as_unchanged(self, sync: Sync) -> None:
        page = [contact(str(n), f"+1415555{n:04}") for n in range(100, 120)]
        sync(*page)
        before = list(SourceContact.objects.values_list("external_id", "updated_at", "last_run"))
        assert sync(*page).outcomes == {"unchanged": 20}
        assert list(SourceContact.objects.values_list("external_id", "updated_at", "last_run")) == before
        assert Lead.objects.count() == 20
        assert not LeadChange.objects.exists()

    def test_a_page_repeated_in_the_same_run_is_counted_once(self, sync: Sync, hubspot: Connection) -> None:
        run = make_run(hubspot, state="done")
        first = sync(contact(), run_id=run.pk)
        again = sync(contact(), run_id=run.pk)
        changed = sync(contact(company="New"), run_id=run.pk)
        assert (first.seen, again.seen, changed.seen) == (1, 0, 0)
        assert only_lead().company == "New"
        assert SourceContact.objects.get().outcome == "created"

    def test_the_same_contact_twice_on_a_page_counts_once_with_its_newest_content(self, sync: Sync) -> None:
        now = datetime.now(UTC)
        newer = contact(company="Newer", modified_at=now)
        written = sync(newer, contact(company="Older", modified_at=now - timedelta(1)))
        assert written.outcomes == {"created": 1}
        assert only_lead().company == "Newer"

    def test_two_contacts_with_one_phone_share_a_lead_and_the_first_one_describes_it(self, sync: Sync) -> None:
        written = sync(contact("1", company="First"), contact("2", company="Second"))
        assert written.outcomes == {"created": 1, "linked": 1}
        assert (only_lead().crm_id, only_lead().company) == ("1", "First")
        sync(contact("2", company="Second, changed"))
        assert only_lead().company == "First", "the second contact's fields must not make data flip"
        assert SourceContact.objects.get(external_id="2").reason == "shares_a_lead"

    def test_two_contacts_with_only_one_email_share_a_lead(self, sync: Sync) -> None:
        page = [contact(str(n), None, emails=("desk@example.com",)) for n in (1, 2, 3)]
        assert sync(*page).outcomes == {"created": 1, "linked": 2}
        assert Lead.objects.count() == 1

    def test_a_thousand_contacts_with_shared_phones_and_emails_all_end_accounted_for(self, sync: Sync) -> None:
        page = [
            contact(
                str(n),
                f"+1415555{n % 700:04}" if n % 3 else None,
                emails=(f"p{n % 400}@example.com",) if n % 5 else (),
            )
            for n in range(1000)
        ]
        written = sync(*page)
        assert written.seen == 1000
        assert written.outcomes["skipped"] == sum(written.reasons.values())
        live = Lead.objects.filter(archived_at=None, phone__isnull=False)
        assert live.count() == live.values("phone").distinct().count()
        assert SourceContact.objects.count() == 1000


class TestMatching:
    def test_a_lead_made_by_hand_is_linked_by_phone_and_keeps_what_was_typed(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        make_lead(hubspot.account, name="Ana (met at fair)", phone="+14155550101", email="", company="")
        written = sync(contact(emails=("ana@example.com",), company="Acme", owner="Olga"))
        lead = only_lead()
        assert written.outcomes == {"linked": 1}
        assert (lead.name, lead.email, lead.company) == ("Ana (met at fair)", "ana@example.com", "Acme")
        assert lead.crm_owner == "Olga"
        sync(contact(name="Ana B.", emails=("ana@example.com",), company="Acme 2"))
        assert (only_lead().name, only_lead().company) == ("Ana (met at fair)", "Acme 2")

    def test_an_email_links_a_lead_without_a_phone_and_brings_it_one(self, sync: Sync, hubspot: Connection) -> None:
        make_lead(hubspot.account, name="Ana", phone=None, email="ana@example.com")
        sync(contact(emails=("ana@example.com",)))
        assert only_lead().phone == "+14155550101"
        assert SourceContact.objects.get().match_rule == "email"

    def test_an_email_never_joins_two_people_whose_phones_differ(self, sync: Sync) -> None:
        sync(contact("1", "+14155550101", emails=("family@example.com",)))
        sync(contact("2", "+14155550102", emails=("family@example.com",)))
        assert Lead.objects.count() == 2

    def test_an_email_shared_by_several_leads_is_not_guessed_but_shown_for_review(self, sync: Sync) -> None:
        sync(contact("1", "+14155550101", emails=("family@example.com",)))
        sync(contact("2", "+14155550102", emails=("family@example.com",)))
        written = sync(contact("3", None, emails=("family@example.com",)))
        kept = SourceContact.objects.get(external_id="3")
        assert written.reasons == {"ambiguous_email": 1}
        assert (kept.lead_id, kept.needs_review) == (None, True)

    def test_when_phone_and_email_point_to_two_leads_the_phone_decides_and_a_person_is_asked(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        by_phone = make_lead(hubspot.account, name="A", phone="+14155550101", email="a@example.com")
        make_lead(hubspot.account, name="B", phone="+14155550102", email="b@example.com")
        sync(contact(emails=("b@example.com",)))
        kept = SourceContact.objects.get()
        assert (kept.lead_id, kept.needs_review, kept.reason) == (by_phone.pk, True, "phone_and_email_disagree")

    def test_two_crms_that_know_one_person_share_the_lead(self, sync: Sync, hubspot: Connection) -> None:
        other = make_connection(hubspot.account, provider="pipedrive", external_account_id="x")
        sync(contact("1", company="From HubSpot"))
        assert sync(contact("77", company="From Pipedrive"), connection=other).outcomes == {"linked": 1}
        assert only_lead().company == "From HubSpot"


class TestChanges:
    def test_a_changed_contact_updates_its_lead_and_leaves_a_trace_of_only_what_changed(self, sync: Sync) -> None:
        sync(contact(company="Acme", owner="Olga"))
        assert sync(contact(company="Acme Ltd", owner="Olga")).outcomes == {"updated": 1}
        change = LeadChange.objects.get()
        assert (change.before, change.after) == ({"company": "Acme"}, {"company": "Acme Ltd"})

    def test_blanks_clear_crm_fields_and_never_erase_who_somebody_is(self, sync: Sync) -> None:
        sync(contact(emails=("ana@example.com",), company="Acme", owner="Olga", status="Open"))
        sync(contact(phone=None, name=""))
        lead = only_lead()
        assert (lead.name, lead.phone, lead.email, lead.company) == (
            "Person 1", "+14155550101", "ana@example.com", "Acme",
        )  # fmt: skip
        assert (lead.crm_owner, lead.crm_status) == ("", "")

    def test_a_field_edited_by_hand_stays(self, sync: Sync) -> None:
        sync(contact())
        Lead.objects.update(name="Anna", pinned=["name"])
        sync(contact(name="Ana", company="Acme"))
        assert (only_lead().name, only_lead().company) == ("Anna", "Acme")

    def test_a_new_number_that_belongs_to_another_lead_is_not_taken_from_it(self, sync: Sync) -> None:
        sync(contact("1", "+14155550101"), contact("2", "+14155550102"))
        sync(contact("2", "+14155550101"))
        kept = SourceContact.objects.get(external_id="2")
        assert (kept.reason, kept.needs_review) == ("phone_taken", True)
        assert sorted(Lead.objects.values_list("crm_id", "phone")) == [("1", "+14155550101"), ("2", "+14155550102")]

    def test_two_contacts_that_swap_numbers_in_one_page_break_nothing(self, sync: Sync) -> None:
        sync(contact("1", "+14155550101"), contact("2", "+14155550102"))
        assert sync(contact("1", "+14155550102"), contact("2", "+14155550101")).seen == 2
        assert Lead.objects.filter(archived_at=None).count() == 2

    def test_two_known_contacts_that_take_the_same_new_number_break_nothing(self, sync: Sync) -> None:
        sync(contact("1", "+14155550101"), contact("2", "+14155550102"))
        assert sync(contact("1", "+14155550109"), contact("2", "+14155550109")).seen == 2
        assert sorted(Lead.objects.values_list("phone", flat=True)) == ["+14155550102", "+14155550109"]

    def test_messages_and_lead_status_are_never_touched(self, sync: Sync, hubspot: Connection) -> None:
        sync(contact())
        lead = only_lead()
        Message.objects.create(account=hubspot.account, lead=lead, direction="out", body="Hello")
        Lead.objects.update(status="replied", last_message="Hello")
        sync(contact(company="New", status="Closed"))
        lead.refresh_from_db()
        assert (lead.status, lead.last_message, lead.message_set.count()) == ("replied", "Hello", 1)

    def test_a_lead_archived_here_is_not_brought_back(self, sync: Sync) -> None:
        sync(contact())
        Lead.objects.update(archived_at=datetime.now(UTC), archived_reason="by_hand")
        assert sync(contact(company="New")).reasons == {"archived_here": 1}
        assert sync(contact("2")).reasons == {"archived_here": 1}, "nor by another contact with the number"
        assert not Lead.objects.filter(archived_at=None).exists()


class TestOptOut:
    def test_a_do_not_text_flag_opts_out_and_suppresses_the_number(self, sync: Sync) -> None:
        sync(contact(opted_out=True))
        assert only_lead().opted_out
        assert Suppression.objects.get().phone == "+14155550101"

    def test_no_sync_clears_an_opt_out(self, sync: Sync) -> None:
        sync(contact(opted_out=True))
        sync(contact(opted_out=False, company="New"))
        assert only_lead().opted_out

    def test_an_opt_out_survives_deletion_and_reimport(self, sync: Sync, hubspot: Connection) -> None:
        sync(contact(opted_out=True))
        Lead.objects.all().delete()
        sync(contact(company="Again"))
        assert only_lead().opted_out

    def test_a_lead_whose_new_number_is_suppressed_is_opted_out(self, sync: Sync, hubspot: Connection) -> None:
        Suppression.objects.create(account=hubspot.account, phone="+14155550102", reason="stop_message")
        sync(contact())
        assert not only_lead().opted_out
        sync(contact(phone="+14155550102"))
        assert only_lead().opted_out


class TestOverwrite:
    def test_it_makes_crm_leads_equal_to_the_crm_even_where_nothing_changed_there(self, sync: Sync) -> None:
        sync(contact(company="Acme"))
        Lead.objects.update(company="Edited without a pin")
        assert sync(contact(company="Acme"), is_overwrite=True).outcomes == {"updated": 1}
        assert only_lead().company == "Acme"

    def test_it_archives_leads_that_left_and_keeps_those_made_by_hand(self, sync: Sync, hubspot: Connection) -> None:
        sync(contact("1", "+14155550101"), contact("2", "+14155550102"))
        by_hand = make_lead(hubspot.account, name="By hand", phone="+14155550103")
        run = make_run(hubspot, state="done", strategy="overwrite")
        sync(contact("1", "+14155550101"), run_id=run.pk, is_overwrite=True, notes_met=True)
        target = Target(account_id=hubspot.account_id, connection_id=hubspot.pk, run_id=run.pk, provider="hubspot")
        assert (mark_slice(target), mark_slice(target)) == (1, 0)
        assert (archive_deserted(target), archive_deserted(target)) == (1, 0)
        assert set(Lead.objects.filter(archived_at=None).values_list("phone", flat=True)) == {
            "+14155550101",
            by_hand.phone,
        }

    def test_a_lead_that_left_comes_back_with_its_contact(self, sync: Sync, hubspot: Connection) -> None:
        sync(contact())
        lead = only_lead()
        run = make_run(hubspot, state="done")
        target = Target(account_id=hubspot.account_id, connection_id=hubspot.pk, run_id=run.pk, provider="hubspot")
        assert (mark_slice(target), archive_deserted(target)) == (1, 1)
        assert not Lead.objects.filter(archived_at=None).exists()
        sync(contact())
        assert only_lead().pk == lead.pk


class TestGoneAndMerged:
    def test_a_deleted_contact_is_marked_and_its_lead_stays(self, sync: Sync, hubspot: Connection) -> None:
        sync(contact())
        target = Target(account_id=hubspot.account_id, connection_id=hubspot.pk, run_id=1, provider="hubspot")
        assert write_gone(target, [Gone("1"), Gone("unknown")]) == 1
        assert write_gone(target, [Gone("1")]) == 0
        assert SourceContact.objects.get().gone_at is not None
        assert only_lead()

    def test_a_contact_merged_under_a_new_id_keeps_its_lead_thread_and_opt_out(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        sync(contact("A", "+14155550101", opted_out=True), contact("B", "+14155550102"))
        of_a, of_b = (Lead.objects.get(crm_id=crm_id) for crm_id in "AB")
        Message.objects.create(account=hubspot.account, lead=of_b, direction="out", body="Hi B")
        sync(contact("C", "+14155550101", merged_ids=("A", "B")))
        target = Target(account_id=hubspot.account_id, connection_id=hubspot.pk, run_id=1, provider="hubspot")
        write_merges(target, [Merge("A", "C"), Merge("B", "C")])
        lead = only_lead()
        assert (lead.pk, lead.crm_id, lead.opted_out) == (of_a.pk, "C", True)
        assert lead.message_set.get().body == "Hi B"
        assert set(SourceContact.objects.filter(merged_into="C").values_list("external_id", flat=True)) == {"A", "B"}

    def test_a_contact_that_took_others_in_describes_the_lead_at_once(self, sync: Sync) -> None:
        sync(contact("A", "+14155550101", name="Ann Once"), contact("B", "+14155550102", name="Ben"))
        written = sync(contact("C", "+14155550101", name="Ann Now", merged_ids=("A", "B")))
        assert written.outcomes == {"updated": 1}
        lead = Lead.objects.get(crm_id="C")
        assert (lead.name, Lead.objects.filter(crm_id="A").exists()) == ("Ann Now", False)

    def test_a_lead_whose_contact_was_deleted_is_described_by_another_contact_of_it(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        sync(contact("A", "+14155550101", name="Ann"))
        sync(contact("B", "+14155550101", name="Ann Too"))
        target = Target(account_id=hubspot.account_id, connection_id=hubspot.pk, run_id=1, provider="hubspot")
        assert write_gone(target, [Gone("A")]) == 1
        assert only_lead().crm_id == "B"
        sync(contact("B", "+14155550101", name="Ann Too"))
        assert only_lead().name == "Ann Too", "though nothing changed in the CRM"

    def test_a_lead_whose_contact_was_merged_into_one_that_shares_it_is_described_by_that_one(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        sync(contact("A", "+14155550101", name="Ann"))
        sync(contact("B", "+14155550101", name="Ann Too"), contact("C", "+14155550101", name="Ann Else"))
        target = Target(account_id=hubspot.account_id, connection_id=hubspot.pk, run_id=1, provider="hubspot")
        write_merges(target, [Merge("A", "B")])
        assert only_lead().crm_id == "B"
        sync(contact("B", "+14155550101", name="Ann Too"))
        assert only_lead().name == "Ann Too"

    def test_a_lead_that_has_no_other_contact_keeps_the_deleted_one(self, sync: Sync, hubspot: Connection) -> None:
        sync(contact("A", "+14155550101"), contact("B", "+14155550102"))
        target = Target(account_id=hubspot.account_id, connection_id=hubspot.pk, run_id=1, provider="hubspot")
        write_gone(target, [Gone("A")])
        assert set(Lead.objects.values_list("crm_id", flat=True)) == {"A", "B"}


class TestUnstorable:
    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param({"company": "nul \0 character"}, id="a NUL character"),
            pytest.param({"raw": b"not json"}, id="a raw record that is not JSON"),
        ],
    )
    def test_a_record_the_database_refuses_is_failed_alone(self, sync: Sync, bad: dict[str, object]) -> None:
        page = [contact(str(n), f"+1415555{n:04}") for n in range(10)]
        written = sync(*page[:5], contact("bad", "+14155559999", **bad), *page[5:])
        assert written.outcomes["created"] == 10
        assert written.reasons == {"unstorable": 1}

    def test_an_escaped_nul_in_the_raw_record_is_dropped_and_an_escaped_backslash_is_not(self, sync: Sync) -> None:
        sync(contact(raw=rb'{"a": "x\u0000y", "b": "C:\\u0000"}'))
        assert SourceContact.objects.get().raw == {"a": "xy", "b": "C:\\u0000"}
