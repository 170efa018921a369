"""Marks of erased people: keyed hashes of ids, numbers and addresses, by which they are kept from coming back.

A mark names nobody: without the key of the installation it cannot be turned back or tried out. Old keys stay valid
for as long as they are configured.
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from django.conf import settings

from leadloom.contact import Contact
from leadloom.leads.staging import Rejected


def marks(account_id: int, values: Iterable[str]) -> list[bytes]:
    """One for each value and configured key."""
    texts = [f"erased:{account_id}:{value}".encode() for value in values]
    return [hmac.digest(key.encode(), text, sha256) for key in settings.SECRET_KEYS for text in texts]


def values_of(connection_id: int, contact: Contact | Rejected) -> list[str]:
    """What somebody is known by: their ids in that CRM, the number we would text, and their first e-mail address.

    Not every number and address: a desk's would keep out its other people too.
    """
    if isinstance(contact, Rejected):
        return [of_id(connection_id, contact.external_id)]
    ids = [of_id(connection_id, one) for one in (contact.external_id, *contact.merged_ids)]
    return [*ids, *([of_phone(contact.phone)] if contact.phone else []), *map(of_email, contact.emails[:1])]


def of_id(connection_id: int, external_id: str) -> str:
    return f"contact:{connection_id}:{external_id}"


def of_phone(phone: str) -> str:
    return f"phone:{phone}"


def of_email(email: str) -> str:
    return f"email:{email}"
