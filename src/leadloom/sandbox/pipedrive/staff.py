"""The company itself, its users, its pipelines and the fields of a person. None of them ever changes."""

from dataclasses import dataclass
from hashlib import sha256

from leadloom.sandbox.http import Json

COMPANY_ID, COMPANY, DOMAIN = 13579246, "Sandbox Sales", "sandbox-sales"
API_DOMAIN = f"https://{DOMAIN}.pipedrive.com"


@dataclass(frozen=True, slots=True)
class User:
    id: int
    first: str
    last: str
    is_active: bool = True
    is_deleted: bool = False
    is_admin: bool = False

    def as_json(self, *, you: "User") -> dict[str, Json]:
        return {
            "id": self.id,
            "name": f"{self.first} {self.last}",
            "email": f"{self.first}.{self.last}@sales.example.com".lower(),
            "active_flag": self.is_active,
            "activated": True,
            "is_deleted": self.is_deleted,
            "is_admin": int(self.is_admin),
            "role_id": 1,
            "default_currency": "USD",
            "locale": "en_US",
            "lang": 1,
            "timezone_name": "America/Chicago",
            "timezone_offset": "-06:00",
            "phone": None,
            "created": "2024-02-05 08:11:40",
            "modified": "2026-03-02 15:20:07",
            "last_login": "2026-03-02 15:20:06",
            "icon_url": None,
            "is_you": self is you,
        }

    def me(self) -> dict[str, Json]:
        return {
            **self.as_json(you=self),
            "company_id": COMPANY_ID,
            "company_name": COMPANY,
            "company_domain": DOMAIN,
            "company_country": "US",
            "company_industry": None,
            "language": {"language_code": "en", "country_code": "US"},
        }


USERS = (
    User(25760681, "Ada", "Okafor", is_admin=True),
    User(25760682, "Ben", "Lindqvist"),
    User(25760683, "Chloe", "Marchetti"),
    User(25760684, "Dev", "Raman"),
    User(25760685, "Eva", "Zielinska"),
    User(25760686, "Gus", "Holloway", is_active=False),
    User(25760687, "Hana", "Petrova", is_active=False, is_deleted=True),
)
BY_ID = {one.id: one for one in USERS}


@dataclass(frozen=True, slots=True)
class Stage:
    id: int
    name: str
    pipeline_id: int
    order: int

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "order_nr": self.order,
            "name": self.name,
            "is_deleted": False,
            "deal_probability": 100,
            "pipeline_id": self.pipeline_id,
            "is_deal_rot_enabled": False,
            "days_to_rotten": None,
            "add_time": "2024-02-05T08:11:41Z",
            "update_time": None,
        }


PIPELINES = {1: "Sales", 2: "Service visits"}
STAGES = (
    Stage(1, "New lead", 1, 1),
    Stage(2, "Contacted", 1, 2),
    Stage(3, "On-site visit booked", 1, 3),
    Stage(4, "Offer sent 📄", 1, 4),
    Stage(5, "Scheduled", 2, 1),
    Stage(6, "Follow-up", 2, 2),
)
BY_STAGE = {one.id: one for one in STAGES}


def pipelines_json() -> list[Json]:
    return [
        {
            "id": own_id,
            "name": name,
            "order_nr": own_id,
            "is_deleted": False,
            "is_deal_probability_enabled": False,
            "add_time": "2024-02-05T08:11:41Z",
            "update_time": None,
        }
        for own_id, name in PIPELINES.items()
    ]


@dataclass(frozen=True, slots=True)
class Option:
    id: int
    label: str
    color: str | None = None

    def as_json(self) -> dict[str, Json]:
        told: dict[str, Json] = {"id": self.id, "label": self.label}
        return told | {"color": self.color} if self.color else told


@dataclass(frozen=True, slots=True)
class Field:
    code: str
    name: str
    kind: str
    options: tuple[Option, ...] = ()
    is_own: bool = False
    """Added by the customer."""
    is_extra: bool = False
    """Told only when it is asked for."""

    def as_json(self) -> dict[str, Json]:
        options: list[Json] = [one.as_json() for one in self.options]
        subfields: list[Json] = [
            {"field_code": f"{self.code}_{name}", "field_name": f"{name.title()} of {self.name}", "field_type": kind}
            for name, kind in _SUBFIELDS.get(self.kind, {}).items()
        ]
        return {
            "field_name": self.name,
            "field_code": self.code,
            "field_type": self.kind,
            "is_custom_field": self.is_own,
            "is_optional_response_field": self.is_extra,
            "options": options or None,
            "subfields": subfields or None,
        }


def _own(name: str) -> str:
    """The code of a customer's field: forty hexadecimal digits."""
    return sha256(f"pipedrive field {name}".encode()).hexdigest()[:40]


_SUBFIELDS = {
    "monetary": {"currency": "varchar"},
    "address": {"country": "varchar", "locality": "varchar", "postal_code": "varchar"},
}
REMARK, DO_NOT_TEXT, BUDGET, INTERESTS, LAST_CALL = (
    _own(name) for name in ("Remark", "Do not text", "Budget", "Interests", "Last call")
)
NO_TEXTS, TEXTS_ARE_FINE = Option(41, "Yes"), Option(42, "No")
INTEREST_OPTIONS = (Option(51, "Roof"), Option(52, "Kitchen & bath"), Option(53, "Yearly plan"))
LABELS = (
    Option(1, "Customer", "green"),
    Option(2, "Hot lead", "red"),
    Option(3, "Warm lead", "yellow"),
    Option(4, "Cold lead", "blue"),
)
MARKETING = ("no_consent", "unsubscribed", "subscribed", "archived")
FIELDS = (
    Field("id", "ID", "int"),
    Field("name", "Name", "varchar"),
    Field("first_name", "First name", "varchar"),
    Field("last_name", "Last name", "varchar"),
    Field("label_ids", "Labels", "set", LABELS),
    Field("phones", "Phone", "phone"),
    Field("emails", "Email", "varchar"),
    Field("owner_id", "Owner", "user"),
    Field("org_id", "Organization", "org"),
    Field("visible_to", "Visible to", "visible_to", (Option(1, "Item owner"), Option(3, "All users"))),
    Field("add_time", "Person created", "date"),
    Field("update_time", "Update time", "date"),
    Field("marketing_status", "Marketing status", "varchar_options",
          tuple(Option(at, one) for at, one in enumerate(MARKETING, 1)), is_extra=True),
    Field("last_incoming_mail_time", "Last email received", "date", is_extra=True),
    Field("last_outgoing_mail_time", "Last email sent", "date", is_extra=True),
    Field(REMARK, "Remark", "text", is_own=True),
    Field(DO_NOT_TEXT, "Do not text", "enum", (NO_TEXTS, TEXTS_ARE_FINE), is_own=True),
    Field(BUDGET, "Budget", "monetary", is_own=True),
    Field(INTERESTS, "Interests", "set", INTEREST_OPTIONS, is_own=True),
    Field(LAST_CALL, "Last call", "date", is_own=True),
)  # fmt: skip
OWN_FIELDS = {one.code: one for one in FIELDS if one.is_own}
