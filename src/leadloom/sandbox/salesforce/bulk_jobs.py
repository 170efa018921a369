"""Bulk query jobs: what was asked, the picture it was asked of, and how far it has got by now."""

from collections.abc import Sequence
from dataclasses import dataclass

from leadloom.sandbox.clock import DAY_MS, Clock
from leadloom.sandbox.salesforce.ids import lengthen
from leadloom.sandbox.salesforce.problems import not_found
from leadloom.sandbox.salesforce.store import View

KEPT_MS = 7 * DAY_MS
DELIMITERS = {"COMMA": ",", "TAB": "\t", "PIPE": "|", "SEMICOLON": ";", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDS = {"LF": "\n", "CRLF": "\r\n"}
ROWS_PER_S = 200_000  # that a job gets through, once it has begun
QUEUED_MS = 200


@dataclass(slots=True)
class Job[Column]:
    id: str
    operation: str
    query: str
    kind: str
    version: str
    delimiter: str
    line_ending: str
    created_ms: int
    columns: Sequence[Column]
    numbers: Sequence[int]
    view: View
    """As it was when the job was made: results can be read again and stay the same."""
    begins_ms: int
    ends_ms: int
    error: str = ""
    """Why it will fail."""
    aborted_ms: int | None = None

    def state(self, now_ms: int) -> str:
        if self.aborted_ms is not None:
            return "Aborted"
        if now_ms < self.begins_ms:
            return "UploadComplete"
        if now_ms < self.ends_ms:
            return "InProgress"
        return "Failed" if self.error else "JobComplete"

    def processed(self, now_ms: int) -> int:
        """Rows so far."""
        match self.state(now_ms):
            case "JobComplete":
                return len(self.numbers)
            case "InProgress":
                return len(self.numbers) * (now_ms - self.begins_ms) // (self.ends_ms - self.begins_ms)
        return 0


class Jobs[Column]:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[str, Job[Column]] = {}
        self._made = 0
        self.queued_ms = QUEUED_MS
        """How long a job waits before it begins."""
        self.failing: list[str] = []
        """Messages with which the next jobs will fail."""

    def add(
        self, *, operation: str, query: str, kind: str, version: str, delimiter: str, line_ending: str,
        columns: Sequence[Column], numbers: Sequence[int], view: View,
    ) -> Job[Column]:  # fmt: skip
        self._made += 1
        now = self._clock.now_ms()
        begins = now + self.queued_ms
        job = Job(
            id=lengthen(f"7505g00000{self._made:05}"),
            operation=operation,
            query=query,
            kind=kind,
            version=version,
            delimiter=delimiter,
            line_ending=line_ending,
            created_ms=now,
            columns=columns,
            numbers=numbers,
            view=view,
            begins_ms=begins,
            ends_ms=begins + 100 + len(numbers) * 1000 // ROWS_PER_S,
            error=self.failing.pop(0) if self.failing else "",
        )
        self._jobs[job.id] = job
        return job

    def get(self, own_id: str) -> Job[Column]:
        """Raises the 404 of a job that is unknown, deleted or a week old."""
        job = self._jobs.get(own_id if len(own_id) != 15 else lengthen(own_id))
        if job is None or job.created_ms + KEPT_MS <= self._clock.now_ms():
            raise not_found()
        return job

    def all(self) -> list[Job[Column]]:
        return list(self._jobs.values())

    def delete(self, job: Job[Column]) -> None:
        del self._jobs[job.id]
