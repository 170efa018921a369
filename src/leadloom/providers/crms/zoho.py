"""Zoho CRM: what to ask, what its answers mean, what a person of it is.

People live in two modules, *Leads* (not yet qualified) and *Contacts*, read from the CRM API v8
(https://www.zoho.com/crm/developer/docs/api/v8/, checked 2026-11). Both are listed by descending id, the newest first,
and from the other end beside it; what lies between is read as a file that Zoho prepares. Changes are the same lists
with ``If-Modified-Since``; deletions have a list of their own. A lead that was converted is the contact it became: one
person.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import batched, chain, islice, pairwise
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
from leadloom.providers.exports import Row, zipped_rows
from leadloom.providers.feeds import json_object, next_bookmark, rows_of, whole_number
from leadloom.providers.phones import read_phone

NAME = "Zoho CRM"
API = "/crm/v8"
BULK = "/crm/bulk/v8/read"
CONTACTS, LEADS = "Contacts", "Leads"
MODULES = (CONTACTS, LEADS)

PAGE_SIZE = 200  # the lists' maximum
REACH = 100_000  # records that the page tokens of one query lead to
QUERY_SIZE = 2_000  # rows of a COQL query, the maximum
BATCH_SIZE = 100  # ids that a list can be asked for
FILE_PART = 1_000  # rows of a file that are saved at a time; it holds up to 200,000
FILE_POLL = timedelta(seconds=2)

OVERLAP = timedelta(minutes=5)
"""How far each pass reads back before the latest change seen. Times have whole seconds, and whether the bound counts
itself is not told. Re-reading costs nothing: unchanged people are recognised by their content."""

WORTH_TWO_ENDS = 2 * PAGE_SIZE  # read from one end before the other end is opened

BECAME = "$became_this"
"""Under this name we note on a contact which leads were converted to it."""
MOST_REMEMBERED = 1000  # conversions of a pass: of the others only the fact is noted, not that their lead goes on

MODULE = "$se_module"
"""Under this name, Zoho's own where a record points to one of several modules, we note which module a record is of."""

PHONES = {
    "Mobile": "mobile",
    "Phone": "phone",
    "Home_Phone": "home phone",
    "Other_Phone": "other phone",
}
"""Best first, with the label that people know."""

UNTEXTED = {"Asst_Phone": "assistant", "Fax": "fax"}
"""Listed and never texted: somebody else's, and a machine's."""

SHARED_FIELDS = (
    "First_Name", "Last_Name", "Full_Name", "Mobile", "Phone", "Fax", "Email", "Secondary_Email", "Owner",
    "Description", "Last_Activity_Time", "Created_Time", "Modified_Time",
)  # fmt: skip
FIELDS: Mapping[str, tuple[str, ...]] = {
    CONTACTS: (*SHARED_FIELDS, "Home_Phone", "Other_Phone", "Asst_Phone", "Account_Name", "Mailing_Country",
               "Other_Country"),
    LEADS: (*SHARED_FIELDS, "Company", "Country", "Lead_Status", "Converted__s", "$converted_detail"),
}  # fmt: skip
"""A list tells at most fifty fields, and only those it is asked for."""

MOST_OPT_OUTS = 10  # of a customer's own, beside the fields above

SCOPES = (
    "ZohoCRM.modules.contacts.READ",
    "ZohoCRM.modules.leads.READ",
    "ZohoCRM.users.READ",
    "ZohoCRM.org.READ",
    "ZohoCRM.settings.fields.READ",
    "ZohoCRM.coql.READ",
    "ZohoCRM.bulk.READ",
)

DATA_CENTRES = {
    "com": "zoho.com", "eu": "zoho.eu", "in": "zoho.in", "com.au": "zoho.com.au", "jp": "zoho.jp",
    "com.cn": "zoho.com.cn", "ca": "zohocloud.ca", "sa": "zoho.sa", "ae": "zoho.ae",
}  # fmt: skip
"""How the API's hosts end, and where the people of that data centre sign in."""


# -- walking one module by id


