"""A reconnect at the very moment in which the schedule strikes: each gets the run, and nobody waits in a circle."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import connection as db
from tests.locks import await_somebody_who_waits

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.connections.services import connect_with_token, request_run
from leadloom.sandbox import Sandbox
from leadloom.sync.work import do


def test_a_run_that_comes_to_be_while_its_connection_is_revived_is_begun_afterwards(
    alice: Member, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: dict[str, Any] = {"account": alice.account, "member": alice, "provider": "hubspot", "token": box.token}
    connection, run = connect_with_token(**known)
    do(run.pk, run.account_id)
    written, waits = Event(), Event()
    save = Connection.save

    def save_and_wait(self: Connection, *args: Any, **options: Any) -> None:
        save(self, *args, **options)
        written.set()
        waits.wait(60)  # the connection's row is ours, the transaction open

    def reconnect() -> Run:
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "save", save_and_wait)
            try:
                return connect_with_token(**known)[1]
            finally:
                db.close()

    def strike() -> None:
        try:
            with account_scope(alice.account_id):
                struck, _ = request_run(connection=connection, trigger="cron")
            do(struck.pk, alice.account_id)
        finally:
            db.close()

    with ThreadPoolExecutor(2) as pool:
        reconnecting: Future[Run] = pool.submit(reconnect)
        assert written.wait(60)
        striking = pool.submit(strike)
        await_somebody_who_waits()
        waits.set()
        revived = reconnecting.result(60)
        striking.result(60)
    with account_scope(alice.account_id):
        assert [one.pk for one in Run.objects.exclude(pk=run.pk)] == [revived.pk], "one run for both"
    do(revived.pk, alice.account_id)
    with account_scope(alice.account_id):
        assert Run.objects.get(pk=revived.pk).state == RunState.DONE
