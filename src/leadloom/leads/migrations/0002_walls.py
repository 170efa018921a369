"""Row-level security, and references that cannot leave their account."""

from django.db import migrations

from leadloom.accounts.rls import protect

TABLES = ("leads", "source_contacts", "lead_changes", "messages", "suppressions", "run_contacts")


def same_account(table: str, column: str, target: str, on_delete: str) -> migrations.RunSQL:
    name = f"{table}_{column}_same_account"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ADD CONSTRAINT {name}
            FOREIGN KEY (account_id, {column}) REFERENCES {target} (account_id, id) ON DELETE {on_delete};
        """,
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )


# The planner's picture of a table that grew from nothing a moment ago is of an empty table. The application may
# not ANALYZE what it does not own, except through this door.
ANALYZE = migrations.RunSQL(
    """
    CREATE FUNCTION leadloom_analyze_leads() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS
        $$ BEGIN ANALYZE leads; ANALYZE source_contacts; END $$;
    """,
    "DROP FUNCTION leadloom_analyze_leads();",
)


class Migration(migrations.Migration):
    dependencies = [("leads", "0001_initial"), ("connections", "0002_walls"), ("accounts", "0002_walls")]

    operations = [
        *[protect(table) for table in TABLES],
        same_account("source_contacts", "connection_id", "crm_connections", "CASCADE"),
        same_account("source_contacts", "lead_id", "leads", "SET NULL (lead_id)"),
        same_account("lead_changes", "lead_id", "leads", "CASCADE"),
        same_account("messages", "lead_id", "leads", "CASCADE"),
        ANALYZE,
    ]
