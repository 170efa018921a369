"""Sweeps against a sandbox HubSpot whose contacts vanish without a word: promise 7 of the engine."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from tests.sync.conftest import Connect, Refresh

from leadloom.accounts.scope import account_scope
from leadloom.connections import services
from leadloom.connections.models import Connection, Run, RunState, State, Strategy, Trigger
from leadloom.leads.models import Lead, Message, RunContact, SourceContact
from leadloom.providers.catalogue import provider as provider_of
from leadloom.sandbox import Sandbox
from leadloom.sync import endings, work
from leadloom.sync.absent import is_too_many
from leadloom.sync.plan import CHANGES, EVERYTHING, GONE, feed_of, steps, tells_who_left
from leadloom.sync.turn import Turn

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("absent", "known", "asks"),
    [
        pytest.param(50, 60, False, id="nearly all of a small CRM, but not more than fifty"),
        pytest.param(51, 60, True, id="more than fifty of few"),
        pytest.param(51, 2550, False, id="more than fifty, but exactly two of a hundred"),
        pytest.param(52, 2550, True, id="more than both"),
        pytest.param(20_000, 1_000_000, False, id="two of a hundred of many"),
        pytest.param(0, 0, False, id="nobody of nobody"),
    ],
)
def test_a_person_is_asked_when_more_than_two_of_a_hundred_and_more_than_fifty_were_not_met(
    absent: int, known: int, asks: bool
) -> None:
    assert is_too_many(absent, known) is asks


@pytest.mark.parametrize(
    ("crm", "checked", "read"),
    [
        pytest.param("hubspot", None, (CHANGES, GONE, EVERYTHING), id="deletions are due too"),
        pytest.param("hubspot", NOW - timedelta(hours=2), (CHANGES, EVERYTHING), id="deletions were read today"),
        pytest.param("gohighlevel", None, (CHANGES, EVERYTHING), id="a CRM that keeps no list of them"),
    ],
)
def test_a_sweep_reads_first_what_the_hour_would_have_read(
    crm: str, checked: datetime | None, read: tuple[str, ...]
) -> None:
    connection = Connection(provider=crm, bookmark="x", gone_checked_at=checked)
    run = Run(trigger=Trigger.SWEEP, strategy=Strategy.APPEND)
    assert steps(run, connection, provider_of(crm), now=NOW) == read


def test_whoever_tells_who_left_reads_every_contact_exactly() -> None:
    hubspot = provider_of("hubspot")
    sweep, overwrite, hourly = (
        Run(trigger=Trigger.SWEEP),
        Run(trigger=Trigger.MANUAL, strategy=Strategy.OVERWRITE),
        Run(trigger=Trigger.CRON),
    )
    assert [tells_who_left(run) for run in (sweep, overwrite, hourly)] == [True, True, False]
    exact, quick = hubspot.everything(exact=True), hubspot.everything()
    assert exact != quick
    assert [feed_of(hubspot, EVERYTHING, run) for run in (sweep, overwrite, hourly)] == [exact, exact, quick]


@pytest.fixture
def small() -> Iterator[Sandbox]:
    with Sandbox(contacts=120, seed=7) as box:
        yield box


def ids(box: Sandbox, count: int) -> list[str]:
    return [one.id for one in islice(box.contacts(), count)]


def gone(connection: Connection) -> set[str]:
    with account_scope(connection.account_id):
        return set(SourceContact.objects.exclude(gone_at=None).values_list("external_id", flat=True))


def fresh(connection: Connection) -> Connection:
    with account_scope(connection.account_id):
        return Connection.objects.get(pk=connection.pk)


def ids_met(connection: Connection) -> int:
    with account_scope(connection.account_id):
        return RunContact.objects.count()


def test_contacts_that_vanish_without_a_word_are_marked_by_the_next_sweep_and_their_leads_stay(
    small: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(small)
    leaving = ids(small, 3)
    for one in leaving:
        small.gdpr_delete(one)
    assert refresh(connection, trigger="cron").gone == 0
    run = refresh(connection, trigger="sweep")
    assert (run.state, run.gone, run.absent) == (RunState.DONE, 3, 0)
    assert gone(connection) == set(leaving)
    with account_scope(connection.account_id):
        assert Lead.objects.filter(archived_at=None, crm_id__in=leaving).exists()
    assert ids_met(connection) == 0
    assert refresh(connection, trigger="sweep").gone == 0


def test_a_sweep_of_a_crm_in_which_nothing_happened_writes_nothing(
    small: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(small)
    run = refresh(connection, trigger="sweep")
    assert run.unchanged == run.seen >= 120, "whoever changed lately is met twice"
    assert not any((run.created, run.updated, run.linked, run.skipped, run.failed, run.gone))


def test_when_many_are_not_there_nobody_is_marked_until_a_person_has_said_so(
    small: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(small)
    leaving = ids(small, 60)
    for one in leaving:
        small.gdpr_delete(one)
    held = refresh(connection, trigger="sweep")
    assert (held.state, held.gone, held.absent) == (RunState.DONE, 0, 60)
    assert (gone(connection), fresh(connection).held_run_id) == (set(), held.pk)
    assert refresh(connection, trigger="cron").gone == 0
    with account_scope(connection.account_id):
        run = services.mark_absent(fresh(connection))
    assert (run.trigger, run.is_confirmed) == ("sweep", True)
    assert work.work_on(run.pk, run.account_id).gone == 60
    assert gone(connection) == set(leaving)
    assert (fresh(connection).held_run_id, ids_met(connection)) == (None, 0)


def test_those_whom_a_person_leaves_stay_and_the_next_sweep_asks_again(
    small: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(small)
    for one in ids(small, 60):
        small.gdpr_delete(one)
    refresh(connection, trigger="sweep")
    with account_scope(connection.account_id):
        services.keep_absent(fresh(connection))
        with pytest.raises(services.NothingHeld):
            services.keep_absent(fresh(connection))
    assert (gone(connection), fresh(connection).held_run_id, ids_met(connection)) == (set(), None, 0)
    again = refresh(connection, trigger="sweep")
    assert fresh(connection).held_run_id == again.pk


def test_many_who_are_back_before_anybody_has_said_anything_are_no_question_any_more(
    small: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(small)
    hidden = ids(small, 60)
    for one in hidden:
        small.archive(one)
    with account_scope(connection.account_id):  # as if it told nobody of them
        Connection.objects.filter(pk=connection.pk).update(gone_checked_at=datetime.now(UTC))
    held = refresh(connection, trigger="sweep")
    assert held.absent == 60
    for one in hidden:
        small.restore(one)
    run = refresh(connection, trigger="sweep")
    assert (run.gone, run.absent, fresh(connection).held_run_id) == (0, 0, None)


def test_an_overwrite_asks_too_and_archives_only_then(small: Sandbox, connect: Connect, refresh: Refresh) -> None:
    connection, _ = connect(small)
    for one in ids(small, 60):
        small.gdpr_delete(one)
    held = refresh(connection, strategy="overwrite")
    assert (held.absent, held.gone) == (60, 0)
    with account_scope(connection.account_id):
        assert not Lead.objects.filter(archived_reason="left_crm").exists()
        run = services.mark_absent(fresh(connection))
    assert (run.strategy, work.work_on(run.pk, run.account_id).gone) == ("overwrite", 60)
    with account_scope(connection.account_id):
        assert Lead.objects.filter(archived_reason="left_crm").exists()


@pytest.mark.usefixtures("hurried")
def test_a_page_that_cannot_be_read_voids_the_search_for_those_who_left_and_tomorrow_it_is_tried_again(
    small: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(small)
    small.gdpr_delete(ids(small, 1)[0])
    small.fault("html", times=None, path="/crm/v3/objects/contacts", method="GET")
    run = refresh(connection, trigger="sweep")
    while run.state == RunState.WAITING:
        with account_scope(run.account_id):
            Run.objects.filter(pk=run.pk).update(resume_at=NOW)
        run = work.work_on(run.pk, run.account_id)
    assert (run.state, run.gone, gone(connection)) == (RunState.FAILED, 0, set())
    due = fresh(connection).sweep_due_at
    assert due is not None
    assert timedelta(hours=23) < due - datetime.now(UTC) <= timedelta(days=1)
    small.clear_faults()
    assert refresh(connection, trigger="sweep").gone == 1


def test_a_worker_killed_after_the_marking_and_before_the_end_marks_nobody_else(
    small: Sandbox, connect: Connect, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, _ = connect(small)
    small.gdpr_delete(ids(small, 1)[0])
    run = killed_before_its_end(connection, refresh, monkeypatch)
    assert work.work_on(run.pk, run.account_id).state == RunState.DONE
    assert len(gone(connection)) == 1


def test_a_worker_killed_after_it_left_many_to_a_person_leaves_the_same_to_that_person(
    small: Sandbox, connect: Connect, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, _ = connect(small)
    for one in ids(small, 60):
        small.gdpr_delete(one)
    run = killed_before_its_end(connection, refresh, monkeypatch)
    done = work.work_on(run.pk, run.account_id)
    assert (done.state, done.absent, gone(connection), ids_met(connection)) == (RunState.DONE, 60, set(), 60)


def killed_before_its_end(connection: Connection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A sweep whose worker did all its work and never wrote an ending; its lease has run out."""

    def die(turn: Turn) -> None:
        pass

    with monkeypatch.context() as patch:
        patch.setattr(endings, "complete", die)
        run = refresh(connection, trigger="sweep")
    assert run.state == RunState.RUNNING
    with account_scope(run.account_id):
        Run.objects.filter(pk=run.pk).update(lease_until=NOW - timedelta(days=999))
    return run


