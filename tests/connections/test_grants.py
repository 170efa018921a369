"""A grant that Nango holds: one asks for all, refusals are counted for all, and it opens no other CRM account."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection as db
from django.test import Client
from pytest_django import Settings

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections import vault
from leadloom.connections.grants import Grant, keep_grant, mark_of, read_grant
from leadloom.connections.models import Connection, Run, RunState, State
from leadloom.connections.nango import ACCOUNT_TAG, Nango
from leadloom.connections.services import connect_with_nango, request_run
from leadloom.errors import NeedsReconnect, TryLater, WrongAccount
from leadloom.leads.models import SourceContact
from leadloom.sandbox import Sandbox
from leadloom.sync.work import work_on

PEOPLE = 6


@pytest.fixture
def nango_id(alice: Member, box: Sandbox) -> str:
    return box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})


@pytest.fixture
def kept(alice: Member, nango_id: str) -> Connection:
    """Connected through Nango; nothing has been read yet, and no token is in memory."""
    connection, _ = connect(alice, nango_id)
    return connection


def connect(member: Member, nango_id: str) -> tuple[Connection, Run]:
    return connect_with_nango(
        account=member.account, member=member, connection_id=nango_id, provider_config_key="hubspot"
    )


def at_once(connection: Connection, ask: Callable[[], str]) -> set[str]:
    """What several threads get that ask at the same moment: all of them wait before the first may go on."""

    def closing() -> str:
        try:
            return ask()
        finally:
            db.close()

    with ThreadPoolExecutor(PEOPLE) as pool:
        with vault._entry(connection).lock:
            answers = [pool.submit(closing) for _ in range(PEOPLE)]
            time.sleep(0.5)
        return {answer.result() for answer in answers}


def as_another_process() -> None:
    vault._entries.clear()


def store(connection: Connection, **fields: object) -> Connection:
    with account_scope(connection.account_id):
        Connection.objects.filter(pk=connection.pk).update(**fields)
        connection.refresh_from_db()
    return connection


def test_many_threads_ask_nango_once(kept: Connection, box: Sandbox) -> None:
    box.set_nango(per_minute=1)
    assert len(at_once(kept, lambda: vault.access_token(kept))) == 1


def test_many_threads_whose_token_was_refused_force_one_refresh(kept: Connection, box: Sandbox) -> None:
    old = vault.access_token(kept)
    box.set_nango(per_minute=1)
    answers = at_once(kept, lambda: vault.access_token(kept, force=True))
    assert len(answers) == 1
    assert old not in answers


def test_a_token_is_kept_while_nango_is_busy(kept: Connection, box: Sandbox) -> None:
    token = vault.access_token(kept)
    vault._entry(kept).good_until = 0
    box.set_nango(per_minute=1)
    Nango().integrations()  # uses up the minute
    assert vault.access_token(kept) == token


def test_a_token_is_kept_while_nango_is_away(kept: Connection, settings: Settings) -> None:
    token = vault.access_token(kept)
    vault._entry(kept).good_until = 0
    settings.NANGO_HOST = "http://127.0.0.1:9"
    assert [vault.access_token(kept) for _ in range(2)] == [token, token]


def test_a_token_is_kept_while_its_refresh_fails_but_not_once_the_crm_refused_it(
    kept: Connection, box: Sandbox, nango_id: str
) -> None:
    token = vault.access_token(kept)
    vault._entry(kept).good_until = 0
    box.nango_revoke(nango_id)
    box.advance(20 * 60)  # too little is left of the token: Nango tries to refresh it, and cannot
    assert vault.access_token(kept) == token
    with pytest.raises(TryLater):
        vault.access_token(kept, force=True)
    with pytest.raises(TryLater):
        vault.access_token(kept)


def test_refusals_are_counted_for_all_processes_and_forgotten_at_the_first_success(
    kept: Connection, box: Sandbox, nango_id: str
) -> None:
    box.set_nango(failing_refreshes=2)
    for count in (1, 2):
        as_another_process()
        with pytest.raises(TryLater):
            vault.access_token(kept, force=True)
        assert read_grant(kept).refused == count
    vault.access_token(kept, force=True)
    assert read_grant(kept) == Grant(mark=mark_of({"portalId": 24681357}))


@pytest.mark.parametrize(
    ("refused", "denied", "lasted", "is_dead", "note"),
    [
        (1, 0, timedelta(0), False, "a vendor's bad minute"),
        (9, 0, timedelta(minutes=9), False, "a vendor's bad nine minutes"),
        (4, 0, timedelta(minutes=10), True, "it has lasted"),
        (3, 0, timedelta(days=1), False, "three tries in a day are few"),
        (1, 1, timedelta(minutes=5), False, "one refusal by the CRM may be an accident"),
        (2, 2, timedelta(seconds=5), False, "within Nango's back-off it has not asked again"),
        (2, 2, timedelta(seconds=40), True, "the CRM and its token endpoint both refuse, twice"),
    ],
)
def test_a_reconnect_is_asked_for_when_a_refusal_has_lasted(
    refused: int, denied: int, lasted: timedelta, is_dead: bool, note: str
) -> None:
    grant = Grant(refused=refused, denied=denied, since=1_000.0)
    assert grant.is_dead(1_000.0 + lasted.total_seconds()) is is_dead, note


def test_a_grant_revoked_at_the_crm_is_known_as_soon_as_nango_has_asked_twice(
    kept: Connection, box: Sandbox, nango_id: str
) -> None:
    token = vault.access_token(kept)
    box.nango_revoke(nango_id)
    with pytest.raises(TryLater):
        vault.access_token(kept, force=True)  # the CRM has refused it
    box.advance(31)  # Nango hands the same token out again: that heals nothing
    as_another_process()
    assert vault.access_token(kept) == token
    with account_scope(kept.account_id):
        keep_grant(kept, replace(read_grant(kept), since=time.time() - 31))
    with pytest.raises(NeedsReconnect, match="your leads are kept"):
        vault.access_token(kept, force=True)


def test_a_grant_that_nango_has_lost_asks_for_a_reconnect(kept: Connection, box: Sandbox, nango_id: str) -> None:
    Nango().delete(nango_id, "hubspot")
    with pytest.raises(NeedsReconnect):
        vault.access_token(kept)


def test_a_reconnect_keeps_the_row_and_its_bookmark(kept: Connection, alice: Member, box: Sandbox) -> None:
    store(kept, bookmark="b-1", state=State.NEEDS_RECONNECT, reason_code="needs_reconnect", reason="…")
    box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)}, connection_id=kept.nango_connection_id)
    again, run = connect(alice, kept.nango_connection_id)
    assert (again.pk, again.bookmark, again.state, again.reason) == (kept.pk, "b-1", State.CONNECTING, "")
    assert run.trigger == "connect"


def test_a_reconnect_to_another_portal_is_refused_and_locks_the_connection(
    kept: Connection, alice: Member, nango_id: str
) -> None:
    store(kept, external_account_id="1", external_account_name="Old portal")
    with pytest.raises(WrongAccount, match="Old portal"):
        connect(alice, nango_id)
    store(kept)
    assert (kept.state, kept.reason_code) == (State.NEEDS_RECONNECT, "wrong_account")
    with account_scope(kept.account_id):
        assert Connection.objects.count() == 1
        assert Run.objects.get().state == RunState.STOPPED


def test_a_sign_in_to_another_portal_that_no_browser_told_us_of_is_found_out_before_a_contact_is_read(
    kept: Connection, alice: Member, box: Sandbox, nango_id: str
) -> None:
    """Nango keeps a connection's id when somebody signs in again and then closes the window."""
    other = mark_of({"portalId": 1})
    store(kept, external_account_id="1", external_account_name="Old portal", settings={"grant": {"mark": other}})
    as_another_process()
    with account_scope(kept.account_id):
        run, _ = request_run(connection=kept, trigger="cron")
    run = work_on(run.pk, run.account_id)
    assert (run.state, run.error_code) == (RunState.FAILED, "wrong_account")
    assert "Old portal" in run.error
    with account_scope(kept.account_id):
        assert not SourceContact.objects.exists()
    assert store(kept).state == State.NEEDS_RECONNECT


