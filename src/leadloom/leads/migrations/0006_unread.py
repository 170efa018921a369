"""Finds contacts whose content counts as not read, at the end of every run, among millions that were read."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("leads", "0005_erasures")]

    operations = [
        # What an attempt leaves that had to give up: an index that no query uses.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS source_contacts_unread", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="sourcecontact",
            index=models.Index(
                condition=models.Q(
                    ("content_hash", None),
                    ("gone_at", None),
                    ("lead__isnull", False),
                    models.Q(("outcome", "failed"), _negated=True),
                ),
                fields=["account", "connection", "external_id"],
                name="source_contacts_unread",
            ),
        ),
    ]
