"""``leadloom check`` says what is wrong, and says so for the connection that is meant."""

from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.db import connection as db
from tests.factories import make_connection, make_member

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Method, State
from leadloom.connections.secrets import seal
from leadloom.connections.vault import context_of
from leadloom.sandbox import Sandbox
from leadloom.sandbox.hubspot.records import PORTAL
from leadloom.site.checks import Finding, check_everything, run_checks

pytestmark = pytest.mark.django_db


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
