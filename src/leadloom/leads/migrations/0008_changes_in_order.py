"""Finds what a run or an undo changed, the last change first, among millions of changes."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("leads", "0007_undos")]

    operations = [
        # What an attempt leaves that had to give up: indexes that no query uses.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS lead_changes_by_run", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="leadchange",
            index=models.Index(
                condition=models.Q(("run__isnull", False)), fields=["account", "run", "-id"], name="lead_changes_by_run"
            ),
        ),
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS lead_changes_by_undo", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="leadchange",
            index=models.Index(
                condition=models.Q(("undo__isnull", False)),
                fields=["account", "undo", "-id"],
                name="lead_changes_by_undo",
            ),
        ),
        RemoveIndexConcurrently(model_name="leadchange", name="lead_changes_of_run"),
    ]
