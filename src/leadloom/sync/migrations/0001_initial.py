"""The pace buckets: keys and times, shared by all workers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="PaceBucket",
            fields=[
                ("key", models.CharField(max_length=60, primary_key=True, serialize=False)),
                ("free_at", models.DateTimeField()),
            ],
            options={"db_table": "pace_buckets"},
        ),
    ]
