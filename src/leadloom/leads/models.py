"""People as we keep them (leads), and our record of each contact of each CRM (source contacts).

Rules that must hold live here as constraints; the set-based SQL that writes these tables is in ``sql/``.
Foreign keys of the hot tables are composite, ``(account_id, lead_id)``, so that no row can point into another
account; Django cannot declare those, so a migration does (``db_constraint=False`` marks them here). Those of leads to
accounts and of source contacts are triggers that look once a statement: imports write thousands of rows at once.
No index is on ``account_id`` alone: it would be no use to any query, and to the planner a tempting wrong turn.
"""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q, Value
from django.db.models.functions import Coalesce, Concat, Left, Lower, Now
from psycopg.types.json import Json

from leadloom.accounts.models import Account, Member
from leadloom.connections.models import Connection, Run

LONGEST_SEARCHED = 400  # characters: an index row has room for no more than 2,700 bytes


class TextualJSON(models.JSONField):
    """JSON kept as it came (``json``): written far more often than read, and never searched."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:  # noqa: ARG002 - Django's signature
        return "json"

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:  # noqa: ARG002
        return None if value is None else Json(value)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:  # noqa: ARG002
        return value


class LeadType(models.TextChoices):
    NEW = "new"
    OLD = "old"


class Lead(models.Model):
    """One person. ``phone`` is E.164 and unique among an account's live leads; null means they cannot be texted."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    name = models.CharField(max_length=300, blank=True)
    phone = models.CharField(max_length=20, null=True)
    email = models.CharField(max_length=320, blank=True, help_text="Lower-cased.")
    company = models.CharField(max_length=300, blank=True)
    status = models.CharField(max_length=40, default="new", help_text="Ours, not the CRM's.")
    lead_type = models.CharField(max_length=5, choices=LeadType, default=LeadType.NEW)
    opted_out = models.BooleanField(default=False, help_text="Sticky: no sync clears it.")
    pinned = models.JSONField(default=list, help_text="Fields edited by hand here; no sync overwrites them.")

    crm_source = models.CharField(
        max_length=40, blank=True, help_text="The provider whose fields flow; empty: by hand."
    )
    crm_connection = models.ForeignKey(
        Connection, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False
    )
    crm_id = models.CharField(max_length=200, blank=True, help_text="The primary contact's id in that CRM.")
    crm_url = models.CharField(max_length=500, blank=True)
    crm_owner = models.CharField(max_length=300, blank=True)
    crm_owner_email = models.CharField(max_length=320, blank=True)
    crm_status = models.CharField(max_length=300, blank=True)
    crm_stage = models.CharField(max_length=300, blank=True)
    crm_description = models.TextField(blank=True)
    crm_last_activity_at = models.DateTimeField(null=True)
    last_crm_sync_at = models.DateTimeField(null=True, help_text="When a sync last wrote something here.")

    activity_at = models.DateTimeField(db_default=Now(), help_text="What Recent Threads is ordered by.")
    searched = models.GeneratedField(
        expression=Left(
            Lower(Concat(Coalesce("phone", Value("")), Value("\n"), "name", Value("\n"), "email")), LONGEST_SEARCHED
        ),
        output_field=models.TextField(),
        db_persist=True,
        help_text="What a search looks at: number, name and e-mail, each on a line.",
    )
    last_message = models.TextField(blank=True)
    last_message_at = models.DateTimeField(null=True)
    last_message_direction = models.CharField(max_length=3, blank=True)
    contacted_at = models.DateTimeField(null=True, help_text="When we first texted them.")

    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True, db_index=False)
    created_run_id = models.BigIntegerField(null=True)
    archived_at = models.DateTimeField(null=True)
    archived_reason = models.CharField(max_length=40, blank=True)

    class Meta:
        db_table = "leads"
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="leads_in_account"),
            models.UniqueConstraint(
                fields=["account", "phone"], condition=Q(archived_at=None), name="leads_one_live_phone"
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "-activity_at", "-id"],
                include=["searched"],  # a search walks this index alone, the latest activity first
                condition=Q(archived_at=None),
                name="leads_recent",
            ),
            models.Index(
                fields=["account", "phone"], condition=Q(archived_at__isnull=False), name="leads_archived_phone"
            ),
            models.Index(
                fields=["account", "email"], condition=Q(archived_at=None) & ~Q(email=""), name="leads_by_email"
            ),
            models.Index(fields=["created_by"], condition=Q(created_by__isnull=False), name="leads_by_hand"),
        ]


class Outcome(models.TextChoices):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    LINKED = "linked"
    SKIPPED = "skipped"
    FAILED = "failed"
    GONE = "gone"


