"""Undoing a run: what it made is archived, what it changed is as before, and what people have touched since stays."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as db
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories import make_connection, make_lead, make_member, make_run

from leadloom.accounts.models import Account, AuditEntry, Member
from leadloom.accounts.tokens import issue_token
from leadloom.connections.models import Connection, Run
from leadloom.contact import Contact, Phone
from leadloom.leads import services, undo
from leadloom.leads.absent import archive_deserted, mark_slice
from leadloom.leads.models import Lead, LeadChange, Message, SourceContact, Suppression, Undo
from leadloom.leads.store import Target, write_contacts, write_merges
from leadloom.leads.undone import reversed_page, undone_among
from leadloom.providers.base import Merge

pytestmark = pytest.mark.django_db

ANN, BEN, CAT = "+14155550101", "+14155550102", "+14155550103"

type Ran = Callable[..., Run]


def contact(external_id: str = "1", phone: str | None = ANN, **fields: Any) -> Contact:
    phones = (Phone(text=phone, label="phone", e164=phone),) if phone else ()
    return Contact(external_id=external_id, **{"name": f"Person {external_id}", "phones": phones, **fields})


@pytest.fixture
def alice(account: Account, scope: None) -> Member:
    return Member.objects.select_related("account", "user").get(account=account)


@pytest.fixture
def ran(hubspot: Connection, scope: None) -> Ran:
    """``ran(contact, …)``: the run that wrote these contacts."""

    def write(*contacts: Contact, connection: Connection = hubspot, **options: Any) -> Run:
        run = make_run(connection, state="done")
        target = Target(
            account_id=run.account_id, connection_id=connection.pk, run_id=run.pk, provider=connection.provider,
            **options,
        )  # fmt: skip
        written = write_contacts(target, contacts)
        Run.objects.filter(pk=run.pk).update(**written.outcomes, seen=written.seen)
        run.refresh_from_db()
        return run

    return write


def undone(run: Run, alice: Member) -> Undo:
    """Undo it to the end: no worker is alive here, so it is done at once."""
    done = undo.undo_run(run=run, account=alice.account, user=alice.user, member=alice)
    assert done.is_done
    return done


def taken_back(done: Undo, alice: Member) -> Undo:
    back = undo.take_back(undo=done, account=alice.account, user=alice.user, member=alice)
    assert back.is_done
    return back


def counts(of: Undo) -> dict[str, int]:
    return {name: n for name in ("archived", "restored", "set_back", "kept") if (n := getattr(of, name))}


def kept(of: Undo) -> list[tuple[str, str]]:
    page = reversed_page(of, kind="kept")
    return sorted((one.label, one.why) for row in page.rows for one in row.kept)


def state() -> list[tuple[Any, ...]]:
    """All that people see of live leads, and who describes them."""
    names = (
        "pk", "name", "phone", "email", "company", "pinned", "opted_out", "crm_source", "crm_connection_id", "crm_id",
        "crm_owner", "crm_status", "crm_stage", "crm_description", "crm_url", "crm_last_activity_at",
    )  # fmt: skip
    return list(Lead.objects.filter(archived_at=None).order_by("pk").values_list(*names))


class TestWhatItUndoes:
    def test_leads_that_the_run_made_are_archived(self, ran: Ran, alice: Member) -> None:
        before = ran(contact("1", ANN))
        run = ran(contact("2", BEN), contact("3", CAT))
        assert counts(undone(run, alice)) == {"archived": 2}
        assert [lead.phone for lead in Lead.objects.filter(archived_at=None)] == [ANN]
        assert undone_among([before.pk, run.pk], alice.account_id) == {run.pk}

    def test_fields_that_the_run_changed_are_as_before(self, ran: Ran, alice: Member) -> None:
        ran(contact(name="Ann", owner="Olga", status="Open"))
        before = state()
        run = ran(contact(name="Anna", phone=BEN, owner="Piet", status="Lost"))
        assert state() != before
        assert counts(undone(run, alice)) == {"set_back": 1}
        assert state() == before

    def test_a_lead_made_by_hand_is_free_of_the_crm_again(self, ran: Ran, alice: Member) -> None:
        make_lead(alice.account, name="Ann", phone=ANN, email="", company="")
        before = state()
        run = ran(contact(name="Anna", emails=("ann@example.com",), owner="Olga", status="Open"))
        assert state() != before
        undone(run, alice)
        assert state() == before
        record = SourceContact.objects.get()
        assert (record.lead_id, record.outcome, record.reason) == (None, "skipped", "unlinked")

    def test_leads_that_an_overwrite_put_away_come_back_and_the_next_overwrite_leaves_them(
        self, ran: Ran, alice: Member, hubspot: Connection
    ) -> None:
        ran(contact("1", ANN), contact("2", BEN))

        def overwrite() -> Run:
            run = ran(contact("1", ANN), is_overwrite=True, notes_met=True)
            Run.objects.filter(pk=run.pk).update(strategy="overwrite")
            target = Target(
                account_id=run.account_id, connection_id=hubspot.pk, run_id=run.pk, provider="hubspot", notes_met=True
            )
            mark_slice(target)
            archive_deserted(target)
            run.refresh_from_db()
            return run

        run = overwrite()
        assert [lead.phone for lead in Lead.objects.filter(archived_at=None)] == [ANN]
        assert counts(undone(run, alice)) == {"restored": 1}
        overwrite()
        assert {lead.phone for lead in Lead.objects.filter(archived_at=None)} == {ANN, BEN}

    def test_a_number_that_went_from_one_lead_to_another_finds_its_way_back(self, ran: Ran, alice: Member) -> None:
        ran(contact("1", ANN), contact("2", CAT))
        before = state()
        run = make_run(Connection.objects.get(), state="done", updated=2, seen=2)
        target = Target(account_id=run.account_id, connection_id=run.connection_id, run_id=run.pk, provider="hubspot")
        write_contacts(target, [contact("1", BEN)])
        write_contacts(target, [contact("2", ANN)])
        assert dict(Lead.objects.values_list("crm_id", "phone")) == {"1": BEN, "2": ANN}
        undone(run, alice)
        assert state() == before

    def test_runs_undone_the_last_one_first_leave_what_was_before_the_first(self, ran: Ran, alice: Member) -> None:
        ran(contact(name="Ann"))
        before = state()
        first, second = ran(contact(name="Anna")), ran(contact(name="Annie"))
        undone(second, alice)
        undone(first, alice)
        assert state() == before

    def test_it_goes_on_from_slice_to_slice(self, ran: Ran, alice: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(undo, "SLICE", 2)
        people = [contact(str(n), f"+1415555020{n}") for n in range(5)]
        ran(*people)
        before = state()
        more = [contact(str(n), f"+1415555020{n}") for n in range(5, 10)]
        run = ran(*(contact(one.external_id, one.phone, name="Changed") for one in people), *more)
        assert counts(undone(run, alice)) == {"archived": 5, "set_back": 5}
        assert state() == before


class TestWhatStays:
    def test_a_lead_with_messages_stays(self, ran: Ran, alice: Member) -> None:
        run = ran(contact())
        Message.objects.create(account=alice.account, lead=Lead.objects.get(), direction="out", body="Hello")
        done = undone(run, alice)
        assert counts(done) == {"kept": 1}
        assert kept(done) == [("", "there are messages")]
        assert Lead.objects.get().archived_at is None

    def test_a_lead_that_somebody_edited_stays(self, ran: Ran, alice: Member) -> None:
        run = ran(contact())
        services.edit_lead(lead=Lead.objects.get(), member=alice, name="Ann", phone=ANN, email="", company="")
        assert kept(undone(run, alice)) == [("", "somebody has edited it here")]

    def test_a_lead_that_another_crm_has_too_stays(self, ran: Ran, alice: Member) -> None:
        other = make_connection(alice.account, provider="pipedrive", external_account_id="x")
        run = ran(contact())
        ran(contact("77"), connection=other)
        assert kept(undone(run, alice)) == [("", "another connected CRM has this person too")]

    def test_a_field_changed_by_hand_or_by_a_later_run_stays_and_is_listed(self, ran: Ran, alice: Member) -> None:
        ran(contact(name="Ann", company="Acme", owner="Olga", status="Open"))
        run = ran(contact(name="Anna", company="Bolt", owner="Piet", status="Lost"))
        lead = Lead.objects.get()
        services.edit_lead(lead=lead, member=alice, name="Annie", phone=ANN, email="", company="Bolt")
        ran(contact(name="Anna", company="Bolt", owner="Quin", status="Lost"))
        done = undone(run, alice)
        lead.refresh_from_db()
        assert (lead.name, lead.company, lead.crm_owner, lead.crm_status) == ("Annie", "Acme", "Quin", "Open")
        assert kept(done) == [("Name", "changed since"), ("Owner", "changed since")]

    def test_an_opt_out_stays_with_its_suppression(self, ran: Ran, alice: Member) -> None:
        ran(contact())
        run = ran(contact(name="Anna", opted_out=True))
        done = undone(run, alice)
        assert Lead.objects.get().opted_out
        assert Suppression.objects.get().phone == ANN
        assert [label for label, _ in kept(done)] == ["Opted out"]

    def test_whoever_gets_a_number_back_that_is_suppressed_is_opted_out(self, ran: Ran, alice: Member) -> None:
        ran(contact(phone=ANN))
        run = ran(contact(phone=BEN))
        Suppression.objects.create(account=alice.account, phone=ANN, reason="stop_message")
        undone(run, alice)
        assert (Lead.objects.get().phone, Lead.objects.get().opted_out) == (ANN, True)

    def test_a_number_that_another_lead_has_by_now_is_not_taken_back(self, ran: Ran, alice: Member) -> None:
        ran(contact(phone=ANN, name="Ann"))
        run = ran(contact(phone=BEN, name="Anna"))
        make_lead(alice.account, phone=ANN, name="Cat")
        done = undone(run, alice)
        lead = Lead.objects.get(crm_id="1")
        assert (lead.phone, lead.name) == (BEN, "Ann")
        assert [label for label, _ in kept(done)] == ["Phone"]

    def test_leads_that_the_run_merged_stay_one(self, ran: Ran, alice: Member) -> None:
        ran(contact("1", ANN), contact("2", BEN))
        run = make_run(Connection.objects.get(), state="done", updated=1, seen=1)
        target = Target(account_id=run.account_id, connection_id=run.connection_id, run_id=run.pk, provider="hubspot")
        write_merges(target, [Merge("2", "1")])
        done = undone(run, alice)
        assert Lead.objects.filter(archived_at=None).count() == 1
        assert kept(done) == [("", "merged with another lead in the CRM, and threads cannot be told apart again")]

    def test_the_next_run_does_not_bring_back_what_was_undone(self, ran: Ran, alice: Member) -> None:
        ran(contact("1", ANN, name="Ann"))
        run = ran(contact("1", ANN, name="Anna"), contact("2", BEN))
        undone(run, alice)
        same = ran(contact("1", ANN, name="Anna"), contact("2", BEN))
        assert (same.unchanged, Lead.objects.get(archived_at=None).name) == (2, "Ann")
        changed = ran(contact("2", BEN, name="Changed"), contact("3", BEN))
        assert (changed.skipped, Lead.objects.filter(archived_at=None).count()) == (2, 1)
        assert set(SourceContact.objects.filter(last_run=changed).values_list("reason", flat=True)) == {"archived_here"}

    def test_what_changes_in_the_crm_afterwards_flows_again(self, ran: Ran, alice: Member) -> None:
        ran(contact(name="Ann"))
        undone(ran(contact(name="Anna")), alice)
        ran(contact(name="Anna", company="Bolt"))
        assert (Lead.objects.get().name, Lead.objects.get().company) == ("Anna", "Bolt")


class TestTakingItBack:
    def test_all_is_as_the_run_left_it(self, ran: Ran, alice: Member) -> None:
        make_lead(alice.account, name="Cat", phone=CAT, email="", company="")
        ran(contact("1", ANN, name="Ann", owner="Olga"))
        run = ran(contact("1", BEN, name="Anna", owner="Piet"), contact("2", ANN), contact("3", CAT, owner="Quin"))
        after = state()
        done = undone(run, alice)
        assert state() != after
        taken_back(done, alice)
        assert state() == after
        assert SourceContact.objects.get(external_id="3").lead_id == Lead.objects.get(phone=CAT).pk
        assert undone_among([run.pk], alice.account_id) == frozenset()

    def test_it_can_be_undone_again(self, ran: Ran, alice: Member) -> None:
        ran(contact("1", ANN, name="Ann"))
        before = state()
        run = ran(contact("1", ANN, name="Anna"), contact("2", BEN))
        taken_back(undone(run, alice), alice)
        undone(run, alice)
        assert state() == before

    def test_what_its_contacts_said_meanwhile_counts_as_not_read(self, ran: Ran, alice: Member) -> None:
        run = ran(contact(name="Ann"))
        done = undone(run, alice)
        ran(contact(name="Anna"))
        taken_back(done, alice)
        assert SourceContact.objects.get().content_hash is None

    def test_what_people_did_since_the_undo_stays(self, ran: Ran, alice: Member) -> None:
        ran(contact(name="Ann"))
        done = undone(ran(contact(name="Anna")), alice)
        services.edit_lead(lead=Lead.objects.get(), member=alice, name="Annie", phone=ANN, email="", company="")
        assert kept(taken_back(done, alice)) == [("Name", "changed since")]
        assert Lead.objects.get().name == "Annie"


NUMBERS = [f"+1415555030{n}" for n in range(4)]
PEOPLE = st.lists(
    st.builds(
        contact,
        st.sampled_from(["1", "2", "3", "4"]),
        st.sampled_from([*NUMBERS, None]),
        name=st.sampled_from(["", "Ann", "Ben"]),
        emails=st.sampled_from([(), ("a@example.com",), ("b@example.com",)]),
        company=st.sampled_from(["", "Acme"]),
        owner=st.sampled_from(["", "Olga", "Piet"]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(by_hand=st.sets(st.sampled_from(NUMBERS), max_size=2), earlier=PEOPLE, last=PEOPLE)
def test_undoing_the_last_run_leaves_the_leads_as_before_it_and_taking_that_back_as_after_it(
    by_hand: set[str], earlier: list[Contact], last: list[Contact], ran: Ran, alice: Member
) -> None:
    point = db.savepoint()
    try:
        for number in sorted(by_hand):
            make_lead(alice.account, phone=number, name="By hand", email="", company="")
        ran(*earlier)
        before = state()
        run = ran(*last)
        after = state()
        if not undo.may_be_undone(run):
            return
        done = undone(run, alice)
        assert state() == before
        taken_back(done, alice)
        assert state() == after
    finally:
        db.savepoint_rollback(point)


class TestAsking:
    def test_a_run_under_way_a_preview_and_one_that_changed_nothing_are_refused(
        self, ran: Ran, alice: Member, hubspot: Connection
    ) -> None:
        for run in (
            make_run(hubspot, state="running"),
            make_run(hubspot, state="done", strategy="preview", created=1, seen=1),
            make_run(hubspot, state="done", unchanged=3, seen=3),
        ):
            with pytest.raises(undo.NotUndoable):
                undone(run, alice)

    def test_a_run_is_undone_once_and_an_undo_taken_back_once(self, ran: Ran, alice: Member) -> None:
        run = ran(contact())
        done = undone(run, alice)
        with pytest.raises(undo.AlreadyUndone):
            undone(run, alice)
        back = taken_back(done, alice)
        for old in (done, back):
            with pytest.raises(undo.NotUndone):
                taken_back(old, alice)

    def test_who_asked_is_in_the_audit_log_and_in_the_leads_history(self, ran: Ran, alice: Member) -> None:
        run = ran(contact())
        done = undone(run, alice)
        taken_back(done, alice)
        noted = AuditEntry.objects.order_by("pk").values_list("action", "target", "user_id")
        assert list(noted)[-2:] == [
            ("run.undone", f"run {run.pk}", alice.user_id),
            ("undo.taken_back", f"undo {done.pk}", alice.user_id),
        ]
        assert set(LeadChange.objects.exclude(undo=None).values_list("member_id", flat=True)) == {alice.pk}
        browser = Client()
        browser.force_login(alice.user)
        page = browser.get(f"/leads/{Lead.objects.get().pk}").content.decode()
        assert f'undid <a href="/undos/{done.pk}">run {run.pk}</a>' in page
        assert "took the undo of <a" in page
        assert "undid a run" in browser.get("/activity").content.decode().lower()

    def test_pages_ask_first_then_tell_what_became_of_each_lead(self, ran: Ran, alice: Member) -> None:
        ran(contact("1", ANN, name="Ann"))
        run = ran(contact("1", ANN, name="Anna"), contact("2", BEN, name="Ben"), contact("3", CAT, name="Cat"))
        Message.objects.create(account=alice.account, lead=Lead.objects.get(phone=CAT), direction="in", body="Hello")
        browser = Client()
        browser.force_login(alice.user)
        assert f'href="/runs/{run.pk}/undo"' in browser.get(f"/runs/{run.pk}").content.decode()
        asked = browser.get(f"/runs/{run.pk}/undo").content.decode()
        assert "2 leads that it made are archived" in asked
        assert "1 other lead that it changed gets back" in asked
        assert not Undo.objects.exists()
        told = browser.post(f"/runs/{run.pk}/undo", follow=True).content.decode()
        assert "there are messages" in told
        done = Undo.objects.get()
        assert "Ben" in browser.get(f"/undos/{done.pk}?outcome=archived").content.decode()
        assert "Anna" in browser.get(f"/undos/{done.pk}?outcome=set_back").content.decode()
        assert "This run was undone" in browser.get(f"/runs/{run.pk}").content.decode()
        assert "Undone" in browser.get("/runs").content.decode()
        back = browser.post(f"/undos/{done.pk}/take-back", follow=True).content.decode()
        assert "Undo taken back" in back
        assert "the undo was taken back" in browser.get(f"/runs/{run.pk}").content.decode()

    def test_members_who_do_not_manage_may_look_and_not_undo(self, ran: Ran, alice: Member) -> None:
        run = ran(contact())
        bob = make_member("bob@example.com", role="member", account=alice.account)
        browser = Client()
        browser.force_login(bob.user)
        assert browser.post(f"/runs/{run.pk}/undo").status_code == 403
        assert browser.post(f"/api/runs/{run.pk}/undo").status_code == 403
        assert "/undo" not in browser.get(f"/runs/{run.pk}").content.decode()
        done = undone(run, alice)
        assert browser.get(f"/undos/{done.pk}").status_code == 200
        assert browser.post(f"/undos/{done.pk}/take-back").status_code == 403
        assert browser.post(f"/api/undos/{done.pk}/take-back").status_code == 403

    def test_programs_undo_ask_and_take_back(self, ran: Ran, alice: Member) -> None:
        run = ran(contact("1", ANN), contact("2", BEN))
        Message.objects.create(account=alice.account, lead=Lead.objects.get(phone=BEN), direction="in", body="Hi")
        _, secret = issue_token(account=alice.account, member=alice, name="Tidy")
        program = Client(headers={"Authorization": f"Bearer {secret}"})
        begun = program.post(f"/api/runs/{run.pk}/undo")
        assert begun.status_code == 202
        undo_id = begun.json()["undoId"]
        assert program.post(f"/api/runs/{run.pk}/undo").status_code == 409
        told = program.get(f"/api/undos/{undo_id}").json()
        assert (told["state"], told["archived"], told["kept"]) == ("done", 1, 1)
        [row] = program.get(f"/api/undos/{undo_id}/leads?outcome=kept").json()["leads"]
        assert row["kept"] == [{"field": "", "message": "there are messages"}]
        assert program.get(f"/api/undos/{undo_id}/leads?limit=1").json()["next"] is not None
        assert program.post(f"/api/undos/{undo_id}/take-back").status_code == 202
        assert program.post(f"/api/undos/{undo_id}/take-back").status_code == 409
        assert program.get("/api/undos/0").status_code == 404


def test_without_a_worker_the_hourly_call_goes_on_where_a_request_had_to_stop(
    ran: Ran, alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "HERE_S", 0.0)
    run = ran(contact())
    begun = undo.undo_run(run=run, account=alice.account, user=alice.user, member=alice)
    assert not begun.is_done
    undo.finish_here(5)
    begun.refresh_from_db()
    assert begun.is_done


def test_an_undo_whose_worker_died_is_rung_for_until_it_is_done(
    ran: Ran, alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "HERE_S", 0.0)
    begun = undo.undo_run(run=ran(contact()), account=alice.account, user=alice.user, member=alice)

    def jobs() -> int:
        with db.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'leads.undo'")
            return int(cursor.fetchone()[0])

    undo.ring_for_idle()
    assert jobs() == 0  # somebody may be at it this very moment
    monkeypatch.setattr(undo, "IDLE", -undo.IDLE)
    undo.ring_for_idle()
    undo.ring_for_idle()
    assert jobs() == 1
    undo.work_on(begun.pk, begun.account_id)
    undo.work_on(begun.pk, begun.account_id)  # by another worker, late
    begun.refresh_from_db()
    assert (begun.is_done, begun.archived) == (True, 1)
