"""Pipedrive's limits: a budget of tokens for the company's day, and calls in any two seconds for each credential.

Whoever goes on after being refused is shut out by what stands in front of the API, which answers a page of HTML.
https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting
"""

from collections import deque
from dataclasses import dataclass, field

from leadloom.sandbox.clock import DAY_MS, Clock
from leadloom.sandbox.pace import RollingWindow
from leadloom.sandbox.pipedrive.problems import problem, shut_out

type Headers = list[tuple[bytes, bytes]]

WINDOW_S = 2
PER_SEAT = 30_000
ANNOUNCED_WHEN_UNLIMITED = 1_000_000
PATIENCE, PATIENCE_S, SHUT_OUT_S = 40, 10, 60  # not published: so many refusals in so long, and what follows


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls in two seconds by kind of credential, and the factor of the day's budget."""

    burst_private: int
    burst_app: int
    factor: int


PLANS: dict[str, Plan | None] = {
    "none": None,
    "real": Plan(20, 80, 1),  # Lite, with one seat
    "lite": Plan(20, 80, 1),
    "growth": Plan(40, 160, 2),
    "premium": Plan(100, 400, 5),
    "ultimate": Plan(120, 480, 7),
}


@dataclass(slots=True)
class _Credential:
    window: RollingWindow
    refusals: deque[int] = field(default_factory=deque)
    shut_out_until_ms: int = 0


class Limits:
    """Setting a plan empties the windows; the day goes on."""

    def __init__(self, clock: Clock, mode: str) -> None:
        self._clock = clock
        self._day = self._today()
        self._spent = 0
        self.set(mode)

    def set(self, mode: str, *, burst: int | None = None, daily: int | None = None) -> None:
        """``burst`` and ``daily`` replace the plan's numbers, for tests that need a wall close by."""
        plan = PLANS[mode]
        self.mode = mode
        self._bursts = (burst, burst) if burst or plan is None else (plan.burst_private, plan.burst_app)
        self._daily = daily or (None if plan is None else PER_SEAT * plan.factor)
        self._known: dict[str, _Credential] = {}

    def admit(self, token: str, cost: int, *, is_private: bool) -> Headers:
        """The headers that go with the reply. Raises the 429, and the 403 of one who does not listen."""
        now = self._clock.now_ms()
        one = self._known.get(token) or self._known.setdefault(token, self._credential(is_private))
        if now < one.shut_out_until_ms:
            raise shut_out()
        if self._today() != self._day:
            self._day, self._spent = self._today(), 0
        if self._daily is not None and self._spent + cost > self._daily:
            raise self._refusal(one, now, is_private=is_private)
        if not one.window.take():
            raise self._refusal(one, now, is_private=is_private)
        self._spent += cost
        return self._headers(one)

    def _credential(self, is_private: bool) -> _Credential:
        most = self._bursts[0 if is_private else 1]
        return _Credential(RollingWindow(most, WINDOW_S, lambda: self._clock.now_ms() / 1000))

    def _refusal(self, one: _Credential, now: int, *, is_private: bool) -> Exception:
        one.refusals.append(now)
        while one.refusals[0] <= now - PATIENCE_S * 1000:
            one.refusals.popleft()
        if is_private and len(one.refusals) > PATIENCE:
            one.shut_out_until_ms = now + SHUT_OUT_S * 1000
        refusal = problem(429, "request over limit")
        refusal.reply.headers.extend(self._headers(one))
        return refusal

    def _headers(self, one: _Credential) -> Headers:
        """``x-ratelimit-reset`` is the seconds left, no time of day."""
        most, daily = one.window.limit, self._daily
        told = {
            "x-ratelimit-limit": most or ANNOUNCED_WHEN_UNLIMITED,
            "x-ratelimit-remaining": one.window.remaining if most else ANNOUNCED_WHEN_UNLIMITED - 1,
            "x-ratelimit-reset": WINDOW_S,
            "x-daily-ratelimit-token-limit": daily or ANNOUNCED_WHEN_UNLIMITED,
            "x-daily-ratelimit-token-remaining": ANNOUNCED_WHEN_UNLIMITED if daily is None else daily - self._spent,
        }
        return [(name.encode(), str(value).encode()) for name, value in told.items()]

    def _today(self) -> int:
        return self._clock.now_ms() // DAY_MS
