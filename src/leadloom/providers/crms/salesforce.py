"""Salesforce: what to ask, what its answers mean, what a person of it is.

People are *Leads* (not yet qualified) and *Contacts*, read with SOQL over the REST API
(https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_query.htm, checked 2026-11), very
many of them with Bulk API 2.0. Both are read newest first, then from both ends of their ids towards each other; changes
by *SystemModstamp*, deleted and merged records included. A lead that was converted is the contact it became.

No page relies on a query locator: each starts behind the last row that was read. Ids are never compared here, since how
Salesforce orders them is its own affair; every border is an id that it has shown.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, ClassVar, cast

import msgspec

from leadloom.contact import JSON, Contact, Phone
from leadloom.errors import (
    BadRequest,
    LeadloomError,
    NotAllowed,
    NotReady,
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
from leadloom.providers.feeds import json_object, next_bookmark, rows_of
from leadloom.providers.phones import read_phone

NAME = "Salesforce"
API = "/services/data/v63.0"
JOBS = f"{API}/jobs/query"
CONTACT, LEAD = "Contact", "Lead"
OBJECTS = (CONTACT, LEAD)

FIRST_SIZE = 200  # of the first page: it is answered soonest
PAGE_SIZE = 2_000  # rows of one reply, the maximum
SMALLEST_PAGE = 250  # below it a query that takes too long is not helped by asking for less
BULK_SIZE = 5_000  # rows of one page of a job's results; kept small for the sake of memory
BULK_FROM = 100_000
"""People of one kind from which a Bulk job pays: below it the pages of a query are there before the job is."""
BULK_PATIENCE = timedelta(seconds=5)  # between two looks at a job
BULK_TRIES = 3

LANES_AT_ONCE = 4  # at 150 ms a page that is 50,000 people a second; real pages of 2,000 rows take a second or two
WORTH_A_LANE = PAGE_SIZE  # people left to read per lane, for one more to pay
IDS_A_QUERY = 300  # an address of about 16 KB is refused, and an id in a list takes 27 bytes of it

OVERLAP = timedelta(minutes=10)
"""How far each pass reads back. A record is stamped when it is written and seen when its transaction ends: minutes
later where triggers are slow. Re-reading costs nothing: unchanged people are recognised by their content."""
SETTLED = timedelta(hours=1)
"""By then what was stamped is seen: the bookmark stands no further back behind the clock. Otherwise a pass would read
the last import again every hour, until something else changes."""
WIDE, WIDE_EVERY = timedelta(hours=2), timedelta(hours=6)
"""Now and then a pass reads back further, for transactions that took longer still."""

SHORTEST_WINDOW = timedelta(minutes=1)  # of changes that a query which takes too long is cut down to
CONVERTED_WITHIN = timedelta(days=8)  # an exact pass, of which there is one a week, also meets who was converted

BECAME = "became_this"
"""Under this name we note on a record which others are this person by now."""
MOST_REMEMBERED = 1000  # conversions and merges of a pass: of the others only the fact is noted
KIND = "sobject"
"""Under this name we note which object a record is of."""

PHONES = {
    "MobilePhone": "mobile",
    "Phone": "phone",
    "HomePhone": "home phone",
    "OtherPhone": "other phone",
}
"""Best first, with the label that people know."""

UNTEXTED = {"AssistantPhone": "assistant", "Fax": "fax"}
"""Listed and never texted: somebody else's, and a machine's."""

OPT_OUTS = ("DoNotCall",)
"""Salesforce has no field against texts: customers add their own (``for_account``). ``HasOptedOutOfEmail`` is about
e-mail only."""
MOST_OPT_OUTS = 10  # of a customer's own

SHARED_FIELDS = (
    "Id", "FirstName", "LastName", "MobilePhone", "Phone", "Fax", "Email", "OwnerId", "Description", "DoNotCall",
    "LastActivityDate", "CreatedDate", "SystemModstamp",
)  # fmt: skip
FIELDS: Mapping[str, tuple[str, ...]] = {
    CONTACT: (*SHARED_FIELDS, "Name", "HomePhone", "OtherPhone", "AssistantPhone", "Account.Name", "MailingCountry",
              "OtherCountry"),
    LEAD: (*SHARED_FIELDS, "Company", "Country", "Status"),
}  # fmt: skip
FATE: Mapping[str, tuple[str, ...]] = {
    CONTACT: ("IsDeleted", "MasterRecordId"),
    LEAD: ("IsDeleted", "MasterRecordId", "IsConverted", "ConvertedContactId"),
}
"""What became of a record: asked for with changes."""

FLAGS = frozenset({"DoNotCall", "IsDeleted", "IsConverted"})

SCOPES = ("api", "refresh_token")


# -- asking


@dataclass(frozen=True, slots=True)
class Wanted:
    """The fields to ask for, by object. One that this user may not see fails the whole query, so it is left out once
    that has happened: ``hidden`` of a place."""

    people: Mapping[str, tuple[str, ...]]
    opt_outs: tuple[str, ...]

    def of(self, kind: str) -> tuple[str, ...]:
        return self.people[kind]

    def select(self, place: Cursor, *, fate: bool = False) -> str:
        kind, hidden = str(place["object"]), cast(Sequence[str], place["hidden"])
        asked = (*self.of(kind), *(FATE[kind] if fate else ()))
        names = [name for name in asked if name not in hidden]
        return f"SELECT {', '.join(names)} FROM {kind}"  # noqa: S608 - names of ours, and checked ones

    def require_opt_outs(self, hidden: Sequence[str]) -> None:
        """Raises NotAllowed where a field that the customer named, of those who must not be texted, is not to be seen
        on any object: better than to text on."""
        for name in self.opt_outs:
            if name in hidden:
                raise NotAllowed(
                    f"Salesforce does not show us the field {name}, which says who must not be texted. Let the user "
                    "who connected it see this field, then reconnect; your leads are kept.",
                    detail=f"{name} is hidden",
                )


def _soql(text: str, *, deleted: bool = False) -> Request:
    return Request("GET", f"{API}/{'queryAll' if deleted else 'query'}", {"q": text}, accept=(400,))


def _where(*conditions: str) -> str:
    told = [condition for condition in conditions if condition]
    return f" WHERE {' AND '.join(told)}" if told else ""


def _describe(kind: str) -> Request:
    return Request("GET", f"{API}/sobjects/{kind}/describe", accept=(400, 404))


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(f"'{one}'" for one in ids)


# -- reading


def _rows(reply: Reply, *, limit: int) -> tuple[list[Record], bool]:
    """The rows of a query, and whether there are no more. Raises Unreadable for anything else.

    A reply may hold fewer rows than it was asked for although there are more: only ``done`` tells. One that is done and
    counts other rows than it holds answers another question, such as how many there are.
    """
    body = json_object(reply, NAME)
    rows, is_done = rows_of(body, "records", NAME), body.get("done")
    if not isinstance(is_done, bool) or (not rows and not is_done):
        raise Unreadable("Salesforce did not say whether a page is the last. We ask for it again.", detail="no done")
    if is_done and body.get("totalSize", len(rows)) != len(rows):
        raise Unreadable("Salesforce sent fewer people than it counted. We ask for them again.", detail="not all rows")
    ids = [_id(row) for row in rows]
    if not all(ids) or len(set(ids)) != len(ids):
        raise Unreadable(
            "Salesforce sent records that cannot be told apart. We ask again.", detail="no ids of their own"
        )
    return rows, is_done and len(rows) < limit


def _id(row: Record, name: str = "Id") -> str:
    found = row.get(name)
    return found if isinstance(found, str) and _ID.fullmatch(found) else ""


def _people(rows: Sequence[Record], kind: str) -> list[Record]:
    people = []
    for row in rows:
        person: Record = {"id": row["Id"], KIND: kind, **row}
        del person["Id"]
        person.pop("attributes", None)
        people.append(person)
    return people


def _refused(place: Cursor, reply: Reply, wanted: Wanted) -> Cursor:
    """What follows from a refused query: the place to ask at instead, or under ``told`` why there is none."""
    match _code(reply), place["tries"]:
        case "INVALID_TYPE", _:
            return {"told": "absent"}
        case "QUERY_TIMEOUT", _:
            return {"told": "slow"}
        case "INVALID_FIELD", 0:
            return {**place, "tries": 1}  # ask which fields there are
        case "INVALID_FIELD", 2:  # all of them are there, so an object that one refers to is not
            beyond = [name for name in wanted.of(str(place["object"])) if "." in name]
            return {**place, "tries": 3, "hidden": [*cast(list[str], place["hidden"]), *beyond]}
    raise _explain(reply)


def _asks_fields(place: Cursor) -> bool:
    return place.get("tries") == 1


def _describe_next(place: Cursor) -> Request:
    return _describe(str(place.get("beside") or place["object"]))


def _read_fields(place: Cursor, reply: Reply, wanted: Wanted) -> Cursor:
    """The place to go on at, with the fields that are hidden there. A do-not-text field that one object lacks is looked
    for on the other one first, under ``beside``."""
    names = _names_of_fields(reply)
    hidden = [name for name in wanted.opt_outs if name not in names]
    if place.get("beside"):
        wanted.require_opt_outs([name for name in hidden if name in cast(Sequence[str], place["hidden"])])
        return {**place, "tries": 2, "beside": ""}
    if not names:
        return {"told": "absent"}
    kind = str(place["object"])
    asked = (*wanted.of(kind), *FATE[kind])
    found: Cursor = {**place, "hidden": [name for name in asked if _column(name) not in names]}
    return {**found, "beside": next(one for one in OBJECTS if one != kind)} if hidden else {**found, "tries": 2}


def _names_of_fields(reply: Reply) -> set[str]:
    """None of an object that this user may not see."""
    if reply.status != 200:
        return set()
    names = {fields.text(row.get("name")) for row in rows_of(json_object(reply, NAME), "fields", NAME)}
    if not names.issuperset(("Id", "SystemModstamp")):
        raise Unreadable("Salesforce did not list its fields. We ask again.", detail="describe without Id")
    return names


def _column(name: str) -> str:
    """The field behind a path: ``AccountId`` for ``Account.Name``."""
    parent, _, beyond = name.partition(".")
    return f"{parent}Id" if beyond else name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What rows tell: people, and records that are other people by now."""

    records: Sequence[Record]
    merged: Sequence[Merge]
    gone: Sequence[Gone]


