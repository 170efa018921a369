"""Pipedrive: what to ask, what its answers mean, what a contact of it is.

People are *persons*, read from the API v2 (https://developers.pipedrive.com/docs/api/v1/Persons, checked 2026-11). All
of them come from the list, five hundred a page: the newest by id, then, where there are many, in the order of their
last change from several places at once. Changes are the same list since a time. A person has no stage of their own: it
is that of their open deal, and deals are asked for their own changes. Deleted persons are told by version 1, which has
no successor for that; into whom a person was merged is told to webhooks alone.

The company pays each call with tokens of a daily budget that all its tools share
(https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting): a list costs ten whatever its length, one of version
1 twenty. So names are read in the fewest calls: by ids where few are wanted, else the whole list of them once.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import batched, pairwise
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
from leadloom.providers.feeds import bookmark_after, json_object, reach, rows_of
from leadloom.providers.phones import read_phone
from leadloom.providers.ranges import Gap, Gaps

NAME = "Pipedrive"
API = "/api/v2"
OLD_API = "/v1"  # users and recents have no successor

PAGE_SIZE = 500  # the lists' maximum
BATCH_SIZE = 100  # ids that a list can be asked for
EXTRAS = "open_deals_count,last_incoming_mail_time,last_outgoing_mail_time"  # told when asked for, at no further cost

WORTH_LANES = 1500  # the highest id, and so at most as many persons, from which a walk by change is worth sharing out
FROM_THE_TOP, FROM_THE_BOTTOM = 2, 2  # lanes of each kind at once: at 150 ms a page, four use up the lowest limit
WALK = "walk"  # the lane of a pass that has only one

OVERLAP = timedelta(minutes=5)
"""How far each pass reads back before the latest change seen. No lag is documented and times have whole seconds;
re-reading costs nothing, since unchanged persons are recognised by their content."""

OLDEST_DELETION = timedelta(days=29)
"""The old API looks back for a month at most, and deleted persons are kept for thirty days."""

MOST_TOKENS = 20  # that one of our calls costs
SPARE_SHARE = 10  # the part of a day's tokens, one in so many, that an import leaves to the customer's other tools

FEW_DEALS = 5  # persons whose deals are asked for one by one
FEW_ORGANIZATIONS = 100  # unknown ones that are asked for by id, once the first of a run have been
MOST_PAGES = 100  # of organizations in one stretch: memory must not grow with the CRM

OPEN_DEAL, CLOSED_DEALS = "$open_deal", "$closed_deals"
"""Under these names we note on a person which of their deals is open, and which were closed, as far as a pass saw."""

MOST_OPT_OUTS = 10  # of a customer's own

SCOPES = ("base", "contacts:read", "deals:read", "users:read", "recents:read")


# -- walking all persons


@dataclass(frozen=True, slots=True)
class Everything:
    """All persons: the newest five hundred at once, then everybody.

    Where there are few, or the pass is ``exact``, the list in the order of ids goes on from there, and from the oldest
    up beside it. Otherwise the list in the order of the last change is shared out among lanes, each from one end of a
    stretch of time. Whoever changes meanwhile leaves their place in that order; they are among the changes read
    afterwards. See ``Gaps``: its numbers are here ids, or seconds, below an origin.

    That a list keeps its order is documented and still checked: a page that does not turns the pass into one walk by
    the vendor's own cursors, from the start.
    """

    exact: bool = False

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:  # noqa: ARG002 - everything needs no bookmark
        return {"step": "newest", "started": now.isoformat(), "latest": None, "edge": {}}

    def lanes(self, cursor: Cursor) -> Mapping[str, Cursor]:
        if cursor["step"] != "lanes":
            return {WALK: cursor}
        shared: Cursor = {"step": "lane", "by": cursor["by"], "origin": cursor["origin"]}
        found: dict[str, Cursor] = {}
        for gap in _gaps(cursor).gaps:
            after = None if gap.is_jump else gap.after
            found[f"up {gap.up}"] = {**shared, "order": "desc", "bound": gap.low, "after": after}
            if gap.down is not None:
                found[f"down {gap.down}"] = {**shared, "order": "asc", "bound": gap.high, "after": gap.down_after}
        return found

    def request(self, cursor: Cursor) -> Request:
        match cursor["step"]:
            case "lanes":
                return self.request(next(iter(self.lanes(cursor).values())))
            case "lane":
                return _persons(_lane_question(cursor))
        question = {"sort_by": "id", "sort_direction": "desc"}
        return _persons({**question, "cursor": str(cursor["after"])} if cursor.get("after") else question)

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        _leave_some_tokens(reply)
        match cursor["step"]:
            case "lanes":
                lane, at = next(iter(self.lanes(cursor).items()))
                return self.join(cursor, lane, self.read(at, reply))
            case "lane":
                return _read_lane(cursor, reply)
        rows, after = _read_list(reply, cursor.get("after"))
        page = _told(rows)
        go_on: Cursor = {**cursor, **_reach(cursor, rows)}
        if not after:
            return replace(page, bookmark=_first_bookmark(go_on))
        ids = _numbers(rows, by="id", origin=0)
        if cursor["step"] == WALK or ids is None or ids != sorted(set(ids)):
            return replace(page, next={**go_on, "step": WALK, "after": after})
        return replace(page, next={**go_on, "step": "lanes", **self._shared_out(cursor, -ids[0], -ids[-1], after)})

    def _shared_out(self, cursor: Cursor, top: int, last: int, after: str) -> dict[str, JSON]:
        """By id behind the first page, or all by time. Ids count persons from one: there are at most as many as ids."""
        if self.exact or last < WORTH_LANES:
            first = Gap(up=0, low=top + 1 - last, high=top + 1, after=json.dumps({"cursor": after}))
            gaps = Gaps(gaps=(first,), top=top, left=last, lanes=1)
            return {"by": "id", "origin": top + 1, **gaps.as_json()}
        origin = _seconds(_time(cursor["started"]) + timedelta(days=1))
        return {"by": "update_time", "origin": origin, **Gaps.all(top=last, left=last).as_json()}

    def join(self, cursor: Cursor, lane: str, page: Page) -> Page:
        if cursor["step"] != "lanes":
            return page if lane == WALK else replace(page, next=cursor, bookmark=None)
        joined: Cursor = {**cursor, **_reach(cursor, page.records)}
        if page.next is not None and page.next.get("is_lost"):
            kept: Cursor = {name: joined[name] for name in ("started", "latest", "edge")}
            return replace(page, next={"step": WALK, "after": "", **kept})
        gaps = _moved_on(_gaps(cursor), lane, page.next)
        if gaps.gaps:
            return replace(page, next={**joined, **gaps.as_json()})
        return replace(page, next=None, bookmark=_first_bookmark(joined))

    def more(self, cursor: Cursor) -> Cursor | None:
        if cursor["step"] != "lanes":
            return None
        up, down = (FROM_THE_TOP, FROM_THE_BOTTOM) if cursor["by"] == "update_time" else (1, 1)
        gaps = _gaps(cursor).one_more(up=up, down=down)
        return None if gaps is None else {**cursor, **gaps.as_json()}


def _lane_question(cursor: Cursor) -> dict[str, str]:
    """Where a lane starts, or the same question again with the vendor's cursor: it belongs to its question."""
    question = {"sort_by": str(cursor["by"]), "sort_direction": str(cursor["order"])}
    if cursor["after"]:
        return {**question, **json.loads(str(cursor["after"]))}
    return {**question, **_lane_window(cursor)}


