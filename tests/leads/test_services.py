"""What people do to leads by hand, and that no sync undoes it."""

import pytest
from tests.factories import make_lead
from tests.leads.conftest import Sync

from leadloom.accounts.models import Account, Member
from leadloom.contact import Contact, Phone
from leadloom.leads import services
from leadloom.leads.models import Lead, LeadChange, Suppression
from leadloom.leads.services import BadPhone, NeedsConfirmation, NobodyThere, PhoneTaken

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("scope")]


@pytest.fixture
def alice(account: Account) -> Member:
    return Member.objects.select_related("account", "user").get()


def add(alice: Member, **fields: str) -> Lead:
    return services.add_lead(account=alice.account, member=alice, **fields)


def edit(lead: Lead, alice: Member, **fields: str) -> Lead:
    held = {"name": lead.name, "phone": lead.phone or "", "email": lead.email, "company": lead.company}
    return services.edit_lead(lead=lead, member=alice, **held | fields)


def maria(**fields: object) -> Contact:
    values: dict[str, object] = {"name": "Maria CRM", "phones": (Phone("+1 415 555 0100", "phone", "+14155550100"),)}
    return Contact(external_id="1", **values | fields)  # type: ignore[arg-type]


def test_a_lead_by_hand_carries_nothing_of_a_crm(alice: Member) -> None:
    lead = add(alice, name="  Wanda   Wirth ", phone="(415) 555-0100", email="Wanda@Example.com")
    assert (lead.name, lead.phone, lead.email) == ("Wanda Wirth", "+14155550100", "wanda@example.com")
    assert (lead.crm_source, lead.crm_id, lead.crm_connection_id, lead.created_run_id) == ("", "", None, None)
    assert lead.created_by == alice


def test_the_accounts_country_reads_a_number_without_a_country_code(alice: Member) -> None:
    alice.account.region = "DE"
    assert add(alice, name="Jonas", phone="0151 23456789").phone == "+4915123456789"


@pytest.mark.parametrize("phone", ["call me", "12", "+1 415", "٠"])
def test_a_number_that_cannot_be_dialled_is_refused(alice: Member, phone: str) -> None:
    with pytest.raises(BadPhone):
        add(alice, name="Wanda", phone=phone)
    assert not Lead.objects.exists()


def test_nobody_cannot_be_added(alice: Member) -> None:
    with pytest.raises(NobodyThere):
        add(alice, company="Acme")


def test_a_number_somebody_has_leads_to_that_lead(alice: Member) -> None:
    first = add(alice, name="Wanda", phone="+14155550100")
    with pytest.raises(PhoneTaken) as told:
        add(alice, name="Wanda again", phone="415 555 0100")
    assert told.value.lead == first


def test_a_number_of_an_archived_lead_leads_to_it_too(alice: Member) -> None:
    first = services.archive(lead=add(alice, phone="+14155550100"), member=alice)
    with pytest.raises(PhoneTaken) as told:
        add(alice, phone="+14155550100")
    assert told.value.lead == first
    assert told.value.lead.archived_at


def test_a_suppressed_number_is_opted_out_from_the_start(alice: Member) -> None:
    Suppression.objects.create(account=alice.account, phone="+14155550100", reason="stop_message")
    assert add(alice, phone="+14155550100").opted_out


def test_an_edit_is_pinned_and_no_sync_overwrites_it(alice: Member, sync: Sync) -> None:
    sync(maria(company="Old Inc"))
    lead = edit(Lead.objects.get(), alice, name="Maria Here")
    assert lead.pinned == ["name"]
    sync(maria(name="Maria Renamed", company="New Inc"))
    lead.refresh_from_db()
    assert (lead.name, lead.company) == ("Maria Here", "New Inc")


def test_an_edit_that_changes_nothing_pins_nothing(alice: Member, sync: Sync) -> None:
    sync(maria())
    lead = edit(Lead.objects.get(), alice)
    assert lead.pinned == []
    assert not LeadChange.objects.exists()


def test_an_edit_says_who_changed_what(alice: Member) -> None:
    edit(make_lead(alice.account, name="Wnada"), alice, name="Wanda")
    change = LeadChange.objects.get()
    assert (change.member, change.before["name"], change.after["name"]) == (alice, "Wnada", "Wanda")


