"""Who waits for whom when several write the same account's leads: in one order, so that nobody waits in a circle."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from django.db import connection as db
from tests.factories import make_connection, make_lead, make_member, make_run
from tests.locks import await_somebody_who_waits

from leadloom.accounts.scope import account_scope
from leadloom.leads.models import Lead, Suppression
from leadloom.leads.services import opt_out
from leadloom.leads.store import LOCK, Target, write_gone, write_merges
from leadloom.providers.base import Gone, Merge


@contextmanager
def another_sync(account: int) -> Iterator[psycopg.Connection[Any]]:
    """The open transaction of a sync of this account."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT set_config('leadloom.account_id', %s, true)", [str(account)])
        other.execute("SET LOCAL lock_timeout = '5s'")
        yield other


@pytest.mark.parametrize(
    "write",
    [
        lambda target: write_gone(target, [Gone("1")]),
        lambda target: write_merges(target, [Merge("1", "2")]),
    ],
    ids=["deletions", "merges"],
)
def test_pages_that_only_tell_of_deletions_or_merges_wait_for_their_turn_too(
    committed: None, write: Callable[[Target], object]
) -> None:
    """Two CRMs that share people lock the same leads, in orders of their own."""
    connection = make_connection(make_member().account)
    run = make_run(connection)
    target = Target(account_id=run.account_id, connection_id=connection.pk, run_id=run.pk, provider="hubspot")
    with another_sync(run.account_id) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, run.account_id])
        with pytest.raises(OperationalError):
            write_impatiently(target, write)
    with account_scope(run.account_id):
        write(target)


def write_impatiently(target: Target, write: Callable[[Target], object]) -> None:
    with account_scope(target.account_id), db.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '200ms'")
        write(target)


def test_somebody_who_opts_out_here_while_a_sync_brings_the_same_opt_out_locks_nothing_that_it_needs(
    committed: None,
) -> None:
    alice = make_member()
    lead = make_lead(alice.account)

    def press() -> None:
        try:
            with account_scope(alice.account_id):
                opt_out(lead=lead, member=alice)
        finally:
            db.close()

    with ThreadPoolExecutor(1) as person, another_sync(alice.account_id) as sync:
        number = [alice.account_id, lead.phone]
        sync.execute(
            "INSERT INTO suppressions (account_id, phone, reason, source) VALUES (%s, %s, 'crm_flag', '')", number
        )
        pressed = person.submit(press)
        await_somebody_who_waits()
        sync.execute("UPDATE leads SET opted_out = true WHERE account_id = %s AND id = %s", [alice.account_id, lead.pk])
        sync.commit()
        pressed.result(60)
    with account_scope(alice.account_id):
        assert Lead.objects.get(pk=lead.pk).opted_out
        assert Suppression.objects.count() == 1
