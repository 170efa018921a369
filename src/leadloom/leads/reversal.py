"""What of one change can be set back, and why the rest stays. Pure: no database, no clock.

A field is set back only if it still holds what the change left there and nobody has said anything about it since. An
opt-out stays, whoever set it: only the person's own wish undoes it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

CRM_FACTS: Mapping[str, Any] = {
    "crm_source": "",
    "crm_connection_id": None,
    "crm_url": "",
    "crm_owner": "",
    "crm_owner_email": "",
    "crm_status": "",
    "crm_stage": "",
    "crm_description": "",
    "crm_last_activity_at": None,
}
"""What a lead holds of the contact that describes it, beside its id; and how these are where none does."""
PLAIN = ("name", "phone", "email", "company", *CRM_FACTS)
PUT_AWAY = ("left_crm", "undone")  # why a lead was archived by no person's own hand

WHOLE = "lead"  # as a field: the lead itself
CHANGED_SINCE = "changed_since"
OPT_OUT = "opt_out"
MERGED = "merged"
TAKEN = "phone_taken"
LINKED_ELSEWHERE = "linked_elsewhere"

WHY_KEPT = {
    CHANGED_SINCE: "changed since",
    OPT_OUT: "an opt-out is undone by the person’s own wish alone",
    MERGED: "merged with another lead in the CRM, and threads cannot be told apart again",
    TAKEN: "the number is another lead’s by now",
    LINKED_ELSEWHERE: "its contact belongs to another lead by now",
    "texted": "there are messages",
    "edited_here": "somebody has edited it here",
    "another_crm": "another connected CRM has this person too",
}


@dataclass(frozen=True, slots=True)
class Reversal:
    """``set_back``: fields with the values they get again. ``kept``: fields that stay, each with a key of WHY_KEPT.
    ``archived``: whether the lead is to be archived (True), to come back (False), or neither (None)."""

    set_back: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    archived: bool | None = None

    @property
    def does_something(self) -> bool:
        return bool(self.set_back) or self.archived is not None


def reverse(
    lead: Mapping[str, Any], *, before: Mapping[str, Any], after: Mapping[str, Any], touched: Collection[str]
) -> Reversal:
    """``lead``: its fields as they are, with ``archived_reason``. ``before`` and ``after``: the change, as
    ``lead_changes`` holds it. ``touched``: fields that somebody else has changed after it."""
    if "merged_into_lead" in after:
        return Reversal(kept={WHOLE: MERGED})
    set_back: dict[str, Any] = {}
    kept: dict[str, str] = {}
    is_linking = _is_linking(before, after)
    for name, value in after.items():
        if name == "opted_out":
            if value is True and lead["opted_out"]:
                kept[name] = OPT_OUT
        elif name == "pinned" or (is_linking and name in CRM_FACTS):
            continue  # with the link
        elif name not in (*PLAIN, "crm_id"):
            continue
        elif name in touched or not is_same(lead[name], value):
            kept[name] = CHANGED_SINCE
        elif name == "crm_id":
            if is_linking:
                set_back |= _link(lead, before, after, touched)
        else:
            set_back[name] = before[name]
    return Reversal(set_back, kept, _archived(lead, after, touched))


def is_same(now: object, then: object) -> bool:
    """A moment is the same however it is written."""
    if isinstance(now, datetime):
        return isinstance(then, str) and now == datetime.fromisoformat(then)
    return now == then


def _is_linking(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """The lead got the contact that describes it, or lost it."""
    return "crm_id" in after and "" in (before["crm_id"], after["crm_id"])


def _link(
    lead: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], touched: Collection[str]
) -> dict[str, Any]:
    """All that comes and goes with the contact that describes a lead: what the CRM said of them meanwhile too."""
    facts = {name: before.get(name, blank) for name, blank in CRM_FACTS.items()}
    changed = {name: value for name, value in facts.items() if not is_same(lead[name], value)}
    is_pinned_by_it = "pinned" in after and "pinned" not in touched and lead["pinned"] == after["pinned"]
    pinned = {"pinned": before["pinned"]} if is_pinned_by_it else {}
    return {"crm_id": before["crm_id"], **changed, **pinned}


def _archived(lead: Mapping[str, Any], after: Mapping[str, Any], touched: Collection[str]) -> bool | None:
    if "archived" not in after or "archived" in touched or "archived_at" in touched:
        return None
    is_archived = lead["archived_at"] is not None
    if after["archived"] is True and is_archived and lead["archived_reason"] in PUT_AWAY:
        return False
    if after["archived"] is False and not is_archived:
        return True
    return None
