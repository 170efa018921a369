"""The properties this portal has for contacts and companies, standard and custom, as ``/crm/v3/properties`` does."""

from dataclasses import dataclass
from functools import cache

from leadloom.sandbox.http import Json


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    name: str
    label: str
    type: str = "string"
    field: str = "text"
    options: tuple[Option, ...] = ()
    read_only: bool = False
    custom: bool = False
    refers_to: str = ""
    """An object type whose records are the options, which are then not listed."""

    def as_json(self, order: int) -> dict[str, Json]:
        body: dict[str, Json] = {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field,
            "description": "",
            "groupName": "contactinformation",
            "options": [
                {"label": one.label, "value": one.value, "displayOrder": at, "hidden": one.hidden}
                for at, one in enumerate(self.options)
            ],
            "displayOrder": order,
            "calculated": self.read_only and self.name.startswith("hs_"),
            "externalOptions": bool(self.refers_to),
            "archived": False,
            "hasUniqueValue": False,
            "hidden": False,
            "hubspotDefined": not self.custom,
            "modificationMetadata": {
                "archivable": self.custom,
                "readOnlyDefinition": not self.custom,
                "readOnlyValue": self.read_only,
            },
            "formField": True,
        }
        if self.refers_to:
            body["referencedObjectType"] = self.refers_to
        return body


STAGES = (
    Option("subscriber", "Subscriber"),
    Option("lead", "Lead"),
    Option("marketingqualifiedlead", "Marketing Qualified Lead"),
    Option("salesqualifiedlead", "Sales Qualified Lead"),
    Option("opportunity", "Opportunity"),
    Option("customer", "Customer"),
    Option("evangelist", "Evangelist"),
    Option("other", "Other"),
    Option("148273561", "On-site visit booked"),  # custom stages have numeric ids
    Option("148273562", "Dormant", hidden=True),
)
STATUSES = (
    Option("NEW", "New"),
    Option("OPEN", "Open"),
    Option("IN_PROGRESS", "In Progress"),
    Option("OPEN_DEAL", "Open Deal"),
    Option("UNQUALIFIED", "Unqualified"),
    Option("ATTEMPTED_TO_CONTACT", "Tried twice, no answer"),  # renamed by the customer
    Option("CONNECTED", "Connected"),
    Option("BAD_TIMING", "Bad Timing"),
    Option("Call back in spring", "Call back in spring 🌱"),  # added by the customer
)
_YES_NO = (Option("true", "Yes"), Option("false", "No"))


def _text(*names: str) -> list[Property]:
    return [Property(name, name.replace("_", " ").capitalize()) for name in names]


def _calculated(type_: str, *names: str) -> list[Property]:
    field = "calculation_equation" if type_ == "string" else "number" if type_ == "number" else "date"
    return [
        Property(name, name.removeprefix("hs_").replace("_", " ").capitalize(), type_, field, read_only=True)
        for name in names
    ]


CONTACT = tuple(
    sorted(
        [
            *_text(
                "address", "city", "company", "country", "fax", "ip_country_code", "jobtitle", "state", "website", "zip"
            ),
            Property("firstname", "First Name"),
            Property("lastname", "Last Name"),
            Property("email", "Email"),
            Property("phone", "Phone Number", field="phonenumber"),
            Property("mobilephone", "Mobile Phone Number", field="phonenumber"),
            Property("hs_whatsapp_phone_number", "WhatsApp Phone Number", field="phonenumber"),
            Property("message", "Message", field="textarea"),
            Property("hs_language", "Preferred language", "enumeration", "select"),
            Property("hs_timezone", "Time Zone", "enumeration", "select"),
            Property("hs_country_region_code", "Country/Region Code"),
            Property("hs_additional_emails", "Additional email addresses", "enumeration", "checkbox"),
            Property("lifecyclestage", "Lifecycle Stage", "enumeration", "radio", STAGES),
            Property("hs_lead_status", "Lead Status", "enumeration", "radio", STATUSES),
            Property("hubspot_owner_id", "Contact owner", "enumeration", "select", refers_to="OWNER"),
            Property("hs_email_optout", "Unsubscribed from all email", "bool", "booleancheckbox", _YES_NO),
            Property("hs_email_bad_address", "Invalid email address", "bool", "booleancheckbox", _YES_NO),
            Property("hs_legal_basis", "Legal basis", "enumeration", "checkbox"),
            Property("do_not_text", "Do not text", "bool", "booleancheckbox", _YES_NO, custom=True),
            Property("do_not_call", "Do not call", "bool", "booleancheckbox", _YES_NO, custom=True),
            Property("sakari_opted_out", "Sakari opted out", "date", "date", custom=True),
            Property("notes_next_activity_date", "Next Activity Date", "datetime", "date", read_only=True),
            *_calculated("datetime", "createdate", "lastmodifieddate", "notes_last_contacted", "notes_last_updated"),
            *_calculated(
                "datetime", "hs_last_sales_activity_timestamp", "hs_last_sms_send_date", "hs_lastmodifieddate"
            ),
            *_calculated("number", "hs_object_id", "num_notes", "num_contacted_notes", "associatedcompanyid"),
            *_calculated("string", "hs_calculated_phone_number", "hs_searchable_calculated_international_phone_number"),
            *_calculated("string", "hs_calculated_merged_vids", "hs_object_source", "hs_object_source_label"),
            *_calculated("string", "hs_pipeline", "hs_calculated_mobile_number"),
            Property("hs_merged_object_ids", "Merged record IDs", "enumeration", "checkbox", read_only=True),
            Property("hs_is_unworked", "Is unworked", "bool", "calculation_equation", _YES_NO, read_only=True),
        ],
        key=lambda one: one.name,
    )
)
COMPANY = tuple(
    sorted(
        [
            *_text("city", "country", "domain", "name", "phone"),
            *_calculated("datetime", "createdate", "hs_lastmodifieddate"),
            *_calculated("number", "hs_object_id"),
        ],
        key=lambda one: one.name,
    )
)
BY_OBJECT: dict[str, dict[str, Property]] = {
    "contacts": {one.name: one for one in CONTACT},
    "companies": {one.name: one for one in COMPANY},
}
ALIASES = {"contact": "contacts", "0-1": "contacts", "company": "companies", "0-2": "companies"}

CONTACT_DEFAULT = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
COMPANY_DEFAULT = ("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name")
_CONTACT_ALWAYS = frozenset({"createdate", "hs_object_id", "lastmodifieddate"})
_COMPANY_ALWAYS = frozenset({"createdate", "hs_object_id", "hs_lastmodifieddate"})


@cache
def shown(wanted: str) -> tuple[str, ...]:
    """Which contact properties a read shows: alphabetical, three come unasked, unknown names are left out."""
    names = {name.strip() for name in wanted.split(",") if name.strip()}
    if not names:
        return CONTACT_DEFAULT
    return tuple(sorted((names & BY_OBJECT["contacts"].keys()) | _CONTACT_ALWAYS))


def shown_of_company(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted((names & BY_OBJECT["companies"].keys()) | _COMPANY_ALWAYS)) if names else COMPANY_DEFAULT