@dataclass(frozen=True, slots=True)
class Walker:
    """Walks one module by id, down from the newest or up from the oldest, by page tokens.

    A walk is plain JSON. Tokens reach 100,000 records, live for a day and belong to one user
    (https://www.zoho.com/crm/developer/docs/api/v8/get-records.html). Where they end, the walk up gives up and leaves
    the rest to the walk down. That goes on with a file of all that is left (``Export``), or, where Zoho prepares none
    for us and for changes, by COQL for the ids below the last one, and reads those.
    """

    fields: Mapping[str, tuple[str, ...]]
    may_export: bool = False
    """Whether a file of all that is left is what is wanted: not where only changes are."""

    def first(self, module: str, *, order: str = "desc", since: str | None = None) -> Cursor:
        return {"module": module, "order": order, "since": since, "way": "list", "token": "", "last": "", "count": 0}

    def request(self, walk: Cursor) -> Request:
        module = str(walk["module"])
        if walk["way"] in Export.WAYS:
            return self._export.request(walk)
        if walk["way"] == "query":
            return Request("POST", f"{API}/coql", body={"select_query": _ids_below(walk)}, accept=(400,))
        query = {"fields": ",".join(self.fields[module]), "per_page": str(PAGE_SIZE)}
        if module == LEADS and walk["since"]:
            query["converted"] = "both"  # left out by default: they would vanish without a word
        if walk["way"] == "ids":
            return Request("GET", f"{API}/{module}", {**query, "ids": ",".join(_ids(walk)[:BATCH_SIZE])})
        query |= {"sort_by": "id", "sort_order": str(walk["order"])}
        if walk["token"]:
            query["page_token"] = str(walk["token"])
        headers = {"if-modified-since": str(walk["since"])} if walk["since"] else {}
        return Request("GET", f"{API}/{module}", query, headers=headers, accept=(304, 400))

    def read(self, walk: Cursor, reply: Reply) -> tuple[list[Record], Cursor | None]:
        """The records, and where the walk goes on; None when it is complete."""
        match walk["way"]:
            case "query":
                return self._read_query(walk, reply)
            case "ids":
                return self._read_ids(walk, reply)
            case "export" | "preparing":
                return [], self._export.read(walk, reply)
        if reply.status == 400:
            return [], self._without_token(walk, reply)
        if reply.status in (204, 304):  # nothing, and nothing changed: both without a body
            return [], None
        body = json_object(reply, NAME)
        records = _of_module(rows_of(body, "data", NAME), walk)
        has_more, token = _has_more(body), fields.text(_info(body).get("next_page_token"), longest=4000)
        ids = _numbers(records)
        _require_order(ids, walk)
        if not has_more:
            return records, None
        if not ids:
            raise Unreadable("Zoho CRM sent an empty page. We ask for it again.", detail="more_records without records")
        count = cast(int, walk["count"]) + len(ids)
        following: Cursor = {**walk, "token": token, "last": str(ids[-1]), "count": count}
        if token and count < REACH:
            return records, following
        return records, self._beyond(following)

    def _beyond(self, walk: Cursor) -> Cursor:
        """On where lists do not reach."""
        return _by_export(walk) if self.may_export else _by_query(walk)

    @property
    def _export(self) -> "Export":
        return Export(self.fields)

    def file(self, walk: Cursor, reply: Reply) -> Iterator[tuple[list[Record], Cursor | None]]:
        """As ``read``, for the walk's file: its parts from where the walk stands."""
        return self._export.parts(walk, reply)

    def _without_token(self, walk: Cursor, reply: Reply) -> Cursor | None:
        """A token that ran out, was another user's, or led to the end of its reach. Otherwise the question was wrong:
        a module that the customer does without is empty."""
        if walk["token"]:
            return self._beyond(walk)
        if _code(reply) == "INVALID_MODULE":
            return None
        raise _explain(reply)

    def _read_query(self, walk: Cursor, reply: Reply) -> tuple[list[Record], Cursor | None]:
        if reply.status == 204:
            return [], None
        if reply.status == 400:
            raise _explain(reply)
        body = json_object(reply, NAME)
        ids = _numbers(rows_of(body, "data", NAME))
        _require_order(ids, walk)
        if not ids:
            return [], None
        has_more = _has_more(body)
        return [], {**walk, "way": "ids", "ids": [str(one) for one in ids], "has_more": has_more}

    def _read_ids(self, walk: Cursor, reply: Reply) -> tuple[list[Record], Cursor | None]:
        """Records by id, in any order; those that are gone meanwhile are left out."""
        rows = [] if reply.status == 204 else rows_of(json_object(reply, NAME), "data", NAME)
        asked, rest = _ids(walk)[:BATCH_SIZE], _ids(walk)[BATCH_SIZE:]
        if rest:
            return _of_module(rows, walk), {**walk, "ids": rest, "last": asked[-1]}
        query = {name: value for name, value in walk.items() if name not in ("ids", "has_more")} | {"last": asked[-1]}
        return _of_module(rows, walk), {**query, "way": "query"} if walk["has_more"] else None


def _by_query(walk: Cursor) -> Cursor:
    """On from the last id without a token; the walk up gives up."""
    kept = {name: walk[name] for name in ("module", "order", "since", "last", "count")}
    return {**kept, "way": "query" if walk["order"] == "desc" else "given up", "token": ""}


def _by_export(walk: Cursor) -> Cursor:
    """On from the last id with a file; the walk up gives up. ``left_out``: fields that Zoho puts into no file."""
    if walk["order"] != "desc":
        return _by_query(walk)
    return {**walk, "way": "export", "token": "", "below": walk["last"], "above": "0", "left_out": []}


def _ids_below(walk: Cursor) -> str:
    """Only ids: a query that names a field which this customer has not is refused whole, a list leaves it out."""
    below = f"id < '{walk['last']}'"
    where = f"({below} and Modified_Time >= '{walk['since']}')" if walk["since"] else below
    return f"select id from {walk['module']} where {where} order by id desc limit {QUERY_SIZE}"  # noqa: S608


def _ids(walk: Cursor) -> list[str]:
    return cast(list[str], walk["ids"])


def _of_module(rows: Sequence[Record], walk: Cursor) -> list[Record]:
    return [{**row, MODULE: walk["module"]} for row in rows]


def _numbers(rows: Sequence[Record]) -> list[int]:
    texts = [found for row in rows if isinstance(found := row.get("id"), str) and _ID.fullmatch(found)]
    if len(texts) != len(rows):
        raise Unreadable("Zoho CRM sent a page with records without ids. We ask for it again.", detail="no id")
    return [int(one) for one in texts]


