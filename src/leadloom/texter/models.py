"""The outbox: what is to be handed over to the texting service, and a log of every attempt.

A delivery names a lead and keeps none of its details: what is sent is read from the lead at the moment of sending,
so that an opt-out or a correction made meanwhile counts.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from leadloom.accounts.models import Account, Member
from leadloom.leads.models import Lead
from leadloom.texter.gate import REASONS


class OffCode(models.TextChoices):
    MEMBER = "member"  # a person switched it off
    GONE = "gone"  # the receiver answered 410
    UNSEALABLE = "unsealable"  # the key that sealed the secret is not configured any more


class TexterSettings(models.Model):
    """One account's switch, address and keys."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True)
    is_on = models.BooleanField(default=False)
    url = models.CharField(max_length=2000, blank=True)
    sealed_secret = models.BinaryField(null=True)
    secret_made_at = models.DateTimeField(null=True)
    sealed_old_secret = models.BinaryField(null=True, help_text="Signs beside the new one until old_secret_until.")
    old_secret_until = models.DateTimeField(null=True)
    since = models.DateTimeField(null=True, help_text="Leads created from this moment on are handed over.")
    switched_at = models.DateTimeField(null=True)
    switched_by = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True)
    off_code = models.CharField(max_length=10, choices=OffCode, blank=True)

    collected_to = models.BigIntegerField(default=0, help_text="The newest lead that a collection has looked at.")
    failures = models.IntegerField(default=0, help_text="Attempts in a row at which the receiver was of no use.")
    probe_at = models.DateTimeField(null=True, help_text="Leave a failing receiver alone until then.")

    @property
    def seal_context(self) -> str:
        """Binds the sealed secret to this account."""
        return f"texter:{self.account_id}"

    class Meta:
        db_table = "texter_settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(is_on=False) | (~Q(url="") & Q(sealed_secret__isnull=False) & Q(since__isnull=False)),
                name="texter_settings_complete_when_on",
            ),
        ]


class Event(models.TextChoices):
    LEAD_CREATED = "lead.created"
    TEST = "test"


class DeliveryState(models.TextChoices):
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"  # given up; a person may try again
    HELD = "held"  # the lead may not be texted any more


class Delivery(models.Model):
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, null=True, db_index=False, db_constraint=False)
    event = models.CharField(max_length=20, choices=Event)
    webhook_id = models.CharField(max_length=40, unique=True, help_text="The same at every attempt.")
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.QUEUED)
    reason = models.CharField(max_length=20, blank=True, help_text="Why it is held: a code of gate.py.")
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_token = models.UUIDField(null=True, help_text="Of the worker that is sending it now.")
    lease_until = models.DateTimeField(null=True)
    last_status = models.IntegerField(null=True)
    last_error = models.CharField(max_length=300, blank=True, help_text="A sentence for the customer.")
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True, db_index=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "texter_deliveries"
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="texter_deliveries_in_account"),
            # Tests have no lead, and nulls are distinct: so this is one delivery for each lead, for ever.
            models.UniqueConstraint(fields=["account", "lead"], name="texter_deliveries_once"),
            models.CheckConstraint(
                condition=Q(event=Event.TEST) | Q(lead__isnull=False), name="texter_deliveries_of_a_lead"
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "next_attempt_at"],
                condition=Q(state=DeliveryState.QUEUED),
                name="texter_deliveries_due",
            ),
            models.Index(
                fields=["account", "-ended_at", "-id"],
                condition=~Q(state=DeliveryState.QUEUED),
                name="texter_deliveries_latest",
            ),
        ]

    @property
    def held_because(self) -> str:
        """The sentence for the reason it is held."""
        return REASONS[self.reason].sentence if self.reason in REASONS else ""


class DeliveryAttempt(models.Model):
    """One request and what came of it. Keeps nothing personal: the excerpt is masked before it is stored."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="log", db_index=False, db_constraint=False
    )
    at = models.DateTimeField(db_default=Now())
    status = models.IntegerField(null=True, help_text="Null when no reply came.")
    ms = models.IntegerField()
    reply = models.CharField(max_length=200, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "texter_attempts"
        indexes = [
            models.Index(fields=["account", "delivery", "-id"], name="texter_attempts_of_delivery"),
            models.Index(fields=["account", "at"], name="texter_attempts_old"),
        ]
