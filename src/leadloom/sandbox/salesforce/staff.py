"""The organisation, its users, queues, statuses and stages: who and what there is before anybody is."""

from dataclasses import dataclass

from leadloom.sandbox.http import Json
from leadloom.sandbox.salesforce.catalogue import CONVERTED_STATUS, STAGES, STATUSES
from leadloom.sandbox.salesforce.ids import id_of

COMPANY = "Sandbox Sales"
ORG_ID = id_of("Organization", 1)
MY_DOMAIN = "https://sandbox-sales.my.salesforce.com"
TIME_ZONE = "America/New_York"
STANDARD = "Standard"


@dataclass(frozen=True, slots=True)
class User:
    number: int
    first: str
    last: str
    is_active: bool = True
    type: str = STANDARD
    mail: str = ""

    @property
    def id(self) -> str:
        return id_of("User", self.number)

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}".strip()

    @property
    def email(self) -> str:
        return self.mail or f"{self.first}.{self.last}@sales.example.com".lower()

    def values(self) -> dict[str, Json]:
        return {
            "Username": f"{self.email}.crm",
            "LastName": self.last,
            "FirstName": self.first or None,
            "Name": self.name,
            "Alias": self.last[:8].lower(),
            "Title": None,
            "TimeZoneSidKey": TIME_ZONE,
            "Email": self.email,
            "Phone": None,
            "IsActive": self.is_active,
            "UserType": self.type,
            "Type": "User",
        }


PEOPLE = (
    User(1, "Ada", "Okafor"),
    User(2, "Ben", "Lindqvist"),
    User(3, "Chloe", "Marchetti"),
    User(4, "Dev", "Raman"),
    User(5, "Eva", "Zielinska"),
    User(6, "Hana", "Petrova", is_active=False),
)
USERS = (
    *PEOPLE,
    User(7, "", "Automated Process", type="AutomatedProcess", mail="noreply@process.example.com"),
    User(8, "Platform Integration", "User", type="CloudIntegrationUser", mail="noreply@platform.example.com"),
    User(9, "Leadloom", "Integration"),
)
"""The last but two are the platform's own; the last is whom the access token belongs to."""
US = USERS[-1]
QUEUES: tuple[tuple[str | None, str, str | None], ...] = (
    ("Inbound leads", "Inbound_leads", None),
    ("Trade fair", "Trade_fair", "fair@sales.example.com"),
)
OWNERS = tuple(one.id for one in PEOPLE)
LEAD_OWNERS = (*OWNERS, *(id_of("Group", number) for number in range(len(QUEUES))))


def static_rows() -> dict[str, list[dict[str, Json]]]:
    """What the small tables hold, in the order of their numbers; users are numbered from one."""
    groups = [(*one, "Queue") for one in QUEUES] + [(None, "AllInternalUsers", None, "Organization")]
    return {
        "Group": [
            {"Name": name, "DeveloperName": developer, "Email": email, "Type": kind}
            for name, developer, email, kind in groups
        ],
        "LeadStatus": [
            {
                "ApiName": one.value,
                "MasterLabel": one.label,
                "SortOrder": at + 1,
                "IsDefault": one.is_default,
                "IsConverted": one.value == CONVERTED_STATUS,
            }
            for at, one in enumerate(STATUSES)
        ],
        "OpportunityStage": [
            {
                "ApiName": one.value,
                "MasterLabel": one.label,
                "SortOrder": at + 1,
                "IsActive": True,
                "IsClosed": is_closed(one.value),
                "IsWon": one.value == "Closed Won",
            }
            for at, one in enumerate(STAGES)
        ],
    }


def organization() -> dict[str, Json]:
    return {
        "Name": COMPANY,
        "OrganizationType": "Enterprise Edition",
        "InstanceName": "USA500",
        "DefaultLocaleSidKey": "en_US",
        "TimeZoneSidKey": TIME_ZONE,
        "LanguageLocaleKey": "en_US",
        "Country": "US",
        "IsSandbox": False,
    }


def is_closed(stage: Json) -> bool:
    return str(stage).startswith("Closed")
