"""One person removed everywhere on request, and kept from coming back."""

import json

import pytest
from django.db import connection as db
from django.test import Client
from tests.factories import make_connection, make_lead, make_member, make_run
from tests.leads.conftest import Sync
from tests.test_walls import account_tables

from leadloom.accounts.models import AuditEntry, Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run
from leadloom.contact import Contact, Phone
from leadloom.leads.erase import NeedsConfirmation, erase
from leadloom.leads.models import Erasure, Lead, LeadChange, Message, SourceContact, Suppression
from leadloom.leads.store import Target, write_merges
from leadloom.providers.base import Merge
from leadloom.texter.models import Delivery, DeliveryAttempt, Event

pytestmark = pytest.mark.django_db

HER = {"name": "Zenobia Quill", "phone": "+14155550142", "email": "zenobia@quill.example", "company": "Quillworks"}
"""Values that nobody else has, searched for everywhere."""
MOBILE = "+14155550143"


def zenobia(external_id: str = "1", **fields: object) -> Contact:
    values: dict[str, object] = {
        "name": HER["name"],
        "phones": (Phone("(415) 555-0142", "phone", HER["phone"]), Phone("(415) 555-0143", "mobile", MOBILE)),
        "emails": (HER["email"],),
        "company": HER["company"],
        "description": "Zenobia asked for a quote",
        "raw": json.dumps({"id": external_id, "who": HER["name"], "tel": "(415) 555-0142"}).encode(),
    }
    return Contact(external_id=external_id, **values | fields)  # type: ignore[arg-type]


@pytest.fixture
def alice(hubspot: Connection) -> Member:
    with account_scope(hubspot.account_id):
        return Member.objects.select_related("account", "user").get(account=hubspot.account)


@pytest.fixture
def known(sync: Sync, hubspot: Connection, alice: Member) -> Lead:
    """Somebody whom every part of Leadloom has heard of."""
    account = hubspot.account
    other = make_connection(account, provider="pipedrive", external_account_id="x")
    sync(zenobia(company="Elsewhere"), zenobia("old", phones=(), emails=("other@quill.example",)))
    sync(zenobia(), zenobia("77"), connection=other)
    sync(zenobia())
    target = Target(account_id=account.pk, connection_id=hubspot.pk, run_id=make_run(hubspot).pk, provider="hubspot")
    write_merges(target, [Merge("old", "1")])
    lead = Lead.objects.get(archived_at=None)
    Lead.objects.filter(pk=lead.pk).update(last_message="Hello Zenobia")
    Message.objects.create(account=account, lead=lead, direction="out", body="Hello Zenobia")
    LeadChange.objects.create(account=account, lead=lead, member=alice, before={"name": "Zenobia"}, after=HER)
    delivery = Delivery.objects.create(account=account, lead=lead, event=Event.LEAD_CREATED, webhook_id="msg_1")
    DeliveryAttempt.objects.create(account=account, delivery=delivery, ms=3, reply="no Zenobia here")
    changes = {"created": [HER], "changed": [{"name": HER["name"], "before": {}, "after": HER}], "reasons": {"x": 1}}
    make_run(other, state="done", strategy="preview", changes=changes)
    bob = make_lead(account, name="Bob", phone="+14155550199", email="bob@example.com")
    LeadChange.objects.create(
        account=account, lead=bob, before={"phone": HER["phone"]}, after={"phone": "+14155550199"}
    )
    sync(Contact(external_id="b", name="Bob", emails=("bob@example.com",)))
    SourceContact.objects.filter(external_id="b").update(reason_value=HER["email"], needs_review=True)
    return lead


def where_is(*values: str) -> set[str]:
    """Every column of every table of the catalogue, rows and all, that holds one of these."""
    found = set()
    with db.cursor() as cursor:
        for table, _, _ in account_tables():
            cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t")
            for (row,) in cursor.fetchall():
                for column, value in json.loads(row).items():
                    text = json.dumps(value, ensure_ascii=False).lower()
                    as_bytes = [one.encode().hex() for one in values]
                    if any(one.lower() in text for one in (*values, *as_bytes)):
                        found.add(f"{table}.{column}")
    return found


TRACES = ("zenobia", "quill", HER["phone"], MOBILE, "555-0142")


def test_nothing_of_her_is_left_in_any_column_of_any_table_but_her_suppressed_number(
    known: Lead, alice: Member
) -> None:
    told = {"leads.name", "source_contacts.raw", "messages.body", "sync_runs.changes", "lead_changes.after"}
    assert told <= where_is(*TRACES)
    erase(lead=known, account=alice.account, user=alice.user, is_confirmed=True)
    assert where_is(*TRACES) == {"suppressions.phone"}
    assert not Lead.objects.filter(phone=HER["phone"]).exists()
    assert not Delivery.objects.filter(event=Event.LEAD_CREATED).exists()


