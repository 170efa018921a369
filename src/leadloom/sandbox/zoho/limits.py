"""Zoho's limits: how many calls may be under way at once, and the credits of a rolling day. No rate by time.

Headers tell nothing until half the credits are used.
"""

from collections import deque

from leadloom.sandbox.clock import DAY_MS, Clock
from leadloom.sandbox.zoho.problems import too_many

MODES: dict[str, tuple[int | None, int | None]] = {
    "none": (None, None),
    "free": (5, 5_000),
    "real": (10, 50_000),  # the Standard edition
    "enterprise": (20, 50_000),
}
type Headers = list[tuple[bytes, bytes]]


class Limits:
    def __init__(self, clock: Clock, mode: str) -> None:
        self._clock = clock
        self.set(mode)

    def set(self, mode: str, *, at_once: int | None = None, credits: int | None = None) -> None:
        """``at_once`` and ``credits`` replace the mode's numbers, for tests that need a wall close by."""
        own_at_once, own_credits = MODES[mode]
        self.mode = mode
        self._at_once = at_once or own_at_once
        self._credits = credits or own_credits
        self._spent: deque[tuple[int, int]] = deque()
        self._used = 0

    def admit(self, under_way: int, cost: int) -> Headers:
        """The headers that go with the reply. Raises the 429."""
        if self._at_once is not None and under_way > self._at_once:
            raise too_many()
        if self._credits is None:
            return []
        now = self._clock.now_ms()
        while self._spent and self._spent[0][0] <= now - DAY_MS:
            self._used -= self._spent.popleft()[1]
        if self._used + cost > self._credits:
            refusal = too_many()
            refusal.reply.headers.append((b"x-api-credits-remaining", b"0"))
            raise refusal
        self._spent.append((now, cost))
        self._used += cost
        if self._used * 2 < self._credits:
            return []
        return [(b"x-api-credits-remaining", str(self._credits - self._used).encode())]