def test_an_edit_cannot_take_anothers_number(alice: Member) -> None:
    taken = make_lead(alice.account, phone="+14155550100")
    with pytest.raises(PhoneTaken) as told:
        edit(make_lead(alice.account), alice, phone="+14155550100")
    assert told.value.lead == taken


def test_a_number_from_elsewhere_survives_an_edit_of_the_name(alice: Member) -> None:
    lead = make_lead(alice.account, phone="+4915112345678", name="Jonas")
    assert edit(lead, alice, name="Jonas B").phone == "+4915112345678"


def test_unpinning_brings_back_what_the_crm_said_and_lets_it_flow(alice: Member, sync: Sync) -> None:
    sync(maria(emails=("maria@example.com",)))
    lead = edit(Lead.objects.get(), alice, name="Maria Here", phone="+14155550199", email="here@example.com")
    for field in ("name", "phone", "email"):
        lead = services.unpin(lead=lead, member=alice, field=field)
    assert (lead.name, lead.phone, lead.email) == ("Maria CRM", "+14155550100", "maria@example.com")
    assert lead.pinned == []
    sync(maria(name="Maria Renamed"))
    lead.refresh_from_db()
    assert lead.name == "Maria Renamed"


def test_unpinning_does_not_take_a_number_that_another_lead_has_by_now(alice: Member, sync: Sync) -> None:
    sync(maria())
    lead = edit(Lead.objects.get(), alice, phone="+14155550199")
    make_lead(alice.account, phone="+14155550100")
    assert services.unpin(lead=lead, member=alice, field="phone").phone == "+14155550199"


def test_an_opt_out_outlives_the_lead_and_every_sync(alice: Member, sync: Sync) -> None:
    sync(maria())
    lead = services.opt_out(lead=Lead.objects.get(), member=alice)
    sync(maria(name="Changed", opted_out=False))
    lead.refresh_from_db()
    assert lead.opted_out
    lead.delete()
    assert Suppression.objects.get().phone == "+14155550100"


def test_opting_in_again_needs_a_person_to_vouch_for_it(alice: Member) -> None:
    lead = services.opt_out(lead=make_lead(alice.account), member=alice)
    with pytest.raises(NeedsConfirmation):
        services.opt_in(lead=lead, member=alice, is_confirmed=False)
    lead.refresh_from_db()
    assert lead.opted_out
    assert not services.opt_in(lead=lead, member=alice, is_confirmed=True).opted_out
    assert not Suppression.objects.exists()


def test_opting_in_and_out_is_audited(alice: Member) -> None:
    lead = services.opt_out(lead=make_lead(alice.account), member=alice)
    services.opt_in(lead=lead, member=alice, is_confirmed=True)
    done = list(alice.account.auditentry_set.order_by("pk").values_list("action", "target"))
    assert done[-2:] == [("lead.opted_out", f"lead {lead.pk}"), ("lead.opted_in", f"lead {lead.pk}")]


def test_an_archived_lead_stays_away_when_its_contact_comes_again(alice: Member, sync: Sync) -> None:
    sync(maria())
    services.archive(lead=Lead.objects.get(), member=alice)
    sync(maria(name="Changed"))
    assert not Lead.objects.filter(archived_at=None).exists()


def test_a_lead_is_not_restored_over_somebody_who_has_its_number(alice: Member) -> None:
    archived = services.archive(lead=make_lead(alice.account, phone="+14155550100"), member=alice)
    holder = make_lead(alice.account, phone="+14155550100")
    with pytest.raises(PhoneTaken) as told:
        services.restore(lead=archived, member=alice)
    assert told.value.lead == holder


def test_nul_characters_are_left_out(alice: Member) -> None:
    assert add(alice, name="Wan\0da", phone="+14155550100").name == "Wanda"


def test_another_accounts_lead_cannot_be_changed(alice: Member) -> None:
    with pytest.raises(Lead.DoesNotExist):
        services.opt_out(lead=Lead(pk=999_999, account=alice.account), member=alice)