def _told(people: Sequence[Record]) -> _Told:
    records, gone, winners = [], [], dict[str, str]()
    for person in people:
        became = _id(person, "ConvertedContactId") if fields.is_true(person.get("IsConverted")) else ""
        if fields.is_true(person.get("IsDeleted")):
            became = became or _id(person, "MasterRecordId")
        if became and became != person["id"]:
            winners[person["id"]] = became
        elif fields.is_true(person.get("IsDeleted")) or fields.is_true(person.get("IsConverted")):
            gone.append(Gone(person["id"], fields.time(person.get("SystemModstamp"))))
        else:
            records.append(person)
    return _Told(records=records, merged=[Merge(loser, _last_of(winners, loser)) for loser in winners], gone=gone)


def _last_of(winners: Mapping[str, str], loser: str) -> str:
    """Whoever took in a record may have been taken in as well."""
    at, seen = loser, {loser}
    while (following := winners.get(at)) is not None and following not in seen:
        at = following
        seen.add(at)
    return at


def _reached(latest: Mapping[str, str], people: Sequence[Record]) -> dict[str, str]:
    """The latest change seen, by object."""
    found = dict(latest)
    for person in people:
        kind, at = str(person.get(KIND)), fields.time(person.get("SystemModstamp"))
        before = fields.time(found.get(kind))
        if at is not None and (before is None or at > before):
            found[kind] = at.isoformat()
    return found


def _mark(latest: str | None, started: datetime, previous: datetime | None) -> str:
    """Where the next pass starts."""
    seen = max(filter(None, (fields.time(latest), started - SETTLED)))
    return _written(next_bookmark(latest_seen=seen, started=started, overlap=OVERLAP, previous=previous))


# -- everybody


