"""GoHighLevel (HighLevel, LeadConnector): what to ask, what its answers mean, what a contact of it is.

A customer is a *location* (sub-account), which every request names. People are its *contacts*, read with the search
(https://marketplace.gohighlevel.com/docs/ghl/contacts/search-contacts-advanced, checked 2026-11): all of them newest
first, or those changed since a time, oldest change first, each page going on where the last contact of the page before
says. Its body is not in the published specification; what is sent here is what recorded replies and many clients agree
on. Opportunities are asked for their own changes, since a move to another stage need not touch the contact.

Deleted contacts leave no trace anywhere and a merge looks like a deletion, so both are seen only by a pass over
everything that does not meet them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast
from urllib.parse import quote

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
    Asked,
    CrmAccount,
    Cursor,
    Feed,
    Gone,
    Limit,
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
from leadloom.providers.ranges import Gap, Gaps

NAME = "GoHighLevel"
HEADERS = {"version": "2021-07-28"}  # required of every request

FIRST_SIZE = 100  # of the first page: it is answered soonest
PAGE_SIZE = 500  # the search's maximum, by the vendor's help pages
SAFE_SIZE = 100  # what recorded requests asked for; used when more is refused
REFUSED = (400, 422)  # how a page size or a field that is not supported is answered
WORTH_LANES = 2_000  # contacts from which the walk is worth sharing out
LANES_AT_ONCE = 4  # at 150 ms a page, and the time it takes to send half a megabyte, three use up 10 requests a second
WALK = "walk"  # the lane of a pass that has only one
COUNTED = 10_000  # searches like this one may stop counting here: such a total proves nothing

OVERLAP = timedelta(minutes=5)
"""How far each pass reads back before the latest change seen: the search shows changes some seconds late."""

AHEAD = timedelta(minutes=1)
"""The window of changes reaches this far past a pass's start, so that clocks that differ a little lose nothing."""

MOVES_A_PAGE = 100
MOST_ONE_BY_ONE = 100
"""Contacts whose opportunities moved and that are read one by one, two requests each. Above it all contacts are walked,
500 a request: an import of opportunities costs no more than that."""

TEXTING = ("SMS", "Call", "RCS")
"""Channels whose do-not-disturb is an opt-out from us. Those of e-mail and of social networks are not ours."""


