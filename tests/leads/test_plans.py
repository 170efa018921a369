"""What PostgreSQL reads to do its work: a plan that turns bad is found here, by counting rows, never by the clock."""

import pytest
from django.db import connection as db
from msgspec.structs import replace
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.models import Account
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection
from leadloom.contact import Contact, Phone
from leadloom.leads.models import Lead
from leadloom.leads.queries import threads_page
from leadloom.leads.store import Target, write_contacts, write_gone, write_merges
from leadloom.providers.base import Gone, Merge

pytestmark = pytest.mark.django_db

PEOPLE, A_PAGE = 2_000, 250
A_FEW_EACH = 50 * 20 + PEOPLE  # of a small table PostgreSQL may read the account once; never once for each contact


def person(number: int, prefix: str, company: str = "") -> Contact:
    phone = f"{prefix}{number:07}"
    return Contact(
        external_id=str(number),
        name=f"Person {number}",
        phones=(Phone(text=phone, label="phone", e164=phone),),
        emails=(f"p{number}@example.com",),
        company=company,
    )


def sync(account: Account, prefix: str, *, company: str = "", is_first: bool = False) -> int:
    """How many rows of leads and source contacts were read for it."""
    with account_scope(account.pk):
        connection = Connection.objects.filter(account=account).first() or make_connection(account)
        target = target_of(connection, is_first=is_first)
        before = rows_read()
        for start in range(0, PEOPLE, A_PAGE):
            page = [person(number, prefix, company) for number in range(start, start + A_PAGE)]
            write_contacts(target, page)
        assert Lead.objects.filter(account=account, company=company).count() == PEOPLE
        return rows_read() - before


def target_of(connection: Connection, *, is_first: bool = False) -> Target:
    run = make_run(connection, state="done")
    return Target(
        account_id=connection.account_id, connection_id=connection.pk, run_id=run.pk, provider="hubspot",
        is_first=is_first,
    )  # fmt: skip


def rows_read() -> int:
    with db.cursor() as cursor:
        cursor.execute("""
            SELECT sum(seq_tup_read + idx_tup_fetch)::int FROM pg_stat_xact_user_tables
            WHERE relname IN ('leads', 'source_contacts')
        """)
        [(read,)] = cursor.fetchall()
    return int(read)


@pytest.fixture
def newcomer() -> Account:
    """An account of which the planner has never heard, beside one that it knows well."""
    sync(make_member().account, "+1415", is_first=True)
    with db.cursor() as cursor:
        cursor.execute("SELECT leadloom_analyze_leads()")
    return make_member().account


def test_a_second_account_reads_a_few_rows_a_contact_like_the_first(newcomer: Account) -> None:
    assert sync(newcomer, "+1212", is_first=True) < 20 * PEOPLE
    assert sync(newcomer, "+1212") < 20 * PEOPLE, "nothing changed"
    assert sync(newcomer, "+1212", company="Acme") < 40 * PEOPLE, "all changed"


def test_merges_and_deletions_read_a_few_rows_each_however_many_contacts_there_are(newcomer: Account) -> None:
    """Ten merges among 50,000 contacts once took more than ten minutes."""
    sync(newcomer, "+1212", is_first=True)
    with account_scope(newcomer.pk):
        target = target_of(Connection.objects.get(account=newcomer))
        before = rows_read()
        write_merges(target, [Merge(str(number), str(number + 100)) for number in range(50)])
        assert rows_read() - before < A_FEW_EACH
        before = rows_read()
        assert write_gone(target, [Gone(str(number)) for number in range(200, 250)]) == 50
        assert rows_read() - before < A_FEW_EACH


def test_a_contact_that_took_others_in_is_found_by_their_ids_alone(newcomer: Account) -> None:
    sync(newcomer, "+1212", is_first=True)
    page = [
        replace(person(10_000 + number, "+1212"), phones=(), emails=(), merged_ids=(str(number), str(number + 500)))
        for number in range(A_PAGE)
    ]
    with account_scope(newcomer.pk):
        target = target_of(Connection.objects.get(account=newcomer))
        before = rows_read()
        write_contacts(target, page)
        assert rows_read() - before < 40 * A_PAGE
        assert Lead.objects.filter(account=newcomer).count() == PEOPLE


def test_postgresql_may_look_for_somebody_rare_with_several_workers_and_only_then(newcomer: Account) -> None:
    """That it does so among many rows, and what it saves, is for ``bench/pages.py`` to show."""
    names = ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_index_scan_size")
    with account_scope(newcomer.pk):
        threads_page(newcomer)
        usual = [setting(name) for name in names]
        threads_page(newcomer, search="nobody")
        assert [setting(name) for name in names] == ["0", "0", "0"] != usual
        assert [setting(name, of="reset_val") for name in names][:2] == usual[:2], "the session keeps its own"


def setting(name: str, of: str = "setting") -> str:
    with db.cursor() as cursor:
        cursor.execute(f"SELECT {of} FROM pg_settings WHERE name = %s", [name])
        [(value,)] = cursor.fetchall()
    return str(value)
