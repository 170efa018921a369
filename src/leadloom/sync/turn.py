"""One worker's turn at one run: the run, its connection, and the tools to read and save with."""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection as db

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Method, Run, RunState, Strategy
from leadloom.connections.vault import access_token
from leadloom.leads.store import Target, keep_statistics_fresh
from leadloom.providers.base import CrmAccount, Cursor, Provider
from leadloom.providers.catalogue import provider as provider_of
from leadloom.sync import endings, fellows, plan
from leadloom.sync.client import CrmClient, Unpaced
from leadloom.sync.engine import Mapped, Mapper, Sink, Tables, first_cursor, read_tables
from leadloom.sync.hosts import base_url_of
from leadloom.sync.lease import take
from leadloom.sync.pace import SharedPace
from leadloom.sync.patience import Patient
from leadloom.sync.sink import DatabaseSink
from leadloom.sync.stopping import event as stopping

if TYPE_CHECKING:
    from leadloom.sync.count import Told

SLICE_S = 20.0
"""How long a run keeps its place in the worker while others wait: two million contacts do not hold up ten."""

END = "end"  # the run's feed once every page is saved


@dataclass(frozen=True, slots=True)
class EmptyEnd:
    """The last page of a run when it brought nothing: the run's ending writes it down."""

    pages: int
    total: int | None
    bookmark: str | None


class MakeWay(Exception):
    """The run goes back into the queue: others wait, or the time given to it is used up."""


@dataclass(slots=True, kw_only=True)
class Turn:
    run: Run
    connection: Connection
    provider: Provider
    token: uuid.UUID
    client: CrmClient
    source: Patient
    mapper: Mapper
    steps: tuple[str, ...]
    now: datetime
    """The vendor's clock when the turn began."""
    deadline: float | None
    has_unread: bool
    """Whether contacts counted as not read when the turn began (``sync/unread.py``)."""
    started: float = field(default_factory=time.monotonic)
    reasons: Counter[str] = field(default_factory=Counter)
    fresh_tables: Tables | None = None
    empty_end: EmptyEnd | None = None
    counted: "Told | None" = None
    has_saved: bool = False
    _told: tuple[int, float] = (0, 0.0)

    @property
    def target(self) -> Target:
        return Target(
            account_id=self.run.account_id,
            connection_id=self.connection.pk,
            run_id=self.run.pk,
            provider=self.provider.slug,
            is_first=self.run.is_first,
            is_overwrite=self.run.strategy == Strategy.OVERWRITE,
            notes_met=plan.tells_who_left(self.run),
        )

    def place(self) -> tuple[str, Cursor] | None:
        """Where the run stands, or None when every page is saved."""
        if self.run.feed == END:
            return None
        if self.run.feed in self.steps and self.run.cursor is not None:
            return self.run.feed, self.run.cursor
        return self.steps[0], self.first(self.steps[0], self.connection.bookmark)

    def first(self, step: str, bookmark: str | None) -> Cursor:
        return first_cursor(plan.feed_of(self.provider, step, self.run), bookmark=bookmark, now=self.now)

    def after(self, step: str, bookmark: str | None) -> tuple[str, Cursor | None]:
        """Where the run goes once a step is complete."""
        index = self.steps.index(step) + 1
        if index == len(self.steps):
            return END, None
        return self.steps[index], self.first(self.steps[index], bookmark)

    def sink(self, step: str) -> Sink:
        return _Saving(self, step, self._database_sink(step))

    def _database_sink(self, step: str) -> DatabaseSink:
        return DatabaseSink(
            run=self.run,
            token=self.token,
            target=self.target,
            step=step,
            after=self.after,
            spent=self.spent,
            reasons=self.reasons,
            after_save=self.between_pages,
        )

    def refresh_tables(self) -> None:
        """Read owners and labels when the ones we hold are old. Runs beside the first request."""
        ours = datetime.now(UTC)  # when we last read them is by our clock
        if self.fresh_tables is None and plan.needs_tables(self.run, self.connection, now=ours):
            fresh: Tables = {}
            read_tables(self.provider.tables(), self.source, fresh)
            self.fresh_tables = {name: dict(rows) for name, rows in fresh.items()}
            self.mapper.tables.update(fresh)

    def spent(self) -> tuple[int, float]:
        """Requests sent and seconds waited since it was last asked."""
        total = (self.client.requests, self.source.waited_s)
        new = (total[0] - self._told[0], total[1] - self._told[1])
        self._told = total
        return new

    def between_pages(self) -> None:
        """What is due when a page is committed and no transaction is open. Raises MakeWay."""
        self.has_saved = True
        if self.run.created:
            keep_statistics_fresh(self.run.created)
        now = time.monotonic()
        if self.deadline is not None and now >= self.deadline:
            raise MakeWay
        if now - self.started >= SLICE_S and _others_wait():
            raise MakeWay


