"""A location's two allowances: 100 requests in 10 s and 200,000 a day, with the headers that tell of both."""

from leadloom.sandbox.clock import DAY_MS, Clock
from leadloom.sandbox.gohighlevel.problems import problem
from leadloom.sandbox.pace import RollingWindow

type Headers = list[tuple[bytes, bytes]]

BURST, INTERVAL_S, DAILY = 100, 10, 200_000
ANNOUNCED_WHEN_UNLIMITED = 1_000_000


class Limits:
    """Setting a mode empties the window; the day goes on."""

    def __init__(self, clock: Clock, mode: str) -> None:
        self._clock = clock
        self._day = self._today()
        self._used_today = 0
        self.daily = DAILY
        self.set(mode)

    def set(self, mode: str, *, burst: int | None = None) -> None:
        self.mode = mode
        most = burst or (None if mode == "none" else BURST)
        self._window = RollingWindow(most, INTERVAL_S, lambda: self._clock.now_ms() / 1000)

    def admit(self) -> Headers:
        """The headers that go with the reply. Raises the 429 when either allowance is used up."""
        if self._today() != self._day:
            self._day, self._used_today = self._today(), 0
        if self.mode != "none" and self._used_today >= self.daily:
            raise self._refusal()
        if not self._window.take():
            raise self._refusal()
        self._used_today += 1
        return self._headers()

    def _refusal(self) -> Exception:
        refusal = problem(429, "Too Many Requests")
        refusal.reply.headers.extend(self._headers())
        return refusal

    def _headers(self) -> Headers:
        most = self._window.limit or ANNOUNCED_WHEN_UNLIMITED
        left = self._window.remaining if self._window.limit else most - 1
        told = {
            "max": most,
            "remaining": left,
            "interval-milliseconds": INTERVAL_S * 1000,
            "limit-daily": self.daily,
            "daily-remaining": max(0, self.daily - self._used_today),
            "daily-reset": DAY_MS - self._clock.now_ms() % DAY_MS,
        }
        return [(f"x-ratelimit-{name}".encode(), str(value).encode()) for name, value in told.items()]

    def _today(self) -> int:
        return self._clock.now_ms() // DAY_MS