def test_forgetting_a_grant_makes_every_process_check_whose_it_is(kept: Connection, box: Sandbox) -> None:
    vault.access_token(kept)
    with account_scope(kept.account_id):
        vault.forget(kept)
    assert read_grant(kept) == Grant()
    box.reset_stats()
    vault.access_token(kept)
    assert box.stats().requests == 1
    as_another_process()
    vault.access_token(kept)
    assert box.stats().requests == 1, "once checked it is known"


def test_a_run_that_backs_off_goes_on_at_once_after_a_reconnect(
    kept: Connection, alice: Member, box: Sandbox, nango_id: str
) -> None:
    later = datetime.now(UTC) + timedelta(minutes=30)
    with account_scope(kept.account_id):
        Run.objects.update(state=RunState.WAITING, resume_at=later, error_code="grant_refused")
    _, run = connect(alice, nango_id)
    assert work_on(run.pk, run.account_id).state == RunState.DONE


def told_by_nango(settings: Settings, nango_id: str, operation: str, *, success: bool) -> int:
    """Nango's webhook about this connection; how many runs it led to."""
    event = {"type": "auth", "operation": operation, "success": success, "connectionId": nango_id}
    body = json.dumps(event).encode()
    signature = hmac.new(settings.NANGO_WEBHOOK_KEY.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Nango-Hmac-Sha256": signature}
    answer = Client().post("/api/webhooks/nango", body, content_type="application/json", headers=headers)
    return int(answer.json()["runs"])


def test_news_of_a_refusal_does_not_undo_the_count_of_refusals(
    kept: Connection, box: Sandbox, settings: Settings, nango_id: str
) -> None:
    box.set_nango(failing_refreshes=1)
    with pytest.raises(TryLater):
        vault.access_token(kept, force=True)
    assert told_by_nango(settings, nango_id, "refresh", success=False) == 1
    assert read_grant(kept).refused == 1


def test_news_of_a_refusal_does_not_disturb_a_connection_that_waits_for_a_reconnect(
    kept: Connection, settings: Settings, nango_id: str
) -> None:
    store(kept, state=State.NEEDS_RECONNECT)
    assert told_by_nango(settings, nango_id, "refresh", success=False) == 0


def test_news_of_a_new_sign_in_is_followed_and_its_account_checked(
    kept: Connection, alice: Member, settings: Settings, nango_id: str
) -> None:
    """The person signed in again and lost the page before it could tell us."""
    store(kept, state=State.NEEDS_RECONNECT)
    assert told_by_nango(settings, nango_id, "override", success=True) == 1
    assert read_grant(kept) == Grant()
    run = latest_run(alice)
    assert work_on(run.pk, run.account_id).state == RunState.DONE
    assert store(kept).state == State.LIVE


def test_a_sign_in_withdrawn_in_mid_life_is_waited_for_then_asked_for_then_caught_up(
    kept: Connection, alice: Member, box: Sandbox, nango_id: str
) -> None:
    first = latest_run(alice)
    assert work_on(first.pk, first.account_id).state == RunState.DONE
    box.revoke_token(vault.access_token(kept))
    box.nango_revoke(nango_id)

    with account_scope(alice.account_id):
        run, _ = request_run(connection=kept, trigger="cron")
    run = work_on(run.pk, run.account_id)
    assert (run.state, run.error_code) == (RunState.WAITING, "grant_refused")
    assert store(kept).state == State.CATCHING_UP, "nobody is asked to reconnect for one refusal"

    box.advance(31)
    with account_scope(alice.account_id):
        keep_grant(kept, replace(read_grant(kept), since=time.time() - 31))
        Run.objects.filter(pk=run.pk).update(resume_at=datetime.now(UTC))
    run = work_on(run.pk, run.account_id)
    assert (run.state, run.error_code) == (RunState.FAILED, "needs_reconnect")
    assert store(kept).state == State.NEEDS_RECONNECT
    assert "your leads are kept" in kept.reason

    newcomer = box.create(firstname="Nora", email="nora@example.com")
    box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)}, connection_id=nango_id)
    again, run = connect(alice, nango_id)
    run = work_on(run.pk, run.account_id)
    assert (again.pk, run.state, run.created) == (kept.pk, RunState.DONE, 1)
    with account_scope(alice.account_id):
        assert SourceContact.objects.filter(external_id=newcomer).exists()


def latest_run(member: Member) -> Run:
    with account_scope(member.account_id):
        return Run.objects.latest("pk")
