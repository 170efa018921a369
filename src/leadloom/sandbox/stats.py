"""Counts what the simulated vendor was asked and how it answered."""

import re
from collections import Counter, deque
from time import monotonic

from leadloom.sandbox.http import Json

_ID = re.compile(r"/\d{5,}")


class Stats:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.requests = 0
        self.paths: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._last_second = _Peak(1)
        self._last_ten = _Peak(10)
        self.most_at_once = 0
        self._running = 0

    def began(self, method: str, path: str) -> int:
        """How many requests are under way now."""
        self.requests += 1
        self.paths[f"{method} {_ID.sub('/{id}', path)}"] += 1
        now = monotonic()
        self._last_second.add(now)
        self._last_ten.add(now)
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        return self._running

    def ended(self, status: int) -> None:
        """Status 0: no reply was sent."""
        self._running = max(0, self._running - 1)
        self.statuses[status] += 1

    def as_json(self) -> dict[str, Json]:
        return {
            "requests": self.requests,
            "paths": dict(self.paths),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "refused": self.statuses[429],
            "peak_per_second": self._last_second.peak,
            "peak_per_ten_seconds": self._last_ten.peak,
            "most_at_once": self.most_at_once,
        }


class _Peak:
    """The most events seen in any window of so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: deque[float] = deque()
        self.peak = 0

    def add(self, now: float) -> None:
        self._seen.append(now)
        while self._seen[0] <= now - self._seconds:
            self._seen.popleft()
        self.peak = max(self.peak, len(self._seen))
