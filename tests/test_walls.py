"""The second wall between accounts, checked from the catalogue so that a new table is covered when it is born."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection
from django.db.utils import IntegrityError, ProgrammingError
from django.utils import timezone
from tests.factories import make_connection, make_lead, make_member, make_run

from leadloom.accounts.models import ApiToken, AuditEntry, Invitation, Member
from leadloom.accounts.scope import account_scope, system_scope
from leadloom.accounts.services import audit
from leadloom.accounts.tokens import issue_token
from leadloom.connections.models import Connection, Run
from leadloom.leads.models import (
    Direction,
    Erasure,
    Lead,
    LeadChange,
    Message,
    Outcome,
    RunContact,
    SourceContact,
    Suppression,
    Undo,
    UndoStep,
)
from leadloom.texter.models import Delivery, DeliveryAttempt, Event, TexterSettings

pytestmark = pytest.mark.django_db

# Sign-in, sessions, pace, queue and framework tables: no account's rows, ids and keyed hashes at most.
OUTSIDE = {"users", "users_groups", "users_user_permissions", "sign_in_attempts", "pace_buckets"}
FRAMEWORK = ("django_", "auth_", "procrastinate_")


@dataclass
class Seeded:
    """One account with one row of everything."""

    member: Member
    connection: Connection
    run: Run
    lead: Lead


# Beside what Seeded itself makes. A new account table needs a line here.
SEEDS: dict[str, Callable[[Seeded], object]] = {
    "api_tokens": lambda of: issue_token(account=of.member.account, member=of.member, name="Zapier"),
    "audit_log": lambda of: audit(of.member.account, of.member.user, "test.seeded"),
    "erasures": lambda of: Erasure.objects.create(account=of.member.account, mark=b"a mark"),
    "invitations": lambda of: Invitation.objects.create(
        account=of.member.account,
        email="dora@example.com",
        token_hash=f"{of.member.pk:064}",
        expires_at=timezone.now() + timedelta(days=1),
    ),
    "lead_changes": lambda of: LeadChange.objects.create(
        account=of.member.account, lead=of.lead, run=of.run, before={}, after={"name": "Ann"}
    ),
    "messages": lambda of: Message.objects.create(
        account=of.member.account, lead=of.lead, direction=Direction.IN, body="Hello"
    ),
    "run_contacts": lambda of: RunContact.objects.create(account=of.member.account, run=of.run, external_id="1"),
    "source_contacts": lambda of: SourceContact.objects.create(
        account=of.member.account,
        connection=of.connection,
        external_id="1",
        lead=of.lead,
        outcome=Outcome.CREATED,
    ),
    "suppressions": lambda of: Suppression.objects.create(
        account=of.member.account, phone="+14155550199", reason="member"
    ),
    "undos": lambda of: Undo.objects.create(account=of.member.account, run=of.run, step=UndoStep.DONE),
    "texter_attempts": lambda of: DeliveryAttempt.objects.create(
        account=of.member.account, delivery=_delivery(of, "a"), ms=12
    ),
    "texter_deliveries": lambda of: _delivery(of, "d"),
    "texter_settings": lambda of: TexterSettings.objects.create(account=of.member.account),
}


def _delivery(of: Seeded, name: str) -> Delivery:
    return Delivery.objects.create(account=of.member.account, event=Event.TEST, webhook_id=f"msg_{name}{of.member.pk}")


def seed(email: str, account_name: str) -> Seeded:
    """At least one row in every account table."""
    member = make_member(email, account_name)
    crm = make_connection(member.account)
    of = Seeded(member, crm, make_run(crm), make_lead(member.account))
    with account_scope(member.account_id):
        for write in SEEDS.values():
            write(of)
    return of


def account_tables() -> list[tuple[str, bool, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname
            """
        )
        return [row for row in cursor.fetchall() if row[0] not in OUTSIDE and not row[0].startswith(FRAMEWORK)]


def rows(table: str, *, of_account: int | None = None) -> int:
    column = "id" if table == "accounts" else "account_id"
    condition = "" if of_account is None else f"WHERE {column} = {of_account}"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} {condition}")
        return int(cursor.fetchone()[0])


def test_the_application_is_neither_superuser_nor_owner_of_any_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False)
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user")
        assert cursor.fetchone() == (0,)


def test_every_account_table_forces_row_level_security() -> None:
    tables = account_tables()
    assert len(tables) >= 13
    assert [name for name, enabled, forced in tables if not (enabled and forced)] == []


