"""The database beside the model: leads, contacts and suppressed numbers, and only where they differ."""

import math
from collections import Counter
from collections.abc import Sequence

from tests.model.model import Lead, World
from tests.model.real import Real

from leadloom.leads.models import Lead as Row


def compare(world: World, real: Real) -> None:
    """Both are alike, and the model learns which row is which lead."""
    compare_leads(world, real)
    compare_contacts(world, real)


def compare_leads(world: World, real: Real) -> None:
    slug_of = {connection.pk: slug for slug, connection in real.connections.items()}
    contacts = real.contacts()
    linked: dict[int | None, list[str]] = {}
    for contact in contacts:
        linked.setdefault(contact.lead_id, []).append(f"{slug_of[contact.connection_id]} {contact.external_id}")
    rows = real.leads()
    found = sorted((_of_row(row, slug_of, linked.get(row.pk, [])), row.pk) for row in rows)
    wanted = sorted(
        ((_of_lead(lead, world), index) for index, lead in enumerate(world.leads)),
        key=lambda one: (one[0], world.leads[one[1]].pk or math.inf),
    )
    too_many, missing = _more(found, wanted), _more(wanted, found)
    assert (too_many, missing) == ([], []), f"are {too_many}, should be {missing}"
    for (_, pk), (_, index) in zip(found, wanted, strict=True):
        world.leads[index].pk = pk


def compare_contacts(world: World, real: Real) -> None:
    slug_of = {connection.pk: slug for slug, connection in real.connections.items()}
    found = {
        (slug_of[one.connection_id], one.external_id): (
            one.outcome, one.reason, one.needs_review, one.gone_at is not None, one.merged_into,
        )
        for one in real.contacts()
    }  # fmt: skip
    wanted = {
        key: (one.outcome, one.reason, one.is_for_review, one.is_gone, one.merged_into)
        for key, one in world.contacts.items()
    }
    wrong = {key: (found.get(key), one) for key, one in wanted.items() if found.get(key) != one}
    assert (wrong, len(found)) == ({}, len(wanted)), f"are and should be {wrong}"
    suppressed = real.suppressed()
    assert suppressed == world.suppressed
    assert all(row.opted_out for row in real.leads() if row.phone in suppressed)


def _more(some: Sequence[tuple[str, int]], others: Sequence[tuple[str, int]]) -> list[str]:
    """What these hold and the others do not."""
    return sorted((Counter(lead for lead, _ in some) - Counter(lead for lead, _ in others)).elements())


def _of_row(row: Row, slug_of: dict[int, str], linked: list[str]) -> str:
    crm = slug_of.get(row.crm_connection_id or 0, "")
    assert row.crm_source == crm
    return str(
        (row.name, row.phone or "", row.email, row.company, row.opted_out, sorted(row.pinned),
         row.created_run_id is None,
         crm, row.crm_id, _facts(row), row.archived_reason, row.archived_at is not None, sorted(linked))
    )  # fmt: skip


def _of_lead(lead: Lead, world: World) -> str:
    linked = sorted(f"{known.crm} {known.id}" for known in world.linked(lead))
    return str(
        (lead.name, lead.phone or "", lead.email, lead.company, lead.opted_out, sorted(lead.pinned), lead.is_by_hand,
         lead.crm, lead.crm_id, lead.facts or _facts(Row()), lead.archived, bool(lead.archived), linked)
    )  # fmt: skip


def _facts(row: Row) -> tuple[object, ...]:
    return (
        row.crm_url, row.crm_owner, row.crm_owner_email, row.crm_status, row.crm_stage, row.crm_description,
        row.crm_last_activity_at,
    )  # fmt: skip
