"""One LISTEN for the whole web process, fanned out to the open dashboards of each account.

Each dashboard has a mailbox in which a newer word of the same run replaces the older, so that a slow browser costs
nothing and always hears the latest. No database connection but the one that listens is held. Nothing is stored:
whoever was away is told to look again.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from leadloom.live.notify import CHANNEL
from leadloom.site.line import line_to

log = structlog.get_logger()

RETRY_FIRST_S, RETRY_LONGEST_S = 0.2, 10.0
PACE_S = 0.08  # at most a dozen words a second for each thing: people cannot read faster
MOST_A_SECOND = 3_000  # sendings to all dashboards together: a third of a core, the rest is for pages
MOST_WAITING = 50  # distinct words a mailbox holds before it says "look at everything again"

type Word = dict[str, Any]
LOOK_AGAIN: Word = {"kind": "look_again"}


class Mailbox:
    """What one dashboard has not been told yet: the latest of each thing, in the order in which they came up."""

    def __init__(self) -> None:
        self._words: dict[tuple[object, ...], Word] = {}
        self._something = asyncio.Event()
        self.is_closed = False

    def put(self, word: Word) -> None:
        key: tuple[object, ...] = (word.get("kind"), word.get("connection"), word.get("run"), word.get("lead"))
        if key not in self._words and len(self._words) >= MOST_WAITING:
            self._words.clear()
            key, word = ("look_again",), LOOK_AGAIN
        self._words[key] = word
        self._something.set()

    def close(self) -> None:
        self.is_closed = True
        self._something.set()

    async def take(self, timeout_s: float) -> list[Word]:
        """Everything there is, after waiting for something to come. Empty when nothing came, or it was closed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._something.wait(), timeout_s)
        self._something.clear()
        words = list(self._words.values())
        self._words.clear()
        return words


def rest_s(resting: int) -> float:
    """How long each rests when so many do. With many, all are told less often rather than pages answered late."""
    return max(PACE_S, resting / MOST_A_SECOND)


class Hub:
    """The mailboxes by account, and the one task that listens. Lives in one event loop."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._mailboxes: dict[int, set[Mailbox]] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_listening = asyncio.Event()
        self._resting = 0
        self.is_stopping = False

    @asynccontextmanager
    async def mailbox(self, account_id: int) -> AsyncIterator[Mailbox]:
        """A mailbox of this account while the block runs. Whatever is announced after it opened arrives in it."""
        box = Mailbox()
        self._mailboxes.setdefault(account_id, set()).add(box)
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._listen(), name="leadloom-live")
            with suppress(TimeoutError):  # without a database the stream opens all the same, and says so later
                await asyncio.wait_for(self._is_listening.wait(), 2)
            if self.is_stopping:
                box.close()
            yield box
        finally:
            boxes = self._mailboxes[account_id]
            boxes.discard(box)
            if not boxes:
                del self._mailboxes[account_id]

    async def rest(self) -> None:
        """What a dashboard does after it was told something: its mailbox keeps the latest meanwhile."""
        self._resting += 1
        try:
            await asyncio.sleep(rest_s(self._resting))
        finally:
            self._resting -= 1

    def stop(self) -> None:
        """The server is stopping: every stream ends now, the browsers come back to the next server."""
        self.is_stopping = True
        for boxes in self._mailboxes.values():
            for box in boxes:
                box.close()
        if self._task is not None:
            self._task.cancel()

    async def _listen(self) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                line = make_conninfo(self._dsn, **{**line_to(self._dsn), "application_name": "leadloom live"})
                async with await psycopg.AsyncConnection.connect(line, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}".encode())
                    wait_s = RETRY_FIRST_S
                    self._is_listening.set()
                    self._tell_all(LOOK_AGAIN)  # something may have been said while nobody listened
                    async for note in connection.notifies():
                        self._hear(note.payload)
            except (psycopg.Error, OSError) as error:
                log.warning("live.listener_lost", error=type(error).__name__, retry_s=wait_s)
            finally:
                self._is_listening.clear()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_LONGEST_S)

    def _hear(self, payload: str) -> None:
        try:
            word = json.loads(payload)
            account_id = int(word.pop("account"))
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("live.not_understood")
            return
        for box in self._mailboxes.get(account_id, ()):
            box.put(word)

    def _tell_all(self, word: Word) -> None:
        for boxes in self._mailboxes.values():
            for box in boxes:
                box.put(word)
