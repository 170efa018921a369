"""HubSpot: what to ask, what its answers mean, what a contact of it is.

People are *contacts* (object type 0-1), read from the CRM v3 API (https://developers.hubspot.com/docs/api/crm/contacts,
checked 2026-11). All contacts come from the id-ordered list, after one search page of the newest and, in a first
import of many, with searches from the highest id down beside it; changes come from searches inside a fixed time window,
walked by record id; archived contacts come from a list of their own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, ClassVar, cast

import msgspec

from leadloom.contact import JSON, Contact, Phone
from leadloom.errors import (
    BadRequest,
    LeadloomError,
    NotAllowed,
    RecordRejected,
    TokenExpired,
    TryLater,
    Unreadable,
)
from leadloom.providers import fields
from leadloom.providers.base import (
    OWN_FIELDS,
    CrmAccount,
    Cursor,
    Feed,
    Gone,
    Limit,
    Merge,
    Page,
    Record,
    Reply,
    Request,
    TableFeed,
    TablePage,
    Tables,
    TokenHelp,
)
from leadloom.providers.feeds import bookmark_after, json_object, reach, rows_of, whole_number
from leadloom.providers.phones import read_phone
from leadloom.providers.ranges import Gaps

NAME = "HubSpot"
CONTACTS = "/crm/v3/objects/contacts"
LIST_SIZE = 100  # the list's maximum
SEARCH_SIZE = 200  # the search's maximum
BATCH_SIZE = 100  # ids a batch read takes

WORTH_LANES = 1000  # contacts from which a walk of the list alone is worth sharing out
LIST = "list"  # the lane of a pass that has only one
LISTS_AT_ONCE = 4  # at 150 ms a page one brings 6 requests a second of the 10 to 25 that are allowed
SEARCHES_AT_ONCE = 2  # 5 a second are allowed

OVERLAP = timedelta(minutes=5)
"""How far each pass reads back before the latest change seen. Longer than the search index ever lags (seconds to about
a minute), so a contact that was indexed late is found by the next pass. Re-reading costs nothing: unchanged contacts
are recognised by their content."""

AHEAD = timedelta(minutes=1)
"""The window reaches this far past the start of the pass, so that clocks that differ a little lose nothing."""

PHONES = (
    "mobilephone",
    "phone",
    "hs_whatsapp_phone_number",
    "hs_calculated_mobile_number",
    "hs_calculated_phone_number",
)
"""Best first. The calculated ones are HubSpot's own reading of the others: used where we could not read those."""

CALCULATED = frozenset(label for label in PHONES if label.startswith("hs_calculated"))

OPT_OUTS = ("sakari_opted_out",)
"""HubSpot has no standard do-not-text field; texting apps make their own, and customers too (``for_account``).
``hs_email_optout`` is about e-mail only."""

MOST_OPT_OUTS = 10  # of a customer's own: a search takes 3,000 characters, and a name may have 100

