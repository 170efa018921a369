"""Recent Threads: one page of leads, or of those a search finds. Keyset-paged; called inside the account's scope.

No page counts the rows before it, and long texts are cut in the database, so the hundredth page costs as much as the
first whatever the CRM puts into its notes.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q, QuerySet
from django.db.models.functions import Left

from leadloom.accounts.models import Account
from leadloom.leads.models import Lead

PAGE = 50
EXCERPT = 240  # characters of notes and last message that a list shows
SHORTEST_NUMBER = 3  # digits that are worth a search by phone
BIGGEST_ID = 2**63 - 1


class NotAPlace(ValueError):
    """A page was asked for after something that is no place in this list."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the next one goes on after it."""

    at: datetime
    pk: int

    def __str__(self) -> str:
        text = f"{self.at.astimezone(UTC).isoformat()}|{self.pk}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Place":
        """Raises NotAPlace."""
        try:
            decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
            at, _, pk = decoded.partition("|")
            place = cls(datetime.fromisoformat(at), int(pk))
        except ValueError:
            raise NotAPlace(text) from None
        if place.at.tzinfo is None or not 0 <= place.pk <= BIGGEST_ID:
            raise NotAPlace(text)
        return place


@dataclass(frozen=True, slots=True)
class ThreadsPage:
    leads: Sequence[Lead]
    """With ``notes`` and ``last_words`` cut to what a list shows; the whole texts are not read."""
    next: Place | None


def threads_page(account: Account, *, after: Place | None = None, limit: int = PAGE, search: str = "") -> ThreadsPage:
    """Live leads, the latest activity first."""
    found = _matching(Lead.objects.filter(account_id=account.pk, archived_at=None), search)
    if after is not None:
        found = found.filter(activity_at__lte=after.at).filter(Q(activity_at__lt=after.at) | Q(pk__lt=after.pk))
    found = found.annotate(notes=Left("crm_description", EXCERPT), last_words=Left("last_message", EXCERPT))
    leads = list(found.defer("crm_description", "last_message", "pinned").order_by("-activity_at", "-pk")[: limit + 1])
    page = leads[:limit]
    return ThreadsPage(page, Place(page[-1].activity_at, page[-1].pk) if len(leads) > limit else None)


def _matching(found: QuerySet[Lead], search: str) -> QuerySet[Lead]:
    """By name, by e-mail, or by a part of the number however it is written: ``(415) 555``, ``0171 234``."""
    words = " ".join(search.replace("\0", "").split())
    if not words:
        return found
    wanted = Q(name__icontains=words) | Q(email__contains=words.lower())
    digits = "".join(letter for letter in words if letter in "0123456789")
    if len(digits) >= SHORTEST_NUMBER and not any(letter.isalpha() for letter in words):
        wanted |= Q(phone__contains=digits.removeprefix("00").removeprefix("0") or digits)
    return found.filter(wanted)


def has_leads(account: Account) -> bool:
    return Lead.objects.filter(account_id=account.pk, archived_at=None).exists()
