"""Writing a page of contacts: match, then create, update or link leads, and record what became of each.

One call is one step of the caller's transaction: rows, reasons and counts commit together or not at all. The work is
set-based SQL over a staging table (``sql/``, in the order of the file names). Nothing here knows a vendor or sends
anything. Pages of one account are written one at a time, so two CRMs that share people cannot deadlock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import structlog
from django.db import connection, transaction
from psycopg import DataError, IntegrityError

from leadloom.contact import Contact
from leadloom.leads.marks import marks, values_of
from leadloom.leads.models import Erasure, SourceContact
from leadloom.leads.staging import STAGED_COLUMNS, Rejected, Stager
from leadloom.providers.base import Gone, Merge

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where contacts go and on whose behalf."""

    account_id: int
    connection_id: int
    run_id: int
    provider: str
    is_first: bool = False
    """The first import: contacts made long ago count as old leads."""
    is_overwrite: bool = False
    """Make leads equal to the CRM: blanks erase too, and nothing is skipped for being unchanged."""
    notes_met: bool = False
    """Remember who was met, to find out in the end who was not (``leads/absent.py``)."""

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "account": self.account_id,
            "connection": self.connection_id,
            "run": self.run_id,
            "provider": self.provider,
            "is_overwrite": self.is_overwrite,
            "is_first": self.is_first,
        }


@dataclass(slots=True)
class Written:
    """What became of some contacts: counts by outcome, and by reason for those left out."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    gone: int = 0

    @property
    def seen(self) -> int:
        return self.outcomes.total()

    def __add__(self, other: "Written") -> "Written":
        return Written(self.outcomes + other.outcomes, self.reasons + other.reasons, self.gone + other.gone)


def write_contacts(
    target: Target, contacts: Sequence[Contact | Rejected], lines: Sequence[bytes] | None = None
) -> Written:
    """Match and write contacts inside the caller's account scope. Any number; callers keep to a few thousand.

    ``lines``: what a ``Stager`` made of them, if it was done beforehand. A contact met twice counts once, with its
    newest content. A contact that the database refuses is recorded as failed with a reason; the others are written.
    """
    if lines is None:
        lines = list(map(Stager(is_first=target.is_first), contacts))
    lock_account(target.account_id)
    latest = _without_erased(target, _newest_of_each(zip(contacts, lines, strict=True)))
    written = _write_or_split(target, latest)
    if target.notes_met:
        run_sql("seen", {**target.parameters, "external_ids": [contact.external_id for contact, _ in latest]})
    return written


def write_gone(target: Target, gone: Sequence[Gone]) -> int:
    """Mark contacts that the CRM says are deleted. Answers how many were not marked before. A lead that shares another
    contact is described by that one from now on."""
    if not gone:
        return 0
    lock_account(target.account_id)
    ats = {one.external_id: one.at for one in gone}
    marked = run_sql("mark_gone", {**target.parameters, "external_ids": list(ats), "ats": list(ats.values())})
    promote_next(target, [external_id for (external_id,) in marked])
    return len(marked)


def promote_next(target: Target, left: Sequence[str]) -> None:
    """Leads whose contact has left are described by another contact of theirs from now on."""
    if left:
        run_sql("promote_next", {**target.parameters, "external_ids": list(left)})


def join_merged(target: Target, merges: Sequence[Merge]) -> None:
    """Leads that turn out to be one person become one.

    Called before ``write_contacts`` of the same page, so that the remaining contact finds one lead and its number free.
    """
    if merges:
        lock_account(target.account_id)
        for leaving, staying in run_sql("leads_merged_away", _told(target, merges)):
            _join_leads(target, leaving=leaving, staying=staying)


def write_merges(target: Target, merges: Sequence[Merge]) -> None:
    """Point merged contacts to the one that remains.

    Called after ``write_contacts`` of the same page, so that the remaining contact has its lead.
    """
    if not merges:
        return
    join_merged(target, merges)
    marked = run_sql("mark_merged", _told(target, merges))
    promote_next(target, [external_id for (external_id,) in marked])


def _told(target: Target, merges: Sequence[Merge]) -> dict[str, Any]:
    losers, winners = [merge.loser for merge in merges], [merge.winner for merge in merges]
    return {**target.parameters, "losers": losers, "winners": winners}


def keep_statistics_fresh(created: int) -> bool:
    """Let the planner know when this run has made most of the table: its picture of a new table is of an empty one,
    and autovacuum corrects that only after a minute. Call outside the page's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = 'leads'::regclass")
        [(known,)] = cursor.fetchall()
        if created < 200 or created < known * 4:
            return False
        cursor.execute("SELECT leadloom_analyze_leads()")
    return True


