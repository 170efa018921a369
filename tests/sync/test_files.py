"""One reply that holds many pages, such as a file: read part by part, asked for once, and again where it is spoilt."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

import pytest
from tests.sync.test_engine import Kept, mapper

from leadloom.errors import Unreadable
from leadloom.providers.base import Cursor, Page, Reply, Request
from leadloom.sync.engine import run_pass

STEP = 10


@dataclass
class File:
    """The contacts of one file, ten a page."""

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        return {"row": 0}

    def request(self, cursor: Cursor) -> Request:
        return Request("GET", "/file")

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        parts = self._parts(json.loads(reply.body), cast(int, cursor["row"]))
        return replace(next(parts), rest=parts)

    def _parts(self, numbers: list[int | None], row: int) -> Iterator[Page]:
        while row < len(numbers):
            part = numbers[row : row + STEP]
            if None in part:
                raise Unreadable("The file is cut.")
            row += STEP
            following: Cursor | None = {"row": row} if row < len(numbers) else None
            yield Page(records=[{"id": f"n{number}"} for number in part], next=following, bookmark="done")


@dataclass
class Crm:
    files: list[list[int | None]]
    sent: list[int] = field(default_factory=list)

    def send(self, request: Request) -> Reply:
        self.sent.append(len(self.sent))
        return Reply(200, {}, json.dumps(self.files[min(len(self.sent), len(self.files)) - 1]).encode())

    def wait(self, seconds: float) -> None:
        pass


WHOLE: list[int | None] = list(range(95))


def read(crm: Crm, cursor: Cursor) -> Kept:
    kept = Kept()
    run_pass(File(), cursor, source=crm, mapper=mapper(), sink=kept, get_tables=list)
    return kept


def test_the_pages_of_a_file_are_saved_one_by_one_and_it_is_asked_for_once() -> None:
    crm = Crm([WHOLE])
    kept = read(crm, {"row": 0})
    assert kept.ids == [f"n{number}" for number in range(95)]
    assert len(crm.sent) == 1
    assert [page.next for pages in kept.saves for page in pages][:2] == [{"row": 10}, {"row": 20}]


def test_a_pass_that_stopped_in_the_middle_of_a_file_asks_for_it_again_and_reads_on() -> None:
    crm = Crm([WHOLE])
    assert read(crm, {"row": 60}).ids == [f"n{number}" for number in range(60, 95)]
    assert len(crm.sent) == 1


def test_a_file_that_proves_spoilt_half_way_is_asked_for_again_and_nothing_is_read_twice() -> None:
    crm = Crm([[*range(40), None], WHOLE])
    assert read(crm, {"row": 0}).ids == [f"n{number}" for number in range(95)]
    assert len(crm.sent) == 2


def test_a_file_that_stays_spoilt_ends_the_pass_with_what_was_good_saved() -> None:
    crm, kept = Crm([[*range(40), None]]), Kept()
    with pytest.raises(Unreadable):
        run_pass(File(), {"row": 0}, source=crm, mapper=mapper(), sink=kept, get_tables=list)
    assert kept.ids == [f"n{number}" for number in range(40)]