@dataclass(frozen=True, slots=True)
class Everything:
    """All contacts by their creation, newest first. A change does not move a contact in that order, so none is passed
    over; those made meanwhile are among the changes read afterwards.

    Where there are many, the time between the newest and the oldest is shared out among several lanes, each of which
    walks its own stretch of it; see ``Gaps``, whose numbers are here milliseconds before the newest contact. A page
    that does not go on where it should turns the pass into one walk from the start.

    An ``exact`` pass is one walk, and ends well only if as many contacts came as the search says there are: whoever it
    does not meet is taken for deleted.
    """

    location: str
    exact: bool = False

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:  # noqa: ARG002 - everything needs no bookmark
        return {**_WALK, "size": FIRST_SIZE, "started": now.isoformat(), "latest": None, "edge": {}}

    def lanes(self, cursor: Cursor) -> Mapping[str, Cursor]:
        if cursor["step"] != "lanes":
            return {WALK: cursor}
        shared: Cursor = {"step": "up", "newest": cursor["newest"], "size": cursor["size"]}
        return {
            f"up {gap.up}": {
                **shared, "above": gap.low, "below": gap.high, "after": gap.after, "is_jump": gap.is_jump, "seen": 0
            }
            for gap in _gaps(cursor).gaps
        }  # fmt: skip

    def request(self, cursor: Cursor) -> Request:
        match cursor["step"]:
            case "lanes":
                return self.request(next(iter(self.lanes(cursor).values())))
            case "oldest":
                return _search(self.location, {"size": 1, "after": None}, sort="dateAdded", direction="asc")
            case "up":
                return self._stretch(cursor)
        made_before = [_between("dateAdded", high=cursor["started"])] if self.exact else []
        return _search(self.location, cursor, sort="dateAdded", direction="desc", filters=made_before)

    def _stretch(self, cursor: Cursor) -> Request:
        """What is left of a lane's stretch: behind the last contact it has read, or from where it was cut off."""
        newest, above, below = (cast(int, cursor[name]) for name in ("newest", "above", "below"))
        after = None if cursor["is_jump"] else json.loads(cast(str, cursor["after"]))
        window = _between("dateAdded", low=newest - below + 1, high=newest - above - 1 if cursor["is_jump"] else None)
        at: Cursor = {"size": cursor["size"], "after": after}
        return _search(self.location, at, sort="dateAdded", direction="desc", filters=[window])

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        match cursor["step"]:
            case "lanes":
                lane, at = next(iter(self.lanes(cursor).items()))
                return self.join(cursor, lane, self.read(at, reply))
            case "oldest":
                return _read_oldest(cursor, reply)
            case "up":
                return _read_stretch(cursor, reply)
        if reply.status in REFUSED:
            return Page(next={**cursor, "size": SAFE_SIZE})
        found = _Found.read(cursor, reply)
        go_on: Cursor = {**cursor, **_reach(cursor, found.rows), "seen": found.seen}
        if found.is_all:
            if self.exact and found.total is not None and found.seen < found.total:
                detail = f"{found.seen} contacts of {found.total}"
                raise Unreadable("GoHighLevel did not show all of its contacts. We ask again.", detail=detail)
            return Page(records=found.rows, bookmark=_bookmark(go_on, None, moved={}), total=found.total)
        is_first = cursor["after"] is None
        go_on = {**go_on, "after": found.after, "size": PAGE_SIZE if is_first else cursor["size"]}
        if is_first and self._is_worth_lanes(cursor, found.total):
            ages = _ages(found.rows, newest=0)
            if ages:
                go_on = {**go_on, "step": "oldest", "newest": -ages[0] + 1, "total": found.total, "last": ages[-1]}
        return Page(records=found.rows, next=go_on, total=found.total)

    def _is_worth_lanes(self, cursor: Cursor, total: int | None) -> bool:
        return not self.exact and not cursor.get("is_alone") and total is not None and total >= WORTH_LANES

    def join(self, cursor: Cursor, lane: str, page: Page) -> Page:
        if cursor["step"] != "lanes":
            return page if lane == WALK else replace(page, next=cursor, bookmark=None)
        told = page.next or {}
        joined: Cursor = {**cursor, **_reach(cursor, page.records)}
        if told.get("is_lost"):
            kept = {name: joined[name] for name in ("started", "latest", "edge")}
            return replace(page, next={**_WALK, "is_alone": True, "size": SAFE_SIZE, **kept})
        if told.get("is_refused"):
            return replace(page, next={**joined, "size": SAFE_SIZE})
        ages = _ages(page.records, newest=cast(int, cursor["newest"])) or []
        # Others may have been made in the millisecond of the last one: it is not done with yet.
        done = [age for age in ages if age < ages[-1]]
        after = cast(str, told["after"]) if told else None
        gaps = _gaps(cursor).rise(int(lane.removeprefix("up ")), done, after)
        if gaps.gaps:
            return replace(page, next={**joined, **gaps.as_json()})
        return replace(page, next=None, bookmark=_bookmark(joined, None, moved={}))

    def more(self, cursor: Cursor) -> Cursor | None:
        if cursor["step"] != "lanes":
            return None
        gaps = _gaps(cursor).one_more(up=LANES_AT_ONCE, down=0)
        return None if gaps is None else {**cursor, **gaps.as_json()}


def _read_oldest(cursor: Cursor, reply: Reply) -> Page:
    """How far back contacts go. From here on there are lanes, the first of them behind the first page."""
    newest, last = cast(int, cursor["newest"]), cast(int, cursor["last"])
    ages = _ages(rows_of(json_object(reply, NAME), "contacts", NAME), newest=newest)
    kept = {name: cursor[name] for name in ("started", "latest", "edge", "size")}
    if ages and ages[0] < newest + last:
        raise Unreadable("GoHighLevel sent a page out of order. We ask for it again.", detail="oldest is not oldest")
    if not ages:
        return Page(next={**_WALK, **kept, "after": cursor["after"], "seen": cursor["seen"]})
    first = Gap(up=0, low=newest + last - 1, high=ages[0] + 1, after=json.dumps(cursor["after"]))
    left = cast(int, cursor["total"]) - cast(int, cursor["seen"])
    gaps = Gaps(gaps=(first,), top=ages[0], left=left, lanes=1)
    return Page(next={**kept, "step": "lanes", "newest": newest, **gaps.as_json()})


def _read_stretch(cursor: Cursor, reply: Reply) -> Page:
    """A page of one lane. Its ``next`` says where it goes on, or what is wrong; without it the stretch is read."""
    if reply.status in REFUSED:
        return Page(next={"is_refused": True})
    found = _Found.read({**cursor, "after": None}, reply)
    ages = _ages(found.rows, newest=cast(int, cursor["newest"]))
    above, below = cast(int, cursor["above"]), cast(int, cursor["below"])
    if ages is None or ages != sorted(ages) or (ages and not above < ages[0] <= ages[-1] < below):
        return Page(records=found.rows, next={"is_lost": True})
    if not found.rows or (cursor["is_jump"] and found.is_all):
        return Page(records=found.rows)
    return Page(records=found.rows, next={"after": json.dumps(found.after)})


