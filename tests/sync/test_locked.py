"""A run whose row is locked, by a statement that takes minutes: nobody else's runs may wait for it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection as db
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run, RunState
from leadloom.sync import lease
from leadloom.sync.work import do


def test_a_worker_does_not_queue_behind_a_transaction_that_holds_the_run(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LONGEST_QUEUE_S", 1)
    run = make_run(make_connection(make_member().account), state="queued")
    with ThreadPoolExecutor(1) as other:
        with account_scope(run.account_id):
            Run.objects.select_for_update().get(pk=run.pk)
            other.submit(_do_and_close, run).result(60)  # while the row stays locked
            assert Run.objects.get(pk=run.pk).state == RunState.QUEUED
        other.submit(_do_and_close, run).result(60)
    with account_scope(run.account_id):
        assert Run.objects.get(pk=run.pk).state != RunState.QUEUED


def _do_and_close(run: Run) -> None:
    try:
        do(run.pk, run.account_id)
    finally:
        db.close()
