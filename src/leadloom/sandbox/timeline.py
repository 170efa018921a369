"""When contact N was created and last modified, by arithmetic alone: no list of a million dates is ever made.

Contacts have a *place* (their position by id) and a *rank* (0 is the newest). Ranks are a permutation of places,
because vendors do not hand out ids in order of creation. Both times fall as the rank grows, each within its class
(see ``_modified``), so a time window is found by bisection.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from math import gcd

from leadloom.sandbox.clock import DAY_MS

HOUR_MS = 3_600_000
SPAN_MS = 3 * 365 * DAY_MS
NEWEST_AGE_MS = 4 * 60_000
YOUNG_MS = 9 * HOUR_MS + 5 * 60_000
_SEVEN_HOURS = 7 * HOUR_MS
_TWO_DAYS = 2 * DAY_MS
LATE_EVERY = 13  # two of the 26 recorded contacts were touched later than by the nightly calculation
LATE_RANK = 7


class Timeline:
    """Times of ``count`` contacts over the three years before ``now_ms``, four times as dense lately as at first."""

    def __init__(self, *, count: int, now_ms: int, seed: int) -> None:
        self.count = count
        self.newest_ms = now_ms - NEWEST_AGE_MS
        self._now_ms = now_ms
        size = max(count, 1)
        self._step = _coprime(int(size * 0.618) + 1 + seed % 97, size)
        self._back = pow(self._step, -1, size) if size > 1 else 0
        self._shift = (seed * 7919) % size
        self._size = size
        self._slope = SPAN_MS / (4 * size)
        self._bend = 3 * SPAN_MS / (4 * size * size)
        self._young = bisect_left(range(count), YOUNG_MS, key=lambda rank: now_ms - self._created(rank))
        self._late = range(self._first_late(), count, LATE_EVERY)

    def rank(self, place: int) -> int:
        return (place * self._step + self._shift) % self._size

    def place(self, rank: int) -> int:
        return (rank - self._shift) * self._back % self._size

    def times(self, place: int) -> tuple[int, int]:
        """Created and last modified: ``_created`` and ``_modified`` written out, as every row of a page asks."""
        rank = (place * self._step + self._shift) % self._size
        created = self.newest_ms - int(rank * (self._slope + self._bend * rank)) - rank
        if rank < self._young or rank % LATE_EVERY == LATE_RANK:
            return created, self._modified(rank)
        phase = created % _TWO_DAYS
        return created, created + _SEVEN_HOURS + min(phase, _TWO_DAYS - phase) // 12

    def created_ranks(self, low: int | None, high: int | None) -> range:
        """Ranks created in ``[low, high)``, newest first."""
        return self._between(range(self.count), self._created, low, high)

    def modified_places(self, low: int | None, high: int | None) -> array[int]:
        """Places modified in ``[low, high)``, ascending."""
        young = self._between(range(self._young), self._modified, low, high)
        calculated = self._between(range(self._young, self.count), self._calculated, low, high)
        late = self._between(self._late, self._touched_late, low, high)
        return array("q", sorted([*self._places(young), *self._ordinary(calculated), *self._places(late)]))

    def _created(self, rank: int) -> int:
        return self.newest_ms - int(rank * (self._slope + self._bend * rank)) - rank

    def _modified(self, rank: int) -> int:
        if rank < self._young:
            return self._created(rank) + 2_000
        if rank % LATE_EVERY == LATE_RANK:
            return self._touched_late(rank)
        return self._calculated(rank)

    def _calculated(self, rank: int) -> int:
        """Seven to nine hours after creation, as recorded at HubSpot: background calculation, not a person's edit."""
        created = self._created(rank)
        phase = created % _TWO_DAYS
        return created + _SEVEN_HOURS + min(phase, _TWO_DAYS - phase) // 12

    def _touched_late(self, rank: int) -> int:
        return self.newest_ms - (self.newest_ms - self._created(rank)) * 2 // 5

    def _first_late(self) -> int:
        return self._young + (LATE_RANK - self._young) % LATE_EVERY

    def _between(self, ranks: range, time_of: Callable[[int], int], low: int | None, high: int | None) -> range:
        """The slice of ``ranks`` whose time, which falls as the rank grows, lies in ``[low, high)``."""
        first = 0 if high is None else bisect_left(ranks, -high + 1, key=lambda rank: -time_of(rank))
        last = len(ranks) if low is None else bisect_left(ranks, -low + 1, key=lambda rank: -time_of(rank))
        return ranks[first : max(first, last)]

    def _places(self, ranks: Iterable[int]) -> list[int]:
        shift, back, size = self._shift, self._back, self._size
        return [(rank - shift) * back % size for rank in ranks]

    def _ordinary(self, ranks: range) -> list[int]:
        return self._places(rank for rank in ranks if rank % LATE_EVERY != LATE_RANK)


def _coprime(wanted: int, size: int) -> int:
    while gcd(wanted, size) != 1:
        wanted += 1
    return wanted
