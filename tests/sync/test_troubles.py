"""What goes wrong at a CRM, what the customer reads, and that nothing is lost on the way."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from tests.sync.conftest import Connect, Refresh

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState, State
from leadloom.connections.services import connect_with_token, pause
from leadloom.errors import NotReady
from leadloom.leads.models import Lead, SourceContact
from leadloom.providers.base import Cursor, Page, Reply
from leadloom.providers.crms.hubspot import Everything
from leadloom.sandbox import Sandbox
from leadloom.sync import endings
from leadloom.sync.engine import Mapped
from leadloom.sync.sink import DatabaseSink
from leadloom.sync.turn import Turn
from leadloom.sync.work import work_on

LIST = "/crm/v3/objects/contacts"


@pytest.fixture
def largest_box() -> Iterator[Sandbox]:
    with Sandbox(contacts=2500, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def large_box() -> Iterator[Sandbox]:
    with Sandbox(contacts=900, seed=7) as sandbox:
        yield sandbox


def state_of(connection: Connection) -> tuple[str, str]:
    with account_scope(connection.account_id):
        found = Connection.objects.get(pk=connection.pk)
    return found.state, found.reason


def ids_kept(connection: Connection) -> set[str]:
    with account_scope(connection.account_id):
        return set(SourceContact.objects.values_list("external_id", flat=True))


def let_wait_end(run: Run) -> Run:
    """Time passes until the run may go on."""
    with account_scope(run.account_id):
        Run.objects.filter(pk=run.pk).update(resume_at=datetime.now(UTC) - timedelta(seconds=1))
    return work_on(run.pk, run.account_id)


def test_a_token_revoked_in_mid_run_asks_for_a_reconnect_and_the_new_token_goes_on_where_it_stopped(
    alice: Member, largest_box: Sandbox, connect: Connect
) -> None:
    box = largest_box
    box.expire_token(box.token, after_requests=26)
    connection, run = connect(box)
    assert (run.state, run.error_code) == (RunState.FAILED, "needs_reconnect")
    state, reason = state_of(connection)
    assert state == State.NEEDS_RECONNECT
    assert "your leads are kept" in reason
    assert 200 < run.seen < 2500

    fresh, _ = box.new_token(private=True)
    box.reset_stats()
    with account_scope(alice.account_id):
        same, again = connect_with_token(
            account=alice.account, member=alice, provider="hubspot", token=fresh, base_url=box.url
        )
    again = work_on(again.pk, again.account_id)
    assert (same.pk, again.state) == (connection.pk, RunState.DONE)
    assert ids_kept(connection) == {contact.id for contact in box.contacts()}
    assert box.stats().paths.get(f"GET {LIST}", 0) < 25, "the pages before the failure are not read again"


def test_a_missing_permission_is_named_in_the_sentence(box: Sandbox, connect: Connect) -> None:
    box.set_scopes(["oauth", "crm.objects.contacts.read", "crm.schemas.contacts.read"])
    connection, run = connect(box)
    state, reason = state_of(connection)
    assert (run.error_code, state) == ("not_allowed", State.NEEDS_RECONNECT)
    assert "crm.objects.owners.read" in reason


@pytest.mark.parametrize("kind", ["html", "cut_json", "invalid_json", "500", "502", "503", "504", "drop", "423"])
def test_a_few_bad_replies_are_asked_again_and_nothing_is_lost(
    box: Sandbox, connect: Connect, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadloom.sync.patience.Patient.wait", lambda self, seconds: None)
    box.fault(kind, times=2, path=LIST, method="GET")
    connection, run = connect(box)
    assert (run.state, run.seen) == (RunState.DONE, 350)
    assert ids_kept(connection) == {contact.id for contact in box.contacts()}


def test_a_crm_that_answers_html_for_good_waits_with_its_cursor_and_goes_on_when_it_recovers(
    box: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadloom.sync.patience.Patient.wait", lambda self, seconds: None)
    box.fault("html", times=1000, path=LIST, method="GET")
    connection, run = connect(box)
    assert (run.state, run.seen) == (RunState.WAITING, 200), "the newest contacts are there already"
    assert run.resume_at is not None
    assert "not readable" in state_of(connection)[1]
    box.clear_faults()
    run = let_wait_end(run)
    assert (run.state, run.seen) == (RunState.DONE, 350)
    assert state_of(connection) == (State.LIVE, "")


def test_a_used_up_daily_quota_pauses_the_run_and_says_so(box: Sandbox, connect: Connect) -> None:
    box.fault("429", times=1000, path=LIST, method="GET", retry_after=3600)
    connection, run = connect(box)
    assert run.state == RunState.WAITING
    assert run.resume_at is not None
    assert run.resume_at > datetime.now(UTC) + timedelta(minutes=50)
    assert state_of(connection)[0] == State.WAITING_QUOTA
    box.clear_faults()
    assert let_wait_end(run).state == RunState.DONE


def test_the_vendors_real_limits_are_kept(connect: Connect) -> None:
    """A request that a busy machine holds up can still meet the one after it at the vendor: that costs a pause."""
    with Sandbox(contacts=1500, seed=3, limits="real") as limited:
        _, run = connect(limited)
        assert (run.state, run.seen) == (RunState.DONE, 1500)
        assert limited.stats().refused <= 2


@pytest.mark.long
def test_twelve_thousand_contacts_changed_at_one_timestamp_all_arrive_each_once(
    connect: Connect, refresh: Refresh, unpaced: Callable[[Connection], None]
) -> None:
    with Sandbox(contacts=12_500, seed=2) as large:
        connection, run = connect(large, work=False)
        unpaced(connection)
        work_on(run.pk, run.account_id)
        large.bulk_change(12_000, company="Renamed at once")
        run = refresh(connection)
        assert (run.state, run.seen) == (RunState.DONE, 12_000)
        truth = {one.id for one in large.contacts() if one.properties.get("company") == "Renamed at once"}
    with account_scope(connection.account_id):
        told = SourceContact.objects.values_list("external_id", "raw")
        renamed = {contact for contact, raw in told if raw["properties"]["company"] == "Renamed at once"}
        assert renamed == truth
        described = Lead.objects.filter(archived_at=None).exclude(company="Renamed at once")
        primary = set(described.values_list("crm_id", flat=True))
        assert not primary & truth, "every lead that such a contact describes has the new name"


def test_contacts_archived_in_the_crm_are_marked_and_merged_ones_keep_their_lead(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(box)
    with account_scope(connection.account_id):
        gone, first, second = list(Lead.objects.filter(phone__isnull=False).order_by("pk")[:3])
        Connection.objects.filter(pk=connection.pk).update(gone_checked_at=datetime.now(UTC) - timedelta(days=2))
    box.archive(gone.crm_id)
    survivor = box.merge(first.crm_id, second.crm_id)
    run = refresh(connection)
    assert run.gone == 1
    with account_scope(connection.account_id):
        assert SourceContact.objects.get(external_id=gone.crm_id).gone_at is not None
        kept = Lead.objects.get(pk=first.pk)
        assert (kept.crm_id, kept.archived_at) == (survivor, None)
        assert Lead.objects.get(pk=second.pk).archived_reason == "merged"
        merged = SourceContact.objects.filter(merged_into=survivor)
        assert set(merged.values_list("external_id", flat=True)) == {first.crm_id, second.crm_id}


def test_awkward_contacts_are_all_accounted_for(connect: Connect) -> None:
    with Sandbox(contacts=20, seed=5, awkward=True) as odd:
        connection, run = connect(odd)
        assert run.state == RunState.DONE
        assert run.seen == odd.count()
    with account_scope(connection.account_id):
        names = set(Lead.objects.values_list("name", flat=True))
        assert any("محمد" in name for name in names)
        assert any("🦄" in name for name in names)
        assert Lead.objects.filter(crm_description__startswith="xxx").exists(), "a megabyte of notes is clipped"
        formats = Lead.objects.filter(name__regex=r"^F\d").values_list("phone", flat=True)
        assert len(formats) >= 10
        assert all(phone and phone.startswith("+") for phone in formats)


def test_a_preview_counts_exactly_what_the_import_then_does_and_writes_nothing(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, run = connect(box, work=False)
    with account_scope(connection.account_id):
        Run.objects.filter(pk=run.pk).update(state=RunState.STOPPED)
    preview = refresh(connection, strategy="preview")
    assert (preview.state, ids_kept(connection)) == (RunState.DONE, set())
    imported = refresh(connection)
    assert {**preview.counters, "gone": 0} == {**imported.counters, "gone": 0}
    assert preview.changes is not None
    assert any(lead["name"] and lead["phone"] for lead in preview.changes["created"])


def test_an_overwrite_makes_leads_equal_to_the_crm_and_archives_those_that_left(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(box)
    with account_scope(connection.account_id):
        edited, leaving = list(Lead.objects.exclude(company="").filter(phone__isnull=False).order_by("pk")[:2])
        Lead.objects.filter(pk=edited.pk).update(company="Edited here")
    box.gdpr_delete(leaving.crm_id)
    run = refresh(connection, strategy="overwrite")
    assert (run.state, run.gone) == (RunState.DONE, 1)
    with account_scope(connection.account_id):
        assert Lead.objects.get(pk=edited.pk).company == edited.company
        assert Lead.objects.get(pk=leaving.pk).archived_reason == "left_crm"


def test_a_run_that_is_paused_in_its_last_moment_stays_stopped(
    box: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, run = connect(box, work=False)

    def pause_first(turn: Turn) -> None:
        with account_scope(run.account_id):
            pause(Connection.objects.get(pk=connection.pk))
        complete(turn)

    complete = endings.complete
    monkeypatch.setattr(endings, "complete", pause_first)
    assert work_on(run.pk, run.account_id).state == RunState.STOPPED
    assert state_of(connection)[0] == State.PAUSED


def test_a_bug_of_ours_says_so_keeps_what_was_saved_and_the_next_run_goes_on(
    box: Sandbox, connect: Connect, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, run = connect(box, work=False)
    save = DatabaseSink.save
    pages: list[object] = []

    def break_on_the_second(self: DatabaseSink, saved: Sequence[Mapped]) -> None:
        pages.append(saved)
        if len(pages) == 2:
            raise ZeroDivisionError("a bug")
        save(self, saved)

    with monkeypatch.context() as broken:
        broken.setattr(DatabaseSink, "save", break_on_the_second)
        with pytest.raises(ZeroDivisionError):
            work_on(run.pk, run.account_id)
    state, reason = state_of(connection)
    assert state == State.STUCK
    assert "on our side" in reason
    assert len(ids_kept(connection)) >= 200
    again = refresh(connection)
    assert again.state == RunState.DONE
    assert ids_kept(connection) == {contact.id for contact in box.contacts()}
    assert state_of(connection) == (State.LIVE, "")


def test_an_answer_that_takes_hours_to_prepare_is_waited_for_and_is_no_trouble(
    box: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, run = connect(box, work=False)

    def read(self: Everything, cursor: Cursor, reply: Reply) -> Page:
        raise NotReady("The export is being made.", after=timedelta(minutes=5))

    with monkeypatch.context() as preparing:
        preparing.setattr(Everything, "read", read)
        for _ in range(endings.STUCK_AFTER + 1):
            assert work_on(run.pk, run.account_id).state == RunState.WAITING
            with account_scope(run.account_id):
                run.refresh_from_db()
                assert run.resume_at is not None
                assert run.resume_at - datetime.now(UTC) <= timedelta(minutes=5)
                Run.objects.update(resume_at=datetime.now(UTC))
        assert run.retries == 0
        assert state_of(connection)[0] == State.IMPORTING
    assert work_on(run.pk, run.account_id).state == RunState.DONE
    assert ids_kept(connection) == {contact.id for contact in box.contacts()}


def test_when_the_database_goes_away_in_mid_run_the_run_is_left_for_whoever_comes_next(
    box: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, run = connect(box, work=False)

    def away(self: DatabaseSink, saved: Sequence[Mapped]) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as broken:
        broken.setattr(DatabaseSink, "save", away)
        assert work_on(run.pk, run.account_id).state == RunState.RUNNING
    with account_scope(run.account_id):
        Run.objects.filter(pk=run.pk).update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    assert work_on(run.pk, run.account_id).state == RunState.DONE
    assert ids_kept(connection) == {contact.id for contact in box.contacts()}


def test_a_customers_own_do_not_text_property_opts_out(box: Sandbox, connect: Connect) -> None:
    truth = {one.id for one in box.contacts() if one.properties.get("do_not_text") == "true"}
    assert truth
    connection, run = connect(box, work=False)
    with account_scope(run.account_id):
        Connection.objects.filter(pk=connection.pk).update(settings={"opt_out_properties": ["do_not_text"]})
    work_on(run.pk, run.account_id)
    with account_scope(run.account_id):
        told = SourceContact.objects.filter(external_id__in=truth, lead__isnull=False)
        assert told.exists()
        assert all(one.lead is not None and one.lead.opted_out for one in told.select_related("lead"))