def _lane_window(cursor: Cursor) -> dict[str, str]:
    """Only persons beyond the bound. Of ids there is no such question."""
    bound = cursor["bound"]
    if cursor["by"] == "id" or bound is None:
        return {}
    at = cast(int, cursor["origin"]) - cast(int, bound)
    return {"updated_until": _written(at)} if cursor["order"] == "desc" else {"updated_since": _written(at + 1)}


def _read_lane(cursor: Cursor, reply: Reply) -> Page:
    """A page of one lane. Its ``next`` says what is done and where it goes on, or that it is lost."""
    said: dict[str, str] = json.loads(str(cursor["after"])) if cursor["after"] else _lane_window(cursor)
    rows, after = _read_list(reply, said.get("cursor"))
    numbers = _numbers(rows, by=str(cursor["by"]), origin=cast(int, cursor["origin"]))
    is_rising, bound = cursor["order"] == "desc", cast(int | None, cursor["bound"])
    page = _told(rows)
    if numbers is None or numbers != sorted(numbers, reverse=not is_rising):
        return replace(page, next={"is_lost": True})
    if numbers and bound is not None and (numbers[0] <= bound if is_rising else numbers[0] >= bound):
        return replace(page, next={"is_lost": True})
    if not after:
        return page
    # Others may have changed in the second of the last one: it is not done with yet.
    done: list[JSON] = [one for one in numbers if one != numbers[-1]]
    return replace(page, next={"done": done, "after": json.dumps({**said, "cursor": after})})


def _moved_on(gaps: Gaps, lane: str, told: Cursor | None) -> Gaps:
    way, _, text = lane.partition(" ")
    number = int(text)
    if told is None:  # it has read all that lies beyond it, whichever way it goes
        up = number if way == "up" else next((gap.up for gap in gaps.gaps if gap.down == number), None)
        return gaps if up is None else gaps.rise(up, [], None)
    done, after = cast(list[int], told["done"]), str(told["after"])
    return gaps.rise(number, done, after) if way == "up" else gaps.fall(number, done, is_last=False, after=after)


def _gaps(cursor: Cursor) -> Gaps:
    return Gaps.from_json({name: cursor[name] for name in ("gaps", "top", "left", "lanes")})


def _numbers(rows: Sequence[Record], *, by: str, origin: int) -> list[int] | None:
    """How far below the origin each person lies; None when one does not say."""
    if by == "id":
        found = [one for row in rows if isinstance(one := row.get("id"), int) and not isinstance(one, bool)]
    else:
        found = [_seconds(at) for row in rows if (at := fields.time(row.get("update_time"))) is not None]
    return [origin - one for one in found] if len(found) == len(rows) else None


def _leave_some_tokens(reply: Reply) -> None:
    """An import waits rather than use up what the customer's other tools need today. Changes cost little and go on."""
    left, most = _number(reply, "x-daily-ratelimit-token-remaining"), _number(reply, "x-daily-ratelimit-token-limit")
    if left is not None and most and left * SPARE_SHARE < most:
        raise TryLater(
            "Most of this Pipedrive company's API tokens of the day are used up. We leave the rest to its other tools "
            "and go on when there are new ones.",
            after=_HOUR, code="quota", detail=f"{left} of {most} tokens left",
        )  # fmt: skip


# -- what has changed


