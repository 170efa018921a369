"""The outbox of AI Texter."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0002_walls"),
        ("leads", "0002_walls"),
    ]

    operations = [
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "event",
                    models.CharField(choices=[("lead.created", "Lead Created"), ("test", "Test")], max_length=20),
                ),
                ("webhook_id", models.CharField(help_text="The same at every attempt.", max_length=40, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("queued", "Queued"), ("sent", "Sent"), ("failed", "Failed"), ("held", "Held")],
                        default="queued",
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(blank=True, help_text="Why it is held: a code of gate.py.", max_length=20)),
                ("attempts", models.IntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("lease_token", models.UUIDField(help_text="Of the worker that is sending it now.", null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("last_status", models.IntegerField(null=True)),
                ("last_error", models.CharField(blank=True, help_text="A sentence for the customer.", max_length=300)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="accounts.account"
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to="accounts.member"
                    ),
                ),
                (
                    "lead",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="leads.lead",
                    ),
                ),
            ],
            options={
                "db_table": "texter_deliveries",
            },
        ),
        migrations.CreateModel(
            name="DeliveryAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("status", models.IntegerField(help_text="Null when no reply came.", null=True)),
                ("ms", models.IntegerField()),
                ("reply", models.CharField(blank=True, max_length=200)),
                ("error", models.CharField(blank=True, max_length=300)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="accounts.account"
                    ),
                ),
                (
                    "delivery",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log",
                        to="texter.delivery",
                    ),
                ),
            ],
            options={
                "db_table": "texter_attempts",
            },
        ),
        migrations.CreateModel(
            name="TexterSettings",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="accounts.account",
                    ),
                ),
                ("is_on", models.BooleanField(default=False)),
                ("url", models.CharField(blank=True, max_length=2000)),
                ("sealed_secret", models.BinaryField(null=True)),
                ("secret_made_at", models.DateTimeField(null=True)),
                (
                    "sealed_old_secret",
                    models.BinaryField(help_text="Signs beside the new one until old_secret_until.", null=True),
                ),
                ("old_secret_until", models.DateTimeField(null=True)),
                (
                    "since",
                    models.DateTimeField(help_text="Leads created from this moment on are handed over.", null=True),
                ),
                ("switched_at", models.DateTimeField(null=True)),
                (
                    "off_code",
                    models.CharField(
                        blank=True,
                        choices=[("member", "Member"), ("gone", "Gone"), ("unsealable", "Unsealable")],
                        max_length=10,
                    ),
                ),
                (
                    "collected_to",
                    models.BigIntegerField(default=0, help_text="The newest lead that a collection has looked at."),
                ),
                (
                    "failures",
                    models.IntegerField(default=0, help_text="Attempts in a row at which the receiver was of no use."),
                ),
                ("probe_at", models.DateTimeField(help_text="Leave a failing receiver alone until then.", null=True)),
                (
                    "switched_by",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to="accounts.member"),
                ),
            ],
            options={
                "db_table": "texter_settings",
            },
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "queued")),
                fields=["account", "next_attempt_at"],
                name="texter_deliveries_due",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "queued"), _negated=True),
                fields=["account", "-ended_at", "-id"],
                name="texter_deliveries_latest",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(fields=("account", "id"), name="texter_deliveries_in_account"),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(fields=("account", "lead"), name="texter_deliveries_once"),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(("event", "test"), ("lead__isnull", False), _connector="OR"),
                name="texter_deliveries_of_a_lead",
            ),
        ),
        migrations.AddIndex(
            model_name="deliveryattempt",
            index=models.Index(fields=["account", "delivery", "-id"], name="texter_attempts_of_delivery"),
        ),
        migrations.AddIndex(
            model_name="deliveryattempt",
            index=models.Index(fields=["account", "at"], name="texter_attempts_old"),
        ),
        migrations.AddConstraint(
            model_name="textersettings",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("is_on", False),
                    models.Q(
                        models.Q(("url", ""), _negated=True), ("sealed_secret__isnull", False), ("since__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="texter_settings_complete_when_on",
            ),
        ),
    ]
