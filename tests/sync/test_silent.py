"""Somebody who falls silent while they hold a run's row: cut off, or on a machine that stands still."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import pytest
from django.db import DatabaseError, transaction
from django.db import connection as db
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run
from leadloom.sync import due, lease
from leadloom.sync.due import ring_waiting_runs
from leadloom.sync.work import lost_the_database


@pytest.mark.usefixtures("committed")
def test_who_falls_silent_within_a_transaction_loses_the_runs_row_to_the_next_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease, "LONGEST_SILENCE_S", 1)
    run = make_run(make_connection(make_member().account), state="queued")
    holds, may_speak = Event(), Event()

    def fall_silent() -> BaseException | None:
        token = lease.claim(run.pk, run.account_id)
        assert token
        try:
            with account_scope(run.account_id):
                Run.objects.filter(pk=run.pk).update(lease_until="2020-01-01T00:00:00Z")
                lease.hold(run.pk, run.account_id, token)
                holds.set()
                may_speak.wait(60)
                Run.objects.filter(pk=run.pk).update(seen=1_000)
        except Exception as error:  # noqa: BLE001 - what it is, is asked below
            return error
        finally:
            db.close()
        return None

    with ThreadPoolExecutor(1) as other:
        silent = other.submit(fall_silent)
        assert holds.wait(60)
        with account_scope(run.account_id):  # whoever waits for the row gets it; a lock that is kept fails here
            with db.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '30s'")
            taken = Run.objects.select_for_update().get(pk=run.pk)
        may_speak.set()
        error = silent.result(60)
    assert error is not None
    assert lost_the_database(error), "no bug of ours: the run goes on elsewhere, and is not ended as failed"
    assert taken.seen == 0


@pytest.mark.usefixtures("committed")
def test_who_falls_silent_while_looking_for_waiting_runs_does_not_hold_up_those_who_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease, "LONGEST_SILENCE_S", 1)
    run = make_run(make_connection(make_member().account), state="queued")
    with account_scope(run.account_id):
        Run.objects.filter(pk=run.pk).update(created_at="2020-01-01T00:00:00Z")
    looks, may_end = Event(), Event()

    def fall_silent() -> None:
        try:
            with suppress(DatabaseError), transaction.atomic():
                assert due._is_alone()
                looks.set()
                may_end.wait(60)
        finally:
            db.close()

    with ThreadPoolExecutor(1) as other:
        silent = other.submit(fall_silent)
        assert looks.wait(60)
        assert ring_waiting_runs() == 0, "one at a time"
        deadline = time.monotonic() + 30
        while ring_waiting_runs() == 0:
            assert time.monotonic() < deadline, "nobody rings while somebody stands still"
            time.sleep(0.1)
        may_end.set()
        silent.result(60)
