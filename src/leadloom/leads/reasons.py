"""Why a contact was not imported, or needs a look: fixed codes, each with a sentence and what mends it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    short: str
    """For a list: ``1 skipped: no phone or e-mail``."""
    sentence: str
    fix: str


_ALL = (
    Reason(
        "no_phone_or_email",
        "no phone or e-mail",
        "The CRM has neither a phone number nor an e-mail address for this contact.",
        "Add one in the CRM: the contact is imported at the next refresh.",
    ),
    Reason(
        "phone_unreadable",
        "phone not readable",
        "The phone number cannot be dialled, and there is no e-mail address.",
        "Correct the number in the CRM, or set your account's country if it lacks a country code.",
    ),
    Reason(
        "archived_here",
        "archived here",
        "The lead of this contact was archived in Leadloom by a member of your team, by hand or by undoing a run.",
        "Restore the lead to let the CRM update it again.",
    ),
    Reason(
        "ambiguous_email",
        "several leads share the e-mail",
        "Several leads have this e-mail address, and the contact has no phone number that tells them apart.",
        "Add a phone number in the CRM, or merge the leads.",
    ),
    Reason(
        "phone_and_email_disagree",
        "phone and e-mail point to two leads",
        "The phone number belongs to one lead and the e-mail address to another. The phone number decided.",
        "Check which person this is, and correct the CRM or the lead.",
    ),
    Reason(
        "phone_taken",
        "new number belongs to another lead",
        "The contact's new phone number already belongs to another lead, so the lead kept its old one.",
        "Merge the two contacts in the CRM, or correct one of the numbers.",
    ),
    Reason(
        "shares_a_lead",
        "shares a lead",
        "Another contact was linked to this lead first; that one's details are shown.",
        "Nothing to do, unless these are two people: then correct the phone or e-mail of one.",
    ),
    Reason(
        "unreadable_record",
        "record not readable",
        "The CRM's record has a form we do not understand.",
        "Open the record in the CRM and save it again; if that does not help, tell us.",
    ),
    Reason(
        "unstorable",
        "record not storable",
        "The CRM's record holds text that a database cannot store.",
        "Look for unusual characters in the record; if there are none, tell us.",
    ),
    Reason(
        "unlinked",
        "its link was undone",
        "The run that joined this contact to a lead was undone.",
        "Nothing to do. When the contact changes in the CRM, it is matched anew.",
    ),
    Reason(
        "erased",
        "erased here",
        "This person, or somebody with their number or e-mail address, was erased in Leadloom on request.",
        "Nothing to do. If it is somebody else, add them by hand.",
    ),
    Reason(
        "merged_in_crm",
        "merged in the CRM",
        "This contact was merged into another one in the CRM.",
        "Nothing to do: the lead follows the contact that remains.",
    ),
    Reason(
        "gone_from_crm", "gone from the CRM", "The contact was deleted or archived in the CRM.", "Restore it there."
    ),
)

REASONS: dict[str, Reason] = {reason.code: reason for reason in _ALL}


def sentence_for(code: str, value: str = "") -> str:
    """The sentence for a code, with the raw value where there is one."""
    reason = REASONS.get(code)
    if reason is None:
        return ""
    return f"{reason.sentence} It says: “{value}”." if value else reason.sentence
