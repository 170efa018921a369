"""Let the planner think alike of every account.

Statistics of ``account_id`` name the accounts that had many rows when the table was last analysed. Of any other account
the planner then believes that it has none, and any index that begins with the account is as good as the right one: the
second account's first import read all its own leads again for every contact, 27 times as slowly as the first's.
Without them an account is a two-hundredth of the table, and an index that also knows the number or the id is better.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

COLUMNS = {"leads": ("account_id",), "source_contacts": ("account_id", "connection_id")}
CAN_CLEAR_STATISTICS = 180_000  # PostgreSQL 18; before it, only a superuser may take them away


def forget(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001
    """Statistics that are there already would stay for ever."""
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('is_superuser')::bool")
        [(version, is_superuser)] = cursor.fetchall()
        for table, columns in COLUMNS.items():
            for column in columns:
                if version >= CAN_CLEAR_STATISTICS:
                    cursor.execute(
                        "SELECT pg_clear_attribute_stats(current_schema()::text, %s, %s, false)", [table, column]
                    )
                elif is_superuser:
                    cursor.execute(
                        """
                        DELETE FROM pg_statistic s USING pg_attribute a
                        WHERE s.starelid = %s::regclass AND a.attrelid = s.starelid AND a.attnum = s.staattnum
                          AND a.attname = %s
                        """,
                        [table, column],
                    )


class Migration(migrations.Migration):
    dependencies = [("leads", "0003_search_and_run_records")]

    operations = [
        *[
            migrations.RunSQL(
                f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0",
                f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS -1",
            )
            for table, columns in COLUMNS.items()
            for column in columns
        ],
        migrations.RunPython(forget, migrations.RunPython.noop),
    ]
