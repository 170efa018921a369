"""Nango's webhooks name a connection by its id there: find it without reading every connection."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("connections", "0002_walls")]

    operations = [
        migrations.AddIndex(
            model_name="connection",
            index=models.Index(
                condition=~Q(nango_connection_id=""), fields=["nango_connection_id"], name="crm_connections_at_nango"
            ),
        ),
    ]
