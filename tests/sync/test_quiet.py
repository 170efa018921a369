"""An hourly pass that finds nothing: most of them do, at every tenant, every hour."""

from collections.abc import Callable

import pytest
from django.db import connection as db
from django.test.utils import CaptureQueriesContext
from tests.sync.conftest import Connect, Refresh

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, State
from leadloom.connections.services import pause, request_run
from leadloom.sandbox import Sandbox
from leadloom.sync import endings
from leadloom.sync.signals import run_ended
from leadloom.sync.turn import Turn
from leadloom.sync.work import do, work_on

LATER_S = 600.0  # longer than any pass reads back


@pytest.fixture
def settled(box: Sandbox, connect: Connect, refresh: Refresh) -> Connection:
    """Imported, and nothing has changed for a while."""
    connection, _ = connect(box)
    box.advance(LATER_S)
    refresh(connection)
    return connection


def stored(connection: Connection) -> Connection:
    with account_scope(connection.account_id):
        return Connection.objects.get(pk=connection.pk)


def ask_for_a_run(connection: Connection) -> Run:
    with account_scope(connection.account_id):
        return request_run(connection=stored(connection), trigger="cron")[0]


def test_a_pass_that_finds_nothing_is_one_request_and_is_written_down_like_any_other(
    settled: Connection, box: Sandbox
) -> None:
    box.advance(LATER_S)
    run = ask_for_a_run(settled)
    run = work_on(run.pk, run.account_id)
    assert (run.state, run.seen, run.requests, run.pages) == ("done", 0, 1, 1)
    assert (run.feed, run.cursor, run.lease_token) == ("end", None, None)
    after = stored(settled)
    assert (after.state, after.bookmark) == (State.LIVE, run.next_bookmark)
    assert after.last_synced_at is not None
    assert run.finished_at is not None
    assert after.last_synced_at >= run.created_at


def test_a_pass_that_finds_nothing_costs_a_handful_of_statements(settled: Connection) -> None:
    run = ask_for_a_run(settled)
    with CaptureQueriesContext(db) as spent:
        do(run.pk, run.account_id)
    assert len(spent) <= 12, [query["sql"][:80] for query in spent.captured_queries]


def test_a_pass_that_was_paused_before_its_empty_page_was_written_moves_nothing(
    settled: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(settled)
    run = ask_for_a_run(settled)
    complete = endings.complete

    def pause_first(turn: Turn) -> None:
        with account_scope(run.account_id):
            pause(stored(settled))
        complete(turn)

    monkeypatch.setattr(endings, "complete", pause_first)
    run = work_on(run.pk, run.account_id)
    after = stored(settled)
    assert (run.state, run.pages, after.state) == ("stopped", 0, State.PAUSED)
    assert (after.bookmark, after.last_synced_at) == (before.bookmark, before.last_synced_at)


def test_who_hears_that_a_run_has_ended_hears_whether_it_changed_a_lead(
    settled: Connection, box: Sandbox, alice: Member, refresh: Callable[..., Run]
) -> None:
    heard: list[object] = []

    def listen(*, found_something: bool, **_: object) -> None:
        heard.append(found_something)

    run_ended.connect(listen)
    try:
        refresh(settled)
        box.change(next(contact for contact in box.contacts() if contact.properties.get("phone")).id, company="New")
        refresh(settled)
    finally:
        run_ended.disconnect(listen)
    assert heard == [False, True]
