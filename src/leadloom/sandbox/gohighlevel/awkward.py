"""The hand-made contacts that every simulated CRM can add, in GoHighLevel's words."""

from typing import Any

from leadloom.sandbox.gohighlevel.records import Values, blank
from leadloom.sandbox.gohighlevel.staff import REMARK_FIELD
from leadloom.sandbox.hubspot.awkward import AWKWARD as IN_HUBSPOTS_WORDS

_CODES = {"United Kingdom": "GB", "UK": "GB", "Deutschland": "DE", "France": "FR", "India": "IN"}
_SAME = {"firstname": "firstName", "lastname": "lastName", "email": "email", "phone": "phone"}


def awkward() -> dict[str, Values]:
    return {name: blank() | _translated(values) for name, values in IN_HUBSPOTS_WORDS.items()}


def _translated(values: dict[str, str | None]) -> dict[str, Any]:
    found: dict[str, Any] = {_SAME[name]: value for name, value in values.items() if name in _SAME}
    found["country"] = _CODES.get(values.get("country") or "", "US")
    if values.get("mobilephone"):
        found["additionalPhones"] = [{"phone": values["mobilephone"], "phoneLabel": "Mobile"}]
    if values.get("message"):
        found["customFields"] = [{"id": REMARK_FIELD, "value": values["message"]}]
    if values.get("hubspot_owner_id"):
        found["assignedTo"] = "uNobodyKnowsThisUser"
    if values.get("do_not_text") == "true":
        found["dndSettings"] = {"SMS": {"status": "permanent", "message": "STOP", "code": "101"}}
    return found