def _gaps(cursor: Cursor) -> Gaps:
    return Gaps.from_json({name: cursor[name] for name in ("gaps", "top", "left", "lanes")})


def _ages(rows: Sequence[Record], *, newest: int) -> list[int] | None:
    """How many milliseconds before the newest contact each was made; None when one does not say."""
    times = [fields.time(row.get("dateAdded")) for row in rows]
    ages = [newest - _milliseconds(at) for at in times if at is not None]
    return ages if len(ages) == len(times) else None


@dataclass(frozen=True, slots=True)
class Changes:
    """Contacts changed since the bookmark, then those whose opportunities have moved since.

    The window of changes is fixed for the pass. It is walked by the last contact's place, never by page numbers, so
    neither 10,000 results nor a thousand contacts of one millisecond are a limit. A contact that changes during the
    pass leaves the window or comes twice, and lies after the next bookmark in either case.
    """

    location: str

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        kept: dict[str, Any] = json.loads(bookmark) if bookmark else {}
        moved = kept.get("moved", {"since": (now - OVERLAP).isoformat(), "edge": {}})
        return {
            "step": "changed",
            "lo": kept.get("since") or _EPOCH.isoformat(),
            "hi": (now + AHEAD).isoformat(),
            "after": None,
            "size": PAGE_SIZE,
            "seen": 0,
            "started": now.isoformat(),
            "latest": None,
            "edge": {},
            "known": kept.get("edge", {}),
            "moved": {"lo": moved["since"], "latest": None, "edge": {}, "known": moved["edge"]},
        }

    def request(self, cursor: Cursor) -> Request:
        match cursor["step"]:
            case "changed":
                window = _between("dateUpdated", low=cursor["lo"], high=cursor["hi"])
                return _search(self.location, cursor, sort="dateUpdated", direction="asc", filters=[window])
            case "moved":
                return self._moves(cursor)
            case "again":
                return _search(self.location, cursor, sort="dateAdded", direction="desc")
            case "stage":
                query = {"location_id": self.location, "contact_id": _ids(cursor)[0], "limit": str(MOVES_A_PAGE)}
                return Request("GET", "/opportunities/search", query, headers=HEADERS)
        path = f"/contacts/{quote(_ids(cursor)[0], safe='')}"
        return Request("GET", path, headers=HEADERS, accept=(400, 404))  # either is said of one that is gone

    def _moves(self, cursor: Cursor) -> Request:
        body: dict[str, JSON] = {
            "locationId": self.location,
            "query": "",
            "limit": MOVES_A_PAGE,
            "page": cursor["page"],
            "sort": [{"field": "date_updated", "direction": "desc"}],
        }
        return Request("POST", "/opportunities/search", body=body, headers=HEADERS, accept=REFUSED)

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        match cursor["step"]:
            case "changed":
                return self._read_changed(cursor, reply)
            case "moved":
                return self._read_moved(cursor, reply)
            case "again":
                return self._read_again(cursor, reply)
            case "stage":
                deals = rows_of(json_object(reply, NAME), "opportunities", NAME)
                told = ("id", "pipelineId", "pipelineStageId", "status")
                return Page(
                    next={**cursor, "step": "one", "deals": [{name: deal.get(name) for name in told} for deal in deals]}
                )
        return self._read_one(cursor, reply)

    def _read_changed(self, cursor: Cursor, reply: Reply) -> Page:
        if reply.status in REFUSED:
            return Page(next={**cursor, "size": SAFE_SIZE})
        found = _Found.read(cursor, reply)
        known = cast(dict[str, JSON], cursor["known"])
        fresh = [row for row in found.rows if known.get(fields.text(row.get("id"))) != _changed_at(row)]
        go_on: Cursor = {**cursor, **_reach(cursor, found.rows), "seen": found.seen}
        if not found.is_all:
            return Page(records=fresh, next={**go_on, "after": found.after})
        return Page(records=fresh, next={**_without_walk(go_on), "step": "moved", "page": 1, "ids": []})

    def _read_moved(self, cursor: Cursor, reply: Reply) -> Page:
        """Opportunities by their last change, latest first, down to where the pass before has been."""
        if reply.status in REFUSED:
            return self._end(cursor)
        deals = rows_of(json_object(reply, NAME), "opportunities", NAME)
        moved = cast(dict[str, JSON], cursor["moved"])
        known, since = cast(dict[str, JSON], moved["known"]), fields.time(moved["lo"])
        changed = {fields.text(deal.get("id")): fields.text(deal.get("updatedAt")) for deal in deals}
        ids = dict.fromkeys(_ids(cursor))
        is_all = len(deals) < MOVES_A_PAGE
        for deal in deals:
            at = fields.time(deal.get("updatedAt"))
            is_all |= bool(at and since and at < since)
            contact, deal_id = fields.text(deal.get("contactId")), fields.text(deal.get("id"))
            if contact and at and since and at >= since and known.get(deal_id) != changed[deal_id]:
                ids[contact] = None
        moved = {
            **moved,
            **reach(moved, {deal: text for deal, text in changed.items() if deal and text}, overlap=OVERLAP),
        }
        go_on: Cursor = {**cursor, "moved": moved, "ids": list(ids)}
        if len(ids) > MOST_ONE_BY_ONE:
            return Page(next={**go_on, "step": "again", "ids": [], "after": None, "size": PAGE_SIZE, "seen": 0})
        if not is_all:
            return Page(next={**go_on, "page": cast(int, cursor["page"]) + 1})
        return Page(next={**go_on, "step": "stage"}) if ids else self._end(go_on)

    def _read_again(self, cursor: Cursor, reply: Reply) -> Page:
        if reply.status in REFUSED:
            return Page(next={**cursor, "size": SAFE_SIZE})
        found = _Found.read(cursor, reply)
        if found.is_all:
            return replace(self._end(cursor), records=found.rows)
        return Page(records=found.rows, next={**cursor, "after": found.after, "seen": found.seen})

    def _read_one(self, cursor: Cursor, reply: Reply) -> Page:
        asked, rest = _ids(cursor)[0], _ids(cursor)[1:]
        page = Page(gone=[Gone(asked)])
        if reply.status not in (400, 404):
            contact = json_object(reply, NAME).get("contact")
            if not isinstance(contact, dict):
                raise Unreadable(
                    "GoHighLevel sent a contact that is not readable. We ask for it again.", detail="no contact"
                )
            page = Page(records=[{**contact, "opportunities": cursor["deals"]}])
        if rest:
            kept = {name: value for name, value in cursor.items() if name != "deals"}
            return replace(page, next={**kept, "step": "stage", "ids": rest})
        return replace(page, bookmark=self._end(cursor).bookmark)

    def _end(self, cursor: Cursor) -> Page:
        since = None if cursor["lo"] == _EPOCH.isoformat() else fields.time(cursor["lo"])
        edge = cast(dict[str, JSON], cast(dict[str, JSON], cursor["moved"])["edge"])
        return Page(bookmark=_bookmark(cursor, since, moved=edge))


