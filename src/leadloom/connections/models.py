"""A connection is one account's link to one CRM; a run is one sync pass over it.

The run row is the truth: what was asked for, how far it came, what it counted, who works on it. Jobs only ring.
"""

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from leadloom.accounts.models import Account, Member


class Method(models.TextChoices):
    NANGO = "nango"
    OAUTH = "oauth"
    TOKEN = "token"  # noqa: S105 - a way to sign in, not a secret
    SANDBOX = "sandbox"


class State(models.TextChoices):
    """What the connection card shows in one word."""

    CONNECTING = "connecting"
    IMPORTING = "importing"
    LIVE = "live"
    CATCHING_UP = "catching_up"
    PAUSED = "paused"
    WAITING_QUOTA = "waiting_quota"
    NEEDS_RECONNECT = "needs_reconnect"
    STUCK = "stuck"
    DISCONNECTED = "disconnected"


class Connection(models.Model):
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    provider = models.CharField(max_length=40, help_text="The provider's slug.")
    method = models.CharField(max_length=10, choices=Method)
    nango_connection_id = models.CharField(max_length=255, blank=True)
    provider_config_key = models.CharField(max_length=255, blank=True)
    base_url = models.CharField(max_length=500, blank=True, help_text="Another host, set by the operator alone.")
    external_account_id = models.CharField(max_length=200)
    external_account_name = models.CharField(max_length=200, blank=True)
    facts = models.JSONField(default=dict, help_text="What the provider told of the account: domain, time zone.")
    sealed_credentials = models.BinaryField(null=True, help_text="Direct methods only.")

    state = models.CharField(max_length=20, choices=State, default=State.CONNECTING)
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True, help_text="Why it is in this state, as a sentence for the customer.")
    is_active = models.BooleanField(default=True)

    bookmark = models.TextField(null=True, help_text="Where the next pass starts; null until one has completed.")
    settings = models.JSONField(default=dict)
    tables = models.JSONField(default=dict, help_text="Owners and labels as last read.")
    tables_read_at = models.DateTimeField(null=True)
    gone_checked_at = models.DateTimeField(null=True)
    swept_at = models.DateTimeField(null=True, help_text="When a pass over everybody last completed.")
    sweep_due_at = models.DateTimeField(null=True, help_text="Set once a first pass has completed.")
    held_run_id = models.BigIntegerField(
        null=True, help_text="The pass over everybody whose absentees wait for a person's word."
    )
    counted_at = models.DateTimeField(null=True, help_text="When the CRM was last asked how many contacts it has.")
    counted_crm = models.IntegerField(null=True, help_text="What it told; null when that proves nothing.")
    counted_ours = models.IntegerField(null=True, help_text="How many we accounted for at that moment.")
    differs_since = models.DateTimeField(null=True, help_text="When the two were first seen to differ by so many.")
    clock_skew_ms = models.IntegerField(default=0, help_text="The vendor's clock minus ours.")
    released_at = models.DateTimeField(null=True, help_text="When a member released the first import to the texter.")

    last_change_at = models.DateTimeField(null=True, help_text="When a pass last found something new.")
    last_synced_at = models.DateTimeField(null=True, help_text="When a pass last completed.")
    next_due_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    disconnected_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "crm_connections"
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="crm_connections_in_account"),
            models.UniqueConstraint(
                fields=["account", "provider", "external_account_id"],
                condition=Q(is_active=True),
                name="crm_connections_one_active",
            ),
        ]
        indexes = [
            models.Index(fields=["next_due_at"], condition=Q(is_active=True), name="crm_connections_due"),
            models.Index(
                fields=["nango_connection_id"], condition=~Q(nango_connection_id=""), name="crm_connections_at_nango"
            ),
        ]

    @property
    def difference(self) -> int:
        """How many contacts more the CRM told of than we accounted for; below zero: how many fewer."""
        return 0 if self.counted_crm is None or self.counted_ours is None else self.counted_crm - self.counted_ours


class Trigger(models.TextChoices):
    CONNECT = "connect"
    MANUAL = "manual"
    CRON = "cron"
    WEBHOOK = "webhook"
    SWEEP = "sweep"


class Strategy(models.TextChoices):
    APPEND = "append"
    OVERWRITE = "overwrite"
    PREVIEW = "preview"


class RunState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"  # for the CRM, until resume_at
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"  # by a person, or by a disconnect


ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)

LEASE = timedelta(seconds=15)
"""How long a silent worker keeps a run. Renewed every few seconds; after it another worker takes over."""


class Run(models.Model):
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE)
    trigger = models.CharField(max_length=10, choices=Trigger)
    strategy = models.CharField(max_length=10, choices=Strategy, default=Strategy.APPEND)
    requested_by = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True)
    state = models.CharField(max_length=10, choices=RunState, default=RunState.QUEUED)

    is_first = models.BooleanField(default=False, help_text="Reads everything: no pass has completed before it.")
    feed = models.CharField(
        max_length=20, blank=True, help_text="Which way through the contacts: everything, changes, gone."
    )
    cursor = models.JSONField(null=True, help_text="Where to go on; saved with the rows before it.")
    next_bookmark = models.TextField(null=True, help_text="The connection's bookmark once the run has completed.")

    total = models.IntegerField(null=True, help_text="How many the CRM says there are.")
    seen = models.IntegerField(default=0)
    created = models.IntegerField(default=0)
    updated = models.IntegerField(default=0)
    unchanged = models.IntegerField(default=0)
    linked = models.IntegerField(default=0)
    skipped = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    gone = models.IntegerField(default=0)
    pages = models.IntegerField(default=0)
    requests = models.IntegerField(default=0)
    waited_s = models.FloatField(default=0)
    retries = models.IntegerField(default=0, help_text="Failures in a row; progress sets it back.")
    absent = models.IntegerField(
        db_default=0, help_text="Contacts that a pass over everybody did not meet: too many to mark unasked."
    )
    is_confirmed = models.BooleanField(
        db_default=False, help_text="A person said that whomever it does not meet has left, however many."
    )
    changes = models.JSONField(null=True, help_text="A preview's result: exact counts and a sample of differences.")

    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    first_lead_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    resume_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    error_code = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True, help_text="A sentence for the customer.")
    error_detail = models.TextField(blank=True, help_text="For us: statuses and ids, nothing personal.")

    class Meta:
        db_table = "sync_runs"
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="sync_runs_in_account"),
            models.UniqueConstraint(fields=["connection"], condition=Q(state__in=ACTIVE), name="sync_runs_one_active"),
            models.CheckConstraint(
                condition=Q(
                    seen=models.F("created")
                    + models.F("updated")
                    + models.F("unchanged")
                    + models.F("linked")
                    + models.F("skipped")
                    + models.F("failed")
                ),
                name="sync_runs_all_accounted_for",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="sync_runs_latest"),
            models.Index(fields=["state", "resume_at"], condition=Q(state__in=ACTIVE), name="sync_runs_active"),
        ]

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def counters(self) -> dict[str, int]:
        """The outcome counters, in the order in which people read them."""
        names = ("seen", "created", "updated", "unchanged", "linked", "skipped", "failed", "gone")
        return {name: getattr(self, name) for name in names}
