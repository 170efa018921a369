"""``leadloom check`` says what is wrong, and says so for the connection that is meant."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import connection as db
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Method, State, Trigger
from leadloom.connections.secrets import seal
from leadloom.connections.vault import context_of
from leadloom.sandbox import Sandbox
from leadloom.sandbox.gohighlevel.staff import LOCATION
from leadloom.sandbox.hubspot.records import PORTAL
from leadloom.site.checks import Finding, check_everything, run_checks
from leadloom.sync.doorbell import ring_for_many

pytestmark = pytest.mark.django_db

MORNING, NOON = datetime(2026, 11, 29, 9, tzinfo=UTC), datetime(2026, 11, 29, 12, tzinfo=UTC)


def findings() -> dict[str, Finding]:
    return {finding.what: finding for finding in check_everything()}


def connected_to(box: Sandbox, **fields: str) -> Connection:
    """A connection whose token this sandbox accepts."""
    wanted = {"external_account_id": str(PORTAL), "base_url": box.url, "method": Method.TOKEN} | fields
    connection = make_connection(make_member().account, **wanted)
    with account_scope(connection.account_id):
        connection.sealed_credentials = seal(box.token, context_of(connection))
        connection.save()
    return connection


def test_a_sound_database_and_a_plain_role_are_right() -> None:
    found = findings()
    assert all(found[what].is_right for what in ("settings", "database", "tables", "role", "walls", "nango"))


def test_without_a_worker_it_is_wrong_and_says_how_to_start_one() -> None:
    said: list[str] = []
    assert run_checks(said.append) is False
    assert [line for line in said if "worker" in line and line.startswith("WRONG") and "leadloom worker" in line]


def test_a_worker_heard_of_is_counted() -> None:
    with db.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
    assert findings()["worker"].sentence == "1 heard of lately."


def test_a_demo_key_at_a_public_address_is_wrong(settings: LazySettings) -> None:
    settings.DEMO_KEY, settings.IS_HTTPS = "k" * 32, True
    wrong = [finding.sentence for finding in check_everything() if not finding.is_right]
    assert any("LEADLOOM_DEMO_KEY" in sentence for sentence in wrong)


def test_a_nango_that_refuses_our_key_is_wrong(settings: LazySettings) -> None:
    with Sandbox(contacts=1) as box:
        settings.NANGO_HOST, settings.NANGO_SECRET_KEY = box.nango_url, "not-the-key"
        assert not findings()["nango"].is_right
        settings.NANGO_SECRET_KEY = box.nango_key
        assert findings()["nango"].is_right


def test_a_connection_whose_crm_answers_is_right(box: Sandbox) -> None:
    connection = connected_to(box)
    assert findings()[f"connection {connection.pk}"].is_right


def test_a_crm_that_needs_the_facts_of_the_account_is_asked_with_them() -> None:
    with Sandbox("gohighlevel", contacts=1) as box:
        connection = connected_to(
            box, provider="gohighlevel", external_account_id=LOCATION, external_account_name="A location"
        )
        assert findings()[f"connection {connection.pk}"].is_right


def test_a_connection_whose_hour_was_not_kept_is_late_and_one_that_is_being_read_is_not() -> None:
    late = make_connection(make_member().account, next_due_at=datetime.now(UTC) - timedelta(minutes=40))
    found = findings()["schedule"]
    assert (found.is_right, "by 40 minutes" in found.sentence) == (False, True)
    make_run(late, state="running")
    assert findings()["schedule"].is_right


def test_a_sweep_that_gives_way_to_others_does_not_make_the_queue_late() -> None:
    with db.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
    run = make_run(make_connection(make_member().account), state="queued", trigger="sweep")
    for trigger, is_right in ((Trigger.SWEEP, True), (Trigger.MANUAL, False)):
        ring_for_many([(run.pk, run.account_id)], trigger=trigger, most=1)
        with db.cursor() as cursor:
            cursor.execute("UPDATE procrastinate_events SET at = at - interval '1 hour'")
        assert findings()["queue"].is_right is is_right


def test_a_connection_whose_token_was_revoked_is_wrong_and_the_token_is_not_shown(box: Sandbox) -> None:
    connection = connected_to(box)
    box.revoke_token()
    found = findings()[f"connection {connection.pk}"]
    assert not found.is_right
    assert box.token not in str(found)


def test_a_connection_that_opens_another_account_of_the_crm_is_wrong(box: Sandbox) -> None:
    connection = connected_to(box, external_account_id="another")
    assert "another account" in findings()[f"connection {connection.pk}"].sentence


def test_a_connection_that_needs_a_reconnect_says_so_without_asking_the_crm(box: Sandbox) -> None:
    connection = connected_to(box, state=State.NEEDS_RECONNECT, reason="Reconnect to go on.")
    box.reset_stats()
    assert "Reconnect to go on." in findings()[f"connection {connection.pk}"].sentence
    assert box.stats().requests == 0


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(contacts=1) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("fields", "is_right", "said"),
    [
        pytest.param({"counted_crm": 350}, True, "350 of 350 accounted for", id="equal"),
        pytest.param({"counted_crm": 353, "differs_since": NOON}, True, "3 more", id="seen once, too early to say"),
        pytest.param({"counted_crm": 347, "differs_since": MORNING}, False, "3 fewer", id="everybody is read again"),
        pytest.param(
            {"counted_crm": 347, "differs_since": MORNING, "held_run_id": 7}, True, "whether they have left",
            id="a person must say",
        ),
        pytest.param(
            {"counted_crm": 353, "differs_since": MORNING, "swept_at": NOON}, False, "does not show us",
            id="everybody was read since",
        ),
    ],
)  # fmt: skip
def test_a_count_that_differs_is_wrong_until_it_is_explained(
    box: Sandbox, fields: dict[str, object], is_right: bool, said: str
) -> None:
    connection = connected_to(box)
    with account_scope(connection.account_id):
        Connection.objects.update(counted_at=NOON, counted_ours=350, **fields)
    found = findings()[f"count {connection.pk}"]
    assert (found.is_right, said in found.sentence) == (is_right, True), found.sentence


def test_a_crm_that_does_not_tell_how_many_it_has_gets_no_line(box: Sandbox) -> None:
    connection = connected_to(box)
    with account_scope(connection.account_id):
        Connection.objects.update(counted_at=NOON, counted_ours=350)
    assert f"count {connection.pk}" not in findings()