def _require_order(ids: Sequence[int], walk: Cursor) -> None:
    """A page out of order would have the next one skip people."""
    is_down = walk["order"] == "desc"
    is_sorted = list(ids) == sorted(set(ids), reverse=is_down)
    last = int(str(walk["last"])) if walk["last"] else None
    is_beyond = last is None or not ids or (ids[0] < last if is_down else ids[0] > last)
    if not is_sorted or not is_beyond:
        raise Unreadable("Zoho CRM sent a page out of order. We ask for it again.", detail="ids out of order")


def _info(body: Mapping[str, Any]) -> dict[str, Any]:
    info = body.get("info")
    if not isinstance(info, dict):
        raise Unreadable("Zoho CRM did not say whether a page is the last. We ask for it again.", detail="no info")
    return info


def _has_more(body: Mapping[str, Any]) -> bool:
    found = _info(body).get("more_records")
    if not isinstance(found, bool):
        raise Unreadable(
            "Zoho CRM did not say whether a page is the last. We ask for it again.", detail="no more_records"
        )
    return found


# -- reading the rest of a module from a file


@dataclass(frozen=True, slots=True)
class Export:
    """The people of a module between two ids, as a file that Zoho prepares: 50 credits for up to 200,000 of them, where
    lists take one for 200 and COQL still more (https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/overview.html).

    A walk asks for it (``export``), waits for it (``preparing``) and reads it part by part (``file``). In which order
    people come is not told: a file that holds all of the rest needs none, and a larger rest goes on beyond the last id
    if they came in order. In every other case, and whenever Zoho will not, the walk goes on by COQL: nobody is lost,
    at the worst some are read twice.
    """

    fields: Mapping[str, tuple[str, ...]]

    WAYS: ClassVar[tuple[str, ...]] = ("export", "preparing", "file")

    def request(self, walk: Cursor) -> Request:
        match walk["way"]:
            case "export":
                return Request("POST", BULK, body={"query": self._query(walk)}, accept=(400, 401, 403, 404))
            case "preparing":
                return Request("GET", f"{BULK}/{walk['job']}", accept=(404,))
        return Request("GET", f"{BULK}/{walk['job']}/result", accept=(404,), pool="files")

    def _query(self, walk: Cursor) -> JSON:
        names = [name for name in self.fields[str(walk["module"])] if not name.startswith("$")]
        if "Account_Name" in names:  # a lookup is its id alone; with a dot it is what is behind it
            names.append(ACCOUNT)
        left_out = cast(list[str], walk["left_out"])
        bounds = [_than("less_than", walk["below"]), _than("greater_than", walk["above"])]
        return {
            "module": {"api_name": walk["module"]},
            "fields": [name for name in names if name not in left_out],
            "criteria": {"group_operator": "and", "group": bounds},
            "page": 1,
        }

    def read(self, walk: Cursor, reply: Reply) -> Cursor:
        """Where the walk goes on after asking for a file, or asking how far it is. Raises NotReady."""
        if reply.status >= 400:
            return self._refused(walk, reply)
        [told] = rows_of(json_object(reply, NAME), "data", NAME)[:1] or [{}]
        if walk["way"] == "export":
            details = told.get("details")
            job = fields.text(details.get("id") if isinstance(details, dict) else None)
            return {**walk, "way": "preparing", "job": job} if _ID.fullmatch(job) else _by_query(walk)
        state, result = fields.text(told.get("state")), told.get("result")
        if state in ("ADDED", "QUEUED", "IN PROGRESS"):
            raise NotReady("Zoho CRM is preparing a file of the people who are left.", after=FILE_POLL)
        if state != "COMPLETED" or not isinstance(result, dict) or not isinstance(result.get("more_records"), bool):
            return _by_query(walk)
        return {**walk, "way": "file", "row": 0, "edge": "", "sorted": "", "has_more": result["more_records"]}

    def _refused(self, walk: Cursor, reply: Reply) -> Cursor:
        """Some kinds of field are put into no file, and those that this customer hides: asked for again without."""
        left_out, name = cast(list[str], walk["left_out"]), _named_field(reply)
        if reply.status == 400 and name and name != "id" and name not in left_out and len(left_out) < MOST_LEFT_OUT:
            return {**walk, "left_out": [*left_out, name]}
        return _by_query(walk)

    def parts(self, walk: Cursor, reply: Reply) -> Iterator[tuple[list[Record], Cursor | None]]:
        """The people of the file from where the walk stands, and where it goes on after each part.

        Raises Unreadable where the file is spoilt."""
        if reply.status == 404:  # kept for a day
            yield [], _by_query(walk)
            return
        rows = islice(zipped_rows(reply.body, NAME), cast(int, walk["row"]), None)
        first = next(rows, None)
        if first is None:
            yield [], self._after(walk)
            return
        parts = batched(chain([first], rows), FILE_PART)
        part, at = next(parts), walk
        while part:
            following = next(parts, ())
            at = _past(at, part)
            records = [record for row in part if (record := _of_file(row, walk)) is not None]
            yield records, at if following else self._after(at)
            part = following

    def _after(self, walk: Cursor) -> Cursor | None:
        """Where the walk goes on after the last row of a file."""
        if not walk["has_more"]:
            return None
        bound = {"asc": "above", "desc": "below"}.get(str(walk["sorted"]))
        if bound is None:
            return _by_query(walk)
        kept = {name: value for name, value in walk.items() if name not in ("job", "row", "edge", "sorted", "has_more")}
        return {**kept, "way": "export", bound: walk["edge"]}


ACCOUNT = "Account_Name.Account_Name"
MOST_LEFT_OUT = 20