@dataclass(frozen=True, slots=True)
class Changes:
    """Persons deleted, persons whose deals have moved, persons changed, each since a mark of its own in the bookmark.

    Deletions come first, so that those who share their leads describe them when they are met. What changes during the
    pass moves to the end of its list, and is read again there. A quiet pass costs three requests and forty tokens, of
    which deletions take half. Deals of any status are asked for: one that was won, lost or deleted is no stage any
    more; an archived one is in no list.
    """

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        kept: dict[str, Any] = json.loads(bookmark) if bookmark else {}
        deals = kept.get("deals", {"since": (now - OVERLAP).isoformat(), "edge": {}})
        deleted = fields.time(kept.get("deleted")) or now - OVERLAP
        return {
            "step": "deleted",
            "started": now.isoformat(),
            "since": kept.get("since"),
            "latest": None,
            "edge": {},
            "known": kept.get("edge", {}),
            "deals": {"since": deals["since"], "latest": None, "edge": {}, "known": deals["edge"]},
            "deleted": max(deleted, now - OLDEST_DELETION).isoformat(),
            "start": 0,
            "after": "",
        }

    def request(self, cursor: Cursor) -> Request:
        match cursor["step"]:
            case "deleted":
                return self._recents(cursor)
            case "deals":
                since = cast(dict[str, JSON], cursor["deals"])["since"]
                question = {**_since(since), "status": "open,won,lost,deleted"}
                return _deals(question, cursor["after"], accept=_REFUSED)
            case "changed":
                question = _since(cursor["since"])
                return _persons({**question, "cursor": str(cursor["after"])} if cursor["after"] else question)
        ids = ",".join(str(one) for one in _ids(cursor)[:BATCH_SIZE])
        return _persons({"ids": ids, "limit": str(BATCH_SIZE)})

    def _recents(self, cursor: Cursor) -> Request:
        query = {
            "since_timestamp": _time(cursor["deleted"]).strftime("%Y-%m-%d %H:%M:%S"),
            "items": "person",
            "start": str(cursor["start"]),
            "limit": str(PAGE_SIZE),
        }
        return Request("GET", f"{OLD_API}/recents", query, accept=(400, *_REFUSED))

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        match cursor["step"]:
            case "deleted":
                return self._read_recents(cursor, reply)
            case "is it gone":
                return self._read_gone(cursor, reply)
            case "deals":
                return self._read_deals(cursor, reply)
            case "moved":
                return self._read_moved(cursor, reply)
        return self._read_changed(cursor, reply)

    def _read_recents(self, cursor: Cursor, reply: Reply) -> Page:
        """Who is told as deleted is looked up before it is believed: a row without its data is not always one."""
        if reply.status == 400 or _is_refused(reply):  # without the scope, or the old API itself
            return Page(next={**cursor, "step": "deals"})
        body = json_object(reply, NAME)
        rows = [] if body.get("data") is None and body.get("success") is True else rows_of(body, "data", NAME)
        ids = dict.fromkeys(one for row in rows if (one := _deleted_id(row)))
        start = cast(int, cursor["start"]) + len(rows)
        pagination = _dict(_dict(body.get("additional_data")).get("pagination"))
        told = pagination.get("more_items_in_collection")
        has_more = bool(rows) and (told if isinstance(told, bool) else len(rows) >= PAGE_SIZE)
        go_on: Cursor = {**cursor, "start": start, "step": "deleted" if has_more else "deals"}
        return Page(next={**go_on, "then": go_on["step"], "step": "is it gone", "ids": list(ids)} if ids else go_on)

    def _read_gone(self, cursor: Cursor, reply: Reply) -> Page:
        rows, _ = _read_list(reply)
        alive = {fields.text(row.get("id")) for row in rows if not _is_deleted(row)}
        asked, rest = _ids(cursor)[:BATCH_SIZE], _ids(cursor)[BATCH_SIZE:]
        gone = [Gone(str(one)) for one in asked if str(one) not in alive]
        return Page(gone=gone, next={**cursor, "ids": rest} if rest else _back(cursor))

    def _read_deals(self, cursor: Cursor, reply: Reply) -> Page:
        if _is_refused(reply):  # without the scope there are no stages
            return Page(next={**cursor, "step": "changed", "after": ""})
        rows, after = _read_list(reply, cursor["after"])
        deals = cast(dict[str, JSON], cursor["deals"])
        known = cast(dict[str, JSON], deals["known"])
        fresh = [row for row in rows if known.get(fields.text(row.get("id"))) != _changed_at(row)]
        moved = _by_person(fresh)
        go_on: Cursor = {**cursor, "deals": {**deals, **_reach(deals, rows)}, "after": after}
        go_on |= {"step": "deals" if after else "changed"}
        if not moved:
            return Page(next=go_on)
        ids: list[JSON] = list(map(int, moved))
        return Page(next={**go_on, "then": go_on["step"], "step": "moved", "ids": ids, "moved": moved})

    def _read_moved(self, cursor: Cursor, reply: Reply) -> Page:
        """The persons of changed deals. Those read here are known when they come again as changed themselves."""
        rows, _ = _read_list(reply)
        page = _told(rows)
        moved, rest = cast(dict[str, dict[str, JSON]], cursor["moved"]), _ids(cursor)[BATCH_SIZE:]
        records = [{**row, **moved.get(fields.text(row.get("id")), {})} for row in page.records]
        known = {**cast(dict[str, JSON], cursor["known"]), **{str(row.get("id")): _changed_at(row) for row in records}}
        here: Cursor = {**cursor, "known": dict(list(known.items())[-_MOST_KNOWN:])}
        return replace(page, records=records, next={**here, "ids": rest} if rest else _back(here))

    def _read_changed(self, cursor: Cursor, reply: Reply) -> Page:
        rows, after = _read_list(reply, cursor["after"])
        known = cast(dict[str, JSON], cursor["known"])
        fresh = [row for row in rows if known.get(fields.text(row.get("id"))) != _changed_at(row)]
        go_on: Cursor = {**cursor, **_reach(cursor, rows), "after": after}
        page = _told(fresh)
        return replace(page, next=go_on) if after else replace(page, bookmark=_bookmark(go_on))


_MOST_KNOWN = 1000


def _since(since: JSON) -> dict[str, str]:
    return {"updated_since": _written(_seconds(_time(since))), **_BY_CHANGE} if since else _BY_CHANGE


def _back(cursor: Cursor) -> Cursor:
    """To the list, once the persons that it spoke of are read."""
    aside = ("then", "ids", "moved")
    return {**{name: value for name, value in cursor.items() if name not in aside}, "step": cursor["then"]}


def _deleted_id(row: Record) -> int | None:
    data, own_id = row.get("data"), row.get("id")
    is_deleted = data is None or (isinstance(data, dict) and (data.get("active_flag") is False or _is_deleted(data)))
    is_person = row.get("item") == "person" and isinstance(own_id, int) and not isinstance(own_id, bool)
    return own_id if is_person and is_deleted else None


