"""A lead becomes a contact, with an account and perhaps a deal; two records become one."""

from dataclasses import replace

from leadloom.sandbox.clock import iso
from leadloom.sandbox.http import Json
from leadloom.sandbox.salesforce.catalogue import CONTACT, CONVERTED_STATUS, LEAD, OPPORTUNITY, ROLE
from leadloom.sandbox.salesforce.records import NOT_PROVIDED, Record
from leadloom.sandbox.salesforce.staff import OWNERS
from leadloom.sandbox.salesforce.store import Store

_SAME = (
    "FirstName", "LastName", "Salutation", "Phone", "MobilePhone", "Fax", "Email", "Title", "Description", "LeadSource",
    "HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall", "LastActivityDate", "Do_Not_Text__c", "Region__c",
    "Score__c",
)  # fmt: skip


def convert(store: Store, lead: Record, into: Record | None = None, *, with_deal: bool = False) -> Record:
    """The contact that the lead becomes, new or one there is already. The lead's row stays, and says so."""
    mine = lead.values
    company = mine["Company"]
    account = store.account_named(str(company)) if company not in (None, "", NOT_PROVIDED) else None
    contact: dict[str, Json] = {name: mine[name] for name in _SAME}
    contact |= {f"Mailing{name}": mine[name] for name in ("Street", "City", "State", "PostalCode", "Country")}
    contact |= {"AccountId": None if account is None else account.id, "OwnerId": _owner(mine["OwnerId"], store)}
    if into is None:
        made = store.create(CONTACT, contact)
    else:
        lacking = {name: value for name, value in contact.items() if into.values[name] in (None, "")}
        made = store.change(into, lacking)
    deal = _deal(store, made) if with_deal else None
    now = store.clock.now_ms()
    told: dict[str, Json] = {
        "IsConverted": True,
        "ConvertedDate": iso(now)[:10],
        "ConvertedAccountId": made.values["AccountId"],
        "ConvertedContactId": made.id,
        "ConvertedOpportunityId": None if deal is None else deal.id,
        "Status": CONVERTED_STATUS,
    }
    store.put([replace(lead, values={**mine, **told}, edited_ms=now, modified_ms=now)])
    return made


def _owner(own_id: Json, store: Store) -> Json:
    """A queue cannot own a contact: whoever converts the lead does."""
    return own_id if store.now.find(str(own_id), "User") is not None else OWNERS[0]


def _deal(store: Store, contact: Record) -> Record:
    name = f"{contact.values['LastName']} deal"
    deal = store.create(
        OPPORTUNITY,
        {"Name": name, "AccountId": contact.values["AccountId"], "StageName": "Prospecting", "CloseDate": "2099-01-01"},
    )
    store.create(ROLE, {"OpportunityId": deal.id, "ContactId": contact.id, "IsPrimary": True})
    return deal


def unite(store: Store, winner: Record, other: Record) -> Record:
    """Two records that are one person: a merge within an object, a conversion into a contact that is there already."""
    if winner.kind == other.kind:
        return store.merge(winner, other)
    lead, contact = (winner, other) if winner.kind == LEAD else (other, winner)
    return convert(store, lead, contact)