def _than(comparator: str, bound: JSON) -> JSON:
    return {"field": {"api_name": "id"}, "comparator": comparator, "value": bound}


def _past(walk: Cursor, part: Sequence[Row]) -> Cursor:
    """Where a walk stands after these rows of its file, and in which order people have come so far."""
    ids = [int(text) if _ID.fullmatch(text := _id_of(row)) else 0 for row in part]
    if not all(ids):
        raise Unreadable("Zoho CRM sent a file with records without ids. We ask for it again.", detail="no id")
    edge = [int(str(walk["edge"]))] if walk["edge"] else []
    order = str(walk["sorted"])
    steps = {one < other for one, other in pairwise([*edge, *ids])}
    found = {(True,): "asc", (False,): "desc", (): order}.get(tuple(steps), "none")
    order = found if order in ("", found) else "none"
    return {**walk, "row": cast(int, walk["row"]) + len(part), "edge": str(ids[-1]), "sorted": order}


def _id_of(row: Row) -> str:
    return row.get("id") or row.get("Id") or row.get("ID") or ""


def _of_file(row: Row, walk: Cursor) -> Record | None:
    """A row as the list tells it, or None for a lead that was converted: the list leaves those out."""
    record: Record = {name: value or None for name, value in row.items()}
    if walk["module"] == LEADS and str(record.get("Converted__s")).lower() == "true":
        return None
    name = record.pop(ACCOUNT, None)
    if account := record.get("Account_Name"):
        record["Account_Name"] = {"id": account, "name": name}
    if owner := record.get("Owner"):
        record["Owner"] = {"id": owner}
    return {**record, "id": _id_of(row), MODULE: walk["module"]}


def _named_field(reply: Reply) -> str:
    """The field that Zoho says it will not have."""
    try:
        body = msgspec.json.decode(reply.body)
        details = body["details"] if "details" in body else body["data"][0]["details"]
        name = details.get("api_name")
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
        return ""
    return name if isinstance(name, str) and _FILE_FIELD.fullmatch(name) else ""