def _by_person(deals: Iterable[Record]) -> dict[str, JSON]:
    """What changed deals say of their persons: the open one that was changed last, and those that are open no more."""
    found: dict[str, dict[str, JSON]] = {}
    for row in deals:
        person = row.get("person_id")
        if not isinstance(person, int) or isinstance(person, bool):
            continue
        told = found.setdefault(str(person), {CLOSED_DEALS: []})
        if _is_open(row):
            told[OPEN_DEAL] = _deal(row)
        else:
            told[CLOSED_DEALS] = [*cast(list[JSON], told[CLOSED_DEALS]), row.get("id")]
    return cast(dict[str, JSON], found)


def _is_open(deal: Record) -> bool:
    return deal.get("status") == "open" and not _is_deleted(deal)


def _deal(row: Record) -> dict[str, JSON]:
    return {"id": row.get("id"), "stage": row.get("stage_id"), "pipeline": row.get("pipeline_id")}


# -- names instead of ids


@dataclass(frozen=True, slots=True)
class Users:
    """Owners by id, also those who left: their persons keep them."""

    name: str = "owners"

    def first(self) -> Cursor:
        return {}

    def request(self, cursor: Cursor) -> Request:  # noqa: ARG002 - one page
        return Request("GET", f"{OLD_API}/users", accept=_REFUSED)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:  # noqa: ARG002 - one page
        if _is_refused(reply):
            return TablePage({})
        rows = rows_of(json_object(reply, NAME), "data", NAME)
        return TablePage({fields.text(row.get("id")): _user(row) for row in rows})


@dataclass(frozen=True, slots=True)
class OneUser:
    """An owner that the list lacks. Whether it holds everybody who left is not told; one by one they are found."""

    id: str
    name: str = "owners"

    def first(self) -> Cursor:
        return {"id": self.id}

    def request(self, cursor: Cursor) -> Request:
        return Request("GET", f"{OLD_API}/users/{quote(str(cursor['id']), safe='')}", accept=_REFUSED)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        row: JSON = {} if _is_refused(reply) else _user(_dict(json_object(reply, NAME).get("data")))
        return TablePage({str(cursor["id"]): row})


@dataclass(frozen=True, slots=True)
class Names:
    """What stages or pipelines are called."""

    name: str

    def first(self) -> Cursor:
        return {"after": ""}

    def request(self, cursor: Cursor) -> Request:
        return _list(self.name, {}, cursor["after"], accept=_REFUSED)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        if _is_refused(reply):
            return TablePage({})
        rows, after = _read_list(reply, cursor["after"])
        names: dict[str, JSON] = {fields.text(row.get("id")): fields.text(row.get("name")) for row in rows}
        return TablePage(names, {"after": after} if after else None)


@dataclass(frozen=True, slots=True)
class Labels:
    """What the labels of persons are called: the options of a field."""

    name: str = "labels"

    def first(self) -> Cursor:
        return {"after": ""}

    def request(self, cursor: Cursor) -> Request:
        return _list("personFields", {}, cursor["after"])

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows, after = _read_list(reply, cursor["after"])
        found: dict[str, JSON] = {}
        for row in rows:
            if row.get("field_code") == "label_ids":
                found |= _options(row)
        return TablePage(found, {"after": after} if after else None)


@dataclass(frozen=True, slots=True)
class OwnFields:
    """The fields that this customer has added to persons, and what the options of each are called."""

    name: str = OWN_FIELDS

    def first(self) -> Cursor:
        return {"after": ""}

    def request(self, cursor: Cursor) -> Request:
        return _list("personFields", {}, cursor["after"])

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows, after = _read_list(reply, cursor["after"])
        found: dict[str, JSON] = {}
        for row in rows:
            code, label = fields.text(row.get("field_code")), fields.text(row.get("field_name"))
            if row.get("is_custom_field") is True and code:
                options = _options(row)
                kind = {"label": label or code, "type": fields.text(row.get("field_type"))}
                found[code] = {**kind, "options": options} if options else kind
        return TablePage(found, {"after": after} if after else None)


@dataclass(frozen=True, slots=True)
class Organizations:
    """Names of some organizations."""

    ids: tuple[int, ...]
    name: str = "organizations"

    def first(self) -> Cursor:
        return {"ids": list(self.ids)}

    def request(self, cursor: Cursor) -> Request:
        ids = ",".join(str(one) for one in _ids(cursor))
        return _list("organizations", {"ids": ids, "limit": str(BATCH_SIZE)})

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        found: dict[str, JSON] = dict.fromkeys(map(str, _ids(cursor)), "")  # one that is gone is not asked for again
        return TablePage({**found, **_names(_read_list(reply)[0])})


@dataclass(frozen=True, slots=True)
class AllOrganizations:
    """Names of all organizations that were changed in a stretch of time."""

    window: Mapping[str, str]
    name: str = "all organizations"

    def first(self) -> Cursor:
        return {"after": "", "pages": 1}

    def request(self, cursor: Cursor) -> Request:
        return _list("organizations", {**_BY_CHANGE, **self.window}, cursor["after"])

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows, after = _read_list(reply, cursor["after"])
        pages = cast(int, cursor["pages"])
        following: Cursor | None = {"after": after, "pages": pages + 1} if after and pages < MOST_PAGES else None
        return TablePage({**_names(rows), "": True}, following)


@dataclass(frozen=True, slots=True)
class OneDeal:
    """The open deal of a person, the one that was changed last."""

    person: int
    name: str = "deals"

    def first(self) -> Cursor:
        return {"person": self.person}

    def request(self, cursor: Cursor) -> Request:
        query = _OPEN | {"person_id": str(cursor["person"]), "sort_direction": "desc", "limit": "1"}
        return _list("deals", query, accept=_REFUSED)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows = [] if _is_refused(reply) else [row for row in _read_list(reply)[0] if _is_open(row)]
        return TablePage({str(cursor["person"]): _deal(rows[0]) if rows else None})


