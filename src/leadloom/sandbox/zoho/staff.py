"""The organisation, its users and its accounts (companies), none of which ever changes."""

from dataclasses import dataclass

from leadloom.sandbox.http import Json
from leadloom.sandbox.names import FIRMS

ORG_ID = 4876876000000020005
ZGID = "20081234567"
COMPANY = "Sandbox Sales"
TIME_ZONE = "Africa/Nairobi"
OFFSET_MINUTES = 180  # in which times are shown, as the user of the token has chosen
_FIRST_ACCOUNT = 4876876000000030001
_STEP = 17


@dataclass(frozen=True, slots=True)
class User:
    id: int
    first: str
    last: str
    status: str = "active"

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def email(self) -> str:
        return f"{self.first}.{self.last}@sales.example.com".lower()

    def lookup(self) -> dict[str, Json]:
        """As a record holds its owner."""
        return {"name": self.name, "id": str(self.id), "email": self.email}

    def as_json(self) -> dict[str, Json]:
        return {
            "id": str(self.id),
            "full_name": self.name,
            "first_name": self.first,
            "last_name": self.last,
            "email": self.email,
            "status": self.status,
            "confirm": True,
            "country_locale": "KE",
            "time_zone": TIME_ZONE,
            "role": {"name": "Sales", "id": "4876876000000026008"},
            "profile": {"name": "Standard", "id": "4876876000000026014"},
            "zuid": str(self.id)[-8:],
        }


USERS = (
    User(4876876000000377001, "Ada", "Okafor"),
    User(4876876000000377002, "Ben", "Lindqvist"),
    User(4876876000000377003, "Chloe", "Marchetti"),
    User(4876876000000377004, "Dev", "Raman"),
    User(4876876000000377005, "Eva", "Zielinska"),
    User(4876876000000377006, "Gus", "Holloway", "inactive"),
    User(4876876000000377007, "Hana", "Petrova", "deleted"),
)


def user(own_id: str) -> User | None:
    return next((one for one in USERS if str(one.id) == own_id), None)


def account(firm: int) -> dict[str, Json]:
    """As a contact holds its account."""
    return {"name": FIRMS[firm], "id": str(_FIRST_ACCOUNT + firm * _STEP)}


def account_named(name: str) -> dict[str, Json]:
    """One that is made for a name typed by hand."""
    firm = FIRMS.index(name) if name in FIRMS else len(FIRMS) + sum(map(ord, name)) % 100_000
    return {"name": name, "id": str(_FIRST_ACCOUNT + firm * _STEP)}
