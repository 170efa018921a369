"""Recent Threads: one page of leads, or of those a search finds. Keyset-paged; called inside the account's scope.

No page counts the rows before it, and long texts are cut in the database, so the hundredth page costs as much as the
first whatever the CRM puts into its notes.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Left, StrIndex
from django.db.models.lookups import GreaterThan

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


def threads_page(
    account: Account, *, after: Place | None = None, limit: int = PAGE, search: str = "", is_whole: bool = False
) -> ThreadsPage:
    """Live leads, the latest activity first. ``is_whole``: with all of their texts, not only excerpts.

    Which leads they are is asked of one index alone, which holds what a search looks at; only they are then read.
    """
    if search:
        _look_side_by_side()
    found = _matching(Lead.objects.filter(account_id=account.pk, archived_at=None), search)
    if after is not None:
        found = found.filter(activity_at__lte=after.at).filter(Q(activity_at__lt=after.at) | Q(pk__lt=after.pk))
    places = list(found.order_by("-activity_at", "-pk").values_list("activity_at", "pk")[: limit + 1])
    shown = [pk for _, pk in places[:limit]]
    leads = Lead.objects.filter(account_id=account.pk, pk__in=shown).defer("pinned", "searched")
    if not is_whole:
        leads = leads.annotate(notes=Left("crm_description", EXCERPT), last_words=Left("last_message", EXCERPT))
        leads = leads.defer("crm_description", "last_message", "pinned", "searched")
    by_id = {lead.pk: lead for lead in leads}
    page = [by_id[pk] for pk in shown if pk in by_id]
    return ThreadsPage(page, Place(*places[limit - 1]) if len(places) > limit else None)


def _matching(found: QuerySet[Lead], search: str) -> QuerySet[Lead]:
    """By name, by e-mail, or by a part of the number however it is written: ``(415) 555``, ``0171 234``."""
    words = " ".join(search.replace("\0", "").split()).lower()
    if not words:
        return found
    digits = "".join(letter for letter in words if letter in "0123456789")
    if len(digits) >= SHORTEST_NUMBER and not any(letter.isalpha() for letter in words):
        words = digits.removeprefix("00").removeprefix("0") or digits
    # Where a word is in a text is found by skipping through it, a fifth faster than LIKE, which looks at each letter.
    return found.filter(GreaterThan(StrIndex("searched", Value(words)), 0))


def _look_side_by_side() -> None:
    """Until the transaction ends, let PostgreSQL read an index with several workers whenever it has any free.

    It guesses that a page of matches is soon full, and so never would by itself; for somebody who is rare, or not
    there, the whole of the account's index is read. See docs/decisions/0009.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('parallel_setup_cost', '0', true), set_config('parallel_tuple_cost', '0', true), "
            "set_config('min_parallel_index_scan_size', '0', true)"
        )


def has_leads(account: Account) -> bool:
    return Lead.objects.filter(account_id=account.pk, archived_at=None).exists()