@dataclass(frozen=True, slots=True)
class LatestDeals:
    """The open deals of some persons, looked for from the latest change back until all are found. Whose deals lie too
    far back are asked for one by one: it costs at most a quarter more than asking so for all."""

    persons: tuple[int, ...]
    name: str = "deals"

    def first(self) -> Cursor:
        return {"wanted": list(self.persons), "after": "", "pages": max(1, len(self.persons) // 4)}

    def request(self, cursor: Cursor) -> Request:
        if cursor["pages"]:
            return _deals(_OPEN | {"sort_direction": "desc"}, cursor["after"], accept=_REFUSED)
        one = OneDeal(cast(list[int], cursor["wanted"])[0])
        return one.request(one.first())

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        wanted, pages = cast(list[int], cursor["wanted"]), cast(int, cursor["pages"])
        if not pages:
            one = OneDeal(wanted[0])
            rest: list[JSON] = list(wanted[1:])
            return TablePage(one.read(one.first(), reply).rows, {**cursor, "wanted": rest} if rest else None)
        rows, after = ([], "") if _is_refused(reply) else _read_list(reply, cursor["after"])
        found: dict[str, JSON] = {}
        for row in rows:
            if _is_open(row) and row.get("person_id") in wanted:
                found.setdefault(str(row["person_id"]), _deal(row))
        rest = [one for one in wanted if str(one) not in found]
        if rest and after:
            return TablePage(found, {"wanted": rest, "after": after, "pages": pages - 1})
        return TablePage({**dict.fromkeys(map(str, rest)), **found})


@dataclass(frozen=True, slots=True)
class AllDeals:
    """The open deals of everybody that were changed in a stretch of time; of one person the latest."""

    window: Mapping[str, str]
    name: str

    def first(self) -> Cursor:
        return {"after": ""}

    def request(self, cursor: Cursor) -> Request:
        return _deals({**_OPEN, **self.window}, cursor["after"], accept=_REFUSED)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows, after = ([], "") if _is_refused(reply) else _read_list(reply, cursor["after"])
        found: dict[str, JSON] = {fields.text(row.get("person_id")): _deal(row) for row in rows if _is_open(row)}
        return TablePage({**found, "": True}, {"after": after} if after else None)


_BY_CHANGE = {"sort_by": "update_time", "sort_direction": "asc"}
_OPEN = {"status": "open", **_BY_CHANGE}
STRETCHES = 4  # in which a whole list is read side by side
ALL_DEALS = tuple(f"all deals {number}" for number in range(STRETCHES))
"""Their tables, the latest changes first: what is found in one table is newer than what the next ones hold."""


def _stretches(records: Sequence[Record]) -> list[dict[str, str]]:
    """Stretches of time in which lists are read beside each other, the latest first. Where most changes lie nobody
    tells; these persons are a sample."""
    times = sorted(_seconds(at) for record in records if (at := fields.time(record.get("update_time"))))
    cuts = sorted({times[len(times) * part // STRETCHES] for part in range(1, STRETCHES)} if times else ())
    bounds = [None, *map(_written, cuts), None]
    windows = [
        {"updated_since": low} | {"updated_until": high} if low and high
        else {"updated_since": low} if low else {"updated_until": high} if high else {}
        for low, high in pairwise(bounds)
    ]  # fmt: skip
    return windows[::-1]


# -- the CRM itself


@dataclass(frozen=True, slots=True)
class Pipedrive:
    opt_outs: tuple[str, ...] = ()
    """Pipedrive has no field against calls and texts: customers add their own fields or labels (``for_account``).
    ``marketing_status`` is about e-mail campaigns only."""

    slug = "pipedrive"
    name = NAME
    base_url = "https://api.pipedrive.com"
    nango_key = "pipedrive"
    told_by_sign_in = ("api_domain",)
    limits: ClassVar[Mapping[str, Limit]] = {
        "api": Limit(20, timedelta(seconds=2)),  # of an API token on the lowest plan; headers announce more
    }
    token_help = TokenHelp(
        label="API token",
        placeholder="forty digits and letters a to f",
        where="In Pipedrive: your picture at the top right → Personal preferences → API. It sees what you may see.",
    )

    def host(self, facts: Mapping[str, JSON]) -> str:
        """The company's own, by ``api_domain`` of the token reply or the company's domain."""
        told = facts.get("api_domain")
        if told:
            if not isinstance(told, str) or not _API_DOMAIN.fullmatch(told):
                raise ValueError("its address is not one of Pipedrive's")
            return told.rstrip("/")
        domain = facts.get("companyDomain")
        if not domain:
            return self.base_url
        if not isinstance(domain, str) or not _DOMAIN.fullmatch(domain):
            raise ValueError("a company's domain is letters, digits and hyphens")
        return f"https://{domain}.pipedrive.com"

    def authorization(self, token: str) -> Mapping[str, str]:
        """A personal API token has forty hexadecimal digits; those of a sign-in are longer and of other form."""
        return {"x-api-token": token} if _API_TOKEN.fullmatch(token) else {"authorization": f"Bearer {token}"}

    def account_request(self) -> Request:
        return Request("GET", f"{OLD_API}/users/me")

    def read_account(self, reply: Reply) -> CrmAccount:
        me = _dict(json_object(reply, NAME).get("data"))
        company = fields.text(me.get("company_id"))
        if not company:
            raise Unreadable("Pipedrive did not say whose account this is. Try again.", detail="no company_id")
        domain = fields.text(me.get("company_domain"))
        facts = {
            "companyDomain": domain if _DOMAIN.fullmatch(domain) else "",
            "country": fields.text(me.get("company_country")),
            "timeZone": fields.text(me.get("timezone_name")),
        }
        return CrmAccount(external_id=company, name=fields.text(me.get("company_name")) or company, facts=facts)

    def for_account(self, account: CrmAccount) -> "Pipedrive":
        """Pipedrive as this customer set it up: the fact ``opt_out_properties`` names their own do-not-text fields, by
        their key or as they are called, and labels. Raises ValueError for what cannot be such names: better than to
        text on."""
        named = account.facts.get("opt_out_properties") or ()
        if not isinstance(named, list | tuple) or len(named) > MOST_OPT_OUTS:
            raise ValueError(f"opt_out_properties is a list of at most {MOST_OPT_OUTS} names")
        names = [fields.text(name) for name in named if isinstance(name, str)]
        if len(names) != len(named) or not all(names):
            raise ValueError("opt_out_properties holds something that is no name of a Pipedrive field or label")
        return replace(self, opt_outs=tuple(dict.fromkeys(names)))

    def everything(self, *, exact: bool = False) -> Feed:
        return Everything(exact)

    def changes(self) -> Feed:
        return Changes()

    def gone(self) -> Feed | None:
        return None  # deletions are told with the changes

    def tables(self) -> Sequence[TableFeed]:
        return (Users(), Labels(), Names("stages"), Names("pipelines"), OwnFields())

    def missing(self, records: Sequence[Record], tables: Tables) -> Sequence[TableFeed]:
        people = [record for record in records if isinstance(record, dict)]
        owners = dict.fromkeys(fields.text(one.get("owner_id")) for one in people)
        known = tables.get("owners", {})
        return [
            *(OneUser(one) for one in owners if one.isascii() and one.isdigit() and one not in known),
            *_missing_organizations(people, tables),
            *_missing_deals(people, tables),
        ]

    def contact(self, record: Record, *, tables: Tables, account: CrmAccount, region: str) -> Contact:
        external_id = fields.text(record.get("id")) if isinstance(record, dict) else ""
        if not external_id:
            raise RecordRejected("The record has no id.", reason="unreadable_record")
        owner = _dict(tables.get("owners", {}).get(fields.text(record.get("owner_id"))))
        mails = map(fields.time, map(record.get, ("last_incoming_mail_time", "last_outgoing_mail_time")))
        return Contact(
            external_id=external_id,
            name=fields.text(record.get("name")) or fields.full_name(record.get("first_name"), record.get("last_name")),
            phones=_phones(record, _region(record, account, region)),
            emails=fields.emails(one.get("value") for one in _primary_first(record.get("emails"))),
            company=_organization(record, tables),
            url=_url(account, external_id),
            owner=fields.text(owner.get("name")),
            owner_email=fields.text(owner.get("email")),
            status=", ".join(_labels(record, tables))[: fields.LONGEST_NAME].strip(),
            stage=_stage(record, tables),
            description=fields.long_text(record.get("notes")),
            last_activity_at=max(filter(None, mails), default=None),
            opted_out=any(_is_told(record, tables, name) for name in self.opt_outs),
            created_at=fields.time(record.get("add_time")),
            modified_at=fields.time(record.get("update_time")),
            raw=msgspec.json.encode(record),
        )

    def explain(self, reply: Reply, *, now: datetime) -> LeadloomError:  # noqa: ARG002 - limits are told as durations
        return _explain(reply)

    def allowance(self, reply: Reply) -> Limit | None:
        most = _number(reply, "x-ratelimit-limit")
        return Limit(most, WINDOW) if most else None

    def remaining(self, reply: Reply) -> int | None:
        return _number(reply, "x-ratelimit-remaining")


provider = Pipedrive()

WINDOW = timedelta(seconds=2)  # in which requests are counted; headers tell how many, not of what time
_API_TOKEN = re.compile("[0-9a-f]{40}")
_DOMAIN = re.compile("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_API_DOMAIN = re.compile(rf"https://({_DOMAIN.pattern})(?:\.{_DOMAIN.pattern})*\.pipedrive\.com/?")
_REFUSED = (403, 404, 410)  # how a scope that is missing, or a part of the old API that has ended, is answered


# -- what to look up


def _missing_organizations(people: Sequence[Record], tables: Tables) -> list[TableFeed]:
    """By id: the first of a run, and whenever they are few. Otherwise all of them at once, which is cheaper."""
    by_id, every = tables.get("organizations", {}), tables.get("all organizations", {})
    ids = dict.fromkeys(one for record in people if (one := _organization_id(record)) is not None)
    unknown = [one for one in ids if str(one) not in by_id and str(one) not in every]
    if by_id and not every and len(unknown) > FEW_ORGANIZATIONS:
        return [AllOrganizations(window) for window in _stretches(people)]
    return [Organizations(some) for some in batched(unknown, BATCH_SIZE)]


def _missing_deals(people: Sequence[Record], tables: Tables) -> list[TableFeed]:
    """One by one where they are few; then from the latest on; those of a second page are read with all there are."""
    ids = dict.fromkeys(cast(int, record["id"]) for record in people if _lacks_deal(record, tables))
    if len(ids) <= FEW_DEALS or _has_all_deals(tables):
        return [OneDeal(one) for one in ids]
    if not tables.get("deals"):
        return [LatestDeals(tuple(ids))]
    return [AllDeals(window, name) for window, name in zip(_stretches(people), ALL_DEALS, strict=False)]


def _lacks_deal(record: Record, tables: Tables) -> bool:
    """Whether a person has an open deal that nobody has read."""
    if isinstance(record.get(OPEN_DEAL), dict) or not _has_open_deals(record):
        return False
    key, closed = fields.text(record.get("id")), _closed_deals(record)
    if key in tables.get("deals", {}):
        return _dict(tables["deals"][key]).get("id") in closed
    found = _known_deal(key, tables)
    return found.get("id") in closed if found else not _has_all_deals(tables)


def _has_open_deals(record: Record) -> bool:
    count, own_id = record.get("open_deals_count"), record.get("id")
    return isinstance(count, int) and count > 0 and isinstance(own_id, int) and not isinstance(own_id, bool)


def _has_all_deals(tables: Tables) -> bool:
    return "" in tables.get(ALL_DEALS[0], {})


def _known_deal(key: str, tables: Tables) -> Mapping[str, Any]:
    for name in ("deals", *ALL_DEALS):
        if found := _dict(tables.get(name, {}).get(key)):
            return found
    return {}


# -- reading rows


def _told(rows: Sequence[Record]) -> Page:
    """Persons, and those who are told as deleted: rarely in a list, and believed wherever it is said."""
    gone = [Gone(own_id) for row in rows if _is_deleted(row) and (own_id := fields.text(row.get("id")))]
    return Page(records=[row for row in rows if not _is_deleted(row)], gone=gone)


def _is_deleted(row: Record) -> bool:
    return row.get("is_deleted") is True


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _primary_first(value: Any) -> list[dict[str, Any]]:
    return sorted(_objects(value), key=lambda one: one.get("primary") is not True)


def _phones(record: Record, region: str) -> tuple[Phone, ...]:
    """Every number, best first, each text once: mobiles, then the primary one. A fax is listed and never texted."""
    found: dict[str, Phone] = {}
    for one in _primary_first(record.get("phones")):
        text, label = fields.text(one.get("value")), fields.text(one.get("label")) or "phone"
        if text and text not in found:
            found[text] = Phone(text, label, None) if "fax" in label.lower() else read_phone(text, label, region)
    return tuple(sorted(found.values(), key=_rank))


def _rank(phone: Phone) -> int:
    label = phone.label.lower()
    return 0 if "mobile" in label or "cell" in label else 2 if "fax" in label else 1


def _region(record: Record, account: CrmAccount, region: str) -> str:
    """Whose national numbers these are: of the person's country, else of the company that uses Pipedrive."""
    own = fields.text(_dict(record.get("postal_address")).get("country"))
    home = fields.text(account.facts.get("country"))
    return fields.region_of(own) or fields.region_of(home) or region


def _organization_id(record: Record) -> int | None:
    own_id = record.get("org_id")
    return own_id if isinstance(own_id, int) and not isinstance(own_id, bool) else None


def _organization(record: Record, tables: Tables) -> str:
    key = fields.text(_organization_id(record))
    if not key:
        return ""
    every = fields.text(tables.get("all organizations", {}).get(key))
    return fields.text(tables.get("organizations", {}).get(key)) or every


def _labels(record: Record, tables: Tables) -> list[str]:
    """What a person's labels are called. Of one that was removed from the settings only the number is left: nothing."""
    ids, names = record.get("label_ids"), tables.get("labels", {})
    held = map(fields.text, ids) if isinstance(ids, list) else ()
    return [name for one in held if (name := fields.text(names.get(one)))]


def _closed_deals(record: Record) -> list[Any]:
    closed = record.get(CLOSED_DEALS)
    return closed if isinstance(closed, list) else []


def _stage(record: Record, tables: Tables) -> str:
    """The stage of the person's open deal, with its pipeline where the company has several."""
    deal = _dict(record.get(OPEN_DEAL))
    if not deal and _has_open_deals(record):
        known = _known_deal(fields.text(record.get("id")), tables)
        deal = dict(known) if known.get("id") not in _closed_deals(record) else {}
    pipelines = tables.get("pipelines", {})
    stage = fields.text(tables.get("stages", {}).get(fields.text(deal.get("stage"))))
    pipeline = fields.text(pipelines.get(fields.text(deal.get("pipeline"))))
    return f"{stage} ({pipeline})" if stage and pipeline and len(pipelines) > 1 else stage


def _is_told(record: Record, tables: Tables, name: str) -> bool:
    """Whether one of a customer's own fields or labels says not to text."""
    own, wanted = tables.get(OWN_FIELDS, {}), name.casefold()
    if wanted in map(str.casefold, _labels(record, tables)):
        return True
    held = _dict(record.get("custom_fields"))
    for code, value in held.items():
        field = _dict(own.get(code))
        if wanted in (code, fields.text(field.get("label")).casefold()) and _is_set(value, _dict(field.get("options"))):
            return True
    return False


def _is_set(value: Any, options: Mapping[str, Any]) -> bool:
    """An option counts by what it is called: ``No`` is no refusal. One that nobody knows is."""
    if isinstance(value, list):
        return any(_is_set(one, options) for one in value)
    if isinstance(value, dict):
        return _is_set(value.get("label", value.get("value", value.get("id"))), options)
    return fields.is_true(options.get(fields.text(value), value))


def _options(field: Record) -> dict[str, JSON]:
    return {
        fields.text(one.get("id")): fields.text(one.get("label"))
        for one in _objects(field.get("options"))
        if fields.text(one.get("id"))
    }


def _names(rows: Sequence[Record]) -> dict[str, JSON]:
    return {fields.text(row.get("id")): fields.text(row.get("name")) for row in rows}


def _user(row: Mapping[str, Any]) -> JSON:
    email = fields.text(row.get("email")).lower()
    return {"name": fields.text(row.get("name")) or email, "email": email}


def _url(account: CrmAccount, external_id: str) -> str:
    """On the company's own domain; without it there is no link."""
    domain = fields.text(account.facts.get("companyDomain"))
    if not _DOMAIN.fullmatch(domain):
        told = _API_DOMAIN.fullmatch(fields.text(account.facts.get("api_domain")))
        domain = told[1] if told and not told[1].startswith("api") else ""
    return f"https://{domain}.pipedrive.com/person/{quote(external_id, safe='')}" if domain else ""


# -- asking lists


def _persons(question: Mapping[str, str]) -> Request:
    return _list("persons", {"include_fields": EXTRAS, **question})


def _deals(question: Mapping[str, str], after: JSON, *, accept: tuple[int, ...]) -> Request:
    return _list("deals", question, after, accept=accept)


def _list(what: str, question: Mapping[str, str], after: JSON = "", *, accept: tuple[int, ...] = ()) -> Request:
    query = {"limit": str(PAGE_SIZE), **question}
    return Request("GET", f"{API}/{what}", {**query, "cursor": str(after)} if after else query, accept=accept)


def _read_list(reply: Reply, asked: JSON = "") -> tuple[list[Record], str]:
    """The rows of a page, and the vendor's cursor for the next; empty when it is the last. ``asked``: this page's."""
    body = json_object(reply, NAME)
    rows = rows_of(body, "data", NAME)
    more = body.get("additional_data")
    if not isinstance(more, dict) and len(rows) >= PAGE_SIZE:
        raise Unreadable("Pipedrive did not say whether a page is the last. We ask for it again.", detail="no cursor")
    after = fields.text(_dict(more).get("next_cursor"), longest=_LONGEST_CURSOR)
    if after and after == asked:
        raise Unreadable("Pipedrive sent a page twice. We ask for it again.", detail="the cursor stands still")
    return rows, after


_LONGEST_CURSOR = 4000


# -- cursors


def _ids(cursor: Cursor) -> list[int]:
    return cast(list[int], cursor["ids"])


def _time(iso: JSON) -> datetime:
    at = fields.time(iso)
    assert at is not None, "first() put it there"
    return at


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _written(seconds: int) -> str:
    """``2026-05-15T09:54:31Z``: finer times are not understood."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _changed_at(row: Record) -> str:
    return fields.text(row.get("update_time"))


def _reach(cursor: Mapping[str, JSON], rows: Sequence[Record]) -> dict[str, JSON]:
    changed = {fields.text(row.get("id")): text for row in rows if (text := _changed_at(row))}
    return reach(cursor, changed, overlap=OVERLAP)


def _first_bookmark(cursor: Cursor) -> str:
    started = (_time(cursor["started"]) - OVERLAP).isoformat()
    persons = bookmark_after(cursor, previous=None, overlap=OVERLAP)
    return json.dumps({**persons, "deals": {"since": started, "edge": {}}, "deleted": started})


def _bookmark(cursor: Cursor) -> str:
    """Persons and deals go on at the latest change seen; deletions, of which no time is told, at the clock."""
    deals = cast(dict[str, JSON], cursor["deals"])
    persons = bookmark_after(cursor, previous=fields.time(cursor["since"]), overlap=OVERLAP)
    moved = bookmark_after(
        {**deals, "started": cursor["started"]}, previous=fields.time(deals["since"]), overlap=OVERLAP
    )
    deleted = (_time(cursor["started"]) - OVERLAP).isoformat()
    return json.dumps({**persons, "deals": moved, "deleted": deleted})


# -- errors: {"success": false, "error", "error_info", "code"?}, of which only the first two are certain

_DOWN, _HOUR, _DAY = timedelta(seconds=2), timedelta(hours=1), timedelta(days=1)
_SHUT_OUT = timedelta(minutes=5)


def _explain(reply: Reply) -> LeadloomError:
    detail = f"status {reply.status} {_code(reply)}".strip()
    if reply.status == 401:
        return TokenExpired(
            "Pipedrive no longer accepts the sign-in. Reconnect Pipedrive to go on; your leads are kept.", detail=detail
        )
    if reply.status == 402:
        return NotAllowed(
            "This Pipedrive company is closed: its trial has ended or a bill is open. Settle it in Pipedrive, then "
            "reconnect; your leads are kept.",
            detail=detail,
        )
    if reply.status == 403:
        return _not_allowed(reply, detail)
    if reply.status == 429:
        return _limited(reply, detail)
    if reply.status >= 500 or reply.status in (408, 423):
        return TryLater(
            "Pipedrive is having trouble. We try again by ourselves.",
            after=_retry_after(reply) or _DOWN, code="vendor_down", detail=detail,
        )  # fmt: skip
    if reply.status in (404, 410):
        return BadRequest("Pipedrive did not find what we asked for. This is our fault; tell us.", detail=detail)
    return BadRequest("Pipedrive did not understand our question. This is our fault; tell us.", detail=detail)


def _not_allowed(reply: Reply, detail: str) -> LeadloomError:
    """A page that is no JSON comes from what stands before the API, and shuts out whoever asked too fast."""
    if not _is_json(reply):
        return TryLater(
            "Pipedrive shut us out for a while. We go on when it lets us.",
            after=_retry_after(reply) or _SHUT_OUT, code="rate_limited", detail=detail,
        )  # fmt: skip
    return NotAllowed(
        "Pipedrive does not allow us to read this: the sign-in, or the user's permission set, lacks a permission. "
        "Allow it in Pipedrive, then reconnect; your leads are kept.",
        scopes=SCOPES,
        detail=detail,
    )


def _is_refused(reply: Reply) -> bool:
    """Whether an optional part was refused for good. Raises TryLater when we are shut out."""
    if reply.status not in _REFUSED:
        return False
    if reply.status == 403 and not _is_json(reply):
        raise _explain(reply)
    return True


def _limited(reply: Reply, detail: str) -> TryLater:
    """A call that costs more than the day has left is refused as well. Tokens come back at midnight of a zone that is
    not told: ask again every hour till then."""
    left = _number(reply, "x-daily-ratelimit-token-remaining")
    if left is not None and left < MOST_TOKENS:
        return TryLater(
            "The API tokens of this Pipedrive company are used up for today. We go on when there are new ones.",
            after=_HOUR, code="quota", detail=detail,
        )  # fmt: skip
    reset = _number(reply, "x-ratelimit-reset")  # seconds left, no time of day
    after = _retry_after(reply) or (min(timedelta(seconds=reset), _HOUR) if reset else WINDOW)
    return TryLater("Pipedrive asked us to slow down.", after=after, code="rate_limited", detail=detail)


def _body(reply: Reply) -> Any:
    try:
        return msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_json(reply: Reply) -> bool:
    return isinstance(_body(reply), dict)


def _code(reply: Reply) -> str:
    """The keyword of an error, if it has one of sensible form."""
    code = _dict(_body(reply)).get("code")
    return code if isinstance(code, str) and _KEYWORD.fullmatch(code) else ""


_KEYWORD = re.compile("[A-Z_]{1,60}")


def _retry_after(reply: Reply) -> timedelta | None:
    seconds = _number(reply, "retry-after")
    return min(timedelta(seconds=seconds), _DAY) if seconds else None


def _number(reply: Reply, header: str) -> int | None:
    """A header that is a number, if it is one of sensible length."""
    text = reply.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