@dataclass(frozen=True, slots=True)
class _Found:
    """One page of a search of contacts."""

    rows: list[Record]
    after: JSON
    """Where the next page starts: what the last contact says."""
    seen: int
    total: int | None
    is_all: bool

    @classmethod
    def read(cls, cursor: Cursor, reply: Reply) -> "_Found":
        """Raises Unreadable for a page that does not go on where the one before ended."""
        body = json_object(reply, NAME)
        rows = rows_of(body, "contacts", NAME)
        places = [row.pop("searchAfter", None) for row in rows]  # where a row stood in this search says nothing of whom
        seen = cast(int, cursor["seen"]) + len(rows)
        total = body.get("total")
        total = total if isinstance(total, int) and not isinstance(total, bool) else None
        is_all = not rows or (total is not None and total <= seen < COUNTED)
        after = places[-1] if places else None
        if not is_all and not _is_place(after):
            raise Unreadable("GoHighLevel did not say where its list goes on. We ask again.", detail="no searchAfter")
        if rows and after is not None and after == cursor["after"]:
            raise Unreadable("GoHighLevel sends the same page again. We ask again.", detail="searchAfter repeated")
        if cursor["step"] != "up" and not _goes_on(cursor["after"], places, is_down=cursor["step"] != "changed"):
            # Another page than the one asked for would be counted as this one, and as many others never asked for.
            raise Unreadable("GoHighLevel sent a page out of order. We ask for it again.", detail="out of order")
        return cls(rows, after, seen, total, is_all)


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, str | int | float) for part in value)


def _goes_on(after: JSON, places: Sequence[Any], *, is_down: bool) -> bool:
    """Whether a page lies behind the place where the one before ended, its rows in order. A place begins with the time
    that the index sorts by, so an index that lags is in order too; of places of another form nothing is said."""
    found = [place[0] for place in (after, *places) if isinstance(place, list) and place]
    times = [time for time in found if isinstance(time, int | float)]
    return len(times) != len(places) + (after is not None) or times == sorted(times, reverse=is_down)