type Staged = tuple[Contact | Rejected, bytes]
"""A contact and its line of COPY."""


def _newest_of_each(staged: Iterable[Staged]) -> list[Staged]:
    """One of each id: the one modified last, or met last when the CRM does not say."""
    newest: dict[str, Staged] = {}
    for one in staged:
        known = newest.get(one[0].external_id)
        if known is None or _modified(one[0]) >= _modified(known[0]):
            newest[one[0].external_id] = one
    return list(newest.values())


def _modified(contact: Contact | Rejected) -> datetime:
    at = contact.modified_at if isinstance(contact, Contact) else None
    return at or datetime.min.replace(tzinfo=UTC)


def _write_or_split(target: Target, staged: Sequence[Staged]) -> Written:
    """Write all at once; if the database refuses something, halve until the refused record is alone."""
    if not staged:
        return Written()
    try:
        with transaction.atomic():
            return _write(target, staged)
    except Exception as error:
        if not isinstance(error.__cause__ or error, DataError | IntegrityError):
            raise
        if len(staged) > 1:
            middle = len(staged) // 2
            return _write_or_split(target, staged[:middle]) + _write_or_split(target, staged[middle:])
        [(contact, _)] = staged
        log.warning("leads.unstorable", run=target.run_id, contact=contact.external_id, error=type(error).__name__)
        refused = Rejected(contact.external_id, "unstorable")
        with transaction.atomic():
            return _write(target, [(refused, Stager(is_first=target.is_first)(refused))])


def _write(target: Target, staged: Sequence[Staged]) -> Written:
    values = target.parameters
    contacts = [contact for contact, _ in staged]
    run_sql("01_stage", values)
    _copy(line for _, line in staged)
    written = Written()
    [(created,)] = run_sql("02_take_new", {**values, "entangled": _entangled(contacts)})
    if created:
        written.outcomes["created"] = created
    if created < len(contacts):
        _write_others(target, contacts, len(contacts) - created, written)
    return written


def _write_others(target: Target, contacts: Sequence[Contact | Rejected], left: int, written: Written) -> None:
    """Contacts that we know, that share something with somebody, or that cannot become leads."""
    values = target.parameters
    if not target.is_overwrite:
        [(unchanged, repeats)] = run_sql("03_drop_unchanged", values)
        if unchanged:
            written.outcomes["unchanged"] = unchanged
        if unchanged + repeats == left:
            return
    known = run_sql("04_recognise", values)
    has_merged = any(isinstance(contact, Contact) and contact.merged_ids for contact in contacts)
    if has_merged:
        run_sql("05_inherit_merged", values)
        run_sql("06_promote_survivor", values)
    is_opted_out = any(isinstance(contact, Contact) and contact.opted_out for contact in contacts)
    if is_opted_out:
        run_sql("07_note_opt_outs", values)
    run_sql("08_set_aside", values)
    if known or has_merged:
        run_sql("09_revive", values)
        run_sql("let_go", values)
        run_sql("take_over", values)
        run_sql("10_update_known", values)
    run_sql("11_match_phone", values)
    run_sql("12_respect_archived", values)
    run_sql("13_match_email", values)
    for by_email in (False, True):
        made = run_sql("14_create", {**values, "by_email": by_email})
        if made:
            lead_ids, external_ids = zip(*made, strict=True)
            run_sql("15_attach_created", {"lead_ids": list(lead_ids), "external_ids": list(external_ids)})
        run_sql("11_match_phone", values)  # those who share a number with a lead just made, here or by another worker
        run_sql("13_match_email", values)
    if run_sql("take_over", values):
        run_sql("10_update_known", values)
    run_sql("16_fill_linked", values)
    if is_opted_out:
        run_sql("note_opted_out", values)
    run_sql("17_record", values)
    for outcome, reason, count in run_sql("18_count", values):
        written.outcomes[outcome] += count
        if outcome in ("skipped", "failed"):
            written.reasons[reason] += count


LOCK = 7_001  # the advisory lock's class: "this account's leads are being written by a sync"


