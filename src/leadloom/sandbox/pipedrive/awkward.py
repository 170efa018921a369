"""The hand-made contacts that every simulated CRM can add, in Pipedrive's words, and some traps of its own."""

from leadloom.sandbox.hubspot.awkward import AWKWARD as IN_HUBSPOTS_WORDS
from leadloom.sandbox.pipedrive.records import BLANK, OWNER_ONLY, Values
from leadloom.sandbox.pipedrive.staff import DO_NOT_TEXT, NO_TEXTS, REMARK

_OWN: dict[str, Values] = {
    "blank_numbers": {"name": "Blank Numbers", "phones": [
        {"value": "", "primary": True, "label": "work"}, {"value": "  ", "primary": False, "label": "mobile"},
        {"value": "+1 212 736 5040", "primary": False, "label": "other"}]},
    "no_labels": {"name": "Unlabelled", "phones": [{"value": "+1 212 736 5041", "primary": True}],
                  "emails": [{"value": "unlabelled@example.com", "primary": True}]},
    "nothing_primary": {"name": "Nothing Primary", "phones": [
        {"value": "+1 212 736 5042", "primary": False, "label": "work"},
        {"value": "+1 212 736 5043", "primary": False, "label": "mobile"}]},
    "primary_comes_second": {"name": "Second Primary", "phones": [
        {"value": "+1 212 736 5044", "primary": False, "label": "home"},
        {"value": "+1 212 736 5045", "primary": True, "label": "mobile"}]},
    "many_addresses": {"name": "Many Addresses", "emails": [
        {"value": f"many.{at}@example.com", "primary": at == 3, "label": "work"} for at in range(12)]},
    "own_kind_of_number": {"name": "Own Label", "phones": [
        {"value": "+1 212 736 5046", "primary": True, "label": "Assistant (Maria)"}]},
    "organization_is_gone": {"name": "Lost Organization", "org_id": 399_999,
                             "phones": [{"value": "+1 212 736 5047", "primary": True, "label": "work"}]},
    "label_is_gone": {"name": "Lost Label", "label_ids": [77],
                      "phones": [{"value": "+1 212 736 5048", "primary": True, "label": "work"}]},
    "archived_by_campaigns": {"name": "Archived Bounce", "marketing_status": "archived",
                              "emails": [{"value": "bounce@example.com", "primary": True, "label": "work"}]},
    "only_for_its_owner": {"name": "Private Person", "visible_to": OWNER_ONLY,
                           "phones": [{"value": "+1 212 736 5049", "primary": True, "label": "work"}]},
}  # fmt: skip


def awkward() -> dict[str, Values]:
    """By name; each holds everything that a person can hold."""
    found = {name: _translated(values) for name, values in IN_HUBSPOTS_WORDS.items()}
    return {name: {**BLANK, **values} for name, values in (found | _OWN).items()}


def _translated(values: dict[str, str | None]) -> Values:
    numbers = [(values.get("phone"), "work"), (values.get("mobilephone"), "mobile")]
    phones = [(text, label) for text, label in numbers if text]
    name = " ".join(part for part in (values.get("firstname"), values.get("lastname")) if part)
    own: Values = {REMARK: values["message"]} if values.get("message") else {}
    if values.get("do_not_text") == "true":
        own[DO_NOT_TEXT] = NO_TEXTS.id
    found: Values = {
        "name": name or values.get("email") or "-",
        "phones": [{"value": text, "primary": at == 0, "label": label} for at, (text, label) in enumerate(phones)],
        "emails": [{"value": values["email"], "primary": True, "label": "work"}] if values.get("email") else [],
        "custom_fields": own,
        "postal_address": {"value": values.get("country"), "country": values.get("country")},
    }
    if values.get("hubspot_owner_id"):
        found["owner_id"] = 25769999
    if values.get("hs_email_optout") == "true":
        found["marketing_status"] = "unsubscribed"
    return found
