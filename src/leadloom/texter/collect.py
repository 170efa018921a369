"""Find the leads that are to be handed over and put them into the outbox. Sends nothing.

Most minutes only the newest leads are looked at. After a run, a release or a switch, and once an hour, all of them are:
a lead may have gained its phone number since.
"""

from functools import cache
from importlib import resources

from django.db import connection
from django.db.models import Max

from leadloom.accounts.scope import account_scope
from leadloom.leads.models import Lead
from leadloom.texter.gate import LEADS, REASON
from leadloom.texter.models import TexterSettings

OVERLAP = 1000  # ids: a lead may become visible after one with a higher id, when its transaction took longer


def collect(account_id: int, *, only_new: bool = False) -> int:
    """Queue what may be handed over; how many there were. Does nothing while the texter is off."""
    with account_scope(account_id):
        settings = TexterSettings.objects.filter(account_id=account_id, is_on=True).first()
        if settings is None:
            return 0
        newest = Lead.objects.filter(account_id=account_id).aggregate(newest=Max("id"))["newest"] or 0
        after = settings.collected_to - OVERLAP if only_new else 0
        with connection.cursor() as cursor:
            cursor.execute(_sql(), {"account": account_id, "after": after})
            queued: int = cursor.rowcount
        if newest > settings.collected_to:
            TexterSettings.objects.filter(account_id=account_id).update(collected_to=newest)
        return queued


@cache
def _sql() -> str:
    text = resources.files("leadloom.texter").joinpath("sql/collect.sql").read_text()
    return text.replace("{LEADS}", LEADS).replace("{REASON}", REASON)
