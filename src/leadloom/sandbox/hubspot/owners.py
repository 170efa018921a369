"""The portal's owners: people at work, people who left, and one queue."""

from dataclasses import dataclass

from leadloom.sandbox.clock import DAY_MS, iso
from leadloom.sandbox.http import Json


@dataclass(frozen=True, slots=True)
class Owner:
    id: int
    first: str
    last: str
    archived: bool = False
    queue: bool = False

    @property
    def email(self) -> str:
        return "" if self.queue else f"{self.first}.{self.last}@sales.example.com".lower()

    def as_json(self, now_ms: int) -> dict[str, Json]:
        """A person who left has no ``userId`` any more, only ``userIdIncludingInactive``."""
        user = None if self.queue else self.id // 7
        return {
            "id": str(self.id),
            "email": self.email,
            "type": "QUEUE" if self.queue else "PERSON",
            "firstName": self.first,
            "lastName": self.last,
            "userId": None if self.archived else user,
            "userIdIncludingInactive": user,
            "createdAt": iso(now_ms - 900 * DAY_MS),
            "updatedAt": iso(now_ms - 30 * DAY_MS),
            "archived": self.archived,
        }


OWNERS = (
    Owner(88842001, "Ada", "Okafor"),
    Owner(88842002, "Ben", "Lindqvist"),
    Owner(88842003, "Chloe", "Marchetti"),
    Owner(88842004, "Dev", "Raman"),
    Owner(88842005, "Eva", "Zielinska"),
    Owner(88842006, "Finn", "Carter"),
    Owner(88842007, "Gus", "Holloway", archived=True),
    Owner(88842008, "Hana", "Petrova", archived=True),
    Owner(88842009, "Inbound", "Desk", queue=True),
)
