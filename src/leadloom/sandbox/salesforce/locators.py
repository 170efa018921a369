"""Where long results wait: the rows of a query are settled when it is asked, and read on by locator.

A locator lives for two days; of one user's only the ten youngest are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from leadloom.sandbox.clock import DAY_MS, Clock
from leadloom.sandbox.salesforce.ids import LETTERS
from leadloom.sandbox.salesforce.problems import problem

LIFE_MS = 2 * DAY_MS
MOST = 10


@dataclass(frozen=True, slots=True)
class Waiting[Plan]:
    """``plan`` is how rows are told."""

    plan: Plan
    numbers: Sequence[int]
    size: int
    expires_ms: int


class Locators[Plan]:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, Waiting[Plan]] = {}
        self._made = 0

    def keep(self, plan: Plan, numbers: Sequence[int], size: int) -> str:
        """``0r8xx5R2sM3DgWhASK``."""
        self._made += 1
        rest = self._made * 2654435761 + 15_000_000_000_000_000_000_000
        letters = ""
        for _ in range(15):
            rest, letter = divmod(rest, 62)
            letters = LETTERS[letter] + letters
        name = f"0r8{letters}"
        self._kept[name] = Waiting(plan, numbers, size, self._clock.now_ms() + LIFE_MS)
        for oldest in list(self._kept)[:-MOST]:
            del self._kept[oldest]
        return name

    def get(self, name: str) -> Waiting[Plan]:
        found = self._kept.get(name)
        if found is None or found.expires_ms <= self._clock.now_ms():
            raise problem(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return found

    def forget(self) -> None:
        self._kept.clear()
