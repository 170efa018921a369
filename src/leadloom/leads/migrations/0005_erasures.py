"""Marks of people who were erased on request, behind the same wall as everything else."""

import django.db.models.deletion
from django.db import migrations, models

from leadloom.accounts.rls import protect


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_token_scopes"), ("leads", "0004_every_account_alike")]

    operations = [
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mark", models.BinaryField(max_length=32)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="accounts.account"
                    ),
                ),
            ],
            options={
                "db_table": "erasures",
                "constraints": [models.UniqueConstraint(fields=("account", "mark"), name="erasures_once")],
            },
        ),
        protect("erasures"),
    ]
