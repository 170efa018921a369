"""What leads should be, in memory and one step at a time: sections 4 and 5 of the design without its SQL.

Pages go in as they were saved, people's own deeds in between; ``machine.py`` compares this with the database after each
step. It knows no paging, no transactions and no crashes: those must not show.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from leadloom.contact import Contact
from leadloom.providers.base import Merge

WHO = ("name", "phone", "email", "company")
"""Who somebody is: a CRM's blanks never erase it, an edit by hand pins it."""


LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Refused(Exception):
    """What a person asked for must not be: the number is somebody else's, or nothing is left of the lead."""


@dataclass(eq=False)
class Lead:
    name: str = ""
    phone: str | None = None
    email: str = ""
    company: str = ""
    opted_out: bool = False
    pinned: set[str] = field(default_factory=set)
    is_by_hand: bool = False
    crm: str = ""
    """The CRM whose contact describes the lead, and that contact's id there."""
    crm_id: str = ""
    facts: tuple[object, ...] = ()
    """What that contact says beside who it is: owner, status, notes."""
    archived: str = ""
    """Why it is out of Recent Threads; empty: it is not."""
    was_restored: bool = False
    pk: int = 0
    """Which row it is: set when the two were last compared."""


@dataclass(eq=False)
class Known:
    """Our record of one contact."""

    crm: str
    id: str
    content: Contact | None = None
    """What counts as read of it; None: nothing yet."""
    name: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    modified_at: datetime = LONG_AGO
    lead: Lead | None = None
    outcome: str = ""
    reason: str = ""
    is_for_review: bool = False
    is_gone: bool = False
    merged_into: str = ""
    run: int = 0

    @property
    def is_here(self) -> bool:
        return not self.is_gone and not self.merged_into


