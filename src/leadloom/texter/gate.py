"""Who may be handed over, and who is held back and why: one definition, for collecting, sending and the page.

The order of the reasons is the order in which people would name them: an opt-out is said before a missing phone, and
the first import last, so that its count is exactly how many a release would hand over.
"""

from dataclasses import dataclass

from django.db import connection

# l is the lead; s its account's settings; r and c the run that created it and that run's connection.
REASON = """
    CASE
        WHEN l.archived_at IS NOT NULL THEN 'archived'
        WHEN coalesce(r.is_first, false) IS FALSE AND (s.since IS NULL OR l.created_at < s.since) THEN 'before'
        WHEN l.opted_out THEN 'opted_out'
        WHEN l.phone IS NULL THEN 'no_phone'
        WHEN EXISTS (SELECT FROM suppressions x WHERE x.account_id = l.account_id AND x.phone = l.phone)
            THEN 'opted_out'
        WHEN r.is_first AND c.released_at IS NULL THEN 'first_import'
        ELSE ''
    END
"""

LEADS = """
    leads l
    JOIN texter_settings s ON s.account_id = l.account_id
    LEFT JOIN sync_runs r ON r.account_id = l.account_id AND r.id = l.created_run_id
    LEFT JOIN crm_connections c ON c.account_id = r.account_id AND c.id = r.connection_id
"""


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    short: str
    sentence: str


REASONS = {
    reason.code: reason
    for reason in (
        Reason("no_phone", "No phone", "There is no phone number to text. Add one, and the lead is handed over."),
        Reason("opted_out", "Opted out", "They asked not to be texted. This is never undone by a sync."),
        Reason(
            "first_import",
            "First import",
            "They came with a CRM's first import. They wait until someone releases that import.",
        ),
        Reason("before", "Before the switch", "They were there before AI Texter was switched on."),
        Reason("archived", "Archived", "The lead was archived before it was handed over."),
    )
}
LISTED = ("no_phone", "opted_out", "first_import")
"""The reasons listed by name on the page; leads from before the switch are only counted."""


def reason_for(lead_id: int) -> str:
    """Why this lead may not be handed over now, or an empty string. Locks nothing; call it inside the scope."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {REASON} FROM {LEADS} WHERE l.id = %s", [lead_id])  # noqa: S608 - no outside text
        row = cursor.fetchone()
    return str(row[0]) if row else "archived"
