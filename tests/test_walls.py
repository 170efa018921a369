"""The second wall between accounts, checked from the catalogue so that a new table is covered when it is born."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

# Sign-in, sessions, pace, queue and framework tables: no account's rows, ids and keys at most.
OUTSIDE = {"pace_buckets", "users", "users_groups", "users_user_permissions"}
FRAMEWORK = ("django_", "auth_", "procrastinate_")


def account_tables() -> list[tuple[str, bool, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname
            """
        )
        return [row for row in cursor.fetchall() if row[0] not in OUTSIDE and not row[0].startswith(FRAMEWORK)]


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


def test_a_stranger_without_a_scope_sees_nothing() -> None:
    for name, _, _ in account_tables():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {name}")
            assert cursor.fetchone() == (0,), name
