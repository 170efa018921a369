"""What people do to leads: add one by hand, edit, pin and unpin, opt out and in, archive and restore.

Called inside the account's scope. Each writes what changed, and who did it, to ``lead_changes``; a sync never undoes
it. Leads added here carry nothing of a CRM until one of its contacts joins them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, transaction

from leadloom.accounts.models import Account, Member
from leadloom.accounts.services import audit
from leadloom.errors import LeadloomError
from leadloom.leads.models import Lead, LeadChange, LeadType, SourceContact, Suppression
from leadloom.live.notify import announce
from leadloom.providers.phones import to_e164

PINNABLE = ("name", "phone", "email", "company")
BY_MEMBER = "member"  # why a number is suppressed
BY_HAND = "by_hand"  # why a lead is archived; leads/sql/12_respect_archived.sql reads it


class BadPhone(LeadloomError):
    """The text is no number that can be dialled."""

    code = "bad_phone"


class NobodyThere(LeadloomError):
    """A lead with neither a name, a phone number nor an e-mail address."""

    code = "nobody"


class PhoneTaken(LeadloomError):
    """Another lead has this number. ``lead`` is that lead; it may be archived."""

    code = "phone_taken"

    def __init__(self, lead: Lead) -> None:
        where = "an archived lead" if lead.archived_at else "a lead you have already"
        super().__init__(f"This number belongs to {where}: {lead.name or lead.phone}.")
        self.lead = lead


class NeedsConfirmation(LeadloomError):
    """Somebody who opted out is texted again only if a person says so explicitly."""

    code = "needs_confirmation"


def add_lead(
    *, account: Account, member: Member, name: str = "", phone: str = "", email: str = "", company: str = ""
) -> Lead:
    """A lead by hand. Raises BadPhone, PhoneTaken or NobodyThere: then nothing was written."""
    number = _number(phone, account)
    _require_somebody(name, number, email)
    holder = _holder(account, number)
    if holder is not None:
        raise PhoneTaken(holder)
    lead = Lead(
        account=account,
        name=_tidy(name, 300),
        phone=number,
        email=_tidy(email, 320).lower(),
        company=_tidy(company, 300),
        lead_type=LeadType.NEW,
        opted_out=_is_suppressed(account, number),
        created_by=member,
    )
    _save_new(account, lead)
    audit(account, member.user, "lead.added", f"lead {lead.pk}")
    _tell(lead)
    return lead


def edit_lead(*, lead: Lead, member: Member, name: str, phone: str, email: str, company: str) -> Lead:
    """Fields that differ are written and pinned: no sync overwrites them. Raises BadPhone, PhoneTaken, NobodyThere."""
    account = member.account
    with transaction.atomic():
        lead = Lead.objects.select_for_update().get(account_id=account.pk, pk=lead.pk)
        unchanged = phone.strip() == (lead.phone or "")
        number = lead.phone if unchanged else _number(phone, account)
        wanted = {
            "name": _tidy(name, 300),
            "phone": number,
            "email": _tidy(email, 320).lower(),
            "company": _tidy(company, 300),
        }
        _require_somebody(name, number, email)
        changed: dict[str, Any] = {field: value for field, value in wanted.items() if value != getattr(lead, field)}
        if not changed:
            return lead
        if "phone" in changed:
            holder = _holder(account, number)
            if holder is not None and holder.pk != lead.pk and holder.archived_at is None:
                raise PhoneTaken(holder)
            if _is_suppressed(account, number):
                changed["opted_out"] = True
        pinned = sorted({*lead.pinned, *(field for field in changed if field in PINNABLE)})
        _write(lead, member, {**changed, "pinned": pinned})
    _tell(lead)
    return lead


def unpin(*, lead: Lead, member: Member, field: str) -> Lead:
    """The CRM's value flows again. What we last heard from the CRM is put back at once, where we kept it."""
    with transaction.atomic():
        lead = Lead.objects.select_for_update().get(account_id=member.account_id, pk=lead.pk)
        if field not in lead.pinned:
            return lead
        changed: dict[str, Any] = {"pinned": [pinned for pinned in lead.pinned if pinned != field]}
        heard = _heard_from_crm(lead, field)
        if heard and not (field == "phone" and _other_holder(lead, heard)):
            changed[field] = heard
            if field == "phone" and _is_suppressed(member.account, heard):
                changed["opted_out"] = True
        _write(lead, member, changed)
    _tell(lead)
    return lead


def opt_out(*, lead: Lead, member: Member) -> Lead:
    """No texts any more. The number is remembered even when the lead goes."""
    mine = Lead.objects.filter(account_id=member.account_id, pk=lead.pk)
    with transaction.atomic():
        # The number before the lead, as a sync of the same opt-out writes them: each waits for the other once at most.
        _suppress(mine.get().phone, member)
        lead = mine.select_for_update().get()
        _suppress(lead.phone, member)  # a sync may have given the lead another number just now
        if lead.phone:
            others = Lead.objects.filter(account_id=member.account_id, phone=lead.phone, opted_out=False)
            others.exclude(pk=lead.pk).update(opted_out=True)  # archived ones: they may be restored
        if not lead.opted_out:
            _write(lead, member, {"opted_out": True})
            audit(member.account, member.user, "lead.opted_out", f"lead {lead.pk}")
    _tell(lead)
    return lead