_FILE_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What records tell: people, and leads that are people elsewhere by now."""

    records: Sequence[Record]
    merged: Sequence[Merge]
    gone: Sequence[Gone]


def _told(rows: Sequence[Record]) -> _Told:
    records, merged, gone = [], [], []
    for row in rows:
        if row.get(MODULE) != LEADS or not _is_converted(row):
            records.append(row)
        elif became := _became(row):
            merged.append(Merge(fields.text(row.get("id")), became))
        else:
            gone.append(Gone(fields.text(row.get("id")), fields.time(row.get("Modified_Time"))))
    return _Told(records=records, merged=merged, gone=gone)


def _is_converted(row: Record) -> bool:
    return row.get("Converted__s") is True or row.get("$converted") is True or bool(_became(row))


def _became(row: Record) -> str:
    """The contact that a lead was converted to: ``{"$converted_detail": {"contact": "…"}}``, as seen in 2026."""
    detail = row.get("$converted_detail")
    contact = detail.get("contact") if isinstance(detail, dict) else None
    found = fields.text(contact.get("id") if isinstance(contact, dict) else contact)
    return found if _ID.fullmatch(found) else ""


# -- the feeds


@dataclass(frozen=True, slots=True)
class Everything:
    """All people, each module from the newest down and, once it proves long, from the oldest up beside it.

    ``lanes`` are named by module and order. A module is complete when either of its walks is, or when they meet.
    Records made meanwhile lie above the start; those and all else that changed are among the changes read afterwards.
    """

    walker: Walker

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:  # noqa: ARG002 - everything needs no bookmark
        walks: dict[str, JSON] = {f"{module} desc": self.walker.first(module) for module in MODULES}
        return {"step": "everything", "started": now.isoformat(), "latest": {}, "walks": walks, "widened": []}

    def lanes(self, cursor: Cursor) -> Mapping[str, Cursor]:
        if cursor["step"] == "walk":
            return {"": cursor}
        return {lane: {"step": "walk", **walk} for lane, walk in _walks(cursor).items()}

    def request(self, cursor: Cursor) -> Request:
        return self.walker.request(cursor if cursor["step"] == "walk" else self._first_lane(cursor)[1])

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        if cursor["step"] == "walk" and cursor["way"] == "file":
            parts = (_page(records, following) for records, following in self.walker.file(cursor, reply))
            return replace(next(parts), rest=parts)
        if cursor["step"] == "walk":
            return _page(*self.walker.read(cursor, reply))
        lane, at = self._first_lane(cursor)
        return replace(self.join(cursor, lane, self.read(at, reply)), rest=None)

    def _first_lane(self, cursor: Cursor) -> tuple[str, Cursor]:
        return next(iter(self.lanes(cursor).items()))

    def join(self, cursor: Cursor, lane: str, page: Page) -> Page:
        walks = dict(_walks(cursor))
        latest = {**_latest(cursor), **_reached(_latest(cursor), page.records)}
        module = lane.split()[0]
        if lane in walks:
            if page.next is None:
                walks = {name: walk for name, walk in walks.items() if walk["module"] != module}
            elif page.next["way"] == "given up":
                del walks[lane]
            elif page.next["way"] == "export" and (up := walks.pop(f"{module} asc", None)):
                # The file is what lies between the two ends.
                above = max(str(page.next["above"]), str(up["last"] or "0"), key=int)
                walks[lane] = {name: value for name, value in page.next.items() if name != "step"} | {"above": above}
            else:
                walks[lane] = {name: value for name, value in page.next.items() if name != "step"}
            down, up = walks.get(f"{module} desc"), walks.get(f"{module} asc")
            if down and up and down["last"] and up["last"] and int(str(down["last"])) <= int(str(up["last"])):
                walks = {name: walk for name, walk in walks.items() if walk["module"] != module}
        joined: Cursor = {**cursor, "latest": latest, "walks": cast(JSON, walks)}
        if walks:
            return replace(page, next=joined)
        return replace(page, next=None, bookmark=self._bookmark(joined))

    def more(self, cursor: Cursor) -> Cursor | None:
        walks = _walks(cursor)
        widened = cast(list[str], cursor["widened"])
        for module in MODULES:
            down = walks.get(f"{module} desc")
            if module in widened or not down or not down["token"] or cast(int, down["count"]) < WORTH_TWO_ENDS:
                continue
            up = self.walker.first(module, order="asc")
            return {**cursor, "walks": {**walks, f"{module} asc": up}, "widened": [*widened, module]}
        return None

    def _bookmark(self, cursor: Cursor) -> str:
        started, latest = _time(cursor["started"]), _latest(cursor)
        marks = {
            module: next_bookmark(
                latest_seen=fields.time(latest.get(module)), started=started, overlap=OVERLAP, previous=None
            )
            for module in MODULES
        }
        marks |= {_deleted(module): started - OVERLAP for module in MODULES}
        return json.dumps({name: _second(at) for name, at in marks.items()})


def _page(rows: Sequence[Record], following: Cursor | None) -> Page:
    told = _told(rows)
    return Page(records=told.records, merged=told.merged, gone=told.gone, next=following)


def _walks(cursor: Cursor) -> Mapping[str, Cursor]:
    return cast(Mapping[str, Cursor], cursor["walks"])


def _latest(cursor: Cursor) -> dict[str, str]:
    return cast(dict[str, str], cursor["latest"])


def _reached(latest: Mapping[str, str], records: Sequence[Record]) -> dict[str, str]:
    """The latest change seen, by module."""
    found: dict[str, str] = {}
    for record in records:
        module, at = str(record.get(MODULE)), fields.time(record.get("Modified_Time"))
        before = fields.time(found.get(module) or latest.get(module))
        if at is not None and (before is None or at > before):
            found[module] = at.isoformat()
    return found


@dataclass(frozen=True, slots=True)
class Changes:
    """People changed since the bookmark in either module, those who were converted, and those who were deleted.

    Four lists, one after the other, each with a mark of its own in the bookmark: one that stands still does not move
    with the others. Who was deleted comes first, so that those who share their leads describe them when they are met;
    then leads, so that a contact is known to be one of them when it is met. Sorted by id, a record that changes during
    the pass keeps its place. What the vendor does not tell: into which record another was merged (it is deleted, the
    master changes), and that a deleted record came back.
    """

    walker: Walker

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        start: Cursor = {"started": now.isoformat(), "since": _marks(bookmark), "latest": {}, "became": {}}
        return {"step": _STEPS[0], **start, "walk": self._begin(_STEPS[0], start)}

    def request(self, cursor: Cursor) -> Request:
        walk = _walk(cursor)
        if "page" not in walk:
            return self.walker.request(walk)
        query = {"type": "all", "page": str(walk["page"]), "per_page": str(PAGE_SIZE)}
        headers = {"if-modified-since": str(walk["since"])} if walk["since"] else {}
        return Request("GET", f"{API}/{walk['module']}/deleted", query, headers=headers, accept=(304, 400))

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        walk, latest = _walk(cursor), _latest(cursor)
        if "page" in walk:
            told, reached, following = _read_deleted(walk, reply)
        else:
            rows, following = self.walker.read(walk, reply)
            told, reached = _told(rows), _reached(latest, rows).get(str(walk["module"]))
        step = str(cursor["step"])
        if reached and ((before := fields.time(latest.get(step))) is None or _time(reached) > before):
            latest = {**latest, step: reached}
        became = cast(dict[str, list[str]], cursor["became"])
        records = [{**row, BECAME: was} if (was := became.get(str(row.get("id")))) else row for row in told.records]
        here: Cursor = {**cursor, "latest": latest, "became": _with(became, told.merged)}
        page = Page(records=records, merged=told.merged, gone=told.gone)
        if following is not None:
            return replace(page, next={**here, "walk": following})
        after = _STEPS[_STEPS.index(step) + 1 :]
        if not after:
            return replace(page, bookmark=self._bookmark(here))
        return replace(page, next={**here, "step": after[0], "walk": self._begin(after[0], here)})

    def _begin(self, step: str, cursor: Cursor) -> Cursor:
        since = cast(dict[str, str | None], cursor["since"]).get(step)
        if step in MODULES:
            return self.walker.first(step, since=since)
        return {"module": step.split()[1], "since": since, "page": 1, "tops": []}

    def _bookmark(self, cursor: Cursor) -> str:
        since, latest = cast(dict[str, str | None], cursor["since"]), _latest(cursor)
        marks = {
            step: next_bookmark(
                latest_seen=fields.time(latest.get(step)),
                started=_time(cursor["started"]),
                overlap=OVERLAP,
                previous=fields.time(since.get(step)),
            )
            for step in _STEPS
        }
        return json.dumps({step: _second(at) for step, at in marks.items()})


def _deleted(module: str) -> str:
    return f"deleted {module}"


_STEPS = (_deleted(CONTACTS), _deleted(LEADS), LEADS, CONTACTS)


def _with(became: dict[str, list[str]], merged: Sequence[Merge]) -> dict[str, list[str]]:
    """Which leads each contact was, with these."""
    found = dict(became)
    for merge in merged:
        if len(found) < MOST_REMEMBERED or merge.winner in found:
            found[merge.winner] = [*found.get(merge.winner, ()), merge.loser]
    return found


def _walk(cursor: Cursor) -> Cursor:
    return cast(Cursor, cursor["walk"])


def _marks(bookmark: str | None) -> dict[str, JSON]:
    kept = json.loads(bookmark) if bookmark else {}
    return {step: _second(at) if (at := fields.time(kept.get(step))) else None for step in _STEPS}


def _read_deleted(walk: Cursor, reply: Reply) -> tuple[_Told, str | None, Cursor | None]:
    """Who was deleted, for a time or for good; kept for 120 days. A list that reaches no further leaves the rest to the
    weekly sweep."""
    nothing = _Told(records=(), merged=(), gone=())
    if reply.status == 400:
        if walk["page"] == 1 and _code(reply) != "INVALID_MODULE":
            raise _explain(reply)
        return nothing, None, None
    if reply.status in (204, 304):
        return nothing, None, None
    body = json_object(reply, NAME)
    rows = rows_of(body, "data", NAME)
    has_more, top = _has_more(body), fields.text(rows[0].get("id")) if rows else ""
    tops = cast(list[str], walk.get("tops", []))  # of the pages read so far: any of them may come again
    if top in tops or (has_more and not top):
        raise Unreadable("Zoho CRM sent a page twice. We ask for it again.", detail="deleted records repeat")
    since = fields.time(walk["since"])
    gone = [
        Gone(external_id, at)
        for row in rows
        if (external_id := fields.text(row.get("id")))
        and ((at := fields.time(row.get("deleted_time"))) is None or since is None or at >= since)
    ]
    latest = max((one.at for one in gone if one.at), default=None)
    following: Cursor | None = {**walk, "page": cast(int, walk["page"]) + 1, "tops": [*tops, top]} if has_more else None
    return replace(nothing, gone=gone), latest.isoformat() if latest else None, following


@dataclass(frozen=True, slots=True)
class Users:
    """Owners by id, also those who left: their records keep them."""

    name: str = "users"

    def first(self) -> Cursor:
        return {"page": 1}

    def request(self, cursor: Cursor) -> Request:
        query = {"type": "AllUsers", "page": str(cursor["page"]), "per_page": str(PAGE_SIZE)}
        return Request("GET", f"{API}/users", query)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        if reply.status == 204:
            return TablePage({})
        body = json_object(reply, NAME)
        rows: dict[str, JSON] = {
            str(row.get("id")): {
                "name": fields.text(row.get("full_name")) or fields.text(row.get("email")),
                "email": fields.text(row.get("email")).lower(),
            }
            for row in rows_of(body, "users", NAME)
        }
        has_more = bool(rows) and _has_more(body)
        return TablePage(rows, {"page": cast(int, cursor["page"]) + 1} if has_more else None)


@dataclass(frozen=True, slots=True)
class LeadStatuses:
    """What the values of *Lead Status* are called: customers rename them, and records keep the old word."""

    name: str = "lead_statuses"

    def first(self) -> Cursor:
        return {}

    def request(self, cursor: Cursor) -> Request:  # noqa: ARG002 - one page
        return _fields_of(LEADS)

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:  # noqa: ARG002 - one page
        field = next((row for row in _field_rows(reply) if row.get("api_name") == "Lead_Status"), {})
        options = field.get("pick_list_values")
        listed = [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []
        return TablePage({str(one.get("actual_value")): fields.text(one.get("display_value")) for one in listed})


@dataclass(frozen=True, slots=True)
class OwnFields:
    """Fields that this customer has added to either module."""

    name: str = OWN_FIELDS

    def first(self) -> Cursor:
        return {"module": MODULES[0]}

    def request(self, cursor: Cursor) -> Request:
        return _fields_of(str(cursor["module"]))

    def read(self, cursor: Cursor, reply: Reply) -> TablePage:
        rows: dict[str, JSON] = {
            name: {"label": fields.text(row.get("field_label")) or name, "type": fields.text(row.get("data_type"))}
            for row in _field_rows(reply)
            if row.get("custom_field") is True and (name := fields.text(row.get("api_name")))
        }
        return TablePage(rows, {"module": MODULES[1]} if cursor["module"] == MODULES[0] else None)


def _fields_of(module: str) -> Request:
    return Request("GET", f"{API}/settings/fields", {"module": module}, accept=(400,))


def _field_rows(reply: Reply) -> list[Record]:
    if reply.status == 400 and _code(reply) != "INVALID_MODULE":
        raise _explain(reply)
    return rows_of(json_object(reply, NAME), "fields", NAME) if reply.status == 200 else []


# -- the CRM itself


@dataclass(frozen=True, slots=True)
class Zoho:
    opt_outs: tuple[str, ...] = ()
    """Zoho has no field against calls and texts: customers add their own (``for_account``). ``Email_Opt_Out`` is about
    e-mail only."""

    slug = "zoho"
    name = NAME
    base_url = "https://www.zohoapis.com"
    nango_key = "zoho-crm"
    told_by_sign_in = ("api_domain", "accounts-server", "extension")
    limits: ClassVar[Mapping[str, Limit]] = {
        # No rate is published, only credits of a day and how many calls may be under way at once (5 to 25), which the
        # number of lanes keeps; this one is a brake for a vendor that answers at once.
        "api": Limit(100, timedelta(seconds=1)),
        "files": Limit(10, timedelta(minutes=1)),
    }
    token_help: TokenHelp | None = None  # there are no keys: a token lives for an hour

    def host(self, facts: Mapping[str, JSON]) -> str:
        """The data centre's, by ``api_domain`` of the token reply; Nango's ``extension`` knows not all of them."""
        domain = fields.text(facts.get("api_domain"))
        if domain:
            found = _API_DOMAIN.fullmatch(domain)
            if found is None or found[2] not in DATA_CENTRES:
                raise ValueError("its address is not one of Zoho's data centres")
            return domain.rstrip("/")
        accounts = fields.text(facts.get("accounts-server")).removeprefix("https://accounts.").rstrip("/")
        extension = fields.text(facts.get("extension"))
        if not accounts and not extension:
            return self.base_url
        for centre, people in DATA_CENTRES.items():
            if accounts == people or (not accounts and extension == centre):
                return f"https://www.zohoapis.{centre}"
        raise ValueError("it is in none of Zoho's data centres")

    def authorization(self, token: str) -> Mapping[str, str]:
        return {"authorization": f"Zoho-oauthtoken {token}"}

    def account_request(self) -> Request:
        return Request("GET", f"{API}/org")

    def read_account(self, reply: Reply) -> CrmAccount:
        orgs = rows_of(json_object(reply, NAME), "org", NAME)
        org = orgs[0] if orgs else {}
        own_id = fields.text(org.get("zgid")) or fields.text(org.get("id"))
        if not own_id:
            raise Unreadable("Zoho CRM did not say whose account this is. Try again.", detail="no zgid")
        facts = {"zgid": own_id, "timeZone": fields.text(org.get("time_zone"))}
        return CrmAccount(external_id=own_id, name=fields.text(org.get("company_name")), facts=facts)

    def for_account(self, account: CrmAccount) -> "Zoho":
        """Zoho as this customer set it up: the fact ``opt_out_properties`` names their own do-not-text fields, which
        are then asked for as well. Raises ValueError for what cannot be such names: better than to text on."""
        named = account.facts.get("opt_out_properties") or ()
        if not isinstance(named, list | tuple) or len(named) > MOST_OPT_OUTS:
            raise ValueError(f"opt_out_properties is a list of at most {MOST_OPT_OUTS} names")
        names = [name for name in named if isinstance(name, str) and _FIELD.fullmatch(name)]
        if len(names) != len(named):
            raise ValueError("opt_out_properties holds something that is no name of a Zoho CRM field")
        return replace(self, opt_outs=tuple(dict.fromkeys(names)))

    @property
    def _walker(self) -> Walker:
        return Walker({module: tuple(dict.fromkeys((*FIELDS[module], *self.opt_outs))) for module in MODULES})

    def everything(self, *, exact: bool = False) -> Feed:  # noqa: ARG002 - its lists do not lag
        return Everything(replace(self._walker, may_export=True))

    def changes(self) -> Feed:
        return Changes(self._walker)

    def gone(self) -> Feed | None:
        return None  # deletions are told with the changes

    def count(self) -> Sequence[Request]:
        """Converted leads are the contacts they became, and are left out, as in a list by default."""
        return tuple(Request("GET", f"{API}/{module}/actions/count", {"converted": "false"}) for module in MODULES)

    def read_count(self, reply: Reply) -> int:
        return 0 if reply.status == 204 else whole_number(json_object(reply, NAME), "count", NAME)

    def tables(self) -> Sequence[TableFeed]:
        return (Users(), LeadStatuses(), OwnFields())

    def missing(self, records: Sequence[Record], tables: Tables) -> Sequence[TableFeed]:  # noqa: ARG002 - as Provider
        return ()  # records hold the names of what they refer to

    def contact(self, record: Record, *, tables: Tables, account: CrmAccount, region: str) -> Contact:
        external_id = fields.text(record.get("id")) if isinstance(record, dict) else ""
        if not external_id:
            raise RecordRejected("The record has no id.", reason="unreadable_record")
        is_lead = record.get(MODULE) == LEADS
        owner, owner_email = _owner(record, tables)
        return Contact(
            external_id=external_id,
            name=fields.full_name(record.get("First_Name"), record.get("Last_Name"))
            or fields.text(record.get("Full_Name")),
            phones=_phones(record, region),
            emails=fields.emails((record.get("Email"), record.get("Secondary_Email"))),
            company=fields.text(record.get("Company")) if is_lead else _named(record.get("Account_Name")),
            url=_url(account, LEADS if is_lead else CONTACTS, external_id),
            owner=owner,
            owner_email=owner_email,
            status=_label(tables, record.get("Lead_Status")),
            stage="Lead" if is_lead else "Contact",
            description=fields.long_text(record.get("Description")),
            last_activity_at=fields.time(record.get("Last_Activity_Time")),
            opted_out=any(map(fields.is_true, map(record.get, self.opt_outs))),
            created_at=fields.time(record.get("Created_Time")),
            modified_at=fields.time(record.get("Modified_Time")),
            merged_ids=_was(record),
            raw=msgspec.json.encode(record),
        )

    def explain(self, reply: Reply, *, now: datetime) -> LeadloomError:  # noqa: ARG002 - no wait depends on the hour
        return _explain(reply)

    def allowance(self, reply: Reply) -> Limit | None:  # noqa: ARG002 - headers tell of credits only
        return None

    def remaining(self, reply: Reply) -> int | None:
        return _credits_left(reply)


provider = Zoho()

_ID = re.compile("[0-9]{1,20}")
_FIELD = re.compile("[A-Za-z$][A-Za-z0-9_]{0,99}")
_API_DOMAIN = re.compile(r"https://(www|sandbox|developer)\.zohoapis\.([a-z.]{2,6})/?")


# -- reading rows


def _owner(record: Record, tables: Tables) -> tuple[str, str]:
    """Name and address of the owner: the record's own word for it, and the list of users where it has none."""
    given = record.get("Owner")
    owner = given if isinstance(given, dict) else {}
    listed = tables.get("users", {}).get(fields.text(owner.get("id")))
    known = listed if isinstance(listed, dict) else {}
    address = fields.text(owner.get("email")) or fields.text(known.get("email"))
    return fields.text(owner.get("name")) or fields.text(known.get("name")), address.lower()