def test_others_stay_and_previews_keep_their_counts(known: Lead, alice: Member) -> None:
    erase(lead=known, account=alice.account, user=alice.user, is_confirmed=True)
    assert Lead.objects.get().name == "Bob"
    assert Run.objects.get(strategy="preview").changes == {"created": [], "changed": [], "reasons": {"x": 1}}
    assert SourceContact.objects.get(external_id="b").lead == Lead.objects.get()


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(zenobia("1", company="New"), id="the same contact, changed"),
        pytest.param(zenobia("2"), id="made anew in the CRM"),
        pytest.param(zenobia("3", phones=()), id="by her e-mail alone"),
        pytest.param(zenobia("4", emails=()), id="by her number alone"),
        pytest.param(
            zenobia("5", phones=(), emails=("else@else.example",), merged_ids=("1",)), id="merged into another contact"
        ),
    ],
)
def test_no_sync_brings_her_back(known: Lead, alice: Member, sync: Sync, again: Contact) -> None:
    erase(lead=known, account=alice.account, user=alice.user, is_confirmed=True)
    for options in ({}, {"is_overwrite": True}):
        written = sync(again, **options)
        assert (written.outcomes, written.reasons) == ({"skipped": 1}, {"erased": 1})
    assert not {place for place in where_is(*TRACES) if not place.startswith("suppressions")}
    assert Lead.objects.get().name == "Bob"


def test_she_stays_away_when_the_key_of_the_marks_is_gone(
    known: Lead, alice: Member, sync: Sync, settings: object
) -> None:
    """Her contacts' ids are kept by themselves; only an address would be new to us."""
    erase(lead=known, account=alice.account, user=alice.user, is_confirmed=True)
    settings.SECRET_KEYS = ["another-key-" + "y" * 40]  # type: ignore[attr-defined]
    assert sync(zenobia()).reasons == {"erased": 1}


def test_her_number_is_never_texted_even_if_somebody_adds_it_by_hand(known: Lead, alice: Member) -> None:
    erase(lead=known, account=alice.account, user=alice.user, is_confirmed=True)
    assert set(Suppression.objects.values_list("phone", "reason")) == {(HER["phone"], "erased"), (MOBILE, "erased")}


def test_another_account_that_knows_her_too_keeps_her() -> None:
    hers, his = make_member(), make_member("charlie@example.net", "Charlie & Co")
    lead, kept = make_lead(hers.account, **HER), make_lead(his.account, **HER)
    with account_scope(hers.account_id):
        erase(lead=lead, account=hers.account, user=hers.user, is_confirmed=True)
    with account_scope(his.account_id):
        assert Lead.objects.get().pk == kept.pk
        assert not Suppression.objects.exists()
        assert not Erasure.objects.exists()


def test_it_is_noted_by_id_alone(known: Lead, alice: Member) -> None:
    erase(lead=known, account=alice.account, user=alice.user, is_confirmed=True)
    entry = AuditEntry.objects.order_by("-pk")[0]
    assert (entry.user, entry.action, entry.target) == (alice.user, "lead.erased", f"lead {known.pk}")


def test_without_a_confirmation_nothing_happens(known: Lead, alice: Member) -> None:
    with pytest.raises(NeedsConfirmation):
        erase(lead=known, account=alice.account, user=alice.user, is_confirmed=False)
    assert Lead.objects.filter(pk=known.pk).exists()


class TestAskedFor:
    @pytest.fixture
    def lead(self, db: None) -> Lead:
        return make_lead(make_member().account, name="Zenobia")

    @staticmethod
    def browser(lead: Lead, role: str = "owner") -> Client:
        member = make_member(f"{role}@example.com", role=role, account=lead.account)
        client = Client()
        client.force_login(member.user)
        return client

    def test_an_owner_confirms_on_a_page(self, lead: Lead) -> None:
        client = self.browser(lead)
        address = f"/leads/{lead.pk}/erase"
        assert "for good" in client.get(address).content.decode()
        assert client.post(address).status_code == 422
        assert client.post(address, {"confirmed": "yes"}).status_code == 302
        assert client.get(f"/leads/{lead.pk}").status_code == 404

    def test_a_member_may_not(self, lead: Lead) -> None:
        client = self.browser(lead, "member")
        assert client.post(f"/leads/{lead.pk}/erase", {"confirmed": "yes"}).status_code == 403
        assert "/erase" not in client.get(f"/leads/{lead.pk}").content.decode()
        sent = client.post(f"/api/leads/{lead.pk}/erase", {"confirmed": True}, content_type="application/json")
        assert sent.status_code == 403

    def test_a_program_says_confirmed(self, lead: Lead) -> None:
        client = self.browser(lead, "admin")
        address = f"/api/leads/{lead.pk}/erase"
        refused = client.post(address, {}, content_type="application/json")
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "needs_confirmation")
        told = client.post(address, {"confirmed": True}, content_type="application/json")
        assert (told.status_code, told.json()["leadId"]) == (200, lead.pk)
        assert client.post(address, {"confirmed": True}, content_type="application/json").status_code == 404
