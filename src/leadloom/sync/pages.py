"""The pages of a feed: one after the other, or side by side where the feed has lanes.

Side by side, pages come in whatever order the CRM answers, and each carries where the whole pass then stands: whoever
saves pages in the order of this iterator, with the cursor of the last, can stop anywhere and repeats at most a page a
lane. Lanes are opened one by one while we wait for the vendor, so a vendor that answers at once is read in one.
"""

import json
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Protocol

from leadloom.errors import NotReady, TryLater, Unreadable
from leadloom.providers.base import Cursor, Feed, Page, Reply, Request, SideBySide

READ_TRIES = 3
LONGEST_PREPARATION_S = 60.0  # to sit out here; then the run waits without a worker
IMPATIENT_AFTER_S = 0.05  # nothing to read for so long: the vendor's latency, not our work, sets the pace
MOST_LANES = 8


class Source(Protocol):
    """Sends requests to the CRM, patiently: waits, retries, and raises a LeadloomError when it cannot. Safe to use
    from several threads."""

    def send(self, request: Request) -> Reply: ...

    def wait(self, seconds: float) -> None: ...


class Readable[P](Protocol):
    """What feeds and tables have in common."""

    def request(self, cursor: Cursor) -> Request: ...

    def read(self, cursor: Cursor, reply: Reply) -> P: ...


def ask[P](feed: Readable[P], cursor: Cursor, source: Source) -> P:
    """Ask and read. A reply that cannot be read is asked for again, a few times: most are cut or a proxy's. One that is
    still being prepared is asked for until it is there, or, raising NotReady, until the run had better wait for it."""
    unreadable, waited_s = 0, 0.0
    while True:
        try:
            return feed.read(cursor, source.send(feed.request(cursor)))
        except Unreadable:
            unreadable += 1
            if unreadable == READ_TRIES:
                raise
            source.wait(unreadable)
        except NotReady as later:
            pause_s = later.after.total_seconds()
            if waited_s + pause_s > LONGEST_PREPARATION_S:
                raise
            source.wait(pause_s)
            waited_s += pause_s


def read_pages(feed: Feed, cursor: Cursor, source: Source) -> Iterator[Page]:
    """Every page from ``cursor`` on. Raises Unreadable rather than walk in a circle."""
    lanes = feed if isinstance(feed, SideBySide) else _OneLane(feed)
    with ThreadPoolExecutor(MOST_LANES, "lane") as threads:
        yield from _Lanes(lanes, source, threads).pages(cursor)


class _Lanes:
    """The lanes of one pass. A lane that cannot go on leaves the others to go on without it; then it fails them all."""

    def __init__(self, feed: SideBySide, source: Source, threads: ThreadPoolExecutor) -> None:
        self._feed = feed
        self._source = source
        self._threads = threads
        self._asked: dict[Future[Page], str] = {}
        self._used: set[int] = set()
        self._rests: dict[str, Iterator[Page]] = {}
        self._failed: dict[str, Exception] = {}

    def pages(self, cursor: Cursor) -> Iterator[Page]:
        self._ask_all(cursor)
        while self._asked:
            done, _ = wait(self._asked, timeout=IMPATIENT_AFTER_S, return_when=FIRST_COMPLETED)
            if not done and not self._failed and (wider := self._feed.more(cursor)) is not None:
                cursor = wider
                self._ask_all(cursor)
            for answered in done:
                lane = self._asked.pop(answered)
                try:
                    page = self._feed.join(cursor, lane, answered.result())
                except Exception as error:  # noqa: BLE001 - raised when what the other lanes brought is given out
                    self._failed[lane] = error
                    continue
                if page.rest is not None:
                    self._rests[lane] = page.rest
                if page.next is None:
                    yield page  # whatever is still asked for is known already
                    return
                cursor = page.next
                self._ask_all(cursor)
                yield page
        raise min(self._failed.values(), key=_heals)

    def _ask_all(self, cursor: Cursor) -> None:
        """Ask in every lane that is open and not being asked, unless something failed that time does not heal."""
        if not all(map(_heals, self._failed.values())):
            return
        for lane, place in self._feed.lanes(cursor).items():
            if lane in self._failed or lane in self._asked.values():
                continue
            try:
                self._refuse_circle(lane, place)
            except Unreadable as error:
                self._failed[lane] = error
                continue
            self._asked[self._threads.submit(self._go_on, lane, place)] = lane

    def _go_on(self, lane: str, place: Cursor) -> Page:
        """The next page of the file at hand, or else of what the CRM is asked for now. A file that turns out to be
        spoilt is asked for again."""
        with suppress(Unreadable):
            if (page := next(self._rests.get(lane, iter(())), None)) is not None:
                return page
        self._rests.pop(lane, None)
        return ask(self._feed, place, self._source)

    def _refuse_circle(self, lane: str, place: Cursor) -> None:
        fingerprint = hash((lane, json.dumps(place, sort_keys=True)))
        if fingerprint in self._used:
            raise Unreadable("The CRM sends the same page again and again.", detail="cursor repeated in one pass")
        self._used.add(fingerprint)


def _heals(error: Exception) -> bool:
    return isinstance(error, TryLater | Unreadable)


class _OneLane:
    """A plain feed, as a feed with a single lane."""

    def __init__(self, feed: Feed) -> None:
        self.first, self.request, self.read = feed.first, feed.request, feed.read

    def lanes(self, cursor: Cursor) -> dict[str, Cursor]:
        return {"": cursor}

    def join(self, cursor: Cursor, lane: str, page: Page) -> Page:  # noqa: ARG002 - as SideBySide
        return page

    def more(self, cursor: Cursor) -> Cursor | None:  # noqa: ARG002 - as SideBySide
        return None