class SourceContact(models.Model):
    """Our record of one contact of one connection: what it said, what became of it and why."""

    pk = models.CompositePrimaryKey("account", "connection", "external_id")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_constraint=False, db_index=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    external_id = models.CharField(max_length=200)
    lead = models.ForeignKey(Lead, on_delete=models.SET_NULL, null=True, db_index=False, db_constraint=False)
    outcome = models.CharField(max_length=10, choices=Outcome, help_text="In the last run that wrote it.")
    reason = models.CharField(max_length=40, blank=True, help_text="A code of leads/reasons.py.")
    reason_value = models.CharField(max_length=300, blank=True, help_text="The raw value the reason speaks of.")
    needs_review = models.BooleanField(default=False)
    match_rule = models.CharField(max_length=10, blank=True, help_text="crm_id, phone, email or new.")
    content_hash = models.BinaryField(max_length=16, null=True)
    modified_at = models.DateTimeField(null=True, help_text="The CRM's.")
    name = models.CharField(max_length=300, blank=True)
    phones = models.JSONField(default=list, help_text="[{text, label, e164}], best first.")
    emails = models.JSONField(default=list)
    raw = TextualJSON(default=dict)
    first_run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, null=True, db_index=False, db_constraint=False, related_name="+"
    )
    last_run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, null=True, db_index=False, db_constraint=False, related_name="+"
    )
    is_first_import = models.BooleanField(
        db_default=False,
        help_text="Created or linked by the first import, and not written since: the mass that no index lists.",
    )
    updated_at = models.DateTimeField(db_default=Now())
    gone_at = models.DateTimeField(null=True)
    merged_into = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "source_contacts"
        indexes = [
            models.Index(fields=["account", "lead"], name="source_contacts_by_lead"),
            models.Index(
                fields=["account", "last_run", "external_id"],
                condition=Q(outcome__in=["skipped", "failed"]) | Q(needs_review=True),
                name="source_contacts_to_explain",
            ),
            models.Index(
                fields=["account", "last_run", "external_id"],
                condition=Q(is_first_import=False),
                name="source_contacts_of_run",
            ),
            models.Index(
                fields=["account", "connection", "external_id"],
                condition=Q(content_hash=None, gone_at=None, lead__isnull=False) & ~Q(outcome="failed"),
                name="source_contacts_unread",
            ),
        ]


class UndoStep(models.TextChoices):
    CREATED = "created"  # leads that the run made, by their id
    CHANGES = "changes"  # what it changed in others, the last change first
    DONE = "done"


class Undo(models.Model):
    """Somebody's wish that a run had not been (``leads/undo.py``), and how far it is fulfilled.

    The latest one of a run says how the run stands: undone, or with the undo taken back, which is an Undo too.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, db_constraint=False)
    member = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True, db_index=False)
    takes_back = models.ForeignKey("self", on_delete=models.CASCADE, null=True, db_index=False, related_name="+")
    step = models.CharField(max_length=8, choices=UndoStep, default=UndoStep.CREATED)
    at = models.BigIntegerField(null=True, help_text="The last lead or change of this step that was dealt with.")
    archived = models.IntegerField(default=0)
    restored = models.IntegerField(default=0)
    set_back = models.IntegerField(default=0, help_text="Leads whose fields are as they were before.")
    kept = models.IntegerField(default=0, help_text="Leads of which something stayed as it is.")
    created_at = models.DateTimeField(db_default=Now())
    moved_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "undos"
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="undos_in_account"),
            models.UniqueConstraint(fields=["run"], condition=~Q(step="done"), name="undos_one_at_work"),
        ]
        indexes = [models.Index(fields=["account", "-id"], name="undos_latest")]

    @property
    def is_done(self) -> bool:
        return self.step == UndoStep.DONE


class LeadChange(models.Model):
    """Before and after of only what changed, and who did it: provenance, history, undo.

    A lead's creation is not written here: ``created_run_id`` or ``created_by`` on the lead tells it. Of an undo it
    holds, beside what was set back, why the rest was ``kept``.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    run = models.ForeignKey(Run, on_delete=models.DO_NOTHING, null=True, db_index=False, db_constraint=False)
    undo = models.ForeignKey(Undo, on_delete=models.DO_NOTHING, null=True, db_index=False, db_constraint=False)
    member = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True, db_index=False)
    before = models.JSONField()
    after = models.JSONField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "lead_changes"
        indexes = [
            models.Index(fields=["account", "lead", "-id"], name="lead_changes_of_lead"),
            models.Index(fields=["account", "run", "-id"], condition=Q(run__isnull=False), name="lead_changes_by_run"),
            models.Index(
                fields=["account", "undo", "-id"], condition=Q(undo__isnull=False), name="lead_changes_by_undo"
            ),
        ]


class Direction(models.TextChoices):
    IN = "in"
    OUT = "out"


class Message(models.Model):
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    direction = models.CharField(max_length=3, choices=Direction)
    body = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "messages"
        indexes = [models.Index(fields=["account", "lead", "-at"], name="messages_of_lead")]


class Suppression(models.Model):
    """An opt-out by phone number. It outlives the lead: deletion, merge, reconnect and re-import all meet it again."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    phone = models.CharField(max_length=20)
    reason = models.CharField(max_length=40, help_text="crm_flag, stop_message or member.")
    source = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "suppressions"
        constraints = [models.UniqueConstraint(fields=["account", "phone"], name="suppressions_once")]


class Erasure(models.Model):
    """A mark of an erased person: the keyed hash of an id, a number or an address that must not come back."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    mark = models.BinaryField(max_length=32)

    class Meta:
        db_table = "erasures"
        constraints = [models.UniqueConstraint(fields=["account", "mark"], name="erasures_once")]


class RunContact(models.Model):
    """Ids met by a run that reads everything in order to see who left. Emptied when the run ends."""

    pk = models.CompositePrimaryKey("account", "run", "external_id")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, db_index=False)
    external_id = models.CharField(max_length=200)

    class Meta:
        db_table = "run_contacts"
