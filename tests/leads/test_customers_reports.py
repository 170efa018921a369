"""What customers would have written to us: each test is a report, and was red before it was mended."""

import pytest
from msgspec.structs import replace
from tests.factories import make_connection, make_lead, make_run
from tests.leads.conftest import Sync

from leadloom.accounts.models import Member
from leadloom.connections.models import Connection
from leadloom.contact import Contact, Phone
from leadloom.leads import services
from leadloom.leads.absent import archive_deserted, mark_slice
from leadloom.leads.models import Lead, SourceContact
from leadloom.leads.store import Target, join_merged, write_gone, write_merges
from leadloom.providers.base import Gone, Merge

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("scope")]

OFFICE, MOBILE, OTHER = "+14155550101", "+14155550102", "+14155550103"


def contact(external_id: str, phone: str | None = OFFICE, **fields: object) -> Contact:
    phones = (Phone(text=phone, label="phone", e164=phone),) if phone else ()
    return Contact(external_id=external_id, **{"name": f"Person {external_id}", "phones": phones, **fields})  # type: ignore[arg-type]


@pytest.fixture
def alice(hubspot: Connection) -> Member:
    return Member.objects.select_related("account", "user").get(account=hubspot.account)


@pytest.fixture
def pipedrive(hubspot: Connection) -> Connection:
    return make_connection(hubspot.account, provider="pipedrive", external_account_id="x")


def target(connection: Connection) -> Target:
    run = make_run(connection, state="done")
    return Target(
        account_id=connection.account_id, connection_id=connection.pk, run_id=run.pk, provider=connection.provider
    )


def told(connection: Connection, sync: Sync, *contacts: Contact, merged: tuple[Merge, ...]) -> None:
    """A page that tells of merges, as a run saves it."""
    join_merged(target(connection), merged)
    sync(*contacts)
    write_merges(target(connection), merged)


def end_overwrite(connection: Connection) -> None:
    """The end of an overwrite that met nobody."""
    at = target(connection)
    while mark_slice(at):
        pass
    while archive_deserted(at):
        pass


def live() -> Lead:
    return Lead.objects.get(archived_at=None)