def _suppress(phone: str | None, member: Member) -> None:
    if phone:
        Suppression.objects.get_or_create(
            account_id=member.account_id,
            phone=phone,
            defaults={"reason": BY_MEMBER, "source": f"member {member.pk}"},
        )


def opt_in(*, lead: Lead, member: Member, is_confirmed: bool) -> Lead:
    """Allow texts again, because the person asked for it. Raises NeedsConfirmation unless a member vouches for that."""
    if not is_confirmed:
        raise NeedsConfirmation("Confirm that this person has asked you to text them again.")
    with transaction.atomic():
        lead = Lead.objects.select_for_update().get(account_id=member.account_id, pk=lead.pk)
        if lead.phone:
            Suppression.objects.filter(account_id=member.account_id, phone=lead.phone).delete()
        if lead.opted_out:
            _write(lead, member, {"opted_out": False})
            audit(member.account, member.user, "lead.opted_in", f"lead {lead.pk}")
    _tell(lead)
    return lead


def archive(*, lead: Lead, member: Member) -> Lead:
    """Out of Recent Threads; messages, opt-outs and history stay, and no sync brings it back."""
    with transaction.atomic():
        lead = Lead.objects.select_for_update().get(account_id=member.account_id, pk=lead.pk)
        if lead.archived_at is None:
            _write(lead, member, {"archived_at": datetime.now(UTC), "archived_reason": BY_HAND})
            audit(member.account, member.user, "lead.archived", f"lead {lead.pk}")
    _tell(lead)
    return lead


def restore(*, lead: Lead, member: Member) -> Lead:
    """Back into Recent Threads. Raises PhoneTaken when somebody else has the number by now."""
    with transaction.atomic():
        lead = Lead.objects.select_for_update().get(account_id=member.account_id, pk=lead.pk)
        if lead.archived_at is not None:
            holder = _other_holder(lead, lead.phone)
            if holder is not None:
                raise PhoneTaken(holder)
            changed: dict[str, Any] = {"archived_at": None, "archived_reason": ""}
            if _is_suppressed(member.account, lead.phone):
                changed["opted_out"] = True
            _write(lead, member, changed)
            _read_again(lead)
            audit(member.account, member.user, "lead.restored", f"lead {lead.pk}")
    _tell(lead)
    return lead


def _number(text: str, account: Account) -> str | None:
    if not text.strip():
        return None
    number = to_e164(text, account.region)
    if number is None:
        raise BadPhone(
            f"“{_tidy(text, 60)}” is not a number that can be dialled. Add the country code, as in +1 415 555 0123."
        )
    return number


def _require_somebody(name: str, number: str | None, email: str) -> None:
    if not (name.strip() or number or email.strip()):
        raise NobodyThere("Enter at least a name, a phone number or an e-mail address.")


def _tidy(text: str, most: int) -> str:
    return " ".join(text.replace("\0", "").split())[:most]


def _holder(account: Account, number: str | None) -> Lead | None:
    """The lead with this number: the live one, else the one archived last."""
    if number is None:
        return None
    return Lead.objects.filter(account_id=account.pk, phone=number).order_by("-archived_at").first()


def _other_holder(lead: Lead, number: str | None) -> Lead | None:
    if number is None:
        return None
    held = Lead.objects.filter(account_id=lead.account_id, phone=number, archived_at=None)
    return held.exclude(pk=lead.pk).first()


def _is_suppressed(account: Account, number: str | None) -> bool:
    return number is not None and Suppression.objects.filter(account_id=account.pk, phone=number).exists()


def _heard_from_crm(lead: Lead, field: str) -> str:
    """What the primary contact last said. Its company is not kept apart: that comes with the CRM's next change."""
    if lead.crm_connection_id is None:
        return ""
    contact = SourceContact.objects.filter(
        account_id=lead.account_id, connection_id=lead.crm_connection_id, external_id=lead.crm_id
    ).first()
    if contact is None:
        return ""
    if field == "name":
        return contact.name
    if field == "email":
        return next((str(email) for email in contact.emails), "")
    if field == "phone":
        return next((phone["e164"] for phone in contact.phones if phone.get("e164")), "")
    return ""


def _read_again(lead: Lead) -> None:
    """What its contacts said while the lead was away counts as not read yet: it flows with the next run."""
    SourceContact.objects.filter(account_id=lead.account_id, lead=lead).update(content_hash=None)


def _save_new(account: Account, lead: Lead) -> None:
    """The index decides when two people add the same number at once."""
    try:
        with transaction.atomic():
            lead.save()
    except IntegrityError as error:
        holder = _holder(account, lead.phone)
        if holder is None:
            raise
        raise PhoneTaken(holder) from error


def _write(lead: Lead, member: Member, changed: Mapping[str, Any]) -> None:
    before = {field: _plain(getattr(lead, field)) for field in changed}
    for field, value in changed.items():
        setattr(lead, field, value)
    try:
        with transaction.atomic():
            lead.save(update_fields=list(changed))
    except IntegrityError as error:
        holder = _other_holder(lead, lead.phone)
        if holder is None:
            raise
        raise PhoneTaken(holder) from error
    after = {field: _plain(value) for field, value in changed.items()}
    LeadChange.objects.create(account_id=lead.account_id, lead=lead, member=member, before=before, after=after)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _tell(lead: Lead) -> None:
    announce(lead.account_id, {"kind": "lead", "lead": lead.pk})
