"""The real side: an account in PostgreSQL, runs walked by the worker's own code, and all of it read back.

Only the vendor is in memory. Crashes are losses of the database: before a page's commit, after it, or between pages.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.db import OperationalError
from django.db import connection as db
from tests.model.crm import FakeCrm, FakeProvider

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, RunState
from leadloom.connections.services import request_run
from leadloom.leads.models import Lead, SourceContact, Suppression
from leadloom.providers.base import CrmAccount, Reply, Request
from leadloom.sync import endings, plan
from leadloom.sync.engine import Mapped, Mapper, Sink
from leadloom.sync.lease import take
from leadloom.sync.turn import Turn, _adopt_cursor
from leadloom.sync.work import _give_ending

FETCHING, BEFORE_COMMIT, AFTER_COMMIT = "fetching", "before commit", "after commit"


@dataclass
class Wire:
    """Client and source in one: counts requests, and may lose the database while fetching."""

    crm: FakeCrm
    crash: "Crash | None"
    requests: int = 0
    waited_s: float = 0.0
    clock_skew: timedelta = timedelta(0)
    host: str = "crm.example"

    def send(self, request: Request) -> Reply:
        self.requests += 1
        if self.crash:
            self.crash.at(FETCHING)
        return self.crm.answer(request)

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds


@dataclass
class Crash:
    """At the n-th time that a run comes to this place, once."""

    place: str
    countdown: int

    def at(self, place: str) -> None:
        if place == self.place:
            self.countdown -= 1
            if self.countdown == 0:
                raise OperationalError("the database is away")


@dataclass(slots=True, kw_only=True)
class WatchedTurn(Turn):
    """A turn that notes what was committed, in the order of the commits."""

    crash: Crash | None = None
    committed: list[Sequence[Mapped]] = field(default_factory=list)
    saving: Sequence[Mapped] = ()

    def sink(self, step: str) -> Sink:
        return _Watched(self, Turn.sink(self, step))

    def spent(self) -> tuple[int, float]:
        if self.crash and self.saving:
            self.crash.at(BEFORE_COMMIT)
        return Turn.spent(self)

    def between_pages(self) -> None:
        self.committed.append(self.saving)
        self.saving = ()
        if self.crash:
            self.crash.at(AFTER_COMMIT)
        Turn.between_pages(self)


@dataclass
class _Watched:
    turn: WatchedTurn
    sink: Sink

    def save(self, pages: Sequence[Mapped]) -> None:
        self.turn.saving = pages
        self.sink.save(pages)
        self.turn.saving = ()


@dataclass
class Real:
    member: Member
    connections: dict[str, Connection]

    @contextmanager
    def scope(self) -> Iterator[None]:
        with account_scope(self.member.account_id):
            yield

    def ask(self, crm: str, *, strategy: str = "append", trigger: str = "manual") -> Run:
        with self.scope():
            self.connections[crm].refresh_from_db()
            run, is_joined = request_run(connection=self.connections[crm], trigger=trigger, strategy=strategy)
        assert not is_joined
        return run

    def work(self, crm: FakeCrm, run: Run, crash: Crash | None = None) -> tuple[Run, list[Sequence[Mapped]]]:
        """One worker's turn. The run as it then stands, and what was committed."""
        token = uuid.uuid4()
        with self.scope():
            taken = take(run.pk, run.account_id, token)
            assert taken is not None
            begun = endings.begin(taken)
            connection = begun.connection
            _adopt_cursor(taken, connection)
        provider, wire = cast(Any, FakeProvider(crm)), cast(Any, Wire(crm, crash))
        turn = WatchedTurn(
            run=taken, connection=connection, provider=provider, token=token, client=wire, source=wire,
            mapper=Mapper(provider, CrmAccount(external_id=crm.slug), begun.region, {}), now=crm.now, deadline=None,
            crash=crash, has_unread=begun.has_unread,
            steps=plan.steps(taken, connection, provider, now=datetime.now(UTC)),
        )  # fmt: skip
        _give_ending(turn)
        with self.scope():
            return Run.objects.get(pk=run.pk), turn.committed

    def let_lease_run_out(self, run: Run) -> None:
        with self.scope():
            held = Run.objects.filter(pk=run.pk, state=RunState.RUNNING)
            held.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))

    def let_a_day_pass(self) -> None:
        """So that the list of deleted contacts is due again."""
        with self.scope():
            Connection.objects.filter(account_id=self.member.account_id).update(gone_checked_at=None)

    def leads(self) -> list[Lead]:
        with self.scope():
            return list(Lead.objects.filter(account_id=self.member.account_id))

    def contacts(self) -> list[SourceContact]:
        with self.scope():
            return list(SourceContact.objects.filter(account_id=self.member.account_id))

    def suppressed(self) -> set[str]:
        with self.scope():
            return set(Suppression.objects.filter(account_id=self.member.account_id).values_list("phone", flat=True))

    def rows(self) -> dict[str, list[str]]:
        """Everything the account holds but its runs and its connections, as text: for what must change nothing."""
        tables = ("leads", "source_contacts", "lead_changes", "messages", "suppressions", "run_contacts")
        found = {}
        with self.scope(), db.cursor() as cursor:
            for table in tables:
                cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
                found[table] = [str(row) for (row,) in cursor.fetchall()]
        return found
