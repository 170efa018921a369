"""Contacts that were not imported, and the contacts of one run: each with its reason and a way to the CRM's record.

Reads only; called inside the account's scope.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.db.models import Count, F, Func, IntegerField, Q, QuerySet

from leadloom.connections.models import Connection, Run
from leadloom.errors import RecordRejected
from leadloom.leads.models import Outcome, SourceContact
from leadloom.leads.reasons import REASONS, Reason, sentence_for
from leadloom.leads.records import records_of
from leadloom.providers.base import CrmAccount
from leadloom.providers.catalogue import UnknownProvider
from leadloom.providers.catalogue import provider as provider_of

PAGE = 50
LARGEST_RECORD = 50_000  # bytes; a list does not read records with whole novels in them


@dataclass(frozen=True, slots=True)
class Explained:
    """A contact, why it is where it is, and where to mend it."""

    contact: SourceContact
    sentence: str
    fix: str
    crm_url: str

    @property
    def numbers(self) -> str:
        return ", ".join(str(phone.get("text") or phone.get("e164") or "") for phone in self.contact.phones)


@dataclass(frozen=True, slots=True)
class ExplainedPage:
    rows: Sequence[Explained]
    next: str
    """The contact to go on after; empty on the last page."""


@dataclass(frozen=True, slots=True)
class Cause:
    reason: Reason
    count: int
    is_review: bool
    """Imported, but somebody should look."""


def causes_of(connection: Connection) -> list[Cause]:
    """Why contacts of this connection were left out or need a look, the commonest cause first."""
    counted = _to_explain(connection).values_list("reason", "outcome").annotate(n=Count("external_id")).order_by()
    numbers: dict[tuple[str, bool], int] = {}
    for code, outcome, number in counted:
        key = (code, outcome not in (Outcome.SKIPPED, Outcome.FAILED))
        numbers[key] = numbers.get(key, 0) + number
    causes = [Cause(REASONS[code], n, review) for (code, review), n in numbers.items() if code in REASONS]
    return sorted(causes, key=lambda cause: (cause.is_review, -cause.count))


def left_out(connection: Connection, *, reason: str = "", after: str = "") -> ExplainedPage:
    """By the contact's id in the CRM."""
    found = _to_explain(connection).filter(external_id__gt=after.replace("\0", ""))
    if reason:
        found = found.filter(reason=reason)
    return _page(connection, list(found.order_by("external_id")[: PAGE + 1]))


def records_page(run: Run, *, outcome: str, after: str) -> ExplainedPage:
    """Contacts as this run left them."""
    records = records_of(run, outcome=outcome, after=after.replace("\0", ""), limit=PAGE + 1)
    return _page(run.connection, records)


def _to_explain(connection: Connection) -> QuerySet[SourceContact]:
    kept_out = Q(outcome__in=[Outcome.SKIPPED, Outcome.FAILED]) | Q(needs_review=True)
    mine = SourceContact.objects.filter(account_id=connection.account_id, connection_id=connection.pk)
    return mine.filter(kept_out, gone_at=None, merged_into="").defer("raw", "content_hash")


def _page(connection: Connection, contacts: Sequence[SourceContact]) -> ExplainedPage:
    page = contacts[:PAGE]
    urls = _crm_urls(connection, [contact.external_id for contact in page])
    rows = [
        Explained(
            contact=contact,
            sentence=sentence_for(contact.reason, contact.reason_value),
            fix=REASONS[contact.reason].fix if contact.reason in REASONS else "",
            crm_url=urls.get(contact.external_id, ""),
        )
        for contact in page
    ]
    return ExplainedPage(rows, page[-1].external_id if len(contacts) > PAGE else "")


def _crm_urls(connection: Connection, external_ids: Sequence[str]) -> dict[str, str]:
    """Where each contact is in its CRM, as the provider reads it from the record we kept."""
    kept = SourceContact.objects.filter(
        account_id=connection.account_id, connection_id=connection.pk, external_id__in=external_ids
    )
    small = kept.annotate(size=Func(F("raw"), function="pg_column_size", output_field=IntegerField()))
    records = small.filter(size__lt=LARGEST_RECORD).values_list("external_id", "raw")
    account = CrmAccount(
        external_id=connection.external_account_id, name=connection.external_account_name, facts=connection.facts
    )
    urls = {}
    for external_id, record in records:
        with suppress(UnknownProvider, RecordRejected):
            contact = provider_of(connection.provider).contact(record, tables={}, account=account, region="")
            urls[external_id] = contact.url
    return urls
