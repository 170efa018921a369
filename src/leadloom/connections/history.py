"""The run history, with checks that found nothing folded into one line. Reads only; called inside the scope."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.db.models import Q

from leadloom.accounts.models import Account
from leadloom.connections.models import Connection, Run, RunState, Strategy, Trigger
from leadloom.leads.undone import undone_among

PAGE = 100  # runs read at a time; hourly checks fold to far fewer lines
BY_ITSELF = (Trigger.CRON, Trigger.WEBHOOK, Trigger.SWEEP)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the history: a run, or several checks that found nothing."""

    runs: Sequence[Run]

    @property
    def run(self) -> Run:
        """The newest."""
        return self.runs[0]

    @property
    def is_folded(self) -> bool:
        return len(self.runs) > 1

    @property
    def since(self) -> datetime:
        return self.runs[-1].created_at

    @property
    def requests(self) -> int:
        return sum(run.requests for run in self.runs)

    @property
    def lasted(self) -> timedelta | None:
        return lasted(self.run)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    lines: Sequence[Line]
    next: int | None
    """The run to go on before."""
    undone: frozenset[int]
    """Runs among them that somebody has undone."""


def history(account: Account, *, before: int | None = None, connection: Connection | None = None) -> HistoryPage:
    """The newest first."""
    found = Run.objects.filter(account_id=account.pk).select_related("connection", "requested_by__user")
    found = found.defer("cursor", "connection__tables", "connection__sealed_credentials", "connection__facts")
    if before is not None:
        found = found.filter(pk__lt=before)
    if connection is not None:
        found = found.filter(connection=connection)
    runs = list(found.order_by("-pk")[: PAGE + 1])
    page = runs[:PAGE]
    undone = undone_among([run.pk for run in page], account.pk)
    return HistoryPage(list(fold(page)), page[-1].pk if len(runs) > PAGE else None, undone)


def fold(runs: Iterable[Run]) -> Iterator[Line]:
    """Neighbouring checks that found nothing become one line."""
    for is_empty, group in groupby(runs, key=found_nothing):
        some = list(group)
        if is_empty:
            yield Line(some)
        else:
            yield from (Line([run]) for run in some)


def found_nothing(run: Run) -> bool:
    """Nobody asked for it, it ended well, and nothing came of it."""
    return (
        run.state == RunState.DONE
        and run.trigger in BY_ITSELF
        and run.strategy == Strategy.APPEND
        and not run.is_first
        and not any((run.created, run.updated, run.linked, run.skipped, run.failed, run.gone, run.absent))
    )


def full_read_of(connection: Connection) -> Run | None:
    """The last pass over everybody: those who had come or gone without our knowing are among its contacts."""
    mine = Run.objects.filter(account_id=connection.account_id, connection=connection, state=RunState.DONE)
    return mine.filter(Q(trigger=Trigger.SWEEP) | Q(strategy=Strategy.OVERWRITE)).order_by("-pk").first()


def lasted(run: Run) -> timedelta | None:
    """From start to end; None for a run that has not ended or never began."""
    return run.finished_at - run.started_at if run.finished_at and run.started_at else None