def _phones(record: Record, region: str) -> tuple[Phone, ...]:
    """Every number, best first, each text once."""
    countries = map(record.get, ("Country", "Mailing_Country", "Other_Country"))
    country = next(filter(None, map(fields.text, countries)), "")
    region = (fields.region_of(country) if country else None) or region
    found: dict[str, Phone] = {}
    for name, label in PHONES.items():
        number = fields.text(record.get(name))
        if number and number not in found:
            found[number] = read_phone(number, label, region)
    others = [Phone(text, label, None) for name, label in UNTEXTED.items() if (text := fields.text(record.get(name)))]
    return (*found.values(), *others)


def _was(record: Record) -> tuple[str, ...]:
    """The leads that were converted to this contact."""
    leads = record.get(BECAME)
    return tuple(filter(None, map(fields.text, leads))) if isinstance(leads, list) else ()


def _named(lookup: Any) -> str:
    """The name in a lookup field: ``{"name": …, "id": …}``."""
    return fields.text(lookup.get("name")) if isinstance(lookup, dict) else ""


def _label(tables: Tables, value: Any) -> str:
    """What a status is called; the value itself where nothing else is known."""
    held = fields.text(value)
    return fields.text(tables.get("lead_statuses", {}).get(held)) or held


def _url(account: CrmAccount, module: str, external_id: str) -> str:
    """As the address bar shows it, in the customer's data centre."""
    domain = _API_DOMAIN.fullmatch(fields.text(account.facts.get("api_domain")))
    people = DATA_CENTRES.get(domain[2], "zoho.com") if domain else "zoho.com"
    return f"https://crm.{people}/crm/org{account.external_id}/tab/{module}/{external_id}"


