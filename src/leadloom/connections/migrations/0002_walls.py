"""Row-level security, references that cannot leave their account, and the scheduler's view of what is due."""

from django.db import migrations

from leadloom.accounts.rls import let_read, protect


class Migration(migrations.Migration):
    dependencies = [("connections", "0001_initial"), ("accounts", "0002_walls")]

    operations = [
        protect("crm_connections"),
        protect("sync_runs"),
        let_read("crm_connections", name="system_reads", when="leadloom_is_system()"),
        let_read("sync_runs", name="system_reads", when="leadloom_is_system()"),
        migrations.RunSQL(
            """
            ALTER TABLE sync_runs ADD CONSTRAINT sync_runs_same_account
                FOREIGN KEY (account_id, connection_id) REFERENCES crm_connections (account_id, id) ON DELETE CASCADE;
            """,
            "ALTER TABLE sync_runs DROP CONSTRAINT sync_runs_same_account;",
        ),
    ]