class _Saving:
    """Saves pages, and leaves an empty last one to the run's ending: most passes find nothing, and are one page."""

    def __init__(self, turn: Turn, step: str, sink: DatabaseSink) -> None:
        self._turn, self._step, self._sink = turn, step, sink

    def save(self, pages: Sequence[Mapped]) -> None:
        turn, last = self._turn, pages[-1]
        is_last = last.next is None and self._step == turn.steps[-1]
        if not is_last or turn.run.strategy != Strategy.APPEND or any(p.contacts or p.gone or p.merged for p in pages):
            self._sink.save(pages)
            return
        total = next((page.total for page in pages if page.total is not None), None)
        turn.run.feed, turn.run.cursor = turn.after(self._step, last.bookmark)
        turn.empty_end = EmptyEnd(len(pages), total, last.bookmark)


def take_turn(
    run_id: int, account_id: int, token: uuid.UUID, *, is_lost: Callable[[], bool], deadline: float | None
) -> Turn | None:
    """Take the run, read what the turn needs and tell the world that it has started, in one transaction.

    None when the run is not to be had: done, taken, paused or unknown.
    """
    with account_scope(account_id):
        run = take(run_id, account_id, token)
        if run is None:
            return None
        begun = endings.begin(run)
        connection = begun.connection
        _adopt_cursor(run, connection)
    account = CrmAccount(
        external_id=connection.external_account_id,
        name=connection.external_account_name,
        facts={**connection.facts, **connection.settings},
    )
    provider = provider_of(connection.provider).for_account(account)
    now = datetime.now(UTC) + timedelta(milliseconds=connection.clock_skew_ms)

    def wait(seconds: float) -> None:
        source.wait(seconds)

    def credential(force: bool) -> str:
        return access_token(connection, force=force)

    is_unpaced = connection.method == Method.SANDBOX and connection.settings.get("is_unpaced") is True
    pace = Unpaced() if is_unpaced else SharedPace(provider, connection.external_account_id, wait=wait)
    client = CrmClient(provider, base_url=base_url_of(connection, provider), token=credential, pace=pace)

    def may_hand_on() -> bool:
        return run.retries == 0 and fellows.are_there()

    source = Patient(client, should_stop=lambda: stopping.is_set() or is_lost(), may_hand_on=may_hand_on)
    tables: Tables = {name: dict(rows) for name, rows in connection.tables.items()}
    return Turn(
        run=run,
        connection=connection,
        provider=provider,
        token=token,
        client=client,
        source=source,
        mapper=Mapper(provider, account, begun.region, tables),
        steps=plan.steps(run, connection, provider, now=datetime.now(UTC)),
        now=now,
        deadline=deadline,
        has_unread=begun.has_unread,
    )


def _adopt_cursor(run: Run, connection: Connection) -> None:
    """A first import that failed half-way is not begun again: this run goes on where the last one was. One that tells
    who left must meet everybody itself."""
    if run.cursor is not None or connection.bookmark is not None or run.strategy != Strategy.APPEND:
        return
    if plan.tells_who_left(run):
        return
    earlier = Run.objects.filter(account_id=run.account_id, connection=connection, strategy=Strategy.APPEND)
    before = earlier.exclude(pk=run.pk).order_by("-pk").first()
    if before is not None and before.cursor is not None and before.state in (RunState.FAILED, RunState.STOPPED):
        run.feed, run.cursor, run.next_bookmark = before.feed, before.cursor, before.next_bookmark
        run.save(update_fields=["feed", "cursor", "next_bookmark"])


def _others_wait() -> bool:
    with db.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'todo' AND queue_name = 'sync'
                           AND (scheduled_at IS NULL OR scheduled_at <= now()))
            """
        )
        row = cursor.fetchone()
    return bool(row and row[0])