# Beside the wall itself: ways to read a few rows from a narrower scope. A new one needs a line here.
OWN_ACCOUNTS = "(id IN ( SELECT members.account_id FROM members WHERE (members.user_id = leadloom_user())))"
MAY_READ = {
    ("accounts", "own_accounts", OWN_ACCOUNTS),
    ("accounts", "system_reads", "leadloom_is_system()"),
    ("api_tokens", "presented", "((token_hash)::text = leadloom_key())"),
    ("crm_connections", "system_reads", "leadloom_is_system()"),
    ("invitations", "presented", "((token_hash)::text = leadloom_key())"),
    ("members", "own_memberships", "(user_id = leadloom_user())"),
    ("undos", "system_reads", "leadloom_is_system()"),
    ("sync_runs", "system_reads", "leadloom_is_system()"),
    ("texter_deliveries", "system_reads", "leadloom_is_system()"),
    ("texter_settings", "system_reads", "leadloom_is_system()"),
}  # fmt: skip


def test_no_table_outside_the_walls_says_whose_its_rows_are() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT table_name FROM information_schema.columns
            WHERE table_schema = 'public' AND column_name = 'account_id'
            """
        )
        assert {name for (name,) in cursor} <= {name for name, _, _ in account_tables()}


def policies() -> set[tuple[str, str, str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT tablename, policyname, cmd, coalesce(qual, ''), coalesce(with_check, '')
            FROM pg_policies WHERE schemaname = 'public'
            """
        )
        return {
            (table, name, cmd, " ".join(sees.split()), " ".join(may.split())) for table, name, cmd, sees, may in cursor
        }


def test_every_wall_lets_through_the_account_in_scope_and_nothing_else() -> None:
    """Policies add up: one that is wider opens what all others shut."""
    for table, _, _ in account_tables():
        column = "id" if table == "accounts" else "account_id"
        own = f"({column} = ( SELECT leadloom_account() AS leadloom_account))"
        found = {(name, *rest) for of, name, *rest in policies() if of == table}
        narrower = {(name, "SELECT", when, "") for of, name, when in MAY_READ if of == table}
        assert found == {("account_only", "ALL", own, own)} | narrower, table


def test_charlie_can_put_no_row_of_any_table_into_alices_account() -> None:
    alice = seed("alice@example.com", "Acme").member
    charlie = seed("charlie@example.com", "Charlie's").member
    for table, _, _ in account_tables():
        column = "id" if table == "accounts" else "account_id"
        grab = f"UPDATE {table} SET {column} = {alice.account_id}"
        with (
            pytest.raises(ProgrammingError, match=r"row-level security|permission denied for table audit_log"),
            account_scope(charlie.account_id),
            connection.cursor() as cursor,
        ):
            cursor.execute(grab)


def test_there_is_no_other_way_to_rows_than_by_tables_with_walls() -> None:
    """Views and copies have walls of their own or none; a function of its owner's rights sees what the owner sees."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('r', 'p', 'i', 'I', 'S', 'c', 't')
            """
        )
        assert cursor.fetchall() == []
        cursor.execute(
            """
            SELECT proname, array_to_string(proconfig, ',') FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace AND prosecdef
            """
        )
        assert cursor.fetchall() == [("leadloom_analyze_leads", "search_path=public")], "which answers nothing"


def test_every_account_table_is_seeded_below() -> None:
    made_by_seeded = {"accounts", "members", "crm_connections", "sync_runs", "leads"}
    assert {name for name, _, _ in account_tables()} == made_by_seeded | set(SEEDS)


def test_a_stranger_without_a_scope_sees_nothing() -> None:
    seed("alice@example.com", "Acme")
    seed("charlie@example.com", "Charlie's")
    assert {name: rows(name) for name, _, _ in account_tables() if rows(name)} == {}


def test_charlies_scope_sees_his_own_rows_and_none_of_alices() -> None:
    alice = seed("alice@example.com", "Acme").member
    charlie = seed("charlie@example.com", "Charlie's").member
    with account_scope(charlie.account_id):
        for name, _, _ in account_tables():
            assert rows(name, of_account=charlie.account_id) >= 1, name
            assert rows(name, of_account=alice.account_id) == 0, name
            assert rows(name) == rows(name, of_account=charlie.account_id), name