@dataclass(frozen=True, slots=True)
class Everything:
    """All people: the newest of each kind, then each kind from both ends of its ids, or by a Bulk job.

    A *stretch* holds the ids between two that were shown, neither of them included; lanes read it from its ends. It is
    complete when one of them finds nothing more in what the other has left. A stretch is parted at an id that a query
    finds in its middle by time of creation, which is about the order of ids: where it is not, the parts are less equal,
    and nothing is lost. People made meanwhile are among the changes read afterwards.

    ``exact``: everybody once, so that what is counted is the number of people, and leads that were converted of late as
    well, so that they are not taken for gone.
    """

    wanted: Wanted
    exact: bool = False

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:  # noqa: ARG002 - everything needs no bookmark
        way = "count" if self.exact else "newest"
        places: dict[str, JSON] = {
            f"{kind} 0": {"object": kind, "way": way, "hidden": [], "tries": 0, "size": FIRST_SIZE} for kind in OBJECTS
        }
        return {"step": "everything", "started": now.isoformat(), **_Standing(places=places).as_json()}

    def lanes(self, cursor: Cursor) -> Mapping[str, Cursor]:
        if cursor["step"] == "lane":
            return {"": cursor}
        standing = _Standing.of(cursor)
        shared: Cursor = {"step": "lane", "started": cursor["started"]}
        return {lane: {**shared, **place, **standing.borders(place)} for lane, place in standing.places.items()}

    def request(self, cursor: Cursor) -> Request:
        if cursor["step"] != "lane":
            return self.request(next(iter(self.lanes(cursor).values())))
        if _asks_fields(cursor):
            return _describe_next(cursor)
        select, open_ones = self.wanted.select(cursor, fate=self.exact), self._open_ones(cursor)
        match cursor["way"]:
            case "newest":
                order = f"ORDER BY CreatedDate DESC, Id DESC LIMIT {FIRST_SIZE}"
                return _soql(f"{select}{_where(open_ones)} {order}")
            case "count":
                return _soql(f"SELECT COUNT() FROM {cursor['object']}{_where(open_ones)}")  # noqa: S608
            case "middle":
                made = f"CreatedDate <= {cursor['middle']}"
                order = "ORDER BY CreatedDate DESC, Id DESC LIMIT 1"
                return _soql(f"{select}{_where(open_ones, *_between(cursor), made)} {order}")
            case "walk":
                order = f"ORDER BY Id {cursor['order']} LIMIT {cursor['size']}"
                return _soql(f"{select}{_where(open_ones, *_between(cursor))} {order}")
        return _bulk_request(cursor, f"{select}{_where(open_ones)}")

    def _open_ones(self, place: Cursor) -> str:
        """Leads that were converted are their contacts."""
        if place["object"] != LEAD or "IsConverted" in cast(Sequence[str], place["hidden"]):
            return ""
        if not self.exact:
            return "IsConverted = false"
        since = (_time(place["started"]) - CONVERTED_WITHIN).date()
        return f"(IsConverted = false OR ConvertedDate >= {since.isoformat()})"

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        if cursor["step"] != "lane":
            lane, at = next(iter(self.lanes(cursor).items()))
            return self.join(cursor, lane, self.read(at, reply))
        if _asks_fields(cursor):
            return Page(next=_read_fields(cursor, reply, self.wanted))
        if cursor["way"] in ("job", "wait", "results"):
            return self._read_bulk(cursor, reply)
        if reply.status == 400:
            return Page(next=_refused(cursor, reply, self.wanted))
        if cursor["way"] == "count":
            return Page(next={"told": "counted", "count": _read_count(reply)})
        size = 1 if cursor["way"] == "middle" else cast(int, cursor["size"])
        rows, is_all = _rows(reply, limit=size)
        told: Cursor = {"told": "complete" if is_all else "on"}
        if rows:
            told |= {"last": rows[-1]["Id"], "at": _written(_stamp(rows[-1], "CreatedDate"))}
        return self._page(cursor, rows, told)

    def _read_bulk(self, cursor: Cursor, reply: Reply) -> Page:
        if cursor["way"] == "results" and reply.status == 200:
            rows = _csv_rows(reply)
            locator = fields.text(reply.headers.get("sforce-locator"), longest=500)
            if locator in ("", "null"):  # the text, not its absence
                return self._page(cursor, rows, {"told": "complete"})
            return self._page(cursor, rows, {**cursor, "locator": locator})
        return Page(next=_read_job(cursor, reply, self.wanted))

    def _page(self, cursor: Cursor, rows: Sequence[Record], told: Cursor) -> Page:
        found = _told(_people(rows, str(cursor["object"])))
        return Page(records=found.records, merged=found.merged, gone=found.gone, next={**told, "rows": len(rows)})

    def join(self, cursor: Cursor, lane: str, page: Page) -> Page:
        standing = _Standing.of(cursor)
        total = None
        standing.latest = _reached(standing.latest, page.records)
        if lane in standing.places:
            total = standing.move(lane, page.next or {})
        joined: Cursor = {"step": "everything", "started": cursor["started"], **standing.as_json()}
        if standing.places:
            return replace(page, next=joined, total=total)
        if len(standing.absent) == len(OBJECTS):
            raise _nothing_to_see()
        return replace(page, next=None, bookmark=self._bookmark(joined, standing), total=total)

    def more(self, cursor: Cursor) -> Cursor | None:
        standing = _Standing.of(cursor)
        if self.exact or len(standing.places) >= LANES_AT_ONCE or not standing.widen():
            return None
        return {**cursor, **standing.as_json()}

    def _bookmark(self, cursor: Cursor, standing: "_Standing") -> str:
        started = _time(cursor["started"])
        marks = {kind: _mark(standing.latest.get(kind), started, None) for kind in OBJECTS}
        marks |= {MOVED: _written(started - OVERLAP), "wide": _written(started)}
        return json.dumps({**marks, "hidden": standing.hidden})


def _between(place: Cursor) -> tuple[str, str]:
    low, high = place["low"], place["high"]
    return f"Id > '{low}'" if low else "", f"Id < '{high}'" if high else ""


def _read_count(reply: Reply) -> int:
    count = json_object(reply, NAME).get("totalSize")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise Unreadable("Salesforce did not say how many people there are. We ask again.", detail="no totalSize")
    return count


