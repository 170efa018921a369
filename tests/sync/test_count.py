"""The count proof: what the CRM says it has, against those we account for; and what a difference sets in motion."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from tests.sync.conftest import Connect, Refresh

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState, Strategy, Trigger
from leadloom.connections.proof import Proof, Standing, proof_of
from leadloom.leads.accounted import parts_of
from leadloom.leads.models import SourceContact
from leadloom.sandbox import Sandbox
from leadloom.sync.count import Told, is_due, judge
from leadloom.sync.due import start_due_runs
from leadloom.sync.work import work_on

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("run", "connection", "due"),
    [
        pytest.param(Run(trigger="cron"), Connection(), True, id="never counted"),
        pytest.param(Run(trigger="cron"), Connection(counted_at=NOW - HOUR), False, id="counted an hour ago"),
        pytest.param(Run(trigger="cron"), Connection(counted_at=NOW - DAY), True, id="counted a day ago"),
        pytest.param(
            Run(trigger="cron"), Connection(counted_at=NOW - HOUR, differs_since=NOW - HOUR), True,
            id="differed an hour ago for the first time",
        ),
        pytest.param(
            Run(trigger="cron"), Connection(counted_at=NOW - HOUR, differs_since=NOW - DAY), False,
            id="differed before, and is known to",
        ),
        pytest.param(Run(trigger="sweep"), Connection(counted_at=NOW - HOUR), True, id="everybody was just read"),
        pytest.param(Run(trigger="manual", strategy=Strategy.PREVIEW), Connection(), False, id="a preview"),
    ],
)  # fmt: skip
def test_it_is_counted_once_a_day_after_a_sweep_and_when_a_difference_was_seen_once(
    run: Run, connection: Connection, due: bool
) -> None:
    assert is_due(run, connection, now=NOW) is due


def counted(told: int | None, ours: int, before: Connection | None = None) -> Connection:
    """The connection an hour later, when this was counted."""
    connection = before or Connection(provider="hubspot")
    now = (connection.counted_at or NOW - HOUR) + HOUR
    for name, value in judge(connection, Told(told), ours=ours, now=now).items():
        setattr(connection, name, value)
    return connection


def standing(connection: Connection) -> Standing:
    proof = proof_of(connection)
    assert proof is not None
    return proof.standing


def test_equal_numbers_prove_it() -> None:
    assert standing(counted(350, 350)) == Standing.EQUAL


def test_a_number_that_proves_nothing_is_no_proof_and_is_not_asked_for_every_hour() -> None:
    connection = counted(None, 350)
    assert proof_of(connection) is None
    assert not is_due(Run(trigger="cron"), connection, now=NOW + HOUR)


def test_a_difference_seen_once_sets_nothing_in_motion_and_goes_away_by_itself() -> None:
    once = counted(351, 350)
    assert (standing(once), once.sweep_due_at) == (Standing.SEEN_ONCE, None)
    assert standing(counted(351, 351, once)) == Standing.EQUAL


def test_one_that_changes_from_hour_to_hour_is_people_coming_and_going() -> None:
    twice = counted(353, 350, counted(351, 350))
    assert (standing(twice), twice.sweep_due_at) == (Standing.SEEN_ONCE, None)


def test_the_same_difference_twice_brings_a_sweep_forward() -> None:
    before = Connection(provider="hubspot", sweep_due_at=NOW + 5 * DAY)
    twice = counted(347, 350, counted(347, 350, before))
    assert (standing(twice), twice.sweep_due_at) == (Standing.SOUGHT, twice.counted_at)


def test_a_sweep_is_not_brought_forward_within_a_day_of_the_last_nor_past_the_weekly_one() -> None:
    swept = NOW - 2 * HOUR
    before = Connection(provider="hubspot", swept_at=swept, sweep_due_at=NOW + 5 * DAY)
    assert counted(347, 350, counted(347, 350, before)).sweep_due_at == swept + DAY
    soon = Connection(provider="hubspot", swept_at=swept, sweep_due_at=NOW + HOUR)
    assert counted(347, 350, counted(347, 350, soon)).sweep_due_at == NOW + HOUR


def test_a_difference_that_outlives_a_sweep_is_unexplained_and_starts_no_other() -> None:
    twice = counted(347, 350, counted(347, 350))
    twice.swept_at, twice.sweep_due_at = NOW + 2 * HOUR, NOW + 7 * DAY
    later = counted(347, 350, twice)
    assert (standing(later), later.sweep_due_at) == (Standing.UNEXPLAINED, NOW + 7 * DAY)


def test_one_that_waits_for_a_persons_word_is_explained() -> None:
    twice = counted(200, 350, counted(200, 350))
    twice.held_run_id = 7
    assert standing(twice) == Standing.HELD


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize(("crm", "ours"), [(412_903, 412_900), (412_900, 412_903)])
def test_every_standing_says_how_many_which_way_and_what_comes_of_it(standing: Standing, crm: int, ours: int) -> None:
    if standing == Standing.EQUAL:
        ours = crm
    proof = Proof(provider="hubspot", crm=crm, ours=ours, counted_at=NOW, standing=standing)
    assert proof.headline == (f"{crm:,} of {crm:,} accounted for" if crm == ours else "3 differ")
    assert proof.sentence.endswith(".")
    assert (crm == ours) or (("more" if crm > ours else "fewer") in proof.sentence)
    assert proof.is_explained is (standing not in (Standing.SOUGHT, Standing.UNEXPLAINED))


def fresh(connection: Connection) -> Connection:
    with account_scope(connection.account_id):
        return Connection.objects.get(pk=connection.pk)


def test_the_first_import_ends_with_the_proof_that_everybody_is_accounted_for(box: Sandbox, connect: Connect) -> None:
    connection, run = connect(box)
    proof = proof_of(fresh(connection))
    assert proof is not None
    assert (proof.headline, run.seen) == ("350 of 350 accounted for", 350)
    with account_scope(connection.account_id):
        parts = parts_of(connection.account_id, connection.pk)
    assert sum(part.count for part in parts) == 350
    assert {"imported", "skipped"} <= {part.outcome for part in parts}
    assert all(part.reason for part in parts if part.outcome == "skipped")


def test_the_proof_costs_one_request_a_day(box: Sandbox, connect: Connect, refresh: Refresh) -> None:
    connection, _ = connect(box)
    usual = refresh(connection, trigger="cron").requests
    with account_scope(connection.account_id):
        Connection.objects.update(counted_at=datetime.now(UTC) - DAY)
    assert refresh(connection, trigger="cron").requests == usual + 1


def test_contacts_deleted_without_a_word_are_noticed_by_the_count_and_named_by_the_sweep_it_brings_forward(
    box: Sandbox, connect: Connect, refresh: Refresh
) -> None:
    connection, _ = connect(box)
    leaving = {one.id for one in islice(box.contacts(), 3)}
    for one in leaving:
        box.gdpr_delete(one)
    recount(connection)
    refresh(connection, trigger="cron")
    refresh(connection, trigger="cron")
    proof = proof_of(fresh(connection))
    assert proof is not None
    assert (proof.crm, proof.ours, proof.standing) == (347, 350, Standing.SOUGHT)

    with account_scope(connection.account_id):
        Connection.objects.update(next_due_at=datetime.now(UTC))
    [result] = start_due_runs().results
    assert result.run_id is not None
    run = work_on(result.run_id, connection.account_id)
    assert (run.trigger, run.state, run.gone) == (Trigger.SWEEP, RunState.DONE, 3)
    proof = proof_of(fresh(connection))
    assert proof is not None
    assert proof.headline == "347 of 347 accounted for"
    with account_scope(connection.account_id):
        named = SourceContact.objects.filter(last_run=run, outcome="gone")
        assert set(named.values_list("external_id", flat=True)) == leaving


def test_a_contact_we_never_heard_of_is_noticed_and_found_too(box: Sandbox, connect: Connect, refresh: Refresh) -> None:
    """As after a bug of ours, or of the CRM's index of changes."""
    connection, _ = connect(box)
    with account_scope(connection.account_id):
        forgotten = SourceContact.objects.filter(outcome="skipped")[0]
        SourceContact.objects.filter(external_id=forgotten.external_id).delete()
    recount(connection)
    refresh(connection, trigger="cron")
    refresh(connection, trigger="cron")
    assert fresh(connection).difference == 1
    run = refresh(connection, trigger="sweep")
    assert (run.skipped, fresh(connection).difference) == (1, 0)


@pytest.mark.usefixtures("hurried")
def test_a_count_that_fails_costs_the_pass_nothing(box: Sandbox, connect: Connect, refresh: Refresh) -> None:
    connection, _ = connect(box)
    recount(connection)
    usual = refresh(connection, trigger="cron").requests
    recount(connection)
    box.fault("html", times=1, skip=usual - 2, path="/crm/v3/objects/contacts/search")
    run = refresh(connection, trigger="cron")
    assert run.state == RunState.DONE
    assert fresh(connection).differs_since is None


def recount(connection: Connection) -> None:
    with account_scope(connection.account_id):
        Connection.objects.update(counted_at=datetime.now(UTC) - DAY)


@pytest.mark.parametrize("crm", ["gohighlevel", "zoho", "salesforce"])
def test_every_crm_that_counts_counts_what_its_list_holds(crm: str) -> None:
    from tests.providers.test_counts import count_of

    with Sandbox(crm, contacts=123, seed=7) as box:
        assert count_of(crm, box) == box.count() == 123
