"""A CRM in memory, behind the engine's own doors: a provider whose feeds are answered without a network.

Like a vendor's, its list goes by id and misses who is made meanwhile; its changes go by time, many alike at one moment.
Two kinds: one tells of merges in the record that remains and of deletions apart, the other of both among the changes.
"""

import json
import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from leadloom.contact import Contact
from leadloom.errors import RecordRejected
from leadloom.providers.base import Cursor, Feed, Gone, Merge, Page, Record, Reply, Request

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeCrm:
    slug: str
    tells_apart: bool
    """Deletions have a list of their own, and a merged contact names its former ids."""
    people: dict[int, Contact] = field(default_factory=dict)
    unreadable: set[int] = field(default_factory=set)
    deleted: dict[int, tuple[Contact, datetime]] = field(default_factory=dict)
    merged: list[tuple[Merge, datetime]] = field(default_factory=list)
    now: datetime = BEGAN
    last_id: int = 0
    page_size: int = 3
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    """What happens in the CRM between two requests."""

    def tick(self) -> None:
        self.now += timedelta(seconds=1)

    def put(self, contact: Contact, id_: int | None = None) -> int:
        """Make or change somebody, at the present moment."""
        if id_ is None:
            self.last_id = id_ = self.last_id + 1
        made = replace(contact, external_id=str(id_), created_at=self.now, modified_at=self.now, raw=b"{}")
        self.people[id_] = replace(made, raw=_as_json(made))
        return id_

    def delete(self, id_: int) -> None:
        self.deleted[id_] = (self.people.pop(id_), self.now)

    def undelete(self, id_: int) -> None:
        self.put(self.deleted.pop(id_)[0], id_)

    def merge(self, loser: int, winner: int, values: Contact, *, under_a_new_id: bool) -> None:
        """Two become one, under the winner's id or a new one."""
        gone = [loser, winner] if under_a_new_id else [loser]
        former = {str(one) for one in gone}.union(*(self.people[one].merged_ids for one in (loser, winner)))
        for one in gone:
            del self.people[one]
            self.unreadable.discard(one)
        names = tuple(sorted(former)) if self.tells_apart else ()
        stays = self.put(replace(values, merged_ids=names), None if under_a_new_id else winner)
        self.merged += [(Merge(one, str(stays)), self.now) for one in sorted(former)]

    def answer(self, request: Request) -> Reply:
        for happens in self.meanwhile[:1]:
            self.tick()
            happens()
        del self.meanwhile[:1]
        cursor = dict(request.query)
        page = {"/everything": self._listed, "/changes": self._changed, "/gone": self._archived}[request.path](cursor)
        return Reply(200, {}, pickle.dumps(page))

    def _listed(self, cursor: Mapping[str, str]) -> Page:
        below = int(cursor["below"]) or self.last_id + 1
        ids = sorted((one for one in self.people if one < below), reverse=True)
        here, left = ids[: self.page_size], ids[self.page_size :]
        following: Cursor | None = {"below": str(here[-1]), "began": cursor["began"]} if left else None
        return self._page(here, next=following, bookmark=None if left else cursor["began"])

    def _changed(self, cursor: Mapping[str, str]) -> Page:
        place = (cursor["since"], int(cursor["after"]))
        told = sorted((_text(one.modified_at), id_) for id_, one in self.people.items())
        told = [one for one in told if one > place]
        here, left = told[: self.page_size], told[self.page_size :]
        if left:
            following: Cursor = {**cursor, "since": here[-1][0], "after": str(here[-1][1])}
            return self._page([id_ for _, id_ in here], next=following)
        last = min(max([cursor["bookmark"], *(at for at, _ in here)]), cursor["began"])
        gone: list[Gone] = []
        merged: list[Merge] = []
        if not self.tells_apart:
            gone = [Gone(str(id_), at) for id_, (_, at) in self.deleted.items() if _text(at) >= cursor["bookmark"]]
            merged = [merge for merge, at in self.merged if _text(at) >= cursor["bookmark"]]
        return self._page([id_ for _, id_ in here], bookmark=last, gone=gone, merged=merged)

    def _archived(self, cursor: Mapping[str, str]) -> Page:
        return Page(gone=[Gone(str(id_), at) for id_, (_, at) in self.deleted.items()])

    def _page(self, ids: Sequence[int], *, merged: Sequence[Merge] = (), **rest: Any) -> Page:
        people = [self.people[one] for one in ids]
        named = [Merge(former, one.external_id) for one in people for former in one.merged_ids]
        records = [
            {"id": one.external_id, "contact": None if int(one.external_id) in self.unreadable else one}
            for one in people
        ]
        return Page(records=records, merged=[*named, *merged], **rest)


def _as_json(contact: Contact) -> bytes:
    """The record that is kept of somebody, from which the whole contact can be read again."""
    return json.dumps({"kept": b64encode(pickle.dumps(contact)).decode()}).encode()


def _text(at: datetime | None) -> str:
    assert at
    return at.isoformat()


@dataclass(frozen=True)
class FakeFeed:
    name: str

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        began = _text(now)
        if self.name == "everything":
            return {"below": "0", "began": began}
        since = bookmark or _text(BEGAN)
        return {"since": since, "after": "-1", "bookmark": since, "began": began}

    def request(self, cursor: Cursor) -> Request:
        return Request("GET", f"/{self.name}", {key: str(value) for key, value in cursor.items()})

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        page: Page = pickle.loads(reply.body)
        return page


@dataclass(frozen=True)
class FakeProvider:
    """As much of a provider as a pass asks for."""

    crm: FakeCrm

    @property
    def slug(self) -> str:
        return self.crm.slug

    def everything(self, *, exact: bool = False) -> Feed:
        return FakeFeed("everything")

    def changes(self) -> Feed:
        return FakeFeed("changes")

    def gone(self) -> Feed | None:
        return FakeFeed("gone") if self.crm.tells_apart else None

    def tables(self) -> Sequence[Any]:
        return ()

    def missing(self, records: Sequence[Record], tables: object) -> Sequence[Any]:
        return ()

    def contact(self, record: Record, **context: object) -> Contact:
        if "kept" in record:
            held: Contact = pickle.loads(b64decode(record["kept"]))
            return replace(held, raw=json.dumps(record).encode())
        if record["contact"] is None:
            raise RecordRejected("No contact.", reason="unreadable_record", value="{}")
        contact: Contact = record["contact"]
        return contact