def test_charlie_can_neither_change_nor_take_alices_rows() -> None:
    alice = seed("alice@example.com", "Acme")
    charlie = seed("charlie@example.com", "Charlie's")
    with account_scope(charlie.member.account_id):
        assert Lead.objects.filter(pk=alice.lead.pk).update(name="Mine") == 0
        assert ApiToken.objects.filter(account=alice.member.account).update(name="Mine") == 0
        assert Message.objects.filter(account=alice.member.account).delete()[0] == 0
    with account_scope(alice.member.account_id):
        assert Lead.objects.get(pk=alice.lead.pk).name == alice.lead.name


def test_charlie_cannot_write_rows_into_alices_account() -> None:
    alice = seed("alice@example.com", "Acme").member
    charlie = seed("charlie@example.com", "Charlie's").member
    with pytest.raises(ProgrammingError, match="row-level security"), account_scope(charlie.account_id):
        Lead.objects.create(account=alice.account, name="Planted", phone="+14155550111")


def test_a_row_cannot_point_into_another_account() -> None:
    """Foreign keys ignore row-level security, so those of the hot tables carry the account in the key."""
    alice = seed("alice@example.com", "Acme")
    charlie = seed("charlie@example.com", "Charlie's").member
    with pytest.raises(IntegrityError, match="same_account"), account_scope(charlie.account_id):
        Message.objects.create(account=charlie.account, lead_id=alice.lead.pk, direction=Direction.IN, body="Hi")


def test_a_source_contact_cannot_point_to_a_lead_or_connection_of_another_account_nor_to_none() -> None:
    alice = seed("alice@example.com", "Acme")
    charlie = seed("charlie@example.com", "Charlie's")
    with account_scope(alice.member.account_id):
        hers = Connection.objects.get()
    with account_scope(charlie.member.account_id):
        his = Connection.objects.get()
    for strange in ({"lead_id": alice.lead.pk}, {"lead_id": 10**9}, {"connection_id": hers.pk}):
        told = {"account_id": charlie.member.account_id, "connection_id": his.pk, "external_id": "new", **strange}
        with pytest.raises(IntegrityError, match="same_account"), account_scope(charlie.member.account_id):
            SourceContact.objects.create(**told)
        if "connection_id" in strange:
            continue
        with pytest.raises(IntegrityError, match="same_account"), account_scope(charlie.member.account_id):
            SourceContact.objects.filter(connection=his).update(**strange)


def test_source_contacts_outlive_their_lead_and_go_with_their_connection() -> None:
    seeded = seed("alice@example.com", "Acme")
    account = seeded.member.account_id
    with account_scope(account):
        mine = SourceContact.objects.get()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM leads WHERE account_id = %s AND id = %s", [account, mine.lead_id])
            assert SourceContact.objects.get().lead_id is None
            cursor.execute("DELETE FROM run_contacts WHERE account_id = %s", [account])
            cursor.execute("DELETE FROM crm_connections WHERE account_id = %s", [account])
        assert not SourceContact.objects.exists()


def test_an_account_with_leads_cannot_be_deleted_and_leads_need_an_account() -> None:
    seeded = seed("alice@example.com", "Acme")
    account = seeded.member.account_id
    with pytest.raises(IntegrityError, match="leads_of_an_account"), account_scope(account), connection.cursor() as db:
        db.execute("DELETE FROM accounts WHERE id = %s", [account])
    with pytest.raises(IntegrityError, match="leads_of_an_account"), account_scope(10**9):
        Lead.objects.create(account_id=10**9, name="Of nobody")


def test_the_scheduler_reads_what_is_due_and_nobodys_leads() -> None:
    seed("alice@example.com", "Acme")
    with system_scope():
        seen = {name for name, _, _ in account_tables() if rows(name)}
        assert Connection.objects.update(reason="Written by the scheduler") == 0
    assert not seen & {"leads", "source_contacts", "messages", "members", "api_tokens", "invitations", "audit_log"}
    assert {"accounts", "crm_connections", "sync_runs"} <= seen


def test_the_audit_log_can_only_grow() -> None:
    alice = seed("alice@example.com", "Acme").member
    with pytest.raises(ProgrammingError, match="permission denied"), account_scope(alice.account_id):
        AuditEntry.objects.filter(account=alice.account).delete()
    with pytest.raises(ProgrammingError, match="permission denied"), account_scope(alice.account_id):
        AuditEntry.objects.filter(account=alice.account).update(action="nothing.happened")
