"""A connection's life: connected once however many press the button, paused, resumed, replaced, ended."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connection as db
from django.db import transaction
from django.test import Client
from tests.connections.conftest import post
from tests.factories import make_connection, make_run

from leadloom.accounts.models import AuditEntry, Member
from leadloom.accounts.scope import account_scope
from leadloom.connections import probe, services, vault
from leadloom.connections.grants import read_grant
from leadloom.connections.models import Connection, Run, RunState, State
from leadloom.connections.nango import ACCOUNT_TAG, Nango
from leadloom.connections.secrets import seal
from leadloom.connections.services import (
    NotConnected,
    Paused,
    connect_with_nango,
    connect_with_token,
    disconnect,
    pause,
    request_run,
    resume,
)
from leadloom.errors import BadRequest, NeedsReconnect
from leadloom.sandbox import Sandbox


def connect(member: Member, token: str) -> tuple[Connection, Run]:
    return connect_with_token(account=member.account, member=member, provider="hubspot", token=token)


def runs(member: Member) -> list[Run]:
    with account_scope(member.account_id):
        return list(Run.objects.order_by("pk"))


def test_no_transaction_is_open_while_the_crm_answers(
    alice: Member, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(*args: Any, **options: Any) -> Any:
        seen.append(db.in_atomic_block)
        return probe.account_behind(*args, **options)

    monkeypatch.setattr(services, "account_behind", watched)
    connect(alice, box.token)
    assert seen == [False]


def test_two_who_connect_one_portal_at_once_share_the_connection_and_its_run(alice: Member, box: Sandbox) -> None:
    ready = Barrier(2)

    def press() -> tuple[int, int]:
        try:
            ready.wait(10)
            connection, run = connect(alice, box.token)
            return connection.pk, run.pk
        finally:
            db.close()

    with ThreadPoolExecutor(2) as pool:
        first, second = [answer.result() for answer in [pool.submit(press), pool.submit(press)]]
    assert first == second


def test_a_crm_that_nango_knows_and_we_do_not_is_told(alice: Member) -> None:
    with pytest.raises(BadRequest, match="not supported"):
        services._provider_at_nango("quickbooks")


def test_reconnecting_keeps_what_a_run_that_ends_this_moment_has_written(alice: Member, box: Sandbox) -> None:
    """A worker takes the run's row, then the connection's; connecting must not take them the other way round."""
    connection, run = connect(alice, box.token)
    held, go_on = Event(), Event()

    def end_the_run() -> None:
        try:
            with account_scope(alice.account_id):
                Run.objects.filter(pk=run.pk).update(state=RunState.DONE)
                held.set()
                go_on.wait(10)
                Connection.objects.filter(pk=connection.pk).update(bookmark="where the next pass starts")
        finally:
            db.close()

    def reconnect() -> Connection:
        try:
            return connect(alice, box.token)[0]
        finally:
            db.close()

    with ThreadPoolExecutor(2) as pool:
        worker = pool.submit(end_the_run)
        held.wait(10)
        person = pool.submit(reconnect)
        go_on.wait(0.7)  # the person's request comes to wait for the worker
        go_on.set()
        worker.result()
        again = person.result()
    assert again.bookmark == "where the next pass starts"
    assert [one.is_first for one in runs(alice)] == [True, False]


def test_a_paused_connection_starts_no_run_until_it_is_resumed(alice: Member) -> None:
    connection = make_connection(alice.account)
    with account_scope(alice.account_id):
        run, _ = request_run(connection=connection, trigger="cron")
        pause(connection, alice)
        with pytest.raises(Paused):
            request_run(connection=connection, trigger="manual")
        again, joined = resume(connection, alice)
    assert [one.state for one in runs(alice)] == [RunState.STOPPED, RunState.QUEUED]
    assert (again.pk != run.pk, joined) == (True, False)


def test_a_connection_that_has_ended_starts_no_run(alice: Member) -> None:
    connection = make_connection(alice.account)
    stale = make_stale(connection)
    with account_scope(alice.account_id):
        disconnect(connection, alice)
        for asked in (connection, stale):
            with pytest.raises(NotConnected):
                request_run(connection=asked, trigger="manual")
            with pytest.raises(NotConnected):
                pause(connection)
    assert runs(alice) == []


def make_stale(connection: Connection) -> Connection:
    with account_scope(connection.account_id):
        return Connection.objects.get(pk=connection.pk)


@pytest.mark.parametrize(
    ("trigger", "code", "is_hurried"),
    [
        ("manual", "vendor_down", True),
        ("connect", "grant_refused", True),
        ("manual", "rate_limited", False),
        ("manual", "quota", False),
        ("webhook", "grant_refused", False),
        ("cron", "vendor_down", False),
    ],
)
def test_a_person_need_not_wait_for_a_run_that_backs_off_but_for_the_crms_limits(
    alice: Member, trigger: str, code: str, is_hurried: bool
) -> None:
    connection = make_connection(alice.account)
    later = datetime.now(UTC) + timedelta(minutes=20)
    make_run(connection, state=RunState.WAITING, resume_at=later, error_code=code)
    with account_scope(alice.account_id):
        _, joined = request_run(connection=connection, trigger=trigger)
    (run,) = runs(alice)
    assert joined
    assert run.resume_at is not None
    assert (run.resume_at < later) is is_hurried


def test_a_token_pasted_while_a_run_uses_the_old_one_is_taken_up(alice: Member, box: Sandbox) -> None:
    in_use, _ = connect(alice, box.token)
    with pytest.raises(NeedsReconnect):
        vault.access_token(in_use, force=True)
    fresh, _ = box.new_token(private=True)
    connect(alice, fresh)
    assert vault.access_token(in_use) == box.token
    assert vault.access_token(in_use, force=True) == fresh


def test_a_disconnect_that_is_rolled_back_leaves_the_grant_alive(alice: Member, box: Sandbox) -> None:
    nango_id = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    connection, _ = connect_with_nango(
        account=alice.account, member=alice, connection_id=nango_id, provider_config_key="hubspot"
    )

    with transaction.atomic():
        with account_scope(alice.account_id):
            disconnect(make_stale(connection), alice)
        transaction.set_rollback(True)
    assert Nango().connection(nango_id, "hubspot").access_token

    with account_scope(alice.account_id):
        disconnect(connection, alice)
    with pytest.raises(NeedsReconnect):
        Nango().connection(nango_id, "hubspot")


def test_a_disconnect_works_while_nango_is_away(alice: Member, box: Sandbox, settings: Any) -> None:
    nango_id = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    connection, _ = connect_with_nango(
        account=alice.account, member=alice, connection_id=nango_id, provider_config_key="hubspot"
    )
    settings.NANGO_HOST = "http://127.0.0.1:9"
    with account_scope(alice.account_id):
        disconnect(connection, alice)
    assert make_stale(connection).state == State.DISCONNECTED


def test_disconnecting_stops_the_run_forgets_the_token_and_keeps_the_bookmark(alice: Member, box: Sandbox) -> None:
    connection, _ = connect(alice, box.token)
    with account_scope(alice.account_id):
        Connection.objects.update(bookmark="b-1")
        disconnect(make_stale(connection), alice)
        disconnect(make_stale(connection), alice)
    ended = make_stale(connection)
    assert (ended.is_active, ended.sealed_credentials, ended.bookmark) == (False, None, "b-1")
    assert [one.state for one in runs(alice)] == [RunState.STOPPED]
    with account_scope(alice.account_id):
        done = AuditEntry.objects.filter(action__startswith="connection.").order_by("pk")
        assert [(entry.action, entry.user_id, entry.target) for entry in done] == [
            ("connection.connected", alice.user_id, f"connection {connection.pk}"),
            ("connection.disconnected", alice.user_id, f"connection {connection.pk}"),
        ]


def test_a_sealed_token_never_shows_in_a_repr(alice: Member) -> None:
    sealed = seal("pat-na1-very-secret", "here")
    connection = make_connection(alice.account, sealed_credentials=sealed)
    assert b"very-secret" not in sealed
    assert "very-secret" not in repr(connection) + repr(vault._Entry(token="very-secret"))


def test_a_reconnect_to_another_portal_locks_the_connection_although_the_answer_is_an_error(
    api: Client, alice: Member, box: Sandbox
) -> None:
    nango_id = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    asked = {"connectionId": nango_id, "providerConfigKey": "hubspot"}
    connection_id = post(api, "crm/connect", asked).json()["connectionId"]
    with account_scope(alice.account_id):
        Connection.objects.update(external_account_id="1", external_account_name="Old portal")
    answer = post(api, "crm/connect", asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "wrong_account")
    with account_scope(alice.account_id):
        assert Connection.objects.get(pk=connection_id).state == State.NEEDS_RECONNECT


def test_asking_for_a_reconnect_makes_the_grant_suspect_until_it_is_checked(
    api: Client, alice: Member, box: Sandbox
) -> None:
    nango_id = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    asked = {"connectionId": nango_id, "providerConfigKey": "hubspot"}
    connection_id = post(api, "crm/connect", asked).json()["connectionId"]
    with account_scope(alice.account_id):
        connection = Connection.objects.get(pk=connection_id)
    assert read_grant(connection).mark
    assert post(api, "crm/session-token", {"connectionId": connection_id}).status_code == 200
    assert read_grant(connection).mark == ""
    vault.access_token(connection)
    assert read_grant(connection).mark
