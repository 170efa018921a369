"""The fields of both modules, as the field definitions tell them."""

from dataclasses import dataclass

from leadloom.sandbox.http import Json

LEADS, CONTACTS = "Leads", "Contacts"
MODULES = (LEADS, CONTACTS)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    label: str
    kind: str = "text"
    is_own: bool = False
    """Added by the customer."""

    def as_json(self, number: int) -> dict[str, Json]:
        options = STATUSES if self.name == "Lead_Status" else SOURCES if self.name == "Lead_Source" else ()
        lookup: dict[str, Json] = {}
        if self.kind == "lookup":
            lookup = {"module": {"api_name": "Accounts", "id": "4876876000000002177"}, "display_label": self.label}
        return {
            "id": str(4876876000000002501 + number),
            "api_name": self.name,
            "field_label": self.label,
            "display_label": self.label,
            "data_type": self.kind,
            "json_type": _JSON_TYPES.get(self.kind, "string"),
            "system_mandatory": self.name == "Last_Name",
            "custom_field": self.is_own,
            "read_only": False,
            "visible": True,
            "length": 255,
            "lookup": lookup,
            "pick_list_values": [
                {"display_value": one.label, "actual_value": one.value, "id": str(4876876000000003401 + place)}
                for place, one in enumerate(options)
            ],
        }


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str


_JSON_TYPES = {
    "boolean": "boolean",
    "lookup": "jsonobject",
    "ownerlookup": "jsonobject",
    "jsonobject": "jsonobject",
}
STATUSES = (
    Option("Attempted to Contact", "Tried twice, no answer"),
    Option("Contact in Future", "Contact in Future"),
    Option("Contacted", "Contacted"),
    Option("Junk Lead", "Junk Lead"),
    Option("Lost Lead", "Lost Lead"),
    Option("Not Contacted", "Not Contacted"),
    Option("Pre-Qualified", "On-site visit booked"),
)
"""Two of them have been renamed: records hold the old word."""
SOURCES = (Option("Web", "Web"), Option("Trade Show", "Trade Show"), Option("Cold Call", "Cold Call"))

_SHARED = (
    Field("First_Name", "First Name"),
    Field("Last_Name", "Last Name"),
    Field("Full_Name", "Full Name"),
    Field("Phone", "Phone", "phone"),
    Field("Mobile", "Mobile", "phone"),
    Field("Fax", "Fax"),
    Field("Email", "Email", "email"),
    Field("Secondary_Email", "Secondary Email", "email"),
    Field("Email_Opt_Out", "Email Opt Out", "boolean"),
    Field("Do_Not_Text", "Do not text", "boolean", is_own=True),
    Field("Lead_Source", "Lead Source", "picklist"),
    Field("Description", "Description", "textarea"),
    Field("Owner", "Owner", "ownerlookup"),
    Field("Created_Time", "Created Time", "datetime"),
    Field("Modified_Time", "Modified Time", "datetime"),
    Field("Last_Activity_Time", "Last Activity Time", "datetime"),
)
FIELDS = {
    LEADS: (
        *_SHARED,
        Field("Company", "Company"),
        Field("Designation", "Title"),
        Field("Lead_Status", "Lead Status", "picklist"),
        Field("Country", "Country"),
        Field("State", "State"),
        Field("City", "City"),
        Field("Converted__s", "Is Converted", "boolean"),
        Field("Converted_Date_Time", "Converted Date Time", "datetime"),
    ),
    CONTACTS: (
        *_SHARED,
        Field("Account_Name", "Account Name", "lookup"),
        Field("Title", "Title"),
        Field("Department", "Department"),
        Field("Home_Phone", "Home Phone", "phone"),
        Field("Other_Phone", "Other Phone", "phone"),
        Field("Asst_Phone", "Asst Phone", "phone"),
        Field("Mailing_Country", "Mailing Country"),
        Field("Mailing_State", "Mailing State"),
        Field("Mailing_City", "Mailing City"),
        Field("Other_Country", "Other Country"),
    ),
}
NAMES = {module: frozenset(one.name for one in found) for module, found in FIELDS.items()}
CHECKBOXES = frozenset(one.name for one in _SHARED if one.kind == "boolean")