@dataclass
class World:
    """An account's leads, contacts and suppressed numbers."""

    leads: list[Lead] = field(default_factory=list)
    contacts: dict[tuple[str, str], Known] = field(default_factory=dict)
    suppressed: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    """CRMs that are disconnected."""

    def linked(self, lead: Lead) -> list[Known]:
        return [known for known in self.contacts.values() if known.lead is lead]

    def holder(self, phone: str | None) -> Lead | None:
        """The live lead with this number."""
        return next((lead for lead in self.leads if phone and lead.phone == phone and not lead.archived), None)

    def primary(self, lead: Lead) -> Known | None:
        """The contact that describes the lead."""
        return self.contacts.get((lead.crm, lead.crm_id))

    def is_described(self, lead: Lead) -> bool:
        """Is that contact still there, in a CRM that is connected?"""
        primary = self.primary(lead)
        return primary is not None and primary.lead is lead and primary.is_here and lead.crm not in self.ended

    def suppress(self, phone: str) -> None:
        """Whoever has the number, now or later, must not be texted."""
        self.suppressed.add(phone)
        for lead in self.leads:
            lead.opted_out |= lead.phone == phone

    # What a CRM tells beside its contacts

    def join_merged(self, crm: str, merges: Iterable[Merge]) -> None:
        """Contacts that are one person share one lead: the remaining contact's, unless only another's is live."""
        losers: dict[str, list[str]] = {}
        for merge in merges:
            losers.setdefault(merge.winner, []).append(merge.loser)
        for winner, others in losers.items():
            found = [self.contacts.get((crm, one)) for one in (winner, *others)]
            leads = list(dict.fromkeys(known.lead for known in found if known and known.lead))
            staying = next((lead for lead in leads if not lead.archived), leads[0] if leads else None)
            for leaving in leads:
                if staying and leaving is not staying:
                    self._join(leaving, staying)

    def _join(self, leaving: Lead, staying: Lead) -> None:
        for known in self.linked(leaving):
            known.lead = staying
        leaving.archived = leaving.archived or "merged"
        staying.opted_out |= leaving.opted_out
        for name in WHO:
            value = getattr(leaving, name)
            is_free = name != "phone" or staying.archived or self.holder(value) is None
            if not getattr(staying, name) and name not in staying.pinned and is_free:
                setattr(staying, name, value)

    def mark_merged(self, crm: str, merges: Iterable[Merge]) -> None:
        left = []
        for merge in merges:
            known, winner = self.contacts.get((crm, merge.loser)), self.contacts.get((crm, merge.winner))
            if known is not None and known.merged_into != merge.winner:
                known.is_gone, known.merged_into, known.reason = True, merge.winner, "merged_in_crm"
                known.lead = winner.lead if winner and winner.lead else known.lead
                left.append(known)
        self.let_others_describe(left)

    def mark_gone(self, crm: str, run: int, ids: Iterable[str]) -> int:
        """Contacts that left the CRM. Their leads stay."""
        found = [self.contacts.get((crm, one)) for one in ids]
        left = [known for known in found if known and not known.is_gone]
        for known in left:
            known.is_gone, known.outcome, known.reason, known.run = True, "gone", "gone_from_crm", run
        self.let_others_describe(left)
        return len(left)

    def mark_absent(self, crm: str, run: int, met: set[str]) -> int:
        """The end of a pass over everybody: who was not met has left."""
        return self.mark_gone(crm, run, [k.id for k in self.contacts.values() if k.crm == crm and k.id not in met])

    def archive_left(self, crm: str) -> None:
        """The end of an overwrite: leads that no contact stands for are put away, unless a person made or restored
        them."""
        for lead in self.leads:
            is_ours = lead.crm == crm and not (lead.archived or lead.is_by_hand or lead.was_restored)
            primary = self.primary(lead)
            has_left = primary is not None and primary.is_gone and primary.lead is lead
            if is_ours and has_left and not any(known.is_here for known in self.linked(lead)):
                lead.archived = "left_crm"

    def let_others_describe(self, left: Iterable[Known]) -> None:
        """A lead whose contact has left is described by another one of it, at the end of a run of that one's CRM."""
        for gone in left:
            lead = gone.lead
            if lead is None or self.primary(lead) is not gone:
                continue
            others = [known for known in self.linked(lead) if known.is_here and known.crm not in self.ended]
            others.sort(key=lambda known: (known.id, known.crm))
            others.sort(key=lambda known: known.modified_at, reverse=True)
            others.sort(key=lambda known: (known.id != gone.merged_into, known.crm != gone.crm))
            for heir in others[:1]:
                lead.crm, lead.crm_id, heir.content = heir.crm, heir.id, None

    def unread(self, crm: str) -> list[Known]:
        """Whose content is held and has not flowed."""
        mine = [known for known in self.contacts.values() if known.crm == crm and known.is_here and known.lead]
        return [known for known in mine if known.content is None and known.outcome != "failed"]

    # What people do

    def add(self, who: dict[str, str]) -> None:
        if not (who["name"] or who["phone"] or who["email"]):
            raise Refused
        if who["phone"] and any(lead.phone == who["phone"] for lead in self.leads):
            raise Refused
        is_suppressed = who["phone"] in self.suppressed
        self.leads.append(Lead(**{**who, "phone": who["phone"] or None}, is_by_hand=True, opted_out=is_suppressed))  # type: ignore[arg-type]

    def edit(self, lead: Lead, who: dict[str, str]) -> None:
        """What differs is written and pinned."""
        wanted: dict[str, str | None] = {**who, "phone": who["phone"] or None}
        changed = {name: value for name, value in wanted.items() if value != getattr(lead, name)}
        if not (wanted["name"] or wanted["phone"] or wanted["email"]):
            raise Refused
        if "phone" in changed and self.holder(changed["phone"]) not in (None, lead):
            raise Refused
        for name, value in changed.items():
            setattr(lead, name, value)
            lead.pinned.add(name)
        lead.opted_out |= "phone" in changed and lead.phone in self.suppressed

    def unpin(self, lead: Lead, name: str) -> None:
        """What the CRM last said is put back, where we kept it."""
        primary = self.primary(lead)
        if name not in lead.pinned:
            return
        lead.pinned.discard(name)
        if primary is None or name == "company":
            return
        heard = {"name": primary.name, "phone": "".join(primary.phones[:1]), "email": "".join(primary.emails[:1])}[name]
        if heard and not (name == "phone" and self.holder(heard) not in (None, lead)):
            setattr(lead, name, heard)
            lead.opted_out |= name == "phone" and heard in self.suppressed

    def opt_out(self, lead: Lead) -> None:
        lead.opted_out = True
        if lead.phone:
            self.suppress(lead.phone)

    def opt_in(self, lead: Lead) -> None:
        lead.opted_out = False
        self.suppressed.discard(lead.phone or "")

    def archive(self, lead: Lead) -> None:
        lead.archived = lead.archived or "by_hand"

    def restore(self, lead: Lead) -> None:
        if not lead.archived:
            return
        if self.holder(lead.phone):
            raise Refused
        lead.archived, lead.was_restored = "", True
        lead.opted_out |= lead.phone in self.suppressed
        for known in self.linked(lead):
            known.content = None  # what was said meanwhile flows with the next run