@dataclass(slots=True)
class _Standing:
    """Where a pass over everybody stands: which lanes there are, and what each stretch has left. Plain JSON inside."""

    places: dict[str, Any] = field(default_factory=dict)
    stretches: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    """People of a kind, as counted; None where even counting takes too long."""
    seen: dict[str, int] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    hidden: dict[str, list[str]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    without_bulk: list[str] = field(default_factory=list)
    numbers: int = 1
    """Given to lanes and stretches so far; none is used twice, so a late answer is not taken for another's."""

    @classmethod
    def of(cls, cursor: Cursor) -> "_Standing":
        kept = msgspec.json.decode(msgspec.json.encode(cursor["standing"]))
        return cls(**kept)

    def as_json(self) -> dict[str, JSON]:
        return {"standing": {name: getattr(self, name) for name in _STANDING}}

    def borders(self, place: Cursor) -> Cursor:
        stretch = self.stretches.get(str(place.get("stretch")))
        return {"low": stretch["low"], "high": stretch["high"]} if stretch else {}

    def move(self, lane: str, told: Cursor) -> int | None:
        """What one answer changes. Answers how many people there are once that is known."""
        place = self.places[lane]
        kind = place["object"]
        self.seen[kind] = self.seen.get(kind, 0) + cast(int, told.get("rows", 0))
        match told.get("told"), place["way"]:
            case None, _:  # the same question in another way
                asked = {name: value for name, value in told.items() if name not in _NOT_PLACE}
                self.places[lane] = asked | {name: place[name] for name in ("stretch",) if name in place}
                self.hidden[kind] = place["hidden"] if _asks_fields(told) else cast(list[str], told["hidden"])
            case "absent", _:
                self.absent.append(kind)
                self._leave(kind)
                return self._counted(kind, 0)
            case "complete", "newest":
                del self.places[lane]
                return self._counted(kind, self.seen[kind])
            case "on" | "slow", "newest":
                self.places[lane] = {**place, "way": "count"}
            case (("counted" | "slow"), "count"):
                self._begin(kind, place, told.get("count"))
                return self._counted(kind, told.get("count"))
            case _, "middle":
                self._part(lane, place, told)
            case "complete", "walk":
                self._close(place["stretch"])
            case "on", "walk":
                self._advance(place, told)
            case "slow", "walk":
                self._slow_down(lane, place)
            case "no bulk", _:
                self.without_bulk.append(kind)
                self._leave(kind)
                self._open(kind, place)
            case "again", _:
                self._leave(kind)
                self._order(kind, {**place, "attempt": place["attempt"] + 1})
            case _:
                del self.places[lane]  # all results of a job
        return None

    def _counted(self, kind: str, count: JSON) -> int | None:
        self.counts[kind] = count
        counts = [self.counts.get(one) for one in OBJECTS]
        return sum(cast(list[int], counts)) if all(isinstance(one, int) for one in counts) else None

    def _number(self) -> str:
        self.numbers += 1
        return str(self.numbers)

    def _begin(self, kind: str, place: Cursor, count: JSON) -> None:
        self._leave(kind)
        if count is None or cast(int, count) >= BULK_FROM:
            self._order(kind, {**place, "attempt": 0})
        else:
            self._open(kind, place)

    def _order(self, kind: str, place: Cursor) -> None:
        kept = {name: place[name] for name in ("object", "hidden", "tries", "size")}
        attempt = cast(int, place["attempt"])
        self.places[f"{kind} {self._number()}"] = {**kept, "way": "job", "attempt": attempt}

    def _open(self, kind: str, place: Cursor, *, low: str = "", high: str = "", low_at: str = "") -> None:
        """A stretch that is read from its upper end: the newest first."""
        stretch = self._number()
        self.stretches[stretch] = {"object": kind, "low": low, "high": high, "low_at": low_at, "high_at": ""}
        self._walk(stretch, place, order="DESC")

    def _walk(self, stretch: str, place: Cursor, *, order: str) -> None:
        kept = {name: place[name] for name in ("object", "hidden", "tries")}
        walk = {**kept, "way": "walk", "stretch": stretch, "order": order, "size": PAGE_SIZE}
        self.places[f"{place['object']} {self._number()}"] = walk

    def _advance(self, place: Cursor, told: Cursor) -> None:
        border = "high" if place["order"] == "DESC" else "low"
        self.stretches[str(place["stretch"])] |= {border: told["last"], f"{border}_at": told["at"]}

    def _close(self, stretch: JSON) -> None:
        self.places = {lane: place for lane, place in self.places.items() if place.get("stretch") != stretch}
        del self.stretches[str(stretch)]

    def _leave(self, kind: str) -> None:
        self.places = {lane: place for lane, place in self.places.items() if place["object"] != kind}
        self.stretches = {name: found for name, found in self.stretches.items() if found["object"] != kind}

    def _slow_down(self, lane: str, place: Cursor) -> None:
        """A query that takes too long is asked for less, and in the end left to a job."""
        size, kind = cast(int, place["size"]) // 2, str(place["object"])
        if size >= SMALLEST_PAGE:
            self.places[lane] = {**place, "size": size}
            return
        if kind in self.without_bulk:
            raise TryLater(
                "Salesforce takes too long to answer. We try again later.",
                after=_HOUR, code="vendor_down", detail=f"QUERY_TIMEOUT of {kind} without Bulk",
            )  # fmt: skip
        self._leave(kind)
        self._order(kind, {**place, "attempt": 0})

    def _part(self, lane: str, place: Cursor, told: Cursor) -> None:
        """Part a stretch at the record that was found in its middle: its upper half goes to who reads from above."""
        name = str(place["stretch"])
        whole = self.stretches[name]
        del self.places[lane]
        if "last" not in told:
            whole["is_parted"] = True  # nobody in the middle, or nobody to be found in time
            return
        border, at = told["last"], told["at"]
        above = self._number()
        self.stretches[above] = {**whole, "low": border, "low_at": at}
        self.stretches[name] = {**whole, "high": border, "high_at": at}
        for walk in self.places.values():
            if walk.get("stretch") == name and walk["order"] == "DESC":
                walk["stretch"] = above

    def widen(self) -> bool:
        """One more lane, if there is enough left for it: at the other end of a stretch, or for parting one."""
        for name, stretch in self.stretches.items():
            kind = stretch["object"]
            lanes = [place for place in self.places.values() if place["object"] == kind]
            if self._left(kind) < WORTH_A_LANE * (len(lanes) + 1):
                continue
            walks = [place for place in lanes if place.get("stretch") == name]
            orders = {place.get("order") for place in walks}
            missing = next((order for order in ("DESC", "ASC") if order not in orders), None)
            if missing and (stretch["low"] or stretch["high"]):  # one end has shown that there is more than a page
                self._walk(name, walks[0] if walks else lanes[0], order=missing)
                return True
            middle = _middle(stretch)
            if missing is None and middle and not stretch.get("is_parted") and "middle" not in _ways(walks):
                kept = {part: walks[0][part] for part in ("object", "hidden", "tries", "size")}
                parting = {**kept, "way": "middle", "stretch": name, "middle": middle}
                self.places[f"{kind} {self._number()}"] = parting
                return True
        return False

    def _left(self, kind: str) -> int:
        count = self.counts.get(kind)
        return BULK_FROM if count is None else max(0, count - self.seen.get(kind, 0))


_STANDING = tuple(_Standing.__dataclass_fields__)
_NOT_PLACE = ("step", "started", "low", "high", "rows")


def _ways(places: Iterable[Cursor]) -> set[JSON]:
    return {place["way"] for place in places}


def _middle(stretch: Mapping[str, Any]) -> str:
    """The time between those when the records at both ends were made, if they are apart."""
    low, high = fields.time(stretch["low_at"]), fields.time(stretch["high_at"])
    if low is None or high is None or high - low < timedelta(seconds=2):
        return ""
    return _written(low + (high - low) / 2)


def _nothing_to_see() -> NotAllowed:
    return NotAllowed(
        "Salesforce shows us neither leads nor contacts: the user who connected it may see neither. Allow it in "
        "Salesforce, then reconnect; your leads are kept.",
        scopes=SCOPES,
        detail="INVALID_TYPE of both objects",
    )


# -- Bulk API 2.0: https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/queries.htm


def _bulk_request(place: Cursor, soql: str) -> Request:
    """No order and no limit: with either, the job would not be shared out inside Salesforce."""
    match place["way"]:
        case "job":
            body = {"operation": "query", "query": soql, "contentType": "CSV", "lineEnding": "LF"}
            return Request("POST", JOBS, body=body, accept=(400, 403, 404, 405))
        case "wait":
            return Request("GET", f"{JOBS}/{place['job']}", accept=(400, 404))
    query = {"maxRecords": str(BULK_SIZE), **({"locator": str(place["locator"])} if place["locator"] else {})}
    return Request(
        "GET", f"{JOBS}/{place['job']}/results", query, headers={"accept": "text/csv"}, accept=(400, 404, 409)
    )


def _read_job(place: Cursor, reply: Reply, wanted: Wanted) -> Cursor:
    """Where a job goes on. One that cannot be had, or that failed, leaves the walk; one that was removed is ordered
    again. Raises NotReady while Salesforce is preparing the results."""
    if reply.status != 200:
        code = _code(reply)
        if code == "INVALID_FIELD":
            return _refused(place, reply, wanted)
        if code == "REQUEST_LIMIT_EXCEEDED":
            raise _explain(reply)
        is_lost = place["way"] != "job" and cast(int, place["attempt"]) + 1 < BULK_TRIES
        return {"told": "again" if is_lost else "no bulk"}
    body = json_object(reply, NAME)
    if place["way"] == "job":
        job = _id(body, "id")
        if not job:
            raise Unreadable("Salesforce did not say which job it began. We ask again.", detail="no job id")
        return {**place, "way": "wait", "job": job}
    match body.get("state"):
        case "JobComplete":
            return {**place, "way": "results", "locator": ""}
        case "UploadComplete" | "InProgress":
            raise NotReady("Salesforce is preparing its answer.", after=BULK_PATIENCE, detail=f"job {place['job']}")
        case "Failed" | "Aborted":
            return {"told": "no bulk"}
    raise Unreadable("Salesforce did not say how far its job is. We ask again.", detail="unknown state")


def _csv_rows(reply: Reply) -> list[Record]:
    """Rows as a query would have given them: nested, empty as null, yes and no as such. Raises Unreadable for a page
    that is cut short or no table at all."""
    lines = csv.reader(io.StringIO(reply.body.decode("utf-8-sig", errors="replace").replace("\0", ""), newline=""))
    try:
        header = next(lines, [])
        rows = [_nested(zip(header, values, strict=True)) for values in lines if values]
    except (csv.Error, ValueError) as error:
        raise Unreadable("Salesforce sent a page that is cut short. We ask for it again.", detail="bad CSV") from error
    told = reply.headers.get("sforce-numberofrecords", "")
    is_short = told.isascii() and told.isdigit() and len(told) < 10 and int(told) != len(rows)
    if is_short or (rows and not all(map(_id, rows))) or (not rows and told != "0" and "Id" not in header):
        raise Unreadable("Salesforce sent a page that is cut short. We ask for it again.", detail="rows are missing")
    return rows


def _nested(columns: Iterable[tuple[str, str]]) -> Record:
    row: Record = {}
    for name, text in columns:
        value: Any = text or None
        if text in ("true", "false") and (name in FLAGS or name.endswith("__c")):
            value = text == "true"
        parent, _, beyond = name.partition(".")
        if beyond:
            row[parent] = {**(row.get(parent) or {}), beyond: value} if value is not None else row.get(parent)
        else:
            row[name] = value
    return row


# -- changes

MOVED = "moved"
"""The step of contacts whose deals have moved."""


@dataclass(frozen=True, slots=True)
class Changes:
    """People changed since the bookmark, deleted, merged and converted ones included, then those whose deals moved.

    Three walks, one after the other, each with a mark of its own in the bookmark. Leads come first, so that a contact
    is known to be one of them when it is met. Stamps have whole seconds and an import puts thousands of records on one:
    a page goes on with the second it ended in, and a page full of one second goes on by id inside that second.
    """

    wanted: Wanted

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        kept: dict[str, Any] = json.loads(bookmark) if bookmark else {}
        wide = fields.time(kept.get("wide"))
        is_wide = wide is not None and now - wide >= WIDE_EVERY
        since: dict[str, JSON] = {step: kept.get(step) for step in _STEPS}
        start: Cursor = {
            "started": now.isoformat(),
            "since": since,
            "wide": _written(now if is_wide or wide is None else wide),
            "is_wide": is_wide,
            "latest": {},
            "hidden": kept.get("hidden", {}),
            "absent": [],
            "became": {},
        }
        return {"step": _STEPS[0], **start, "place": self._begin(_STEPS[0], start)}

    def _begin(self, step: str, cursor: Cursor) -> Cursor:
        at = fields.time(cast(Cursor, cursor["since"]).get(step))
        if step == MOVED:
            since = _written(at or _time(cursor["started"]) - OVERLAP)
            return {**self._asking(CONTACT, cursor), "way": MOVED, "from": since, "last": "", "ids": []}
        since = _written(at - WIDE if cursor["is_wide"] else at) if at else ""
        place = self._asking(step, cursor)
        return {**place, "way": "since", "from": since, "until": "", "is_after": False}

    def _asking(self, kind: str, cursor: Cursor) -> Cursor:
        hidden = cast(dict[str, list[str]], cursor["hidden"]).get(kind, [])
        return {"object": kind, "hidden": hidden, "tries": 0}

    def request(self, cursor: Cursor) -> Request:
        place = _place(cursor)
        if _asks_fields(place):
            return _describe_next(place)
        match place["way"]:
            case "moved":
                return _soql(_moved_since(place), deleted=True)
            case "again":
                some = _listed(cast(list[str], place["ids"])[:IDS_A_QUERY])
                return _soql(f"{self.wanted.select(place)} WHERE Id IN ({some}) LIMIT {PAGE_SIZE}")
        select = self.wanted.select(place, fate=True)
        if place["way"] == "tie":
            where = _where(f"SystemModstamp = {place['from']}", f"Id > '{place['last']}'")
            return _soql(f"{select}{where} ORDER BY Id LIMIT {PAGE_SIZE}", deleted=True)
        after = ">" if place["is_after"] else ">="
        where = _where(
            f"SystemModstamp {after} {place['from']}" if place["from"] else "",
            f"SystemModstamp < {place['until']}" if place["until"] else "",
        )
        return _soql(f"{select}{where} ORDER BY SystemModstamp, Id LIMIT {PAGE_SIZE}", deleted=True)

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        place = _place(cursor)
        if _asks_fields(place):
            told = _read_fields(place, reply, self.wanted)
            if "told" not in told:
                hidden = {**cast(dict[str, list[str]], cursor["hidden"]), str(place["object"]): told["hidden"]}
                return Page(next={**cursor, "hidden": cast(JSON, hidden), "place": told})
            return self._without(cursor, told)
        if place["way"] == MOVED:
            return self._read_moved(cursor, reply)
        if reply.status == 400:
            told = _refused(place, reply, self.wanted)
            return self._without(cursor, told) if "told" in told else Page(next={**cursor, "place": told})
        rows, is_all = _rows(reply, limit=PAGE_SIZE)
        if place["way"] == "again":
            return self._read_again(cursor, _people(rows, CONTACT), is_all=is_all)
        following = _after_tie(place, rows, is_all) if place["way"] == "tie" else _after_page(place, rows, is_all)
        return self._page(cursor, _people(rows, str(place["object"])), following)

    def _page(self, cursor: Cursor, people: Sequence[Record], following: Cursor | None) -> Page:
        told = _told(people)
        became = _with(cast(dict[str, list[str]], cursor["became"]), told.merged)
        records = _noted(told.records, became)
        latest = _reached(cast(dict[str, str], cursor["latest"]), people)
        here: Cursor = {**cursor, "latest": cast(JSON, latest), "became": cast(JSON, became)}
        page = Page(records=records, merged=told.merged, gone=told.gone)
        return replace(page, next={**here, "place": following}) if following else self._step(here, page)

    def _step(self, cursor: Cursor, page: Page) -> Page:
        """On to the next walk, or to the end."""
        after = _STEPS[_STEPS.index(str(cursor["step"])) + 1 :]
        if after:
            return replace(page, next={**cursor, "step": after[0], "place": self._begin(after[0], cursor)})
        return replace(page, bookmark=self._bookmark(cursor))

    def _without(self, cursor: Cursor, told: Cursor) -> Page:
        """A kind that this user may not see is empty. A query that takes too long is asked for half the time."""
        place = _place(cursor)
        if told["told"] == "absent":
            absent = sorted({*cast(list[str], cursor["absent"]), str(place["object"])})
            if len(absent) == len(OBJECTS):
                raise _nothing_to_see()
            return self._step({**cursor, "absent": absent}, Page())
        until = fields.time(place.get("until")) or _time(cursor["started"])
        since = fields.time(place["from"])
        if since is None or until - since < SHORTEST_WINDOW or place["way"] != "since":
            raise TryLater(
                "Salesforce takes too long to answer. We try again later.",
                after=_DOWN, code="vendor_down", detail=f"QUERY_TIMEOUT of {place['object']}",
            )  # fmt: skip
        half = _written(since + (until - since) / 2)
        return Page(next={**cursor, "place": {**place, "until": half}})

    def _read_moved(self, cursor: Cursor, reply: Reply) -> Page:
        """Whose deals have moved, or come, or gone. Without deals, or where the question takes too long, nobody's."""
        place = _place(cursor)
        if reply.status == 400:
            if _code(reply) not in _NO_DEALS:
                raise _explain(reply)
            return self._step(cursor, Page())
        rows, is_all = _rows(reply, limit=PAGE_SIZE)
        ids = dict.fromkeys(filter(None, (_id(row, "ContactId") for row in rows)))
        last = rows[-1]["Id"] if rows and not is_all else ""
        if ids:
            return Page(next={**cursor, "place": {**place, "way": "again", "ids": list(ids), "last": last}})
        if last:
            return Page(next={**cursor, "place": {**place, "last": last}})
        return self._step(cursor, Page())

    def _read_again(self, cursor: Cursor, people: Sequence[Record], *, is_all: bool) -> Page:
        place = _place(cursor)
        asked, rest = (ids := cast(list[str], place["ids"]))[:IDS_A_QUERY], ids[IDS_A_QUERY:]
        got = {one["id"] for one in people}
        rest = rest if is_all else [*(one for one in asked if one not in got), *rest]
        page = Page(records=_noted(people, cast(dict[str, list[str]], cursor["became"])))
        if rest:
            return replace(page, next={**cursor, "place": {**place, "ids": rest}})
        if place["last"]:
            return replace(page, next={**cursor, "place": {**place, "way": MOVED, "ids": []}})
        return self._step(cursor, page)

    def _bookmark(self, cursor: Cursor) -> str:
        since, latest = cast(dict[str, str | None], cursor["since"]), cast(dict[str, str], cursor["latest"])
        started = _time(cursor["started"])
        marks = {kind: _mark(latest.get(kind), started, fields.time(since.get(kind))) for kind in OBJECTS}
        return json.dumps(
            {**marks, MOVED: _written(started - OVERLAP), "wide": cursor["wide"], "hidden": cursor["hidden"]}
        )


_STEPS = (LEAD, CONTACT, MOVED)
_NO_DEALS = ("INVALID_TYPE", "INVALID_FIELD", "QUERY_TIMEOUT", "MALFORMED_QUERY", "QUERY_TOO_COMPLICATED")


def _place(cursor: Cursor) -> Cursor:
    return cast(Cursor, cursor["place"])


def _after_page(place: Cursor, rows: Sequence[Record], is_all: bool) -> Cursor | None:
    stamps = [_stamp(row, "SystemModstamp") for row in rows]
    since = fields.time(place["from"])
    if stamps != sorted(stamps) or (since and stamps and stamps[0] < since):
        raise Unreadable("Salesforce sent changes out of order. We ask for them again.", detail="stamps out of order")
    if is_all:
        return {**place, "from": place["until"], "until": "", "is_after": False} if place["until"] else None
    if stamps[0] == stamps[-1]:
        return {**place, "way": "tie", "from": _written(stamps[-1]), "last": rows[-1]["Id"]}
    return {**place, "from": _written(stamps[-1]), "is_after": False}


def _after_tie(place: Cursor, rows: Sequence[Record], is_all: bool) -> Cursor:
    if is_all:
        return {**place, "way": "since", "is_after": True, "last": ""}
    return {**place, "last": rows[-1]["Id"]}


def _moved_since(place: Cursor) -> str:
    since = f"(SystemModstamp >= {place['from']} OR Opportunity.SystemModstamp >= {place['from']})"
    behind = f"Id > '{place['last']}'" if place["last"] else ""
    where = _where(since, behind)
    return f"SELECT Id, ContactId FROM OpportunityContactRole{where} ORDER BY Id LIMIT {PAGE_SIZE}"  # noqa: S608


def _noted(people: Sequence[Record], became: Mapping[str, list[str]]) -> list[Record]:
    return [{**one, BECAME: was} if (was := became.get(one["id"])) else one for one in people]


def _with(became: Mapping[str, list[str]], merged: Sequence[Merge]) -> dict[str, list[str]]:
    """Which records each person was, with these."""
    found = dict(became)
    for merge in merged:
        if len(found) < MOST_REMEMBERED or merge.winner in found:
            was = [*found.get(merge.winner, ()), merge.loser, *found.pop(merge.loser, ())]
            found[merge.winner] = list(dict.fromkeys(was))
    return found


# -- names


@dataclass(frozen=True, slots=True)
class Owners:
    """Who owns people: users, those who left as well, and queues. ``ids``: just these, each of them told once.

    Of users only the employees are listed: an org may have a million customers with a sign-in.
    """

    kind: str
    ids: tuple[str, ...] = ()
    name: str = "owners"

    def first(self) -> Cursor:
        return {"last": "", "ids": list(self.ids)}

    def request(self, cursor: Cursor) -> Request:
        among = {"User": "UserType = 'Standard'", "Group": "Type = 'Queue'"}[self.kind]
        if cursor["ids"]:
            among = f"Id IN ({_listed(cast(list[str], cursor['ids']))})"
        behind = f"Id > '{cursor['last']}'" if cursor["last"] else ""
        columns = "Id, Name, Email" if self.kind == "User" else "Id, Name"  # a queue's address is nobody's
        where = _where(among, behind)
        return _soql(f"SELECT {columns} FROM {self.kind}{where} ORDER BY Id LIMIT {PAGE_SIZE}")  # noqa: S608

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows: dict[str, JSON] = dict.fromkeys(cast(list[str], cursor["ids"]))
        found, is_all = _looked_up(reply)
        rows |= {
            row["Id"]: {"name": fields.text(row.get("Name")), "email": fields.text(row.get("Email")).lower()}
            for row in found
        }
        return TablePage(rows, None if is_all else {**cursor, "last": found[-1]["Id"]})


@dataclass(frozen=True, slots=True)
class Labels:
    """What the values of a field are called: customers rename them, and records keep the old word."""

    kind: str
    name: str

    def first(self) -> Cursor:
        return {}

    def request(self, cursor: Cursor) -> Request:  # noqa: ARG002 - one page
        return _soql(f"SELECT Id, ApiName, MasterLabel FROM {self.kind}")  # noqa: S608

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:  # noqa: ARG002 - one page
        found, _ = _looked_up(reply)
        return TablePage({fields.text(row.get("ApiName")): fields.text(row.get("MasterLabel")) for row in found})


DEALS = "deals"
ALL_DEALS = "*"
"""Under this name the table notes that it holds everybody's deals."""
MOST_DEALS = 100_000  # that are listed: the table lives in memory


@dataclass(frozen=True, slots=True)
class Deals:
    """The stage of each contact's open opportunity: of several the one where they are the primary contact, then the
    latest role. ``ids``: just these contacts; else everybody who has one, primary ones last, since the last one stays.
    """

    ids: tuple[str, ...] = ()
    name: str = DEALS

    def first(self) -> Cursor:
        return {"last": "", "is_primary": False, "count": 0}

    def request(self, cursor: Cursor) -> Request:
        columns = "SELECT Id, ContactId, Opportunity.StageName FROM OpportunityContactRole"
        if self.ids:
            where = _where("Opportunity.IsClosed = false", f"ContactId IN ({_listed(self.ids)})")
            return _soql(f"{columns}{where} ORDER BY IsPrimary DESC, Id DESC LIMIT {PAGE_SIZE}")
        where = _where(
            "Opportunity.IsClosed = false",
            f"IsPrimary = {'true' if cursor['is_primary'] else 'false'}",
            f"Id > '{cursor['last']}'" if cursor["last"] else "",
        )
        return _soql(f"{columns}{where} ORDER BY Id LIMIT {PAGE_SIZE}")

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        found, is_all = _looked_up(reply)
        stages = [(_id(row, "ContactId"), _beyond(row.get("Opportunity"), "StageName")) for row in found]
        if self.ids:
            return TablePage({**dict.fromkeys(self.ids, ""), **dict(reversed(stages))})
        rows: dict[str, JSON] = {**dict(stages), ALL_DEALS: True}
        count = cast(int, cursor["count"]) + len(found)
        if not is_all and count < MOST_DEALS:
            return TablePage(rows, {**cursor, "last": found[-1]["Id"], "count": count})
        return TablePage(rows, None if cursor["is_primary"] else {"last": "", "is_primary": True, "count": 0})


@dataclass(frozen=True, slots=True)
class OwnFields:
    """Fields that this customer, or a package of theirs, has added to either object."""

    name: str = OWN_FIELDS

    def first(self) -> Cursor:
        return {"object": CONTACT}

    def request(self, cursor: Cursor) -> Request:
        return _describe(str(cursor["object"]))

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        found = rows_of(json_object(reply, NAME), "fields", NAME) if reply.status == 200 else []
        rows: dict[str, JSON] = {
            name: {"label": fields.text(row.get("label")) or name, "type": fields.text(row.get("type"))}
            for row in found
            if row.get("custom") is True and (name := fields.text(row.get("name")))
        }
        return TablePage(rows, {"object": LEAD} if cursor["object"] == CONTACT else None)


def _looked_up(reply: Reply) -> tuple[list[Record], bool]:
    """Rows of a table, and whether there are no more. An object that this user may not see is empty."""
    if reply.status == 400:
        if _code(reply) not in ("INVALID_TYPE", "INVALID_FIELD"):
            raise _explain(reply)
        return [], True
    return _rows(reply, limit=PAGE_SIZE)


# -- the CRM itself


@dataclass(frozen=True, slots=True)
class Salesforce:
    opt_outs: tuple[str, ...] = ()
    """The customer's own fields of those who must not be texted."""

    slug = "salesforce"
    name = NAME
    base_url = "https://login.salesforce.com"
    nango_key = "salesforce"
    told_by_sign_in = ("instance_url",)
    limits: ClassVar[Mapping[str, Limit]] = {
        # No rate is published, only calls of a day and how many long ones may be under way at once, which the number of
        # lanes keeps; this one is a brake for a vendor that answers at once.
        "api": Limit(100, timedelta(seconds=1)),
    }
    token_help: TokenHelp | None = None  # there are no keys: a session lives for two hours

    def host(self, facts: Mapping[str, JSON]) -> str:
        """The org's own, by ``instance_url`` of the token reply: the only host that data comes from."""
        told = fields.text(facts.get("instance_url")).lower().rstrip("/")
        if told and not _INSTANCE.fullmatch(told):
            raise ValueError("its address is not one of Salesforce's own")
        return told or self.base_url

    def authorization(self, token: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {token}"}

    def account_request(self) -> Request:
        columns = "Id, Name, Country, DefaultLocaleSidKey, TimeZoneSidKey"
        return Request("GET", f"{API}/query", {"q": f"SELECT {columns} FROM Organization LIMIT 1"})  # noqa: S608

    def read_account(self, reply: Reply) -> CrmAccount:
        orgs = rows_of(json_object(reply, NAME), "records", NAME)
        org = orgs[0] if orgs else {}
        if not _id(org):
            raise Unreadable("Salesforce did not say whose account this is. Try again.", detail="no Organization")
        told = {"country": "Country", "defaultLocale": "DefaultLocaleSidKey", "timeZone": "TimeZoneSidKey"}
        facts = {fact: fields.text(org.get(name)) for fact, name in told.items()}
        return CrmAccount(external_id=_id(org), name=fields.text(org.get("Name")), facts=facts)

    def for_account(self, account: CrmAccount) -> "Salesforce":
        """Salesforce as this customer set it up: the fact ``opt_out_properties`` names their own do-not-text fields,
        which are then asked for as well. Raises ValueError for what cannot be such names: better than to text on."""
        named = account.facts.get("opt_out_properties") or ()
        if not isinstance(named, list | tuple) or len(named) > MOST_OPT_OUTS:
            raise ValueError(f"opt_out_properties is a list of at most {MOST_OPT_OUTS} names")
        names = [name for name in named if isinstance(name, str) and _FIELD.fullmatch(name)]
        if len(names) != len(named):
            raise ValueError("opt_out_properties holds something that is no name of a Salesforce field")
        return replace(self, opt_outs=tuple(dict.fromkeys(names)))

    @property
    def _wanted(self) -> Wanted:
        people = {kind: tuple(dict.fromkeys((*FIELDS[kind], *self.opt_outs))) for kind in OBJECTS}
        return Wanted(people, self.opt_outs)

    def everything(self, *, exact: bool = False) -> Feed:
        return Everything(self._wanted, exact)

    def changes(self) -> Feed:
        return Changes(self._wanted)

    def gone(self) -> Feed | None:
        return None  # deletions are told with the changes

    def count(self) -> Sequence[Request]:
        return (_soql("SELECT COUNT() FROM Contact"), _soql("SELECT COUNT() FROM Lead WHERE IsConverted = false"))

    def read_count(self, reply: Reply) -> int:
        """An object that this user may not see has nobody."""
        return 0 if reply.status == 400 and _code(reply) == "INVALID_TYPE" else _read_count(reply)

    def tables(self) -> Sequence[TableFeed]:
        return (
            Owners("User"),
            Owners("Group"),
            Labels("LeadStatus", "statuses"),
            Labels("OpportunityStage", "stages"),
            OwnFields(),
        )

    def missing(self, records: Sequence[Record], tables: Tables) -> Sequence[TableFeed]:
        return [*_unknown_owners(records, tables.get("owners", {})), *_unknown_deals(records, tables.get(DEALS, {}))]

    def contact(self, record: Record, *, tables: Tables, account: CrmAccount, region: str) -> Contact:
        external_id = fields.text(record.get("id")) if isinstance(record, dict) else ""
        if not external_id:
            raise RecordRejected("The record has no id.", reason="unreadable_record")
        is_lead = record.get(KIND) == LEAD
        listed = tables.get("owners", {}).get(fields.text(record.get("OwnerId")))
        owner = listed if isinstance(listed, dict) else {}
        return Contact(
            external_id=external_id,
            name=fields.full_name(record.get("FirstName"), record.get("LastName")) or fields.text(record.get("Name")),
            phones=_phones(record, account, region),
            emails=fields.emails((record.get("Email"),)),
            company=fields.text(record.get("Company")) if is_lead else _company(record),
            url=f"{self._link_host(account)}/{external_id}",
            owner=fields.text(owner.get("name")),
            owner_email=fields.text(owner.get("email")),
            status=_label(tables, "statuses", record.get("Status")),
            stage="Lead" if is_lead else _label(tables, "stages", tables.get(DEALS, {}).get(external_id)) or "Contact",
            description=fields.long_text(record.get("Description")),
            last_activity_at=fields.time(record.get("LastActivityDate")),
            opted_out=any(map(fields.is_true, map(record.get, (*OPT_OUTS, *self.opt_outs)))),
            created_at=fields.time(record.get("CreatedDate")),
            modified_at=fields.time(record.get("SystemModstamp")),
            merged_ids=_was(record),
            raw=msgspec.json.encode(record),
        )

    def _link_host(self, account: CrmAccount) -> str:
        """Behind it an id leads to the record's own page."""
        try:
            return self.host(account.facts)
        except ValueError:
            return self.base_url

    def explain(self, reply: Reply, *, now: datetime) -> LeadloomError:  # noqa: ARG002 - no wait depends on the hour
        return _explain(reply)

    def allowance(self, reply: Reply) -> Limit | None:  # noqa: ARG002 - headers tell of a day's calls only
        return None

    def remaining(self, reply: Reply) -> int | None:
        return min((most - used for used, most in _usage(reply)), default=None)


provider = Salesforce()

_ID = re.compile("[0-9A-Za-z]{15,18}")
_FIELD = re.compile("[A-Za-z][A-Za-z0-9_]{0,99}")
_INSTANCE = re.compile(r"https://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+salesforce\.(?:com|mil)")


# -- reading records


def _unknown_owners(records: Sequence[Record], known: Mapping[str, JSON]) -> Iterator[Owners]:
    wanted = dict.fromkeys(owner for row in records if (owner := _id(row, "OwnerId")) and owner not in known)
    queues = [owner for owner in wanted if owner.startswith(_QUEUE)]
    users = [owner for owner in wanted if not owner.startswith(_QUEUE)]
    for kind, ids in (("User", users), ("Group", queues)):
        yield from (Owners(kind, some) for some in batched(ids, IDS_A_QUERY))


def _unknown_deals(records: Sequence[Record], known: Mapping[str, JSON]) -> Iterator[Deals]:
    """Those of a few contacts are asked for by name; for more, everybody's: there are far fewer deals than people."""
    if ALL_DEALS in known:
        return
    contacts = (row for row in records if row.get(KIND) == CONTACT)
    wanted = tuple(dict.fromkeys(found for row in contacts if (found := _id(row, "id")) and found not in known))
    if wanted:
        yield Deals(wanted if len(wanted) <= IDS_A_QUERY else ())


_QUEUE = "00G"


def _phones(record: Record, account: CrmAccount, region: str) -> tuple[Phone, ...]:
    """Every number, best first, each text once."""
    countries = (*map(record.get, ("Country", "MailingCountry", "OtherCountry")), account.facts.get("country"))
    known = (found for text in map(fields.text, countries) if text and (found := fields.region_of(text)))
    region = next(known, region)
    phones: dict[str, Phone] = {}
    for name, label in PHONES.items():
        number = fields.text(record.get(name))
        if number and number not in phones:
            phones[number] = read_phone(number, label, region)
    others = [Phone(text, label, None) for name, label in UNTEXTED.items() if (text := fields.text(record.get(name)))]
    return (*phones.values(), *others)


def _company(record: Record) -> str:
    """The account's name. A *person account* is the person: it has their name."""
    company = _beyond(record.get("Account"), "Name")
    return "" if company == fields.text(record.get("Name")) else company


def _beyond(parent: Any, name: str) -> str:
    """A value of the record that another one refers to."""
    return fields.text(parent.get(name)) if isinstance(parent, dict) else ""


def _label(tables: Tables, table: str, value: Any) -> str:
    """What a value is called; the value itself where nothing else is known."""
    held = fields.text(value)
    return fields.text(tables.get(table, {}).get(held)) or held


def _was(record: Record) -> tuple[str, ...]:
    """The records that are this person by now."""
    was = record.get(BECAME)
    return tuple(filter(None, map(fields.text, was))) if isinstance(was, list) else ()


# -- times


def _time(iso: JSON) -> datetime:
    at = fields.time(iso)
    assert at is not None, "first() put it there"
    return at


def _stamp(row: Record, name: str) -> datetime:
    at = fields.time(row.get(name))
    if at is None:
        raise Unreadable("Salesforce sent a record without its times. We ask for it again.", detail=f"no {name}")
    return at


def _written(at: datetime) -> str:
    """As a query takes it: in UTC, without a ``+``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- errors: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm

_SECONDS, _DOWN, _HOUR = timedelta(seconds=5), timedelta(seconds=2), timedelta(hours=1)


def _explain(reply: Reply) -> LeadloomError:
    code = _code(reply)
    detail = f"status {reply.status} {code}"
    if reply.status == 401:
        return TokenExpired(
            "Salesforce no longer accepts the sign-in. Reconnect Salesforce to go on; your leads are kept.",
            detail=detail,
        )
    if code == "REQUEST_LIMIT_EXCEEDED" or reply.status == 429:
        return _limited(reply, detail)
    if code in ("API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"):
        return NotAllowed(
            "This Salesforce org is not open to other programs: its edition lacks the API, or it is switched off. Ask "
            "your administrator, then reconnect; your leads are kept.",
            detail=detail,
        )
    if reply.status == 403:
        return NotAllowed(
            "Salesforce does not allow us to read this: the user who connected it lacks a permission. Allow it in "
            "Salesforce, then reconnect; your leads are kept.",
            scopes=SCOPES,
            detail=detail,
        )
    if reply.status >= 500 or reply.status in (406, 408, 423) or code == "QUERY_TIMEOUT":
        return TryLater(
            "Salesforce is having trouble. We try again by ourselves.", after=_DOWN, code="vendor_down", detail=detail
        )
    if reply.status == 404:
        return BadRequest("Salesforce did not find what we asked for. This is our fault; tell us.", detail=detail)
    return BadRequest("Salesforce did not understand our question. This is our fault; tell us.", detail=detail)


def _limited(reply: Reply, detail: str) -> TryLater:
    """Too many calls at once, or the calls of a day used up: the same answer, told apart by what is left. They come
    back one by one over twenty-four hours."""
    if any(used >= most for used, most in _usage(reply)):
        return TryLater(
            "The daily API calls of this Salesforce org are used up. We go on when it has some again.",
            after=_HOUR, code="quota", detail=detail,
        )  # fmt: skip
    return TryLater("Salesforce asked us to slow down.", after=_SECONDS, code="rate_limited", detail=detail)


def _usage(reply: Reply) -> list[tuple[int, int]]:
    """Calls used and allowed in the last day: the org's, and those of this app where it has a share of its own."""
    told = reply.headers.get("sforce-limit-info", "")
    return [(int(used), int(most)) for used, most in _USAGE.findall(told[:500])]


_USAGE = re.compile(r"api-usage=([0-9]{1,9})/([0-9]{1,9})")


def _code(reply: Reply) -> str:
    """The keyword of an error, if it has one of sensible form. Errors come in a list."""
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    told = body[0] if isinstance(body, list) and body else body
    code = told.get("errorCode") if isinstance(told, dict) else None
    return code if isinstance(code, str) and _KEYWORD.fullmatch(code) else ""


_KEYWORD = re.compile("[A-Z_]{1,60}")
