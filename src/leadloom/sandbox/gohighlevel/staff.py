"""The location itself, its users, its pipelines and its own fields. None of them ever changes."""

from dataclasses import dataclass

from leadloom.sandbox.http import Json

LOCATION = "kT7vQ2mXw9LpR4sYb1Hc"
COMPANY = "Zs3fD8nJq6VtG5aUe0Ko"
APP = "66f2b7c1d94e3a5b8c7d6e5f"
COUNTRY = "US"


@dataclass(frozen=True, slots=True)
class User:
    id: str
    first: str
    last: str
    listed: bool = True
    """The agency's people and those who left are known by their id alone."""
    deleted: bool = False

    @property
    def email(self) -> str:
        return f"{self.first}.{self.last}@sales.example.com".lower()

    def as_json(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "name": f"{self.first} {self.last}",
            "firstName": self.first,
            "lastName": self.last,
            "email": self.email,
            "phone": "",
            "extension": "",
            "scopes": [],
            "roles": {
                "type": "account" if self.listed else "agency",
                "role": "user",
                "locationIds": [LOCATION] if self.listed else [],
                "restrictSubAccount": False,
            },
            "deleted": self.deleted,
        }


USERS = (
    User("uA1okaforAdaK8wLq2Zx", "Ada", "Okafor"),
    User("uB2lindqvistBenR5tYm", "Ben", "Lindqvist"),
    User("uC3marchettiChlQ7vNc", "Chloe", "Marchetti"),
    User("uD4ramanDevP9sKjH3bg", "Dev", "Raman"),
    User("uE5zielinskaEvaW6xFd", "Eva", "Zielinska"),
    User("uF6carterFinnT4mGv8s", "Finn", "Carter", listed=False),
    User("uG7hollowayGusL2nBr1", "Gus", "Holloway", listed=False, deleted=True),
)


@dataclass(frozen=True, slots=True)
class Stage:
    id: str
    name: str
    pipeline: str


_SALES, _SERVICE = "pSalesQ8vTn3XkLw5Zr2", "pServiceM4bYc7HsJd9F"
PIPELINES = {_SALES: "Sales", _SERVICE: "Service visits"}
STAGES = (
    Stage("7f0d2c1a-0001-4e7a-9b0e-3c5d6e7f8a01", "New lead", _SALES),
    Stage("7f0d2c1a-0002-4e7a-9b0e-3c5d6e7f8a02", "Contacted", _SALES),
    Stage("7f0d2c1a-0003-4e7a-9b0e-3c5d6e7f8a03", "On-site visit booked", _SALES),
    Stage("7f0d2c1a-0004-4e7a-9b0e-3c5d6e7f8a04", "Offer sent 📄", _SALES),
    Stage("7f0d2c1a-0005-4e7a-9b0e-3c5d6e7f8a05", "Scheduled", _SERVICE),
    Stage("7f0d2c1a-0006-4e7a-9b0e-3c5d6e7f8a06", "Follow-up", _SERVICE),
)
BY_STAGE = {stage.id: stage for stage in STAGES}

JOB_FIELD, REMARK_FIELD = "cfJobTitleV5nQ8xKw2Z", "cfRemarkB7tLm4RsYc1H"
OWN_FIELDS = (
    (JOB_FIELD, "Job title", "contact.job_title", "TEXT"),
    (REMARK_FIELD, "Remark", "contact.remark", "LARGE_TEXT"),
    ("cfBudgetP3wNz6GdXk9F", "Budget", "contact.budget", "MONETORY"),  # the type is really called so
)


def pipelines_json() -> list[Json]:
    return [
        {
            "id": pipeline,
            "name": name,
            "locationId": LOCATION,
            "stages": [
                {"id": stage.id, "name": stage.name, "position": at}
                for at, stage in enumerate(one for one in STAGES if one.pipeline == pipeline)
            ],
        }
        for pipeline, name in PIPELINES.items()
    ]


def own_fields_json() -> list[Json]:
    return [
        {"id": own, "name": name, "model": "contact", "fieldKey": key, "dataType": kind, "position": at * 50}
        for at, (own, name, key, kind) in enumerate(OWN_FIELDS)
    ]


def location_json() -> dict[str, Json]:
    return {
        "id": LOCATION,
        "companyId": COMPANY,
        "name": "Sandbox Roofing",
        "country": COUNTRY,
        "timezone": "America/Chicago",
        "email": "office@sales.example.com",
        "settings": {"allowDuplicateContact": False, "allowDuplicateOpportunity": False},
    }