class TestSharing:
    def test_two_new_people_with_a_family_e_mail_were_made_one_because_a_lead_had_that_e_mail(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        make_lead(hubspot.account, name="The Family", phone=None, email="family@example.com")
        sync(contact("1", OFFICE, emails=("family@example.com",)), contact("2", MOBILE, emails=("family@example.com",)))
        assert sorted(Lead.objects.values_list("phone", flat=True)) == [OFFICE, MOBILE]

    def test_the_second_of_two_contacts_that_joined_a_lead_could_not_fill_its_blanks(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        make_lead(hubspot.account, name="", phone=OFFICE, email="", company="")
        sync(contact("1"), contact("2", company="Acme"))
        assert live().company == "Acme"

    def test_i_removed_a_number_by_hand_and_another_contact_brought_it_back(
        self, sync: Sync, alice: Member, pipedrive: Connection
    ) -> None:
        sync(contact("1", OFFICE, emails=("ann@example.com",)))
        services.edit_lead(lead=live(), member=alice, name="Ann", phone="", email="ann@example.com", company="")
        sync(contact("77", OFFICE, emails=("ann@example.com",)), connection=pipedrive)
        assert live().phone is None

    def test_a_lead_that_had_its_number_already_was_shown_for_review_as_if_it_were_taken(self, sync: Sync) -> None:
        sync(contact("1", OFFICE), contact("2", MOBILE))
        sync(contact("2", OFFICE), contact("1", OFFICE, company="Acme"))
        assert list(SourceContact.objects.filter(needs_review=True).values_list("external_id", flat=True)) == ["2"]

    def test_a_number_was_called_taken_though_only_a_linked_contact_had_claimed_it(self, sync: Sync) -> None:
        sync(contact("1", OFFICE), contact("2", OFFICE), contact("3", MOBILE))
        sync(contact("2", OTHER), contact("3", OTHER))
        assert Lead.objects.get(crm_id="3").phone == OTHER


class TestWhoDescribesALead:
    def test_we_deleted_a_contact_and_made_it_anew_and_its_lead_never_changed_again(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        sync(contact("1", owner="Olga"))
        write_gone(target(hubspot), [Gone("1")])
        written = sync(contact("2", name="Ann Anew", owner="Otto"))
        assert written.outcomes == {"linked": 1}
        assert (live().crm_id, live().name, live().crm_owner) == ("2", "Ann Anew", "Otto")

    def test_we_moved_to_another_crm_and_leads_kept_the_owners_of_the_old_one(
        self, sync: Sync, hubspot: Connection, pipedrive: Connection
    ) -> None:
        sync(contact("1", owner="Olga"))
        Connection.objects.filter(pk=hubspot.pk).update(is_active=False, state="disconnected")
        sync(contact("77", owner="Otto"), connection=pipedrive)
        assert (live().crm_source, live().crm_id, live().crm_owner) == ("pipedrive", "77", "Otto")

    def test_a_contact_deleted_in_one_crm_kept_describing_the_lead_that_the_other_crm_still_knows(
        self, sync: Sync, hubspot: Connection, pipedrive: Connection
    ) -> None:
        sync(contact("1", owner="Olga"))
        sync(contact("77", owner="Otto"), connection=pipedrive)
        write_gone(target(hubspot), [Gone("1")])
        sync(contact("77", owner="Otto"), connection=pipedrive)
        assert (live().crm_source, live().crm_owner) == ("pipedrive", "Otto")


class TestMerging:
    def test_a_number_that_came_with_a_merge_was_called_taken_and_the_lead_could_not_be_texted(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        sync(contact("A", OFFICE), contact("B", None, emails=("ann@example.com",)))
        merged = contact("B", OFFICE, emails=("ann@example.com",), merged_ids=("A",))
        told(hubspot, sync, merged, merged=(Merge("A", "B"),))
        assert live().phone == OFFICE
        assert not SourceContact.objects.filter(needs_review=True).exists()

    def test_i_archived_a_duplicate_merged_the_two_in_the_crm_and_the_person_was_gone(
        self, sync: Sync, hubspot: Connection, alice: Member
    ) -> None:
        sync(contact("A", OFFICE), contact("B", MOBILE))
        services.archive(lead=Lead.objects.get(crm_id="B"), member=alice)
        told(hubspot, sync, contact("B", OFFICE, name="Ann", merged_ids=("A",)), merged=(Merge("A", "B"),))
        assert (live().crm_id, live().name, live().phone) == ("B", "Ann", OFFICE)


class TestOverwrite:
    def test_two_contacts_of_one_lead_left_the_crm_and_the_lead_stayed(self, sync: Sync, hubspot: Connection) -> None:
        sync(contact("1"), contact("2"))
        end_overwrite(hubspot)
        assert not Lead.objects.filter(archived_at=None).exists()

    def test_a_contact_that_an_hourly_pass_had_found_deleted_was_never_archived_by_an_overwrite(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        sync(contact("1"))
        write_gone(target(hubspot), [Gone("1")])
        end_overwrite(hubspot)
        assert not Lead.objects.filter(archived_at=None).exists()

    def test_a_lead_whose_contact_left_is_described_by_the_contact_that_stays(
        self, sync: Sync, hubspot: Connection, pipedrive: Connection
    ) -> None:
        sync(contact("1", owner="Olga"))
        sync(contact("77", owner="Otto"), connection=pipedrive)
        end_overwrite(hubspot)
        assert live().crm_source == "pipedrive"

    def test_a_lead_that_i_restored_is_not_put_away_again_by_the_next_overwrite(
        self, sync: Sync, hubspot: Connection, alice: Member
    ) -> None:
        sync(contact("1"))
        end_overwrite(hubspot)
        services.restore(lead=Lead.objects.get(), member=alice)
        end_overwrite(hubspot)
        assert live().crm_id == "1"

    def test_a_contact_that_came_back_stayed_with_an_archived_lead_though_another_had_its_number(
        self, sync: Sync, hubspot: Connection, alice: Member
    ) -> None:
        sync(contact("1"))
        end_overwrite(hubspot)
        by_hand = make_lead(hubspot.account, name="By hand", phone=OFFICE)
        sync(contact("1", company="Acme"))
        assert SourceContact.objects.get().lead_id == by_hand.pk


class TestOptOuts:
    def test_the_second_contact_of_a_lead_said_do_not_text_and_nobody_noticed(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        make_lead(hubspot.account, name="Ann", phone=OFFICE, email="ann@example.com")
        flagged = contact("2", None, emails=("ann@example.com",), opted_out=True)
        sync(contact("1", OFFICE), flagged)
        assert live().opted_out

    def test_a_contact_opted_out_while_its_lead_was_archived_and_the_restored_lead_was_not(
        self, sync: Sync, alice: Member
    ) -> None:
        sync(contact("1"))
        lead = services.archive(lead=live(), member=alice)
        sync(contact("1", opted_out=True))
        assert services.restore(lead=lead, member=alice).opted_out

    def test_a_number_opted_out_with_a_contact_whose_lead_kept_another_number(self, sync: Sync) -> None:
        sync(contact("1", OFFICE), contact("2", MOBILE))
        sync(contact("2", OFFICE, opted_out=True))
        assert Lead.objects.get(phone=OFFICE).opted_out

    def test_a_number_that_a_lead_did_not_get_does_not_opt_it_out(self, sync: Sync, pipedrive: Connection) -> None:
        sync(contact("6", None, emails=("b@example.com",)))
        both = contact("3", opted_out=True), contact("4", emails=("b@example.com",))
        sync(*both, connection=pipedrive)
        assert list(Lead.objects.order_by("id").values_list("phone", "opted_out")) == [(None, False), (OFFICE, True)]

    def test_a_lead_archived_with_the_number_is_opted_out_too(self, hubspot: Connection, alice: Member) -> None:
        old = services.archive(lead=make_lead(hubspot.account, phone=OFFICE), member=alice)
        services.opt_out(lead=make_lead(hubspot.account, phone=OFFICE), member=alice)
        old.refresh_from_db()
        assert old.opted_out


class TestArchivedHere:
    def test_what_the_crm_changed_while_a_lead_was_archived_comes_when_it_is_back(
        self, sync: Sync, alice: Member
    ) -> None:
        sync(contact("1", owner="Olga"))
        lead = services.archive(lead=live(), member=alice)
        sync(contact("1", owner="Otto"))
        services.restore(lead=lead, member=alice)
        sync(contact("1", owner="Otto"))
        assert live().crm_owner == "Otto"


class TestAccounting:
    def test_a_contact_deleted_and_restored_within_one_run_is_counted_and_not_shown_as_gone(
        self, sync: Sync, hubspot: Connection
    ) -> None:
        sync(contact("1"))
        at = target(hubspot)
        write_gone(at, [Gone("1")])
        written = sync(replace(contact("1"), company="Acme"), run_id=at.run_id)
        assert written.outcomes == {"updated": 1}
        assert SourceContact.objects.get().outcome == "updated"
