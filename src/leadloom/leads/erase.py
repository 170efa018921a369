"""Erasing one person on request: everything that tells of them goes; what keeps them from coming back stays.

What stays is a suppression of each number, marks that name nobody (``marks.py``), and the CRM's ids as tombstones of
their contacts. Called inside the account's scope. Syncs of the account wait meanwhile, and find the marks after.
"""

from dataclasses import dataclass, field

from django.db import connection as db
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from leadloom.accounts.models import Account, User
from leadloom.accounts.services import audit
from leadloom.connections.models import Run
from leadloom.errors import LeadloomError
from leadloom.leads.marks import marks, of_email, of_id, of_phone
from leadloom.leads.models import Erasure, Lead, LeadChange, Outcome, SourceContact, Suppression
from leadloom.leads.store import lock_account
from leadloom.live.notify import announce

ERASED = "erased"  # why a number is suppressed, and why a contact is left out


class NeedsConfirmation(LeadloomError):
    """What is erased cannot be brought back: a person has to say so explicitly."""

    code = "needs_confirmation"


@dataclass
class _Person:
    """What we hold of one person."""

    leads: set[int]
    contacts: list[SourceContact] = field(default_factory=list)
    phones: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)


def erase(*, lead: Lead, account: Account, user: User | None, is_confirmed: bool) -> None:
    """Remove the person everywhere, for good. Raises NeedsConfirmation, then nothing happened."""
    if not is_confirmed:
        raise NeedsConfirmation("Confirm that this person is to be erased for good.")
    with transaction.atomic():
        lock_account(account.pk)
        person = _find(account, lead)
        _keep_out(account, person)
        _bury(account, person)
        _forget(account, person)
        audit(account, user, "lead.erased", f"lead {lead.pk}")
    announce(account.pk, {"kind": "lead", "lead": lead.pk})


def _find(account: Account, lead: Lead) -> _Person:
    """The lead, those that were merged into it or archived with its number, and all their contacts."""
    person = _Person({lead.pk})
    for _ in range(3):  # a contact can tell of a number under which another lead of theirs was archived
        mine = Q(pk__in=person.leads) | Q(phone__in=person.phones, archived_at__isnull=False)
        person.leads |= set(Lead.objects.filter(mine, account_id=account.pk).values_list("pk", flat=True))
        person.leads |= _merged_into(account, person.leads)
        linked = SourceContact.objects.filter(account_id=account.pk, lead_id__in=person.leads)
        person.contacts = [*linked, *_unlinked(account, person)]
        for known in Lead.objects.filter(account_id=account.pk, pk__in=person.leads):
            person.phones |= {known.phone} if known.phone else set()
            person.emails |= {known.email} if known.email else set()
        for contact in person.contacts:
            person.phones |= {phone["e164"] for phone in contact.phones if phone.get("e164")}
            person.emails |= {str(email) for email in contact.emails}
    return person


def _merged_into(account: Account, leads: set[int]) -> set[int]:
    found = LeadChange.objects.filter(account_id=account.pk, after__merged_into_lead__in=list(leads))
    return set(found.values_list("lead_id", flat=True))


def _unlinked(account: Account, person: _Person) -> QuerySet[SourceContact]:
    """Contacts that were left out, and are this person's by their number or e-mail."""
    told = Q()
    for phone in person.phones:
        told |= Q(phones__contains=[{"e164": phone}])
    for email in person.emails:
        told |= Q(emails__contains=[email])
    left_out = SourceContact.objects.filter(account_id=account.pk, lead__isnull=True)
    return left_out.filter(told) if told else left_out.none()


def _keep_out(account: Account, person: _Person) -> None:
    ids = [of_id(contact.connection_id, contact.external_id) for contact in person.contacts]
    values = [*ids, *map(of_phone, person.phones), *map(of_email, person.emails)]
    made = [Erasure(account=account, mark=mark) for mark in marks(account.pk, values)]
    Erasure.objects.bulk_create(made, ignore_conflicts=True)
    numbers = [Suppression(account=account, phone=phone, reason=ERASED) for phone in person.phones]
    Suppression.objects.bulk_create(numbers, ignore_conflicts=True)
    Lead.objects.filter(account_id=account.pk, phone__in=person.phones).update(opted_out=True)


def _bury(account: Account, person: _Person) -> None:
    """Of each contact the CRM's id is left, so that runs can say why it is not imported."""
    for contact in person.contacts:
        row = SourceContact.objects.filter(
            account_id=account.pk, connection_id=contact.connection_id, external_id=contact.external_id
        )
        row.update(
            lead_id=None, outcome=Outcome.SKIPPED, reason=ERASED, reason_value="", needs_review=False, match_rule="",
            content_hash=None, name="", phones=[], emails=[], raw={}, is_first_import=False, updated_at=Now(),
        )  # fmt: skip


def _forget(account: Account, person: _Person) -> None:
    """The leads with their messages, changes and deliveries, which go with them; and every other place that repeats
    who they were."""
    values = [*person.phones, *person.emails]
    others = SourceContact.objects.filter(account_id=account.pk, reason_value__in=values)
    others.update(reason_value="")
    with db.cursor() as cursor:
        cursor.execute(_FORGET_CHANGES, {"account": account.pk, "values": values})
        cursor.execute("DELETE FROM leads WHERE account_id = %s AND id = ANY (%s)", [account.pk, list(person.leads)])
    # The samples of previews name people; their counts stay.
    for run in Run.objects.filter(account_id=account.pk, changes__isnull=False).only("pk", "account_id", "changes"):
        Run.objects.filter(account_id=account.pk, pk=run.pk).update(
            changes={**(run.changes or {}), "created": [], "changed": []}
        )


_FORGET_CHANGES = """
DELETE FROM lead_changes
WHERE account_id = %(account)s
  AND (before ->> 'phone' = ANY (%(values)s) OR after ->> 'phone' = ANY (%(values)s)
       OR before ->> 'email' = ANY (%(values)s) OR after ->> 'email' = ANY (%(values)s))
"""
