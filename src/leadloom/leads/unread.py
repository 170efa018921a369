"""Contacts of a lead whose content counts as not read, though we hold it."""

from collections.abc import Sequence

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run
from leadloom.leads.models import Outcome, SourceContact
from leadloom.leads.staging import TOO_LARGE

SLICE = 500


def of(run: Run, *, after: str) -> Sequence[SourceContact]:
    """The next of the run's connection by their id in the CRM, with the record that was last kept of each. Empty when
    there are none left."""
    last = after
    while True:
        with account_scope(run.account_id):
            mine = SourceContact.objects.filter(account_id=run.account_id, connection_id=run.connection_id)
            unread = mine.filter(content_hash=None, gone_at=None).exclude(lead=None).exclude(outcome=Outcome.FAILED)
            found = list(unread.filter(external_id__gt=last).order_by("external_id")[:SLICE])
        kept = [one for one in found if one.raw and TOO_LARGE not in one.raw]
        if kept or not found:
            return kept
        last = found[-1].external_id
