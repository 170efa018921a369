"""Runs that somebody undoes, behind the same wall as everything else; and changes that belong to an undo."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

from leadloom.accounts.rls import let_read, protect


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_token_scopes"), ("connections", "0005_counts"), ("leads", "0006_unread")]

    operations = [
        migrations.CreateModel(
            name="Undo",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "step",
                    models.CharField(
                        choices=[("created", "Created"), ("changes", "Changes"), ("done", "Done")],
                        default="created",
                        max_length=8,
                    ),
                ),
                (
                    "at",
                    models.BigIntegerField(
                        help_text="The last lead or change of this step that was dealt with.", null=True
                    ),
                ),
                ("archived", models.IntegerField(default=0)),
                ("restored", models.IntegerField(default=0)),
                (
                    "set_back",
                    models.IntegerField(default=0, help_text="Leads whose fields are as they were before."),
                ),
                ("kept", models.IntegerField(default=0, help_text="Leads of which something stayed as it is.")),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("moved_at", models.DateTimeField(db_default=Now())),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="accounts.account"
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to="accounts.member"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.CASCADE, to="connections.run"
                    ),
                ),
                (
                    "takes_back",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="leads.undo",
                    ),
                ),
            ],
            options={
                "db_table": "undos",
                "indexes": [models.Index(fields=["account", "-id"], name="undos_latest")],
                "constraints": [
                    models.UniqueConstraint(fields=("account", "id"), name="undos_in_account"),
                    models.UniqueConstraint(
                        condition=models.Q(("step", "done"), _negated=True), fields=("run",), name="undos_one_at_work"
                    ),
                ],
            },
        ),
        protect("undos"),
        let_read("undos", name="system_reads", when="leadloom_is_system()"),
        migrations.RunSQL(
            """
            ALTER TABLE undos ADD CONSTRAINT undos_run_same_account
                FOREIGN KEY (account_id, run_id) REFERENCES sync_runs (account_id, id) ON DELETE CASCADE;
            """,
            "ALTER TABLE undos DROP CONSTRAINT undos_run_same_account;",
        ),
        migrations.AddField(
            model_name="leadchange",
            name="undo",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                to="leads.undo",
            ),
        ),
    ]
