"""Row-level security, references that cannot leave their account, and the tick's view of what is due."""

from django.db import migrations

from leadloom.accounts.rls import let_read, protect


def same_account(table: str, column: str, target: str) -> migrations.RunSQL:
    name = f"{table}_{column}_same_account"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ADD CONSTRAINT {name}
            FOREIGN KEY (account_id, {column}) REFERENCES {target} (account_id, id) ON DELETE CASCADE;
        """,
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )


class Migration(migrations.Migration):
    dependencies = [("texter", "0001_initial"), ("leads", "0002_walls"), ("accounts", "0002_walls")]

    operations = [
        protect("texter_settings"),
        protect("texter_deliveries"),
        protect("texter_attempts"),
        same_account("texter_deliveries", "lead_id", "leads"),
        same_account("texter_attempts", "delivery_id", "texter_deliveries"),
        let_read("texter_settings", name="system_reads", when="leadloom_is_system()"),
        let_read("texter_deliveries", name="system_reads", when="leadloom_is_system()"),
    ]
