"""The fields that a customer has added to contacts in their CRM, as last read."""

from dataclasses import dataclass

from leadloom.connections.models import Connection
from leadloom.providers.base import OWN_FIELDS


@dataclass(frozen=True, slots=True)
class OwnField:
    name: str
    """Under which a record holds it."""
    label: str
    type: str
    """In the vendor's word."""


def own_fields_of(connection: Connection) -> list[OwnField]:
    """By label. Empty before the first run has read them."""
    rows = connection.tables.get(OWN_FIELDS, {})
    found = [OwnField(name, row["label"], row["type"]) for name, row in rows.items()]
    return sorted(found, key=lambda one: (one.label.casefold(), one.name))
