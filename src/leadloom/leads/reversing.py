"""Writing what ``reversal.py`` decided, hundreds of changes at a time: a handful of statements, however many they are.

Called inside the account's scope, by whoever holds the account's lock.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from psycopg.types.json import Jsonb

from leadloom.leads.models import Lead, LeadChange, SourceContact, Suppression, Undo
from leadloom.leads.reversal import CRM_FACTS, LINKED_ELSEWHERE, PLAIN, TAKEN, WHOLE, Reversal
from leadloom.leads.store import run_sql

MOMENTS = ("crm_last_activity_at",)
WRITTEN = (*PLAIN, "crm_id", "opted_out", "pinned", "archived_at", "archived_reason")


def fields_of(lead: Lead) -> dict[str, Any]:
    """All that a reversal looks at, and may change."""
    return {name: getattr(lead, name) for name in WRITTEN}


class Reversing:
    """The leads of some changes, locked and read once. ``apply`` changes them here, ``write`` in the database."""

    def __init__(self, undo: Undo, changes: Sequence[LeadChange]) -> None:
        self._undo = undo
        locked = Lead.objects.select_for_update().filter(account_id=undo.account_id).order_by("pk")
        self.leads = locked.in_bulk({change.lead_id for change in changes})
        numbers = {lead.phone for lead in self.leads.values()} | {change.before.get("phone") for change in changes}
        live = Lead.objects.filter(account_id=undo.account_id, phone__in=numbers - {None}, archived_at=None)
        self._holders: dict[str | None, int] = dict(live.values_list("phone", "pk"))
        suppressed = Suppression.objects.filter(account_id=undo.account_id, phone__in=numbers - {None})
        self._suppressed = set(suppressed.values_list("phone", flat=True))
        self._numbers = {lead.pk: lead.phone for lead in self.leads.values()}
        self._changed: set[int] = set()
        self._back: list[int] = []
        self._notes: list[LeadChange] = []

    def apply(self, lead: Lead, reversal: Reversal) -> None:
        """Do what can be done of it, and note that and what stays."""
        undo = self._undo
        changed, kept, archived = dict(reversal.set_back), dict(reversal.kept), reversal.archived
        if archived is False and self._is_held(lead, lead.phone):
            archived, kept[WHOLE] = None, TAKEN
        if "phone" in changed and lead.archived_at is None and self._is_held(lead, changed["phone"]):
            del changed["phone"]
            kept["phone"] = TAKEN
        if "crm_id" in changed and not self._move_contact(lead, changed["crm_id"]):
            changed = {name: value for name, value in changed.items() if name not in (*CRM_FACTS, "crm_id", "pinned")}
            kept["crm_id"] = LINKED_ELSEWHERE
        if changed.get("phone") in self._suppressed:
            changed["opted_out"] = True
        before = {name: _plain(getattr(lead, name)) for name in changed}
        after = {name: _plain(value) for name, value in changed.items()}
        undo.set_back += bool(changed)
        undo.kept += bool(kept)
        if archived is not None:
            before["archived"], after["archived"] = not archived, archived
            changed |= {"archived_at": datetime.now(UTC) if archived else None, "archived_reason": "undone" * archived}
            undo.archived += archived
            undo.restored += not archived
        if changed:
            self._change(lead, changed)
        if kept:
            after["kept"] = kept
        if after:
            who = {"account_id": lead.account_id, "member_id": undo.member_id}
            self._notes.append(LeadChange(lead=lead, undo=undo, before=before, after=after, **who))

    def write(self) -> None:
        rows = [
            {"id": pk, **{name: _plain(value) for name, value in fields_of(self.leads[pk]).items()}}
            for pk in sorted(self._changed)
        ]
        values = {"account": self._undo.account_id, "leads": Jsonb(rows)}
        with connection.cursor() as cursor:  # one of them may get the number that another has up to now
            moved = [row["id"] for row in rows if row["phone"] != self._numbers[row["id"]]]
            free = "UPDATE leads SET phone = NULL WHERE account_id = %s AND id = ANY (%s)"
            cursor.execute(free, [self._undo.account_id, moved])
        run_sql("write_leads", values)
        # What its contacts said while a lead was away flows with the next run.
        mine = SourceContact.objects.filter(account_id=self._undo.account_id, lead_id__in=self._back)
        mine.update(content_hash=None)
        LeadChange.objects.bulk_create(self._notes)

    def _change(self, lead: Lead, changed: Mapping[str, Any]) -> None:
        if self._holders.get(lead.phone) == lead.pk:
            del self._holders[lead.phone]
        if changed.get("archived_reason") == "":
            self._back.append(lead.pk)
        for name, value in changed.items():
            setattr(lead, name, parse_datetime(value) if name in MOMENTS and value else value)
        if lead.archived_at is None:
            self._holders[lead.phone] = lead.pk
        self._changed.add(lead.pk)

    def _move_contact(self, lead: Lead, external_id: str) -> bool:
        """Take the contact that describes the lead away from it, or give it back. False: it is another lead's by
        now."""
        connection_id = self._undo.run.connection_id
        contacts = SourceContact.objects.filter(account_id=lead.account_id, connection_id=connection_id)
        if not external_id:
            contacts.filter(external_id=lead.crm_id, lead=lead).update(
                lead=None,
                outcome="skipped",
                reason="unlinked",
                match_rule="",
                needs_review=False,
                is_first_import=False,
            )
            return True
        free = contacts.filter(Q(lead=None) | Q(lead=lead), external_id=external_id)
        return bool(free.update(lead=lead, outcome="linked", reason="", content_hash=None, is_first_import=False))

    def _is_held(self, lead: Lead, phone: str | None) -> bool:
        return phone is not None and self._holders.get(phone, lead.pk) != lead.pk


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
