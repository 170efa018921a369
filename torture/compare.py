"""Is what Leadloom holds what the CRM says? Compared row by row, with the database asked directly as its superuser.

Twice over: with what ``truth`` works out from the CRM's own data, field by field; and with a *twin*, another account
that has imported the same CRM in one quiet pass, by the hash over everything that a lead shows of a contact.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from leadloom.sandbox.client import TrueContact
from torture.truth import UNSAID, WORDS, Person, people

ROWS: Any = namedtuple_row  # whose columns a type checker cannot know
type Database = psycopg.Connection[Any]

LEFT_OUT_RIGHTLY = frozenset({"ambiguous_email", "archived_here"})


@dataclass(slots=True)
class Compared:
    contacts: int = 0
    fields: int = 0


class Held:
    """All that one account holds."""

    def __init__(self, database: Database, account: int) -> None:
        self.account = account
        with database.cursor(row_factory=ROWS) as cursor:
            cursor.execute(_CONTACTS, [account])
            self.contacts: dict[str, Any] = {row.external_id: row for row in cursor}
            cursor.execute(_LEADS, [account])
            self.leads: dict[int, Any] = {row.id: row for row in cursor}
            cursor.execute(_RUNS, [account])
            self.runs: list[Any] = cursor.fetchall()
            cursor.execute("SELECT phone FROM suppressions WHERE account_id = %s", [account])
            self.suppressed: set[str] = {row.phone for row in cursor}

    @property
    def live_contacts(self) -> dict[str, Any]:
        return {key: row for key, row in self.contacts.items() if row.gone_at is None and not row.merged_into}

    @property
    def live_leads(self) -> list[Any]:
        return [row for row in self.leads.values() if row.archived_at is None]


def differences(
    held: Held,
    crm: str,
    true: Mapping[str, TrueContact],
    *,
    twin: Held | None = None,
    are_deletions_told: bool = True,
    compared: Compared | None = None,
) -> Iterator[str]:
    """Every difference as a sentence without anybody's name. ``are_deletions_told``: that those who left are gone is
    required, not only that those who are there are here."""
    compared = Compared() if compared is None else compared
    yield from _who_is_there(held, true, are_deletions_told=are_deletions_told)
    for external_id, person in people(crm, true):
        if external_id in held.contacts:
            yield from _as_said(held, external_id, person, crm, compared)
    if twin is not None:
        yield from _as_the_twin(held, twin, true, compared)
    yield from _doubled(held)
    yield from _counted(held)
    yield from _opted_out(held)


def _who_is_there(held: Held, true: Mapping[str, TrueContact], *, are_deletions_told: bool) -> Iterator[str]:
    live = held.live_contacts
    for missing in true.keys() - live.keys():
        row = held.contacts.get(missing)
        how = "never recorded" if row is None else f"gone_at {row.gone_at}, merged into {row.merged_into!r}"
        yield f"account {held.account}: contact {missing} is in the CRM and not here: {how}"
    if are_deletions_told:
        for ghost in live.keys() - true.keys():
            yield f"account {held.account}: contact {ghost} has left the CRM and is still here"


def _as_said(held: Held, external_id: str, person: Person, crm: str, compared: Compared) -> Iterator[str]:
    contact = held.contacts[external_id]
    who = f"account {held.account}: contact {external_id}"
    compared.contacts += 1
    can_be_reached = (person.phone is not None and person.phone != UNSAID) or bool(person.email)
    if contact.lead_id is None:
        if can_be_reached and contact.reason not in LEFT_OUT_RIGHTLY:
            yield f"{who} can be reached and has no lead: {contact.outcome} {contact.reason}"
        return
    lead = held.leads.get(contact.lead_id)
    if lead is None:
        yield f"{who} points to a lead that is not there"
        return
    if lead.archived_at is not None and lead.archived_reason != "by_hand":
        yield f"{who} points to lead {lead.id}, which is archived: {lead.archived_reason}"
    if lead.crm_id != external_id:
        described_by = held.contacts.get(lead.crm_id)
        if described_by is not None and (described_by.gone_at or described_by.merged_into):
            yield f"{who} shares lead {lead.id}, which somebody who has left describes: {lead.crm_id}"
        return
    said = {"name": person.name, "email": person.email, "company": person.company}
    for field, value in said.items():
        if value and field not in lead.pinned:
            compared.fields += 1
            if getattr(lead, field) != value:
                yield f"{who}: lead {lead.id} shows another {field}"
    if person.phone not in (None, UNSAID) and "phone" not in lead.pinned and contact.reason != "phone_taken":
        compared.fields += 1
        if lead.phone != person.phone:
            yield f"{who}: lead {lead.id} shows another phone ({contact.outcome} {contact.reason})"
    if WORDS[crm].description:
        compared.fields += 1
        if lead.crm_description != person.description:
            yield f"{who}: lead {lead.id} shows another description"


def _as_the_twin(held: Held, twin: Held, true: Mapping[str, TrueContact], compared: Compared) -> Iterator[str]:
    for external_id in true:
        ours, theirs = held.contacts.get(external_id), twin.contacts.get(external_id)
        if ours is None or theirs is None:
            continue  # said already, or the twin's own difference
        compared.fields += 1
        if ours.content_hash is None or ours.origins != theirs.origins:
            # To be read again when it is met, or one of the two has heard who became this person, by a conversion or a
            # merge, and the other has not: both show the same.
            is_equal = (ours.name, ours.phones, ours.emails) == (theirs.name, theirs.phones, theirs.emails)
        else:
            is_equal = ours.content_hash == theirs.content_hash
        if not is_equal:
            yield f"account {held.account}: contact {external_id} is not what a new import makes of it"


def _doubled(held: Held) -> Iterator[str]:
    live = held.live_leads
    keys = {
        "phone": Counter(lead.phone for lead in live if lead.phone),
        "CRM id": Counter((lead.crm_connection_id, lead.crm_id) for lead in live if lead.crm_id),
        "e-mail and no phone": Counter(lead.email for lead in live if lead.email and not lead.phone and lead.crm_id),
    }
    for what, counts in keys.items():
        doubled = sum(count > 1 for count in counts.values())
        if doubled:
            yield f"account {held.account}: {doubled} times two leads have one {what}"


def _counted(held: Held) -> Iterator[str]:
    """Every run: what it counted is what it did."""
    created = Counter(lead.created_run_id for lead in held.leads.values())
    first_met = Counter(row.first_run_id for row in held.contacts.values())
    for run in held.runs:
        sum_ = run.created + run.updated + run.unchanged + run.linked + run.skipped + run.failed
        where = f"account {held.account}: run {run.id} ({run.trigger}, {run.strategy}, {run.state})"
        if run.strategy == "preview":
            continue
        if run.seen != sum_:
            yield f"{where} has seen {run.seen} and accounts for {sum_}"
        if run.created != created[run.id]:
            yield f"{where} counts {run.created} created, and made {created[run.id]} leads"
        if first_met[run.id] > run.seen:
            yield f"{where} counts {run.seen} seen, and recorded {first_met[run.id]} for the first time"
        if run.is_first and run.id == held.runs[0].id and run.seen != first_met[run.id]:
            yield f"{where} is the first, counts {run.seen} seen, and recorded {first_met[run.id]}"
        if run.failed:
            yield f"{where} counts {run.failed} failed"


def _opted_out(held: Held) -> Iterator[str]:
    texted = [lead.id for lead in held.live_leads if lead.phone in held.suppressed and not lead.opted_out]
    if texted:
        yield f"account {held.account}: {len(texted)} leads with a suppressed number are not opted out"


_CONTACTS = """
SELECT external_id, lead_id, outcome, reason, content_hash, name, phones, emails, gone_at, merged_into, first_run_id,
    coalesce(raw -> 'became_this', raw -> '$became_this') AS origins
FROM source_contacts WHERE account_id = %s
"""

_LEADS = """
SELECT id, name, phone, email, company, opted_out, pinned, crm_connection_id, crm_id, crm_description, created_run_id,
    created_by_id, archived_at, archived_reason
FROM leads WHERE account_id = %s
"""

_RUNS = """
SELECT id, trigger, strategy, state, is_first, seen, created, updated, unchanged, linked, skipped, failed, error_detail
FROM sync_runs WHERE account_id = %s ORDER BY id
"""
