"""The organisation's allowance: calls of a rolling day, shared by all its apps. There is no rate by time.

The other published limit, 25 calls at once that take 20 seconds or more, is reached by nobody who reads pages; a test
that wants to see it sets ``at_once``.
"""

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.pace import RollingWindow
from leadloom.sandbox.salesforce.problems import problem

DAY_S = 86_400
MODES: dict[str, int | None] = {
    "none": None,
    "real": 110_000,  # the Enterprise edition with ten licences
    "developer": 15_000,
}
ANNOUNCED_WHEN_UNLIMITED = 5_000_000  # what a vendor's own test organisation says
LONG_CALLS = 25
type Headers = list[tuple[bytes, bytes]]


class Limits:
    def __init__(self, clock: Clock, mode: str) -> None:
        self._clock = clock
        self.set(mode)

    def set(self, mode: str, *, at_once: int | None = None, daily: int | None = None) -> None:
        """``at_once`` and ``daily`` are for tests that need a wall close by. Starts a new day."""
        self.mode = mode
        self._at_once = at_once
        self._window = RollingWindow(daily or MODES[mode], DAY_S, lambda: self._clock.now_ms() / 1000)
        self._used = 0

    @property
    def most(self) -> int:
        return self._window.limit or ANNOUNCED_WHEN_UNLIMITED

    @property
    def used(self) -> int:
        return self._used if self._window.limit is None else self._window.limit - self._window.remaining

    def admit(self, under_way: int) -> Headers:
        """The headers that go with the reply. Raises the 403, which is one for both limits but for its text."""
        if self._at_once is not None and under_way > self._at_once:
            raise problem(
                403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            )  # fmt: skip
        if not self._window.take():
            refusal = problem(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            refusal.reply.headers.extend(self._headers())
            raise refusal
        self._used += 1
        return self._headers()

    def _headers(self) -> Headers:
        return [(b"sforce-limit-info", f"api-usage={self.used}/{self.most}".encode())]