def lock_account(account_id: int) -> None:
    """Until the transaction ends, nobody else writes contacts of this account, or erases a person of it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, account_id % 2**31])


def _without_erased(target: Target, staged: list[Staged]) -> list[Staged]:
    """People who were erased on request are left out, with nothing but their id."""
    if not Erasure.objects.filter(account_id=target.account_id).exists():
        return staged
    marked = {
        mark: contact.external_id
        for contact, _ in staged
        for mark in marks(target.account_id, values_of(target.connection_id, contact))
    }
    found = Erasure.objects.filter(account_id=target.account_id, mark__in=list(marked)).values_list("mark", flat=True)
    ids = [contact.external_id for contact, _ in staged]
    buried = SourceContact.objects.filter(
        account_id=target.account_id, connection_id=target.connection_id, external_id__in=ids, reason="erased"
    )
    erased = {marked[bytes(mark)] for mark in found} | set(buried.values_list("external_id", flat=True))
    stager = Stager(is_first=target.is_first)

    def left_out(external_id: str) -> Staged:
        nobody = Rejected(external_id, "erased")
        return nobody, stager(nobody)

    return [left_out(one[0].external_id) if one[0].external_id in erased else one for one in staged]


def _copy(lines: Iterable[bytes]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM staged; DELETE FROM incoming")  # a split page stages its halves in one transaction
        with cursor.copy(f"COPY staged ({', '.join(STAGED_COLUMNS)}) FROM STDIN") as copy:
            copy.write(b"".join(lines))


def _entangled(contacts: Sequence[Contact | Rejected]) -> list[str]:
    """The ids of those who need a second look whoever else we know: they share a number or an e-mail with another of
    the page, have neither, were merged, must not be texted, or could not be read."""
    people = [contact for contact in contacts if isinstance(contact, Contact)]
    phones = Counter(contact.phone for contact in people)
    emails = Counter(contact.email for contact in people)
    alone = {
        contact.external_id
        for contact in people
        if not contact.opted_out
        and not contact.merged_ids
        and ((phone := contact.phone) is None or phones[phone] == 1)
        and (not (email := contact.email) or emails[email] == 1)
        and (phone or email)
    }
    return [contact.external_id for contact in contacts if contact.external_id not in alone]


def _join_leads(target: Target, *, leaving: int, staying: int) -> None:
    """Two leads are one person: move thread, contacts and opt-out, and archive the lead that is left empty."""
    values = {**target.parameters, "leaving": leaving, "staying": staying}
    with connection.cursor() as cursor:
        for statement in _JOIN:
            cursor.execute(statement, values)


_JOIN = (
    "UPDATE messages SET lead_id = %(staying)s WHERE account_id = %(account)s AND lead_id = %(leaving)s",
    "UPDATE source_contacts SET lead_id = %(staying)s WHERE account_id = %(account)s AND lead_id = %(leaving)s",
    """
    UPDATE leads SET archived_at = now(), archived_reason = 'merged'
    WHERE account_id = %(account)s AND id = %(leaving)s AND archived_at IS NULL
    """,
    """
    UPDATE leads s
    SET opted_out = s.opted_out OR l.opted_out,
        name = CASE WHEN s.name = '' AND NOT s.pinned ? 'name' THEN l.name ELSE s.name END,
        phone = CASE WHEN s.phone IS NULL AND NOT s.pinned ? 'phone' AND (s.archived_at IS NOT NULL OR NOT EXISTS (
                    SELECT FROM leads o
                    WHERE o.account_id = %(account)s AND o.phone = l.phone AND o.archived_at IS NULL
                )) THEN l.phone ELSE s.phone END,
        email = CASE WHEN s.email = '' AND NOT s.pinned ? 'email' THEN l.email ELSE s.email END,
        company = CASE WHEN s.company = '' AND NOT s.pinned ? 'company' THEN l.company ELSE s.company END,
        contacted_at = least(s.contacted_at, l.contacted_at),
        activity_at = greatest(s.activity_at, l.activity_at),
        last_message = CASE WHEN coalesce(l.last_message_at > s.last_message_at, l.last_message_at IS NOT NULL)
                            THEN l.last_message ELSE s.last_message END,
        last_message_direction = CASE WHEN coalesce(l.last_message_at > s.last_message_at,
                                                    l.last_message_at IS NOT NULL)
                                      THEN l.last_message_direction ELSE s.last_message_direction END,
        last_message_at = greatest(s.last_message_at, l.last_message_at)
    FROM leads l
    WHERE s.account_id = %(account)s AND s.id = %(staying)s AND l.account_id = %(account)s AND l.id = %(leaving)s
    """,
    """
    INSERT INTO lead_changes (account_id, lead_id, run_id, before, after)
    VALUES (%(account)s, %(leaving)s, %(run)s, '{"archived": false}',
            jsonb_build_object('archived', true, 'merged_into_lead', %(staying)s::bigint))
    """,
)


@cache
def _sql(name: str) -> str:
    return files("leadloom.leads").joinpath("sql", f"{name}.sql").read_text()


def run_sql(name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run one statement of ``sql/`` and answer its rows."""
    with connection.cursor() as cursor:
        cursor.execute(_sql(name), values)
        return cursor.fetchall() if cursor.description else []
