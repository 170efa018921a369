"""All that the page of one lead tells: its thread, what each CRM says of it, and who changed what, when and why.

Reads only; called inside the account's scope.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leadloom.leads.models import Lead, LeadChange, Message, SourceContact, Suppression, Undo
from leadloom.leads.reasons import sentence_for
from leadloom.leads.reversal import WHOLE, WHY_KEPT
from leadloom.providers.phones import readable

MOST_MESSAGES = 200
MOST_CHANGES = 50
MOST_CONTACTS = 20
SHOWN_VALUE = 160  # characters of a value in the history

LABELS = {
    "name": "Name",
    "phone": "Phone",
    "email": "E-mail",
    "company": "Company",
    "opted_out": "Opted out",
    "pinned": "Pinned",
    "archived": "Archived",
    "archived_at": "Archived",
    "crm_id": "CRM record",
    "crm_url": "CRM link",
    "crm_owner": "Owner",
    "crm_owner_email": "Owner’s e-mail",
    "crm_status": "CRM status",
    "crm_stage": "CRM stage",
    "crm_description": "Notes",
    "crm_last_activity_at": "Last activity in the CRM",
}
HIDDEN = ("archived_reason", "crm_connection_id", "crm_source", "kept", "merged_into_lead")

RULES = {
    "crm_id": "the CRM’s own id",
    "phone": "the phone number",
    "email": "the e-mail address",
    "new": "nothing: it became a new lead",
}


@dataclass(frozen=True, slots=True)
class Difference:
    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A field that an undo left as it was, or (without a label) the whole lead; and why."""

    label: str
    why: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change, and whose it was: a member's or a run's. ``undo``: it undid what a run had done."""

    at: datetime
    who: str
    run_id: int | None
    undo: Undo | None
    differences: Sequence[Difference]
    kept: Sequence[Kept]


@dataclass(frozen=True, slots=True)
class Source:
    """One contact of one CRM that belongs to this lead."""

    contact: SourceContact
    is_primary: bool
    matched_by: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Story:
    messages: Sequence[Message]
    sources: Sequence[Source]
    events: Sequence[Event]
    suppression: Suppression | None
    origin: str


def story_of(lead: Lead) -> Story:
    """Five queries, however much there is to tell."""
    mine = {"account_id": lead.account_id, "lead_id": lead.pk}
    messages = list(Message.objects.filter(**mine).order_by("-at", "-pk")[:MOST_MESSAGES])
    contacts = (
        SourceContact.objects.filter(**mine).defer("raw", "content_hash").select_related("connection", "last_run")
    )
    changes = LeadChange.objects.filter(**mine).select_related("member__user", "run__connection", "undo")
    suppression = None
    if lead.phone:
        suppression = Suppression.objects.filter(account_id=lead.account_id, phone=lead.phone).first()
    return Story(
        messages=messages[::-1],
        sources=[
            _source(lead, contact) for contact in contacts.order_by("connection_id", "external_id")[:MOST_CONTACTS]
        ],
        events=[_event(change) for change in changes.order_by("-pk")[:MOST_CHANGES]],
        suppression=suppression,
        origin=_origin(lead),
    )


def _source(lead: Lead, contact: SourceContact) -> Source:
    return Source(
        contact=contact,
        is_primary=contact.connection_id == lead.crm_connection_id and contact.external_id == lead.crm_id,
        matched_by=RULES.get(contact.match_rule, ""),
        sentence=sentence_for(contact.reason, contact.reason_value),
    )


def _event(change: LeadChange) -> Event:
    if change.member is not None:
        who = change.member.user.name or change.member.user.email
    elif change.run_id is not None:
        who = ""  # the page names the CRM and links to the run
    else:
        who = "Leadloom"
    return Event(
        at=change.at,
        who=who,
        run_id=change.run_id,
        undo=change.undo,
        differences=differences_of(change),
        kept=kept_of(change),
    )


def differences_of(change: LeadChange) -> list[Difference]:
    """Field by field, in words."""
    before, after = change.before or {}, change.after or {}
    return [
        Difference(label_of(field), _shown(field, before.get(field)), _shown(field, after.get(field)))
        for field in after
        if field not in HIDDEN
    ]


def kept_of(change: LeadChange) -> list[Kept]:
    told = (change.after or {}).get("kept") or {}
    return [Kept("" if field == WHOLE else label_of(field), WHY_KEPT.get(why, why)) for field, why in told.items()]


def label_of(field: str) -> str:
    return LABELS.get(field, field)


def _shown(field: str, value: Any) -> str:
    if value in (None, "", [], False):
        return "no" if value is False else ""
    if value is True:
        return "yes"
    if field == "archived_at":
        return "yes"
    if field == "phone":
        return readable(str(value))
    if field == "pinned":
        return ", ".join(LABELS.get(name, name).lower() for name in value)
    text = str(value)
    return text if len(text) <= SHOWN_VALUE else f"{text[:SHOWN_VALUE]}…"


def _origin(lead: Lead) -> str:
    if lead.created_run_id:
        return "import"
    return "by hand"
