"""The sandbox's own time: starts where it is told, runs at the usual speed, and can be moved forward by hand."""

import time
from email.utils import formatdate
from functools import lru_cache

DAY_MS = 86_400_000


class Clock:
    """Milliseconds since 1970 as the simulated vendor sees them."""

    def __init__(self, start_ms: int | None = None) -> None:
        self.start_ms = int(time.time() * 1000) if start_ms is None else start_ms
        self._began = time.monotonic()
        self._advanced_ms = 0
        self.date_skew_s = 0.0
        """How far the ``Date`` header is off from the vendor's own clock: a fault, nothing else uses it."""

    def now_ms(self) -> int:
        return self.start_ms + self._advanced_ms + int((time.monotonic() - self._began) * 1000)

    def advance(self, seconds: float) -> None:
        self._advanced_ms += int(seconds * 1000)

    def http_date(self) -> bytes:
        return _http_date(int(self.now_ms() / 1000 + self.date_skew_s))


@lru_cache(maxsize=4)
def _http_date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * 86_400))


_MINUTES = tuple(f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1440))
_SECONDS = tuple(f"{second:02}." for second in range(60))
_MILLISECONDS = tuple(f"{ms:03}Z" for ms in range(1000))


def iso(ms: int) -> str:
    """``2026-02-25T16:23:49.023Z``. By tables, because a page of contacts needs three hundred of them."""
    rest = ms % DAY_MS
    second = rest // 1000
    return _day(ms // DAY_MS) + _MINUTES[second // 60] + _SECONDS[second % 60] + _MILLISECONDS[rest % 1000]
