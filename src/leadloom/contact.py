"""The shape every part speaks: a contact as a CRM describes it.

Providers make these, the engine carries them, the lead store writes them. Nothing here knows a vendor,
a database or the network.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

type JSON = str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None


class Phone(Struct, frozen=True):
    """One number of a contact: what the CRM holds, and what we made of it."""

    text: str
    """Exactly as the CRM holds it."""
    label: str
    """The CRM's name for it: ``mobile``, ``phone``, ``fax``."""
    e164: str | None
    """``+14155550123``, or None when the text is not a dialable number."""


class Contact(Struct, frozen=True, kw_only=True):
    """A person as the CRM describes them, in our words. Text is trimmed, never None and free of NUL characters."""

    external_id: str
    name: str = ""
    phones: tuple[Phone, ...] = ()
    """Every number, best first: the first one with an ``e164`` is the number we text."""
    emails: tuple[str, ...] = ()
    """Lower-cased, primary first."""
    company: str = ""
    url: str = ""
    owner: str = ""
    owner_email: str = ""
    status: str = ""
    stage: str = ""
    description: str = ""
    last_activity_at: datetime | None = None
    opted_out: bool = False
    created_at: datetime | None = None
    modified_at: datetime | None = None
    merged_ids: tuple[str, ...] = ()
    """Former ids of this contact at the vendor, whose records now answer with this one."""
    raw: bytes = b"{}"
    """The vendor's record as JSON, for the lead page and for support."""

    def __repr__(self) -> str:
        return f"Contact({self.external_id!r})"  # who it is stays out of logs and tracebacks

    @property
    def phone(self) -> str | None:
        """The number to text, E.164, or None."""
        for phone in self.phones:
            if phone.e164:
                return phone.e164
        return None

    @property
    def email(self) -> str:
        """The primary e-mail, or an empty string."""
        return self.emails[0] if self.emails else ""
