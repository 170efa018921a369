"""What a write does to a contact: checks, derived values, the forward-only stage, merges. No HTTP here."""

from dataclasses import replace

from leadloom.sandbox.hubspot.hub import Hub
from leadloom.sandbox.hubspot.problems import invalid, problem, unknown_property
from leadloom.sandbox.hubspot.properties import BY_OBJECT, STAGES
from leadloom.sandbox.hubspot.records import Record

MOST_MERGES = 250
_STAGE_ORDER = {stage.value: at for at, stage in enumerate(STAGES)}
type Values = dict[str, str | None]


def find_by_email(hub: Hub, email: str) -> Record | None:
    """The live contact with this primary address."""
    store = hub.store
    email = email.lower()
    own_id = store.by_email.get(email)
    if own_id is None and (place := hub.population.place_of_email(email)) is not None:
        own_id = store.ids.of(place)
    record = None if own_id is None else store.get(own_id)
    if record is None or record.archived_ms is not None:
        return None
    return record if hub.renderer.values(record).get("email") == email else None


def checked(properties: Values) -> Values:
    """Raises the 400 of a write that HubSpot would refuse."""
    known = BY_OBJECT["contacts"]
    for name, value in properties.items():
        if name not in known:
            raise unknown_property(name)
        if known[name].read_only:
            raise invalid(f'Property values were not valid: "{name}" is a read only property.')
        options = known[name].options
        if value and options and value not in {one.value for one in options}:
            raise invalid(f"Property values were not valid: {value} was not one of the allowed options of {name}.")
    return derived(properties)


def derived(properties: Values) -> Values:
    """Blank clears; an address is kept in lower case; the calculated number follows ``phone``."""
    values: Values = {name: value or None for name, value in properties.items()}
    if values.get("email"):
        values["email"] = str(values["email"]).strip().lower()
    if "phone" in values:
        phone = values["phone"] or ""
        digits = "".join(letter for letter in phone if letter.isdecimal() and letter.isascii())
        international = phone.strip().startswith("+") and len(digits) >= 8
        values["hs_calculated_phone_number"] = f"+{digits}" if international else None
        values["hs_searchable_calculated_international_phone_number"] = digits if international else None
    return values


def create(hub: Hub, properties: Values, companies: tuple[int, ...] = (), *, created_ms: int | None = None) -> Record:
    """Raises 409 when a live contact has the address already."""
    email = properties.get("email")
    if email and (other := find_by_email(hub, email)) is not None:
        raise problem(409, "CONFLICT", f"Contact already exists. Existing ID: {other.id}")
    if email in hub.store.blocked_emails:
        raise invalid("This address was deleted for privacy and cannot be used again.")
    now = hub.clock.now_ms() if created_ms is None else created_ms
    defaults: Values = {"lifecyclestage": "lead", "hs_object_source": "INTEGRATION", "hs_is_unworked": "true"}
    linked: Values = {"associatedcompanyid": str(companies[0])} if companies else {}
    record = Record(
        id=hub.store.new_id(),
        place=None,
        changes=defaults | linked | properties,
        created_ms=now,
        modified_ms=now,
        companies=companies,
    )
    hub.store.put([record])
    return record


def update(hub: Hub, record: Record, properties: Values) -> Record:
    values = hub.renderer.values(record)
    kept = {name: value for name, value in properties.items() if not _goes_back(name, values.get(name), value)}
    email = kept.get("email")
    if email and email != values.get("email") and (other := find_by_email(hub, email)) is not None:
        raise problem(409, "CONFLICT", f"Contact already exists. Existing ID: {other.id}")
    return hub.store.change(record, kept)


def _goes_back(name: str, old: str | None, new: str | None) -> bool:
    """The stage only moves forward, unless cleared first."""
    if name != "lifecyclestage" or not old or not new:
        return False
    return _STAGE_ORDER.get(new, 0) < _STAGE_ORDER.get(old, 0)


def archive(hub: Hub, record: Record) -> None:
    hub.store.put([replace(record, archived_ms=hub.clock.now_ms())])


def restore(hub: Hub, record: Record) -> None:
    """The same id comes back. Whether ``lastmodifieddate`` moves is unconfirmed; here it does not, the harder case."""
    hub.store.put([replace(record, archived_ms=None)])


def erase(hub: Hub, record: Record) -> None:
    """Gone for good, in no list; its address cannot be used again."""
    email = hub.renderer.values(record).get("email")
    if email:
        hub.store.blocked_emails.add(email)
    hub.store.remove([record.id])


def merge(hub: Hub, primary: Record, other: Record) -> Record:
    """A new contact with a new id; both old ids lead to it. The primary's values win, the other's fill its blanks."""
    first, second = hub.renderer.values(primary), hub.renderer.values(other)
    former = [one for values in (first, second) for one in (values.get("hs_merged_object_ids") or "").split(";") if one]
    former += [str(primary.id), str(other.id)]
    if len(former) > MOST_MERGES:
        raise problem(414, "VALIDATION_ERROR", "Cannot have more than 250 identities on a profile")
    mails = [first.get("hs_additional_emails"), second.get("hs_additional_emails")]
    if first.get("email") and second.get("email"):
        mails.append(second["email"])
    stages = [stage for values in (first, second) if (stage := values.get("lifecyclestage"))]
    now = hub.clock.now_ms()
    record = Record(
        id=hub.store.new_id(),
        place=None,
        changes=second
        | first
        | {
            "hs_merged_object_ids": ";".join(former),
            "hs_additional_emails": ";".join(mail for mail in mails if mail) or None,
            "lifecyclestage": max(stages, key=lambda stage: _STAGE_ORDER.get(stage, 0), default=None),
        },
        created_ms=min(primary.created_ms, other.created_ms),
        modified_ms=now,
        companies=tuple(dict.fromkeys(primary.companies + other.companies)),
    )
    hub.store.remove([primary.id, other.id])
    for old in (primary.id, other.id):
        hub.store.forward(old, record.id)
    hub.store.by_email |= {mail: record.id for mail in (record.changes.get("email"),) if mail}
    hub.store.put([record])
    return record
