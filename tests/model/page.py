"""What becomes of contacts that are written together: known ones first, then those with a number, then the others."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace
from tests.model.model import LONG_AGO, WHO, Known, Lead, World

from leadloom.contact import Contact
from leadloom.leads.staging import Rejected
from leadloom.sync.engine import Mapped


def tell(
    world: World, crm: str, run: int, pages: Sequence[Mapped], *, is_overwrite: bool
) -> tuple[Counter[str], set[str]]:
    """Pages that were saved together. Answers what is counted, and whom they met."""
    contacts = [one for page in pages for one in page.contacts]
    merges = [one for page in pages for one in page.merged]
    gone = {one.external_id for page in pages for one in page.gone}
    world.join_merged(crm, merges)
    counted = Page(world, crm, run, is_overwrite=is_overwrite).write(contacts)
    world.join_merged(crm, merges)
    world.mark_merged(crm, merges)
    counted["gone"] = world.mark_gone(crm, run, gone)
    return counted, {one.external_id for one in contacts}


class Page:
    def __init__(self, world: World, crm: str, run: int, *, is_overwrite: bool) -> None:
        self.world, self.crm, self.run, self.is_overwrite = world, crm, run, is_overwrite
        self.people: list[Contact] = []
        self.counted: Counter[str] = Counter()
        self.lead: dict[str, Lead] = {}
        self.outcome: dict[str, str] = {}
        self.reason: dict[str, str] = {}
        self.is_new: set[str] = set()
        """Contacts that found their lead by number or e-mail just now."""

    def write(self, contacts: Sequence[Contact | Rejected]) -> Counter[str]:
        todo = [one for one in newest_of_each(contacts) if not self.is_unchanged(one)]
        people = self.people = [one for one in todo if isinstance(one, Contact)]
        flagged = {one.phone for one in people if one.opted_out and one.phone}
        self.world.suppressed |= flagged
        for one in todo:
            self.recognise(one)
        known = self.open(people)
        self.let_flow([one for one in known if one.external_id in self.lead])
        self.match(people)
        self.let_flow([one for one in self.open(people) if one.external_id in self.is_new], took_over_alone=True)
        self.link(self.open(people))
        self.opt_out(people, flagged)
        for one in todo:
            self.record(one)
        return self.counted

    def known(self, one: Contact | Rejected) -> Known | None:
        return self.world.contacts.get((self.crm, one.external_id))

    def open(self, people: Sequence[Contact]) -> list[Contact]:
        return [one for one in people if one.external_id not in self.outcome]

    def end(self, one: Contact | Rejected, outcome: str, reason: str = "") -> None:
        self.outcome[one.external_id] = outcome
        self.reason[one.external_id] = reason or self.reason.get(one.external_id, "")

    def is_unchanged(self, one: Contact | Rejected) -> bool:
        known = self.known(one)
        if self.is_overwrite or known is None or isinstance(one, Rejected):
            return False
        if known.content != content_of(one) or not known.is_here:
            return False
        self.counted["unchanged"] += known.run != self.run
        return True

    def recognise(self, one: Contact | Rejected) -> None:
        """By the CRM's id, or a former one. Sets aside who cannot be a lead."""
        known = self.known(one)
        lead = known.lead if known else None
        if isinstance(one, Rejected):
            if lead:
                self.lead[one.external_id] = lead
            return self.end(one, "failed", one.reason)
        for former in one.merged_ids:
            record = self.world.contacts.get((self.crm, former))
            lead = lead or (record.lead if record else None)
        if lead and lead.crm == self.crm and lead.crm_id in one.merged_ids:
            lead.crm_id = one.external_id
        if lead and lead.archived == "left_crm" and self.world.holder(lead.phone) is None:
            lead.archived = ""  # it left with its contact, and comes back with it
        if lead and lead.archived not in ("", "by_hand"):
            lead = None  # somebody else has its number by now: whose contact is it?
        if lead:
            self.lead[one.external_id] = lead
        if lead and lead.archived:
            return self.end(one, "skipped", "archived_here")
        if not lead and not one.phone and not one.email:
            return self.end(one, "skipped", "phone_unreadable" if one.phones else "no_phone_or_email")
        return None

    def let_flow(self, people: Sequence[Contact], *, took_over_alone: bool = False) -> None:
        """The contact that describes a lead gives it its fields; where that one is gone, the first other one does."""
        took = self.take_over(people)
        flowing = took if took_over_alone else [one for one in people if self.describes(one)]
        holders = {one.phone: self.world.holder(one.phone) for one in flowing}
        for one in flowing:
            lead = self.lead[one.external_id]
            wants = "phone" not in lead.pinned and one.phone is not None
            is_taken = wants and holders[one.phone] not in (None, lead)
            has_changed = self.flow(one, lead, phone=lead.phone if is_taken else one.phone)
            if wants and not is_taken:
                holders[one.phone] = lead
            outcome = "updated" if has_changed else "unchanged"
            self.end(one, "linked" if one.external_id in self.is_new else outcome, "phone_taken" if is_taken else "")

    def describes(self, one: Contact) -> bool:
        lead = self.lead[one.external_id]
        return (lead.crm, lead.crm_id) == (self.crm, one.external_id)

    def take_over(self, people: Sequence[Contact]) -> list[Contact]:
        back = {
            self.lead[one.external_id] for one in self.people if one.external_id in self.lead and self.describes(one)
        }
        took = []
        for one in sorted(people, key=lambda one: one.phone is None):
            lead = self.lead[one.external_id]
            if lead.crm_id and lead not in back and not self.world.is_described(lead):
                lead.crm, lead.crm_id = self.crm, one.external_id
                back.add(lead)
                took.append(one)
        return [one for one in people if one in took]

    def flow(self, one: Contact, lead: Lead, *, phone: str | None) -> bool:
        before = shown(lead)
        for name, value in zip(WHO, (one.name, phone, one.email, one.company), strict=True):
            is_blank_that_erases = self.is_overwrite and name != "phone"
            if name not in lead.pinned and (value or is_blank_that_erases):
                setattr(lead, name, value)
        lead.facts = facts_of(one)
        lead.opted_out |= one.opted_out or not self.world.suppressed.isdisjoint({one.phone, lead.phone})
        return shown(lead) != before

    def match(self, people: Sequence[Contact]) -> None:
        """By number, then by e-mail. Who is left becomes a lead, those with a number first."""
        with_number = [one for one in people if one.phone]
        for one in self.unmatched(with_number):
            self.match_number(one)
        for one in self.unmatched(with_number):
            for lead in self.world.leads:
                if lead.phone == one.phone and lead.archived == "by_hand":
                    self.lead[one.external_id] = lead
                    self.end(one, "skipped", "archived_here")
        self.match_emails(self.unmatched(people))
        self.create(self.unmatched(with_number), by="phone")
        for one in self.unmatched(with_number):
            self.match_number(one)
        self.match_emails(self.unmatched(people))
        self.create(self.unmatched(people), by="email")
        self.match_emails(self.unmatched(people))

    def unmatched(self, people: Sequence[Contact]) -> list[Contact]:
        return [one for one in self.open(people) if one.external_id not in self.lead]

    def match_number(self, one: Contact) -> None:
        lead = self.world.holder(one.phone)
        if lead is None:
            return
        others = [o for o in self.world.leads if o is not lead and not o.archived and o.email == one.email != ""]
        if others and lead.email != one.email:
            self.reason[one.external_id] = "phone_and_email_disagree"
        self.join(one, lead)

    def match_emails(self, people: Sequence[Contact]) -> None:
        """The one live lead with the e-mail whose number does not contradict. Several: nobody guesses. When two bring
        a lead without a number one each, only the first is that lead."""
        brings: dict[Lead, str | None] = {}
        found = {one.external_id: self.leads_by_email(one) for one in people}
        for one in people:
            leads = found[one.external_id]
            if len(leads) > 1:
                self.end(one, "skipped", "ambiguous_email")
            elif leads and (not one.phone or brings.setdefault(leads[0], one.phone) == one.phone):
                self.join(one, leads[0])

    def leads_by_email(self, one: Contact) -> list[Lead]:
        return [
            lead
            for lead in self.world.leads
            if one.email and lead.email == one.email and not lead.archived and not (lead.phone and one.phone)
        ]

    def join(self, one: Contact, lead: Lead) -> None:
        self.lead[one.external_id] = lead
        self.is_new.add(one.external_id)

    def create(self, people: Sequence[Contact], *, by: str) -> None:
        """A lead for each number or e-mail: the first contact with it makes it."""
        for one in {getattr(one, by): one for one in reversed(people)}.values():
            lead = Lead(
                name=one.name, phone=one.phone, email=one.email, company=one.company, facts=facts_of(one),
                crm=self.crm, crm_id=one.external_id, opted_out=one.opted_out or one.phone in self.world.suppressed,
            )  # fmt: skip
            self.world.leads.append(lead)
            self.lead[one.external_id] = lead
            self.end(one, "created")

    def link(self, people: Sequence[Contact]) -> None:
        """Contacts that share a lead. One made by hand is described by the first; the others fill blanks alone."""
        have_brought: set[Lead] = set()
        for one in sorted(people, key=lambda one: one.phone is None):
            lead = self.lead[one.external_id]
            is_first = not lead.crm_id
            if is_first:
                lead.pinned |= {name for name in WHO if getattr(lead, name)} if lead.is_by_hand else set()
                lead.crm, lead.crm_id, lead.facts = self.crm, one.external_id, facts_of(one)
            for name in WHO:
                is_free = name != "phone" or (lead not in have_brought and self.world.holder(one.phone) is None)
                if not getattr(lead, name) and name not in lead.pinned and is_free:
                    setattr(lead, name, getattr(one, name))
            have_brought |= {lead} if one.phone else set()
            lead.opted_out |= one.opted_out or lead.phone in self.world.suppressed
            self.end(one, "linked", self.reason.get(one.external_id, "") or ("" if is_first else "shares_a_lead"))

    def opt_out(self, people: Sequence[Contact], numbers: set[str | None]) -> None:
        """A flag of the CRM holds for the contact's lead and for whoever has the number, archived or not."""
        for phone in numbers:
            self.world.suppress(str(phone))
        for one in people:
            if one.opted_out and one.external_id in self.lead:
                self.lead[one.external_id].opted_out = True

    def record(self, one: Contact | Rejected) -> None:
        known = self.world.contacts.setdefault((self.crm, one.external_id), Known(self.crm, one.external_id))
        is_told = known.run == self.run and known.outcome != "gone"
        outcome = self.outcome[one.external_id]
        if not is_told:
            self.counted[outcome] += 1
            known.outcome = outcome
        known.reason = self.reason[one.external_id]
        known.is_for_review = known.reason in ("phone_taken", "phone_and_email_disagree", "ambiguous_email")
        known.lead, known.run, known.is_gone, known.merged_into = self.lead.get(one.external_id), self.run, False, ""
        known.content, known.name, known.phones, known.emails = None, "", (), ()
        if isinstance(one, Contact):
            known.content, known.name, known.emails = content_of(one), one.name, one.emails
            known.phones = tuple(phone.e164 for phone in one.phones if phone.e164)
            known.modified_at = one.modified_at or LONG_AGO


def newest_of_each(contacts: Sequence[Contact | Rejected]) -> list[Contact | Rejected]:
    newest: dict[str, Contact | Rejected] = {}
    for one in contacts:
        before = newest.get(one.external_id)
        if before is None or modified_at(one) >= modified_at(before):
            newest.pop(one.external_id, None)
            newest[one.external_id] = one
    return list(newest.values())


def modified_at(one: Contact | Rejected) -> datetime:
    return (one.modified_at if isinstance(one, Contact) else None) or LONG_AGO


def content_of(one: Contact) -> Contact:
    """What a lead shows of the contact: the rest may change unnoticed."""
    return replace(one, created_at=None, modified_at=None, raw=b"")


def shown(lead: Lead) -> tuple[object, ...]:
    return (*(getattr(lead, name) for name in WHO), lead.facts, lead.opted_out)


def facts_of(one: Contact) -> tuple[object, ...]:
    return (one.url, one.owner, one.owner_email, one.status, one.stage, one.description, one.last_activity_at)