def _search(location: str, cursor: Cursor, *, sort: str, direction: str, filters: Sequence[JSON] = ()) -> Request:
    """``page`` is never sent: it ends at 10,000 contacts."""
    size = cast(int, cursor["size"])
    body: dict[str, JSON] = {
        "locationId": location,
        "pageLimit": size,
        "sort": [{"field": sort, "direction": direction}],
        **({"filters": filters} if filters else {}),
        **({"searchAfter": cursor["after"]} if cursor["after"] is not None else {}),
    }
    accept = REFUSED if size > SAFE_SIZE else ()
    return Request("POST", "/contacts/search", body=body, headers=HEADERS, accept=accept)


def _between(field: str, *, low: JSON = None, high: JSON = None) -> dict[str, JSON]:
    """Both ends belong to it. Times are ISO text or milliseconds."""
    bounds: dict[str, JSON] = {name: _written(at) for name, at in (("gte", low), ("lte", high)) if at is not None}
    return {"field": field, "operator": "range", "value": bounds}


@dataclass(frozen=True, slots=True)
class Users:
    """The location's users. Those of the agency above it are not among them: see ``OneUser``."""

    location: str
    name: str = "owners"

    def first(self) -> Cursor:
        return {}

    def request(self, cursor: Cursor) -> Request:  # noqa: ARG002 - one page
        return Request("GET", "/users/", {"locationId": self.location}, headers=HEADERS)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:  # noqa: ARG002
        return TablePage({str(row.get("id")): _user(row) for row in rows_of(json_object(reply, NAME), "users", NAME)})


@dataclass(frozen=True, slots=True)
class OneUser:
    """An owner that the location's list lacks: one of the agency's people, or one who left."""

    id: str
    name: str = "owners"

    def first(self) -> Cursor:
        return {"id": self.id}

    def request(self, cursor: Cursor) -> Request:
        path = f"/users/{quote(cast(str, cursor['id']), safe='')}"
        return Request("GET", path, headers=HEADERS, accept=_NOT_THERE)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        row: JSON = {} if reply.status in _NOT_THERE else _user(json_object(reply, NAME))
        return TablePage({cast(str, cursor["id"]): row})


@dataclass(frozen=True, slots=True)
class Stages:
    """What the stages of all pipelines are called. ``wanted``: stages that were unknown; they are asked for once."""

    location: str
    wanted: tuple[str, ...] = ()
    name: str = "stages"

    def first(self) -> Cursor:
        return {"wanted": list(self.wanted)}

    def request(self, cursor: Cursor) -> Request:  # noqa: ARG002 - one page
        return Request("GET", "/opportunities/pipelines", {"locationId": self.location}, headers=HEADERS)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows: dict[str, JSON] = dict.fromkeys(cast(list[str], cursor["wanted"]), "")
        for pipeline in rows_of(json_object(reply, NAME), "pipelines", NAME):
            for stage in _objects(pipeline.get("stages")):
                rows[str(stage.get("id"))] = fields.text(stage.get("name"))
        return TablePage(rows)


@dataclass(frozen=True, slots=True)
class OwnFields:
    """The fields that the location has added to contacts. Without the permission to see them there are none."""

    location: str
    name: str = OWN_FIELDS

    def first(self) -> Cursor:
        return {}

    def request(self, cursor: Cursor) -> Request:  # noqa: ARG002 - one page
        path = f"/locations/{quote(self.location, safe='')}/customFields"
        return Request("GET", path, {"model": "contact"}, headers=HEADERS, accept=(401, 403))

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:  # noqa: ARG002
        if reply.status in (401, 403):
            return TablePage({})
        return TablePage(
            {
                own_id: {"label": fields.text(row.get("name")) or own_id, "type": fields.text(row.get("dataType"))}
                for row in rows_of(json_object(reply, NAME), "customFields", NAME)
                if (own_id := fields.text(row.get("id")))
            }
        )


@dataclass(frozen=True, slots=True)
class OneBusiness:
    """The name of a company, for contacts that hold its id and no name."""

    id: str
    name: str = "businesses"

    def first(self) -> Cursor:
        return {"id": self.id}

    def request(self, cursor: Cursor) -> Request:
        path = f"/businesses/{quote(cast(str, cursor['id']), safe='')}"
        return Request("GET", path, headers=HEADERS, accept=_NOT_THERE)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        body = {} if reply.status in _NOT_THERE else json_object(reply, NAME)
        found = body.get("business") or body.get("buiness")  # the published specification spells it so
        return TablePage({cast(str, cursor["id"]): fields.text(found.get("name")) if isinstance(found, dict) else ""})


