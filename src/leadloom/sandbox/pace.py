"""A rolling window of requests, as vendors count them."""

from collections import deque
from collections.abc import Callable
from time import monotonic


class RollingWindow:
    """At most ``limit`` requests in any ``seconds``. A refused request is not counted. ``limit`` None never refuses."""

    def __init__(self, limit: int | None, seconds: float, now: Callable[[], float] = monotonic) -> None:
        self.limit = limit
        self.seconds = seconds
        self._now = now
        self._taken: deque[float] = deque()

    def take(self) -> bool:
        """False when the limit is reached."""
        if self.limit is None:
            return True
        now = self._now()
        taken = self._taken
        while taken and taken[0] <= now - self.seconds:
            taken.popleft()
        if len(taken) >= self.limit:
            return False
        taken.append(now)
        return True

    @property
    def remaining(self) -> int:
        return 0 if self.limit is None else self.limit - len(self._taken)
