"""HubSpot's request limits: which bucket a call falls in, what the reply's headers say, when it is refused.

``real`` is an OAuth app: 110 calls per 10 s. ``private`` and ``private-pro`` are private-app tokens with a daily
allowance. Search has 5 calls a second of its own and tells nothing in headers; so have associations, per 10 s.
"""

from typing import Literal

from leadloom.sandbox.clock import DAY_MS, Clock
from leadloom.sandbox.hubspot.problems import rate_limited
from leadloom.sandbox.pace import RollingWindow

type Mode = Literal["real", "none", "private", "private-pro"]
type Bucket = Literal["core", "search", "associations", "open"]
type Headers = list[tuple[bytes, bytes]]

MODES: dict[str, tuple[int | None, int | None]] = {
    "real": (110, None),
    "none": (None, None),
    "private": (100, 250_000),
    "private-pro": (190, 650_000),
}
SEARCHES_PER_SECOND = 5
ASSOCIATIONS_PER_TEN_SECONDS = 150
ANNOUNCED_WHEN_UNLIMITED = 1_000_000


class Limits:
    """The portal's buckets. Setting a mode empties them."""

    def __init__(self, clock: Clock, mode: str) -> None:
        self._clock = clock
        self.set(mode)

    def set(self, mode: str, *, burst: int | None = None, searches: int | None = None) -> None:
        """``burst`` and ``searches`` replace the mode's numbers, for tests that need a wall close by."""
        own_burst, daily = MODES[mode]
        free = mode == "none"
        self.mode = mode
        self._burst = RollingWindow(burst or own_burst, 10, self._now)
        self._search = RollingWindow(searches or (None if free else SEARCHES_PER_SECOND), 1, self._now)
        self._associations = RollingWindow(None if free else ASSOCIATIONS_PER_TEN_SECONDS, 10, self._now)
        self._daily = daily
        self._day = self._today()
        self._used_today = 0

    def admit(self, bucket: Bucket) -> Headers:
        """The headers that go with the reply. Raises the 429 when the bucket is empty."""
        if bucket == "open":
            return []
        if bucket == "search":
            if not self._search.take():
                raise rate_limited("SECONDLY")
            return []
        self._count_the_day()
        window = self._burst if bucket == "core" else self._associations
        if not window.take():
            refusal = rate_limited("TEN_SECONDLY_ROLLING")
            refusal.reply.headers.extend(self._headers(window))
            raise refusal
        return self._headers(window)

    def _headers(self, window: RollingWindow) -> Headers:
        limit = window.limit or ANNOUNCED_WHEN_UNLIMITED
        left = window.remaining if window.limit else limit - 1
        headers = [
            (b"x-hubspot-ratelimit-max", str(limit).encode()),
            (b"x-hubspot-ratelimit-remaining", str(left).encode()),
            (b"x-hubspot-ratelimit-interval-milliseconds", b"10000"),
            (b"x-hubspot-ratelimit-secondly", str(limit // 10).encode()),
            (b"x-hubspot-ratelimit-secondly-remaining", str(min(left, limit // 10)).encode()),
        ]
        if self._daily is not None:
            headers.append((b"x-hubspot-ratelimit-daily", str(self._daily).encode()))
            headers.append((b"x-hubspot-ratelimit-daily-remaining", str(self._daily - self._used_today).encode()))
        return headers

    def _count_the_day(self) -> None:
        if self._daily is None:
            return
        if self._today() != self._day:
            self._day, self._used_today = self._today(), 0
        if self._used_today >= self._daily:
            raise rate_limited("DAILY")
        self._used_today += 1

    def _today(self) -> int:
        return self._clock.now_ms() // DAY_MS

    def _now(self) -> float:
        return self._clock.now_ms() / 1000