# -- cursors


def _time(iso: JSON) -> datetime:
    at = fields.time(iso)
    assert at is not None, "first() put it there"
    return at


def _second(at: datetime) -> str:
    """With an offset, in whole seconds: finer times are not understood."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


# -- errors: https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html

_SECONDS, _DOWN, _HOUR = timedelta(seconds=5), timedelta(seconds=2), timedelta(hours=1)


def _explain(reply: Reply) -> LeadloomError:
    code = _code(reply)
    detail = f"status {reply.status} {code}"
    if code == "OAUTH_SCOPE_MISMATCH" or reply.status == 403:
        return NotAllowed(
            "Zoho CRM does not allow us to read this: the sign-in, or the user's profile, lacks a permission. "
            "Allow it in Zoho CRM, then reconnect; your leads are kept.",
            scopes=SCOPES if code == "OAUTH_SCOPE_MISMATCH" else (),
            detail=detail,
        )
    if reply.status == 401:
        return TokenExpired(
            "Zoho CRM no longer accepts the sign-in. Reconnect Zoho CRM to go on; your leads are kept.", detail=detail
        )
    if reply.status == 429:
        return _limited(reply, detail)
    if reply.status >= 500 or reply.status in (408, 423):
        return TryLater(
            "Zoho CRM is having trouble. We try again by ourselves.", after=_DOWN, code="vendor_down", detail=detail
        )
    if reply.status == 404:
        return BadRequest("Zoho CRM did not find what we asked for. This is our fault; tell us.", detail=detail)
    return BadRequest("Zoho CRM did not understand our question. This is our fault; tell us.", detail=detail)


def _limited(reply: Reply, detail: str) -> TryLater:
    """Too many calls at once, or the credits of a day used up: the same answer, told apart by what is left. They come
    back one by one over twenty-four hours."""
    if _credits_left(reply) == 0:
        return TryLater(
            "The API credits of this Zoho CRM account are used up. We go on when it has some again.",
            after=_HOUR, code="quota", detail=detail,
        )  # fmt: skip
    return TryLater("Zoho CRM asked us to slow down.", after=_SECONDS, code="rate_limited", detail=detail)


def _credits_left(reply: Reply) -> int | None:
    """Told only once half of them are used."""
    text = reply.headers.get("x-api-credits-remaining", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _code(reply: Reply) -> str:
    """The keyword of an error, if it has one of sensible form."""
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    code = body.get("code") if isinstance(body, dict) else None
    return code if isinstance(code, str) and _KEYWORD.fullmatch(code) else ""


_KEYWORD = re.compile("[A-Z_]{1,60}")