def test_a_deleted_contact_that_is_restored_is_back_with_its_lead_thread_and_opt_out(
    small: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(small)
    with account_scope(connection.account_id):
        lead = Lead.objects.exclude(phone=None).order_by("pk")[0]
        Lead.objects.filter(pk=lead.pk).update(opted_out=True)
        Message.objects.create(account_id=lead.account_id, lead=lead, direction="in", body="STOP")
    small.archive(lead.crm_id)
    refresh(connection, trigger="sweep")
    assert gone(connection) == {lead.crm_id}
    small.restore(lead.crm_id)
    refresh(connection, trigger="sweep")
    assert gone(connection) == set()
    with account_scope(connection.account_id):
        back = Lead.objects.get(crm_id=lead.crm_id, archived_at=None)
        assert (back.pk, back.opted_out, back.message_set.get().body) == (lead.pk, True, "STOP")


def test_a_person_who_says_so_while_another_pass_is_under_way_is_asked_to_wait(
    small: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(small)
    for one in ids(small, 60):
        small.gdpr_delete(one)
    refresh(connection, trigger="sweep")
    with account_scope(connection.account_id):
        services.request_run(connection=fresh(connection), trigger="cron")
        with pytest.raises(services.RunUnderWay):
            services.mark_absent(fresh(connection))
    assert fresh(connection).state in (State.LIVE, State.CATCHING_UP)


def test_a_sweep_never_goes_on_where_a_failed_import_was(small: Sandbox, connect: Connect, refresh: Refresh) -> None:
    """Whom that one had met, this one would not have."""
    connection, first = connect(small, work=False)
    half_way = {"step": "list", "after": "999999999999", "started": NOW.isoformat(), "latest": None, "edge": {}}
    with account_scope(connection.account_id):
        Run.objects.filter(pk=first.pk).update(state=RunState.FAILED, feed=EVERYTHING, cursor=half_way)
    run = refresh(connection, trigger="sweep")
    assert (run.state, run.seen, run.gone) == (RunState.DONE, 120, 0)
