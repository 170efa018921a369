"""Sharing out a walk by id: which ids nobody has read yet, and who reads them from which end.

For vendors that list by ascending id and can be asked for the ids below one. A *gap* is a range of ids that are still
to be read. One lane walks it up; a second may walk it down, in an index that may lag and so never proves a gap empty:
only the lane going up, or the meeting of both, closes it. Pure arithmetic over plain JSON.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from leadloom.contact import JSON

WORTH = 400
"""Contacts that must be left in a gap for one more lane to pay: each lane reads up to a page twice where it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Ids above ``low`` and below ``high`` that nobody has read. Ids outside are read, or another gap's."""

    up: int
    """The number of the lane that walks it up."""
    low: int
    high: int | None = None
    """None: nobody knows yet where it ends."""
    after: str | None = None
    """Where the lane going up goes on, in the vendor's words; None at the very start."""
    is_jump: bool = False
    """``after`` was made by us, not given by the vendor: its first page must show that it was understood."""
    down: int | None = None
    """The number of the lane that walks it down, if one does."""
    down_after: str | None = None
    """Where the lane going down goes on, for vendors that say so; without it, below ``high``."""
    is_exhausted: bool = False
    """The index knows nothing more in it. What it lacks is for the lane going up."""

    @property
    def is_closed(self) -> bool:
        return self.high is not None and self.low + 1 >= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """All that is left of a walk. ``left`` is a guess at how many contacts that is, ``top`` at the highest id."""

    gaps: Sequence[Gap]
    top: int
    left: int
    lanes: int
    """Numbers given to lanes so far; none is used twice, so an answer that comes late is not taken for another's."""

    @classmethod
    def all(cls, *, top: int, left: int) -> "Gaps":
        return cls(gaps=(Gap(up=0, low=0),), top=top, left=left, lanes=1)

    @classmethod
    def from_json(cls, kept: dict[str, JSON]) -> "Gaps":
        return cls(**{**kept, "gaps": tuple(Gap(**gap) for gap in kept["gaps"])})  # type: ignore[arg-type,union-attr]

    def as_json(self) -> dict[str, JSON]:
        return {"gaps": [asdict(gap) for gap in self.gaps], "top": self.top, "left": self.left, "lanes": self.lanes}

    def rise(self, lane: int, ids: Sequence[int], after: str | None) -> "Gaps":
        """The lane going up has read ``ids`` and goes on at ``after``; without it the vendor has no more."""
        gaps = []
        for gap in self.gaps:
            if gap.up != lane:
                gaps.append(gap)
            elif after is not None:
                gaps.append(replace(gap, low=max([gap.low, *ids]), after=after, is_jump=False))
        return self._without_closed(gaps, ids)

    def fall(self, lane: int, ids: Sequence[int], *, is_last: bool, after: str | None = None) -> "Gaps":
        """The lane going down has read ``ids``, and the index knows more unless ``is_last``: at ``after``, if told."""
        gaps = []
        for gap in self.gaps:
            if gap.down != lane:
                gaps.append(gap)
                continue
            high = min(ids, default=gap.high)
            down, at = (None, None) if is_last else (lane, after)
            gaps.append(replace(gap, high=high, down=down, down_after=at, is_exhausted=is_last))
        return self._without_closed(gaps, ids)

    def _without_closed(self, gaps: Sequence[Gap], read: Sequence[int]) -> "Gaps":
        open_ones = tuple(gap for gap in gaps if not gap.is_closed)
        return replace(self, gaps=open_ones, top=max([self.top, *read]), left=max(0, self.left - len(read)))

    def one_more(self, *, up: int, down: int) -> "Gaps | None":
        """With one more lane, of at most so many going up and down. None when there is too little left for one."""
        falling = sum(gap.down is not None for gap in self.gaps)
        first_down = self._with_one_down() if falling == 0 < down else None
        another_up = self._split() if first_down is None and len(self.gaps) < up else None
        another_down = self._with_one_down() if another_up is None and falling < down else None
        return first_down or another_up or another_down

    def _with_one_down(self) -> "Gaps | None":
        free = [gap for gap in self.gaps if gap.down is None and not gap.is_exhausted]
        widest = self._widest(free, WORTH)
        return None if widest is None else self._replaced(widest, replace(widest, down=self.lanes))

    def _split(self) -> "Gaps | None":
        begun = [gap for gap in self.gaps if gap.after is not None and not gap.is_jump]
        widest = self._widest(begun, 2 * WORTH)
        if widest is None:
            return None
        middle = widest.low + 1 + self._width(widest) // 2
        below = replace(widest, high=middle, down=None, down_after=None, is_exhausted=False)
        return self._replaced(
            widest, below, replace(widest, up=self.lanes, low=middle - 1, after=str(middle), is_jump=True)
        )

    def _replaced(self, gap: Gap, *by: Gap) -> "Gaps":
        at = self.gaps.index(gap)
        return replace(self, gaps=(*self.gaps[:at], *by, *self.gaps[at + 1 :]), lanes=self.lanes + 1)

    def _widest(self, gaps: Sequence[Gap], worth: int) -> Gap | None:
        """The widest gap, if by its share of the ids it holds ``worth`` contacts: ids are not evenly spread, but a
        half that turns out empty costs one request and halves what is searched."""
        widest = max(gaps, key=self._width, default=None)
        if widest is None or self._width(widest) < worth:
            return None
        return widest if self.left * self._width(widest) >= worth * sum(map(self._width, self.gaps)) else None

    def _width(self, gap: Gap) -> int:
        """How many ids it may hold; of one without an end, at least as many as there are contacts left."""
        return (max(self.top, gap.low + self.left) + 1 if gap.high is None else gap.high) - gap.low - 1
