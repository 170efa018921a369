"""What PostgreSQL reads to do its work: a plan that turns bad is found here, by counting rows, never by the clock."""

import pytest
from django.db import connection as db
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.models import Account
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection
from leadloom.contact import Contact, Phone
from leadloom.leads.models import Lead
from leadloom.leads.store import Target, write_contacts

pytestmark = pytest.mark.django_db

PEOPLE, A_PAGE = 2_000, 250


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
        run = make_run(connection, state="done")
        target = Target(
            account_id=account.pk, connection_id=connection.pk, run_id=run.pk, provider="hubspot", is_first=is_first
        )
        before = rows_read()
        for start in range(0, PEOPLE, A_PAGE):
            page = [person(number, prefix, company) for number in range(start, start + A_PAGE)]
            write_contacts(target, page)
        assert Lead.objects.filter(account=account, company=company).count() == PEOPLE
        return rows_read() - before


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
