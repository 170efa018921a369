"""Row-level security for migrations: the second wall between accounts, behind ``account_scope()``.

The first wall is the application's queries; this one holds when a query forgets. Every policy is FORCEd, so that
not even the table's owner sees rows outside a scope.
"""

from django.db.migrations import RunSQL

FUNCTIONS = RunSQL(
    """
    CREATE FUNCTION leadloom_account() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
        $$ SELECT nullif(current_setting('leadloom.account_id', true), '')::bigint $$;
    CREATE FUNCTION leadloom_user() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
        $$ SELECT nullif(current_setting('leadloom.user_id', true), '')::bigint $$;
    CREATE FUNCTION leadloom_key() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
        $$ SELECT nullif(current_setting('leadloom.key_hash', true), '') $$;
    CREATE FUNCTION leadloom_is_system() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
        $$ SELECT coalesce(current_setting('leadloom.system', true), '') = 'on' $$;
    """,
    """
    DROP FUNCTION leadloom_account(); DROP FUNCTION leadloom_user();
    DROP FUNCTION leadloom_key(); DROP FUNCTION leadloom_is_system();
    """,
)


def protect(table: str, *, column: str = "account_id") -> RunSQL:
    """Only rows of the account in scope can be seen or written.

    The scope is a sub-select, which PostgreSQL asks once a statement; a bare function it asks once an index probe.
    """
    return RunSQL(
        f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
        CREATE POLICY account_only ON {table}
            USING ({column} = (SELECT leadloom_account())) WITH CHECK ({column} = (SELECT leadloom_account()));
        """,
        f"DROP POLICY account_only ON {table}; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;",
    )


def let_read(table: str, *, name: str, when: str) -> RunSQL:
    """One more way to see rows, for reading alone: your own memberships, the token you present, the scheduler's ids."""
    return RunSQL(
        f"CREATE POLICY {name} ON {table} FOR SELECT USING ({when});",
        f"DROP POLICY {name} ON {table};",
    )
