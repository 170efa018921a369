"""Passes over everybody: when the last one was, and one that waits for a person's word."""

from django.db import migrations, models

SPREAD = """
ALTER TABLE crm_connections ADD COLUMN sweep_due_at timestamptz DEFAULT now() + random() * interval '7 days';
ALTER TABLE crm_connections ALTER COLUMN sweep_due_at DROP DEFAULT;
"""
"""Connections that are there already do not all become due in the same hour."""


SURVIVED = (
    "The column takes nothing: the version before inserts connections without it, and they are swept when it says so."
)


class Migration(migrations.Migration):
    dependencies = [("connections", "0003_find_by_nango_id")]

    operations = [
        migrations.RunSQL(
            SPREAD,
            "ALTER TABLE crm_connections DROP COLUMN sweep_due_at;",
            state_operations=[
                migrations.AddField(
                    model_name="connection",
                    name="sweep_due_at",
                    field=models.DateTimeField(null=True, help_text="Set once a first pass has completed."),
                )
            ],
        ),
        migrations.AddField(
            model_name="connection",
            name="swept_at",
            field=models.DateTimeField(null=True, help_text="When a pass over everybody last completed."),
        ),
        migrations.AddField(
            model_name="connection",
            name="held_run_id",
            field=models.BigIntegerField(
                null=True, help_text="The pass over everybody whose absentees wait for a person's word."
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="absent",
            field=models.IntegerField(
                db_default=0, help_text="Contacts that a pass over everybody did not meet: too many to mark unasked."
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="is_confirmed",
            field=models.BooleanField(
                db_default=False, help_text="A person said that whomever it does not meet has left, however many."
            ),
        ),
    ]