@dataclass(frozen=True, slots=True)
class GoHighLevel:
    location: str = ""

    slug = "gohighlevel"
    name = NAME
    base_url = "https://services.leadconnectorhq.com"
    nango_key = "highlevel"
    told_by_sign_in = ("locationId",)
    limits: ClassVar[Mapping[str, Limit]] = {"api": Limit(100, timedelta(seconds=10))}
    token_help = TokenHelp(
        label="Private integration token",
        placeholder="pit-…",
        where="In the sub-account: Settings → Private Integrations → Create new integration. It is shown once.",
        scopes=(
            "contacts.readonly",
            "locations.readonly",
            "locations/customFields.readonly",
            "users.readonly",
            "opportunities.readonly",
            "businesses.readonly",
        ),
        asks=(
            Asked(
                name="locationId",
                label="Location ID",
                placeholder="as in the address bar after /location/",
                where="In the sub-account: Settings → Business Profile, or in the address bar after /location/.",
            ),
        ),
    )

    def host(self, facts: Mapping[str, JSON]) -> str:  # noqa: ARG002 - one host for everybody
        return self.base_url

    def authorization(self, token: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {token}"}

    def account_request(self) -> Request:
        return Request("GET", f"/locations/{quote(self.location, safe='')}", headers=HEADERS)

    def read_account(self, reply: Reply) -> CrmAccount:
        location = json_object(reply, NAME).get("location")
        location = location if isinstance(location, dict) else {}
        own_id = fields.text(location.get("id"))
        if not own_id:
            raise Unreadable("GoHighLevel did not say whose account this is. Try again.", detail="no location id")
        facts = {
            "locationId": own_id,
            "country": fields.text(location.get("country")),
            "timeZone": fields.text(location.get("timezone")),
        }
        return CrmAccount(external_id=own_id, name=fields.text(location.get("name")) or own_id, facts=facts)

    def for_account(self, account: CrmAccount) -> "GoHighLevel":
        """GoHighLevel for one location. A sign-in for a whole agency names none and opens no contacts."""
        location = account.external_id or account.facts.get("locationId")
        if not location:
            raise ValueError("choose one sub-account (location), not the whole agency")
        if not isinstance(location, str) or not _LOCATION.fullmatch(location):
            raise ValueError("a location ID is letters and digits")
        return replace(self, location=location)

    def everything(self, *, exact: bool = False) -> Feed:
        return Everything(self.location, exact)

    def changes(self) -> Feed:
        return Changes(self.location)

    def gone(self) -> None:
        """There is no list of deleted contacts."""

    def count(self) -> Sequence[Request]:
        return (_search(self.location, {"size": 1, "after": None}, sort="dateAdded", direction="desc"),)

    def read_count(self, reply: Reply) -> int | None:
        found = whole_number(json_object(reply, NAME), "total", NAME)
        return None if found == COUNTED else found

    def tables(self) -> Sequence[TableFeed]:
        return (Users(self.location), Stages(self.location), OwnFields(self.location))

    def missing(self, records: Sequence[Record], tables: Tables) -> Sequence[TableFeed]:
        def unknown(table: str, ids: Sequence[str]) -> tuple[str, ...]:
            known = tables.get(table, {})
            return tuple(dict.fromkeys(one for one in ids if one and one not in known))

        people = [record for record in records if isinstance(record, dict)]
        owners = unknown("owners", [fields.text(one.get("assignedTo")) for one in people])
        stages = unknown("stages", [stage for one in people for stage in _stage_ids(one)])
        businesses = unknown("businesses", [_business_id(one) for one in people])
        return [
            *map(OneUser, owners),
            *([Stages(self.location, stages)] if stages else []),
            *map(OneBusiness, businesses),
        ]

    def contact(self, record: Record, *, tables: Tables, account: CrmAccount, region: str) -> Contact:
        """A contact as the search shows it, or as it shows itself when read alone: the two differ in a few names."""
        external_id = fields.text(record.get("id")) if isinstance(record, dict) else ""
        if not external_id:
            raise RecordRejected("The record has no id.", reason="unreadable_record")
        owner = tables.get("owners", {}).get(fields.text(record.get("assignedTo")))
        named = owner if isinstance(owner, dict) else {}
        return Contact(
            external_id=external_id,
            name=fields.full_name(record.get("firstName"), record.get("lastName"))
            or fields.text(record.get("contactName"))
            or fields.text(record.get("name")),
            phones=_phones(record, _region(record, account, region)),
            emails=fields.emails((record.get("email"), *_each(record.get("additionalEmails"), "email"))),
            company=fields.text(record.get("companyName"))
            or fields.text(record.get("businessName"))
            or fields.text(tables.get("businesses", {}).get(_business_id(record))),
            url=_url(account, external_id),
            owner=fields.text(named.get("name")),
            owner_email=fields.text(named.get("email")),
            status=_label(record.get("type")),
            stage=_stage(record, tables),
            opted_out=_is_opted_out(record),
            created_at=fields.time(record.get("dateAdded")),
            modified_at=fields.time(record.get("dateUpdated")),
            raw=msgspec.json.encode(record),
        )

    def explain(self, reply: Reply, *, now: datetime) -> LeadloomError:  # noqa: ARG002 - limits are told as durations
        return _explain(reply)

    def allowance(self, reply: Reply) -> Limit | None:
        most = _number(reply, "x-ratelimit-max")
        interval = _number(reply, "x-ratelimit-interval-milliseconds")
        return Limit(most, timedelta(milliseconds=interval)) if most and interval else None

    def remaining(self, reply: Reply) -> int | None:
        return _number(reply, "x-ratelimit-remaining")


provider = GoHighLevel()

_WALK: Mapping[str, JSON] = {"step": "walk", "after": None, "seen": 0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCATION = re.compile("[A-Za-z0-9_-]{1,100}")
_NOT_THERE = (400, 403, 404, 422)


# -- reading rows


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _each(value: Any, key: str) -> list[Any]:
    """The values of a list of objects, or of plain texts: the specification says one, replies are the other."""
    listed = value if isinstance(value, list) else []
    return [one.get(key) if isinstance(one, dict) else one for one in listed]


def _phones(record: Record, region: str) -> tuple[Phone, ...]:
    """Every number, best first, each text once: mobiles, then in the vendor's order. A fax is listed, never texted."""
    additional = record.get("additionalPhones")
    held = [(record.get("phone"), record.get("phoneLabel"), "phone")]
    for one in additional if isinstance(additional, list) else []:
        number, label = (one.get("phone"), one.get("phoneLabel")) if isinstance(one, dict) else (one, None)
        held.append((number, label, "additional"))
    found: dict[str, Phone] = {}
    for number, label, otherwise in held:
        text = fields.text(number)
        if text and text not in found:
            known_as = fields.text(label) or otherwise
            is_fax = "fax" in known_as.lower()
            found[text] = Phone(text, known_as, None) if is_fax else read_phone(text, known_as, region)
    return tuple(sorted(found.values(), key=_rank))


def _rank(phone: Phone) -> int:
    label = phone.label.lower()
    return 0 if "mobile" in label or "cell" in label else 2 if "fax" in label else 1


def _region(record: Record, account: CrmAccount, region: str) -> str:
    """Whose national numbers these are. ``US`` is filled in where nobody chose a country: the location knows better."""
    own = fields.region_of(fields.text(record.get("country")))
    home = fields.region_of(fields.text(account.facts.get("country")))
    return (own if own != "US" else None) or home or own or region


def _is_opted_out(record: Record) -> bool:
    """``dnd`` blocks all channels, whatever is said of each; a channel is blocked when its status is ``active`` or
    ``permanent``. A status nobody knows is taken for blocked."""
    settings = record.get("dndSettings")
    channels = [settings.get(name) for name in TEXTING] if isinstance(settings, dict) else []
    statuses = [one.get("status") if isinstance(one, dict) else one for one in channels]
    blocked = [one for one in statuses if fields.is_true(one) and fields.text(one).lower() != "inactive"]
    return fields.is_true(record.get("dnd")) or bool(blocked)


def _stage_ids(record: Record) -> list[str]:
    """Of the contact's opportunities: open ones first."""
    deals = sorted(_objects(record.get("opportunities")), key=lambda deal: fields.text(deal.get("status")) != "open")
    ids = (fields.text(deal.get("pipelineStageId") or deal.get("pipeline_stage_id")) for deal in deals)
    return [one for one in ids if one]


def _stage(record: Record, tables: Tables) -> str:
    stages = tables.get("stages", {})
    return next((name for one in _stage_ids(record) if (name := fields.text(stages.get(one)))), "")


def _business_id(record: Record) -> str:
    """The company to look up, if any."""
    has_name = fields.text(record.get("companyName")) or fields.text(record.get("businessName"))
    return "" if has_name else fields.text(record.get("businessId"))


def _label(value: Any) -> str:
    """``lead`` as ``Lead``: types have no labels of their own."""
    return fields.text(fields.text(value).replace("_", " ")).capitalize()


def _user(row: Mapping[str, Any]) -> JSON:
    email = fields.text(row.get("email")).lower()
    name = fields.text(row.get("name")) or fields.full_name(row.get("firstName"), row.get("lastName"))
    return {"name": name or email, "email": email}


def _url(account: CrmAccount, external_id: str) -> str:
    location = quote(account.external_id, safe="")
    return f"https://app.gohighlevel.com/v2/location/{location}/contacts/detail/{quote(external_id, safe='')}"


# -- cursors


def _ids(cursor: Cursor) -> list[str]:
    return cast(list[str], cursor["ids"])


def _changed_at(record: Record) -> str:
    return fields.text(record.get("dateUpdated"))


def _reach(cursor: Cursor, records: Sequence[Record]) -> dict[str, JSON]:
    changed = {fields.text(row.get("id")): text for row in records if (text := _changed_at(row))}
    return reach(cursor, changed, overlap=OVERLAP)


def _bookmark(cursor: Cursor, previous: datetime | None, *, moved: Mapping[str, JSON]) -> str:
    """Contacts go on at the latest change seen. Opportunities go on at the clock: one that was moved in the last five
    minutes, and of many only, is followed twice, where it would be followed in every pass until another one moves."""
    started = fields.time(cursor["started"])
    assert started is not None, "first() put it there"
    contacts = bookmark_after(cursor, previous=previous, overlap=OVERLAP)
    return json.dumps({**contacts, "moved": {"since": (started - OVERLAP).isoformat(), "edge": moved}})


def _without_walk(cursor: Cursor) -> Cursor:
    return {name: value for name, value in cursor.items() if name not in ("after", "size", "seen", "known", "hi")}


def _written(time: JSON) -> str:
    """``2026-07-17T00:00:00.000Z``, as clients of this API write times."""
    at = _EPOCH + timedelta(milliseconds=time) if isinstance(time, int) else fields.time(time)
    assert at is not None, "first() put it there"
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


# -- errors: {"statusCode", "message", "error", "traceId"}, of which nothing is promised

_DOWN = timedelta(seconds=2)
_INTERVAL = timedelta(seconds=10)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def _explain(reply: Reply) -> LeadloomError:
    detail = f"status {reply.status} trace {_trace(reply)}"
    if reply.status == 401:
        # A missing permission is answered with 401 as well, and only the wording would tell.
        return TokenExpired(
            "GoHighLevel no longer accepts the sign-in, or it lacks a permission. Reconnect GoHighLevel with all the "
            "permissions we ask for; your leads are kept.",
            detail=detail,
        )
    if reply.status == 403:
        return NotAllowed(
            "GoHighLevel does not allow us to read this sub-account. Reconnect and choose the right one, with all the "
            "permissions we ask for; your leads are kept.",
            detail=detail,
        )
    if reply.status == 429:
        return _limited(reply, detail)
    if reply.status >= 500 or reply.status in (408, 423):
        return TryLater(
            "GoHighLevel is having trouble. We try again by ourselves.",
            after=_retry_after(reply) or _DOWN, code="vendor_down", detail=detail,
        )  # fmt: skip
    if reply.status == 404:
        return BadRequest("GoHighLevel did not find what we asked for. This is our fault; tell us.", detail=detail)
    return BadRequest("GoHighLevel did not understand our question. This is our fault; tell us.", detail=detail)


def _limited(reply: Reply, detail: str) -> LeadloomError:
    """The day's allowance is per location; its header tells the milliseconds until it is renewed."""
    if _number(reply, "x-ratelimit-daily-remaining") == 0:
        reset = _number(reply, "x-ratelimit-daily-reset")
        return TryLater(
            "GoHighLevel's daily limit for this sub-account is used up. We go on when it lets us.",
            after=min(timedelta(milliseconds=reset), _DAY) if reset else _HOUR, code="quota", detail=detail,
        )  # fmt: skip
    interval = _number(reply, "x-ratelimit-interval-milliseconds")
    after = _retry_after(reply) or (min(timedelta(milliseconds=interval), _HOUR) if interval else _INTERVAL)
    return TryLater("GoHighLevel asked us to slow down.", after=after, code="rate_limited", detail=detail)


def _trace(reply: Reply) -> str:
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "unknown"
    trace = fields.text(body.get("traceId")) if isinstance(body, dict) else ""
    return trace if re.fullmatch("[0-9a-fA-F-]{1,64}", trace) else "unknown"


def _retry_after(reply: Reply) -> timedelta | None:
    seconds = _number(reply, "retry-after")
    return min(timedelta(seconds=seconds), _DAY) if seconds else None


def _number(reply: Reply, header: str) -> int | None:
    """A header that is a number, if it is one of sensible length."""
    text = reply.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