PROPERTIES = (
    "firstname", "lastname", *PHONES, "fax", "email", "hs_additional_emails", "company", "associatedcompanyid",
    "hubspot_owner_id", "hs_lead_status", "lifecyclestage", "message", "notes_last_contacted", "notes_last_updated",
    "country", "hs_country_region_code", "createdate", "lastmodifieddate", "hs_merged_object_ids", *OPT_OUTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Everything:
    """All contacts: the newest two hundred at once, then the list in the order of ids, and beside it, where there are
    many, the search from the top down and more of the list from further up.

    The list shows no total and is not in order of creation, hence the search before it. Contacts made while the list
    is walked can land behind the cursor: the engine reads the changes since the start afterwards.

    The search's index lags and may lack a contact. So what it showed counts as read down to the lowest id of a page,
    and the bookmark starts before the latest change that *it* has shown: whatever it lacked is among the changes.
    An ``exact`` pass reads the list alone.

    That the list ascends and that ``after`` may be any id is observed, not promised: a page that says otherwise turns
    the pass into one walk of the list as HubSpot gives it, from the start.
    """

    properties: tuple[str, ...]
    exact: bool = False

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:  # noqa: ARG002 - everything needs no bookmark
        return {"step": "newest", "started": now.isoformat(), "latest": None, "edge": {}, "is_exact": self.exact}

    def lanes(self, cursor: Cursor) -> Mapping[str, Cursor]:
        if cursor["step"] != "lanes":
            return {LIST: cursor}
        found: dict[str, Cursor] = {}
        for gap in _gaps(cursor).gaps:
            found[f"up {gap.up}"] = {"step": "up", "above": gap.low, "after": gap.after, "is_jump": gap.is_jump}
            if gap.down is not None:
                found[f"down {gap.down}"] = {"step": "down", "below": gap.high}
        return found

    def request(self, cursor: Cursor) -> Request:
        match cursor["step"]:
            case "lanes":
                return self.request(next(iter(self.lanes(cursor).values())))
            case "newest":
                return self._search("createdate")
            case "down":
                return self._search("hs_object_id", below=cursor["below"])
        query = {"limit": str(LIST_SIZE), "properties": ",".join(self.properties), "archived": "false"}
        if cursor.get("after"):
            query["after"] = str(cursor["after"])
        return Request("GET", CONTACTS, query, accept=(400,) if cursor.get("is_jump") else ())

    def _search(self, order: str, *, below: JSON = None) -> Request:
        filters: list[JSON] = [{"propertyName": "hs_object_id", "operator": "LT", "value": str(below)}]
        return Request(
            "POST",
            f"{CONTACTS}/search",
            body={
                "filterGroups": [] if below is None else [{"filters": filters}],
                "sorts": [{"propertyName": order, "direction": "DESCENDING"}],
                "properties": self.properties,
                "limit": SEARCH_SIZE,
            },
            pool="search",
        )

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        match cursor["step"]:
            case "lanes":
                lane, at = next(iter(self.lanes(cursor).items()))
                return self.join(cursor, lane, self.read(at, reply))
            case "newest":
                return self._read_newest(cursor, reply)
            case "up":
                return _read_up(cursor, reply)
            case "down":
                return _read_down(cursor, reply)
        body = json_object(reply, NAME)
        records = rows_of(body, "results", NAME)
        go_on: Cursor = {"step": "list", "started": cursor["started"], **_reach(cursor, records)}
        after = _after(body)
        if after:
            return Page(records=records, merged=_merges(records), next={**go_on, "after": after})
        return Page(records=records, merged=_merges(records), bookmark=_bookmark(go_on, previous=None))

    def _read_newest(self, cursor: Cursor, reply: Reply) -> Page:
        body = json_object(reply, NAME)
        records = rows_of(body, "results", NAME)
        total = body.get("total")
        total = total if isinstance(total, int) else None
        reached: Cursor = {"started": cursor["started"], **_reach(cursor, records)}
        following: Cursor = {"step": "list", **reached}
        ids = _numbers(records)
        if total is not None and total >= WORTH_LANES and ids:
            following = {
                **reached,
                **Gaps.all(top=max(ids), left=total).as_json(),
                "step": "lanes",
                "shown": reached["latest"],
                "is_exact": cursor.get("is_exact", False),
                "is_searched": False,
            }
        return Page(records=records, merged=_merges(records), next=following, total=total)

    def join(self, cursor: Cursor, lane: str, page: Page) -> Page:
        if cursor["step"] != "lanes":
            return page if lane == LIST else replace(page, next=cursor, bookmark=None)
        if page.next is not None and page.next["step"] == "lost":
            start: Cursor = {name: cursor[name] for name in ("started", "latest", "edge")}
            return replace(page, next={"step": "list", **start})
        way, _, number = lane.partition(" ")
        ids = _numbers(page.records) or []
        if way == "up":
            gaps = _gaps(cursor).rise(int(number), ids, str(page.next["after"]) if page.next else None)
        else:
            gaps = _gaps(cursor).fall(int(number), ids, is_last=page.next is None)
        counts = way == "down" or not cursor["is_searched"]
        joined: Cursor = {**cursor, **(_reach(cursor, page.records) if counts else {})}
        if gaps.gaps:
            return replace(page, next={**joined, **gaps.as_json()})
        return replace(page, next=None, bookmark=_bookmark(joined, previous=None))

    def more(self, cursor: Cursor) -> Cursor | None:
        if cursor["step"] != "lanes":
            return None
        gaps = _gaps(cursor).one_more(up=LISTS_AT_ONCE, down=0 if cursor["is_exact"] else SEARCHES_AT_ONCE)
        if gaps is None:
            return None
        opened: Cursor = {**cursor, **gaps.as_json()}
        if cursor["is_searched"] or all(gap.down is None for gap in gaps.gaps):
            return opened
        # From here on only what the search shows tells how far the pass reaches.
        return {**opened, "is_searched": True, "latest": cursor["shown"], "edge": {}}


def _gaps(cursor: Cursor) -> Gaps:
    return Gaps.from_json({name: cursor[name] for name in ("gaps", "top", "left", "lanes")})


def _read_up(cursor: Cursor, reply: Reply) -> Page:
    """A page of the list. ``lost`` when it does not go on above what was read, in the order of ids."""
    if reply.status == 400:
        return Page(next={"step": "lost"})
    body = json_object(reply, NAME)
    records = rows_of(body, "results", NAME)
    ids = _numbers(records)
    after = _after(body)
    following: Cursor | None = {"step": "up", "after": after} if after else None
    if ids is None or ids != sorted(set(ids)) or (ids and ids[0] <= cast(int, cursor["above"])):
        following = {"step": "lost"}
    return Page(records=records, merged=_merges(records), next=following)


def _read_down(cursor: Cursor, reply: Reply) -> Page:
    """A page of the search from an id down."""
    body = json_object(reply, NAME)
    records = rows_of(body, "results", NAME)
    ids = _numbers(records)
    following: Cursor | None = {"step": "down"} if ids and body.get("total") != len(ids) else None
    below = cast(int | None, cursor["below"])
    if ids is None or ids != sorted(set(ids), reverse=True) or (ids and below is not None and ids[0] >= below):
        following = {"step": "lost"}
    return Page(records=records, merged=_merges(records), next=following)


def _numbers(records: Sequence[Record]) -> list[int] | None:
    """The ids as numbers; None when one is not."""
    ids = [row.get("id") for row in records]
    texts = [found for found in ids if isinstance(found, str) and _ID.fullmatch(found)]
    return [int(found) for found in texts] if len(texts) == len(ids) else None


@dataclass(frozen=True, slots=True)
class Changes:
    """Contacts changed since the bookmark, each once, whatever their number and however equal their timestamps.

    The window [lo, hi) is fixed for the pass. Each search asks for ids above the last one and never uses an offset, so
    the limit of 10,000 results is out of reach even when one import stamps 25,000 contacts with the same millisecond
    (https://developers.hubspot.com/docs/api/crm/search). Values come from batch reads: the search index may be staler
    than the records. A contact changed behind the cursor during the pass lies after the next bookmark.
    """

    properties: tuple[str, ...]

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        since, edge = _read_bookmark(bookmark)
        return {
            "step": "search",
            "lo": (since or _EPOCH).isoformat(),
            "hi": (now + AHEAD).isoformat(),
            "started": now.isoformat(),
            "latest": None,
            "edge": {},
            "known": edge,
            "last": "0",
        }

    def request(self, cursor: Cursor) -> Request:
        if cursor["step"] == "search":
            return self._search(cursor)
        if cursor["step"] == "one":
            query = {"properties": ",".join(self.properties)}
            return Request("GET", f"{CONTACTS}/{_ids(cursor)[0]}", query, accept=(404,))
        inputs = [{"id": contact} for contact in _ids(cursor)[:BATCH_SIZE]]
        return Request("POST", f"{CONTACTS}/batch/read", body={"properties": self.properties, "inputs": inputs})

    def _search(self, cursor: Cursor) -> Request:
        def condition(name: str, operator: str, value: str) -> dict[str, JSON]:
            return {"propertyName": name, "operator": operator, "value": value}

        filters = [
            # Contacts say lastmodifieddate where every other object says hs_lastmodifieddate.
            condition("lastmodifieddate", "GTE", _milliseconds(cursor["lo"])),
            condition("lastmodifieddate", "LT", _milliseconds(cursor["hi"])),
            condition("hs_object_id", "GT", str(cursor["last"])),
        ]
        return Request(
            "POST",
            f"{CONTACTS}/search",
            body={
                "filterGroups": [{"filters": filters}],
                "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
                "properties": ["hs_object_id"],
                "limit": SEARCH_SIZE,
            },
            pool="search",
        )

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        if cursor["step"] == "search":
            return self._found(cursor, reply)
        if cursor["step"] == "one":
            return self._read_one(cursor, reply)
        return self._read_batch(cursor, reply)

    def _found(self, cursor: Cursor, reply: Reply) -> Page:
        body = json_object(reply, NAME)
        rows = rows_of(body, "results", NAME)
        ids = [str(row.get("id", "")) for row in rows]
        numbers = [int(found) for found in ids if found.isdigit()]
        if (
            len(numbers) != len(ids)
            or numbers != sorted(set(numbers))
            or (numbers and numbers[0] <= int(cast(str, cursor["last"])))
        ):
            raise Unreadable("HubSpot's search is out of order. We ask again.", detail="ids do not ascend")
        if not ids:
            return self._end(cursor)
        known = cast(dict[str, JSON], cursor["known"])
        fresh = [str(row["id"]) for row in rows if known.get(str(row["id"])) != _changed_at(row)]
        found: Cursor = {
            **cursor,
            **_reach(cursor, [row for row in rows if str(row["id"]) not in fresh]),
            "step": "read",
            "ids": fresh,
            "last": ids[-1],
            "missing": [],
            "is_all": body.get("total") == len(ids),
        }
        return self._go_on(found, [], [], ())

    def _read_batch(self, cursor: Cursor, reply: Reply) -> Page:
        records = rows_of(json_object(reply, NAME), "results", NAME)
        asked, rest = _ids(cursor)[:BATCH_SIZE], _ids(cursor)[BATCH_SIZE:]
        got = {str(record.get("id")) for record in records}
        missing = [*cast(list[str], cursor["missing"]), *(contact for contact in asked if contact not in got)]
        after: Cursor = {**cursor, **_reach(cursor, records), "ids": rest, "missing": missing}
        return self._go_on(after, records, _merges(records), ())

    def _read_one(self, cursor: Cursor, reply: Reply) -> Page:
        """A contact that the search knew and the batch read did not: merged into another, or gone."""
        asked, rest = _ids(cursor)[0], _ids(cursor)[1:]
        if reply.status == 404:
            return self._go_on({**cursor, "ids": rest, "missing": []}, [], [], [Gone(asked)])
        record = json_object(reply, NAME)
        now_called = str(record.get("id", ""))
        merged = [*_merges([record])]
        if now_called and now_called != asked:
            merged.append(Merge(asked, now_called))
        after: Cursor = {**cursor, **_reach(cursor, [record]), "ids": rest, "missing": []}
        return self._go_on(after, [record], merged, ())

    def _go_on(self, cursor: Cursor, records: Sequence[Record], merged: Sequence[Merge], gone: Sequence[Gone]) -> Page:
        """The next ids of this search, then those it missed, then the next search, or the end."""
        missing = cast(list[str], cursor["missing"])
        if cursor["ids"]:
            return Page(records=records, merged=merged, gone=gone, next=cursor)
        if missing:
            return Page(
                records=records, merged=merged, gone=gone, next={**cursor, "step": "one", "ids": missing, "missing": []}
            )
        if cursor["is_all"]:
            end = self._end(cursor)
            return Page(records=records, merged=merged, gone=gone, bookmark=end.bookmark)
        kept = {name: cursor[name] for name in ("lo", "hi", "started", "latest", "edge", "known", "last")}
        return Page(records=records, merged=merged, gone=gone, next={"step": "search", **kept})

    def _end(self, cursor: Cursor) -> Page:
        previous = None if cursor["lo"] == _EPOCH.isoformat() else fields.time(cursor["lo"])
        return Page(bookmark=_bookmark(cursor, previous=previous))


@dataclass(frozen=True, slots=True)
class Archived:
    """Contacts in the recycle bin. The list knows no time filter, so it is walked whole, once a day."""

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:  # noqa: ARG002 - the list has no bookmark
        return {"step": "archived"}

    def request(self, cursor: Cursor) -> Request:
        query = {"limit": str(LIST_SIZE), "properties": "hs_merged_object_ids", "archived": "true"}
        if cursor.get("after"):
            query["after"] = str(cursor["after"])
        return Request("GET", CONTACTS, query)

    def read(self, cursor: Cursor, reply: Reply) -> Page:  # noqa: ARG002 - every page reads the same
        body = json_object(reply, NAME)
        rows = rows_of(body, "results", NAME)
        gone = [Gone(id, fields.time(row.get("archivedAt"))) for row in rows if (id := fields.text(row.get("id")))]
        after = _after(body)
        return Page(gone=gone, merged=_merges(rows), next={"step": "archived", "after": after} if after else None)


@dataclass(frozen=True, slots=True)
class Owners:
    """Owners by id. Deactivated ones are on a list of their own, and their contacts keep them: both are read."""

    archived: bool
    name: str = "owners"

    def first(self) -> Cursor:
        return {"archived": "true" if self.archived else "false"}

    def request(self, cursor: Cursor) -> Request:
        return Request("GET", "/crm/v3/owners", {"limit": "100", **{key: str(value) for key, value in cursor.items()}})

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        body = json_object(reply, NAME)
        rows: dict[str, JSON] = {
            str(row.get("id")): {
                "name": fields.full_name(row.get("firstName"), row.get("lastName")) or fields.text(row.get("email")),
                "email": fields.text(row.get("email")).lower(),
            }
            for row in rows_of(body, "results", NAME)
        }
        after = _after(body)
        return TablePage(rows, {"archived": cursor["archived"], "after": after} if after else None)


@dataclass(frozen=True, slots=True)
class Labels:
    """What a property's values are called: customers rename lead statuses, and their own stages are numbers."""

    name: str

    def first(self) -> Cursor:
        return {"property": self.name}

    def request(self, cursor: Cursor) -> Request:
        return Request("GET", f"/crm/v3/properties/contacts/{cursor['property']}")

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:  # noqa: ARG002 - one page
        options = json_object(reply, NAME).get("options")
        listed = [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []
        return TablePage({str(option.get("value")): fields.text(option.get("label")) for option in listed})


@dataclass(frozen=True, slots=True)
class OwnFields:
    """Properties that this customer, or an app of theirs, has added to contacts."""

    name: str = OWN_FIELDS

    def first(self) -> Cursor:
        return {"archived": "false"}

    def request(self, cursor: Cursor) -> Request:
        return Request("GET", "/crm/v3/properties/contacts", {"archived": str(cursor["archived"])})

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:  # noqa: ARG002 - one page
        own = (row for row in rows_of(json_object(reply, NAME), "results", NAME) if row.get("hubspotDefined") is False)
        return TablePage(
            {
                name: {"label": fields.text(row.get("label")) or name, "type": fields.text(row.get("type"))}
                for row in own
                if (name := fields.text(row.get("name")))
            }
        )


@dataclass(frozen=True, slots=True)
class CompanyNames:
    """Names of companies that contacts are associated with."""

    ids: tuple[str, ...]
    name: str = "companies"

    def first(self) -> Cursor:
        return {"ids": list(self.ids)}

    def request(self, cursor: Cursor) -> Request:
        inputs = [{"id": company} for company in _ids(cursor)]
        return Request("POST", "/crm/v3/objects/companies/batch/read", body={"properties": ["name"], "inputs": inputs})

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows: dict[str, JSON] = dict.fromkeys(_ids(cursor), "")  # one that is gone is not asked for again
        for row in rows_of(json_object(reply, NAME), "results", NAME):
            rows[str(row.get("id"))] = fields.text(_properties(row).get("name"))
        return TablePage(rows)


@dataclass(frozen=True, slots=True)
class HubSpot:
    opt_outs: tuple[str, ...] = OPT_OUTS

    slug = "hubspot"
    name = NAME
    base_url = "https://api.hubapi.com"
    nango_key = "hubspot"
    told_by_sign_in = ()
    limits: ClassVar[Mapping[str, Limit]] = {
        "api": Limit(100, timedelta(seconds=10)),  # the lowest plan's; headers announce more where there is more
        "search": Limit(5, timedelta(seconds=1)),  # an account's, shared with its other apps; no headers tell
    }
    token_help = TokenHelp(
        label="Access token",
        placeholder="pat-na1-…",
        where="In HubSpot: Settings → Integrations → Private apps (or Service keys) → your app → Access token.",
        scopes=(
            "crm.objects.contacts.read",
            "crm.objects.owners.read",
            "crm.schemas.contacts.read",
            "crm.objects.companies.read",
            "oauth",
        ),
    )

    def host(self, facts: Mapping[str, JSON]) -> str:  # noqa: ARG002 - one host for everybody
        return self.base_url

    def authorization(self, token: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {token}"}

    def account_request(self) -> Request:
        return Request("GET", "/account-info/v3/details")

    def read_account(self, reply: Reply) -> CrmAccount:
        body = json_object(reply, NAME)
        portal = fields.text(body.get("portalId"))
        if not portal:
            raise Unreadable("HubSpot did not say whose account this is. Try again.", detail="no portalId")
        domain = fields.text(body.get("uiDomain")) or "app.hubspot.com"
        facts = {"uiDomain": domain, "timeZone": fields.text(body.get("timeZone"))}
        return CrmAccount(external_id=portal, name=f"Portal {portal}", facts=facts)

    def for_account(self, account: CrmAccount) -> "HubSpot":
        """HubSpot as this customer set it up: the fact ``opt_out_properties`` names their own do-not-text properties,
        which are then asked for as well. Raises ValueError for what cannot be such names: better than to text on."""
        named = account.facts.get("opt_out_properties") or ()
        if not isinstance(named, list | tuple) or len(named) > MOST_OPT_OUTS:
            raise ValueError(f"opt_out_properties is a list of at most {MOST_OPT_OUTS} names")
        names = [name for name in named if isinstance(name, str) and _PROPERTY.fullmatch(name)]
        if len(names) != len(named):
            raise ValueError("opt_out_properties holds something that is no name of a HubSpot property")
        return replace(self, opt_outs=tuple(dict.fromkeys((*OPT_OUTS, *names))))

    @property
    def _properties(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*PROPERTIES, *self.opt_outs)))

    def everything(self, *, exact: bool = False) -> Feed:
        return Everything(self._properties, exact)

    def changes(self) -> Feed:
        return Changes(self._properties)

    def gone(self) -> Feed:
        return Archived()

    def count(self) -> Sequence[Request]:
        """The search tells the true total, also above the 10,000 results that it gives out."""
        return (Request("POST", f"{CONTACTS}/search", body={"filterGroups": [], "limit": 1}, pool="search"),)

    def read_count(self, reply: Reply) -> int:
        return whole_number(json_object(reply, NAME), "total", NAME)

    def tables(self) -> Sequence[TableFeed]:
        return (
            Owners(archived=False),
            Owners(archived=True),
            Labels("hs_lead_status"),
            Labels("lifecyclestage"),
            OwnFields(),
        )

    def missing(self, records: Sequence[Record], tables: Tables) -> Sequence[TableFeed]:
        known = tables.get("companies", {})
        wanted = dict.fromkeys(
            company for record in records if (company := _company_id(_properties(record))) and company not in known
        )
        return [CompanyNames(ids) for ids in batched(wanted, BATCH_SIZE)]

    def contact(self, record: Record, *, tables: Tables, account: CrmAccount, region: str) -> Contact:
        external_id = fields.text(record.get("id")) if isinstance(record, dict) else ""
        if not external_id:
            raise RecordRejected("The record has no id.", reason="unreadable_record")
        if not isinstance(record.get("properties"), dict):
            raise RecordRejected("The record has no properties.", reason="unreadable_record")
        values = _properties(record)
        owner = tables.get("owners", {}).get(fields.text(values.get("hubspot_owner_id")))
        named = owner if isinstance(owner, dict) else {}
        return Contact(
            external_id=external_id,
            name=fields.full_name(values.get("firstname"), values.get("lastname")),
            phones=_phones(values, region),
            emails=fields.emails((values.get("email"), *fields.parts(values.get("hs_additional_emails")))),
            company=fields.text(values.get("company"))
            or _name_of(tables, "companies", values.get("associatedcompanyid"), ""),
            url=_url(record, account, external_id),
            owner=fields.text(named.get("name")),
            owner_email=fields.text(named.get("email")),
            status=_name_of(tables, "hs_lead_status", values.get("hs_lead_status")),
            stage=_name_of(tables, "lifecyclestage", values.get("lifecyclestage")),
            description=fields.long_text(values.get("message")),
            last_activity_at=fields.time(values.get("notes_last_contacted"))
            or fields.time(values.get("notes_last_updated")),
            opted_out=any(map(fields.is_true, map(values.get, self.opt_outs))),
            created_at=fields.time(record.get("createdAt")) or fields.time(values.get("createdate")),
            modified_at=fields.time(record.get("updatedAt")) or fields.time(values.get("lastmodifieddate")),
            merged_ids=_merged_ids(values),
            raw=msgspec.json.encode(record),
        )

    def explain(self, reply: Reply, *, now: datetime) -> LeadloomError:
        return _explain(reply, now)

    def allowance(self, reply: Reply) -> Limit | None:
        most = _number(reply, "x-hubspot-ratelimit-max")
        interval = _number(reply, "x-hubspot-ratelimit-interval-milliseconds")
        return Limit(most, timedelta(milliseconds=interval)) if most and interval else None

    def remaining(self, reply: Reply) -> int | None:
        return _number(reply, "x-hubspot-ratelimit-remaining")


provider = HubSpot()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROPERTY = re.compile("[a-z0-9_]{1,100}")
_ID = re.compile("[0-9]{1,18}")


# -- reading rows


def _properties(record: Record) -> dict[str, Any]:
    found = record.get("properties")
    return found if isinstance(found, dict) else {}


def _phones(values: Mapping[str, Any], region: str) -> tuple[Phone, ...]:
    """Every number, best first, each text once. A fax is listed and never texted."""
    country = fields.text(values.get("hs_country_region_code")) or fields.text(values.get("country"))
    region = (fields.region_of(country) if country else None) or region
    found: dict[str, Phone] = {}
    for label in PHONES:
        held = values.get(label)
        if held is None:
            continue
        number = fields.text(held)
        if not number or number in found:
            continue
        # HubSpot's own reading of a number we could read ourselves tells nothing new.
        if label in CALCULATED and any(known.e164 for known in found.values()):
            continue
        found[number] = read_phone(number, label, region)
    fax = fields.text(values.get("fax"))
    faxes = (Phone(fax, "fax", None),) if fax else ()
    return (*found.values(), *faxes)


def _name_of(tables: Tables, table: str, value: Any, otherwise: str | None = None) -> str:
    """The label of a value; the value itself where there is none, unless told otherwise."""
    key = fields.text(value)
    if not key:
        return otherwise or ""
    return fields.text(tables.get(table, {}).get(key)) or (key if otherwise is None else otherwise)


def _company_id(values: Mapping[str, Any]) -> str:
    """The company to look up, if any. One id that is no number would have the whole batch refused."""
    company = "" if fields.text(values.get("company")) else fields.text(values.get("associatedcompanyid"))
    return company if company.isascii() and company.isdigit() else ""


def _url(record: Record, account: CrmAccount, external_id: str) -> str:
    given = fields.text(record.get("url"), longest=500)
    if given.startswith("https://"):  # it becomes a link: no javascript:
        return given
    domain = fields.text(account.facts.get("uiDomain")) or "app.hubspot.com"
    return f"https://{domain}/contacts/{account.external_id}/record/0-1/{external_id}"


def _merged_ids(values: Mapping[str, Any]) -> tuple[str, ...]:
    merged = values.get("hs_merged_object_ids")
    return tuple(fields.parts(merged)) if merged else ()


def _merges(records: Sequence[Record]) -> list[Merge]:
    """A merge gives the survivor a new id; the old ones answer with it from then on."""
    return [
        Merge(former, survivor)
        for record in records
        if (merged := _merged_ids(_properties(record))) and (survivor := fields.text(record.get("id")))
        for former in merged
        if former != survivor
    ]


# -- cursors


def _ids(cursor: Cursor) -> list[str]:
    return cast(list[str], cursor["ids"])


def _after(body: Mapping[str, Any]) -> str | None:
    paging = body.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    after = following.get("after") if isinstance(following, dict) else None
    return str(after) if after else None


def _changed_at(record: Record) -> str:
    return fields.text(record.get("updatedAt"))


def _reach(cursor: Cursor, records: Sequence[Record]) -> dict[str, JSON]:
    changed = {str(row.get("id")): text for row in records if (text := _changed_at(row))}
    return reach(cursor, changed, overlap=OVERLAP)


def _bookmark(cursor: Cursor, *, previous: datetime | None) -> str:
    return json.dumps(bookmark_after(cursor, previous=previous, overlap=OVERLAP))


def _read_bookmark(bookmark: str | None) -> tuple[datetime | None, dict[str, JSON]]:
    kept = json.loads(bookmark) if bookmark else {}
    return fields.time(kept.get("since")), kept.get("edge", {})


def _milliseconds(iso: JSON) -> str:
    at = fields.time(iso)
    assert at is not None, "first() put it there"
    return str(int(at.timestamp() * 1000))


# -- errors: https://developers.hubspot.com/docs/api/error-handling, every field of a body is optional

_DOWN = timedelta(seconds=2)
LONGEST_RETRY_AFTER = timedelta(days=1)  # of an account that moves between data centres
_TEN_SECONDS, _SECOND, _HOUR = timedelta(seconds=10), timedelta(seconds=1), timedelta(hours=1)


def _explain(reply: Reply, now: datetime) -> LeadloomError:
    body = _error_body(reply)
    category = fields.text(body.get("category"))
    correlation = fields.text(body.get("correlationId")) or reply.headers.get("x-hubspot-correlation-id", "unknown")
    detail = f"status {reply.status} {category} correlation {correlation}"
    if reply.status == 401:
        return TokenExpired(
            "HubSpot no longer accepts the sign-in. Reconnect HubSpot to go on; your leads are kept.", detail=detail
        )
    if reply.status == 403:
        return _not_allowed(body, detail)
    if reply.status == 404:
        return BadRequest("HubSpot did not find what we asked for. This is our fault; tell us.", detail=detail)
    if reply.status == 429:
        return _limited(reply, body, now, detail)
    if reply.status == 477:
        after = _retry_after(reply) or _HOUR
        return TryLater(
            "HubSpot is moving this account to another data centre. We go on when it is done.",
            after=after, code="vendor_down", detail=detail,
        )  # fmt: skip
    if reply.status == 423:
        return TryLater("HubSpot has locked this for a moment.", after=_DOWN, code="vendor_down", detail=detail)
    if reply.status >= 500 or reply.status == 408:
        return TryLater(
            "HubSpot is having trouble. We try again by ourselves.",
            after=_retry_after(reply) or _DOWN, code="vendor_down", detail=detail,
        )  # fmt: skip
    return BadRequest("HubSpot did not understand our question. This is our fault; tell us.", detail=detail)


def _error_body(reply: Reply) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def _not_allowed(body: Mapping[str, Any], detail: str) -> LeadloomError:
    scopes = _scopes(body)
    which = f" ({', '.join(scopes)})" if scopes else ""
    return NotAllowed(
        f"HubSpot does not allow us to read this: the connection lacks a permission{which}. "
        "Add it in HubSpot, then reconnect; your leads are kept.",
        scopes=scopes,
        detail=detail,
    )


def _scopes(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The missing scopes, at the top level or inside ``errors``."""
    errors = body.get("errors")
    places = [body, *(error for error in (errors if isinstance(errors, list) else []) if isinstance(error, dict))]
    for place in places:
        context = place.get("context")
        for key in ("requiredGranularScopes", "requiredScopes"):
            found = context.get(key) if isinstance(context, dict) else None
            if isinstance(found, list) and found:
                return tuple(fields.text(scope) for scope in found)
    return ()


def _limited(reply: Reply, body: Mapping[str, Any], now: datetime, detail: str) -> LeadloomError:
    policy = fields.text(body.get("policyName")).upper()
    if "DAILY" in policy:
        return TryLater(
            "HubSpot's daily limit for this account is used up. We go on when it lets us.",
            after=_retry_after(reply) or _until_midnight(now), code="quota", detail=f"{detail} {policy}",
        )  # fmt: skip
    # Searches have a limit by the second and no rate headers; all else has headers and a limit by ten seconds.
    is_search = policy == "SECONDLY" or (not policy and "x-hubspot-ratelimit-max" not in reply.headers)
    after = _retry_after(reply) or (_SECOND if is_search else _TEN_SECONDS)
    return TryLater("HubSpot asked us to slow down.", after=after, code="rate_limited", detail=f"{detail} {policy}")


def _until_midnight(now: datetime) -> timedelta:
    """The day ends at midnight of the account's zone, which the reply does not tell: ask again every hour till then."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return min(_HOUR, max(midnight - now, timedelta(minutes=1)))


def _retry_after(reply: Reply) -> timedelta | None:
    seconds = _number(reply, "retry-after")
    return min(timedelta(seconds=seconds), LONGEST_RETRY_AFTER) if seconds else None


def _number(reply: Reply, header: str) -> int | None:
    """A header that is a number, if it is one of sensible length."""
    text = reply.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
