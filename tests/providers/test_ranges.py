"""Sharing out a walk by id: whatever the order of the answers and the spread of the ids, every id is read."""

import json
from bisect import bisect_left
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from leadloom.contact import JSON
from leadloom.providers.ranges import Gaps

UP, DOWN = 40, 80  # contacts a page


class Walk:
    """Lanes over sorted ids, answered in any order; ``hidden`` ids are missing from what lanes going down are told."""

    def __init__(self, ids: list[int], hidden: set[int], dice: Random) -> None:
        self.ids, self.dice = ids, dice
        self.indexed = [one for one in ids if one not in hidden]
        self.read: set[int] = set()
        self.went_down: list[tuple[int, int]] = []
        self.requests = 0
        self.asked: dict[str, tuple[str | None, int | None]] = {}

    def go(self, gaps: Gaps) -> None:
        while gaps.gaps:
            gaps = kept(gaps)
            if self.dice.random() < 0.3:
                gaps = gaps.one_more(up=4, down=2) or gaps
            for gap in gaps.gaps:
                self.asked.setdefault(f"up {gap.up}", (gap.after, None))
                if gap.down is not None:
                    self.asked.setdefault(f"down {gap.down}", (None, gap.high))
            lane = self.dice.choice(sorted(self.asked))
            gaps = self.answer(lane, *self.asked.pop(lane), gaps)
            if self.dice.random() < 0.1:
                self.asked.clear()  # a crash: what was asked is asked again, from what was saved

    def answer(self, lane: str, after: str | None, below: int | None, gaps: Gaps) -> Gaps:
        self.requests += 1
        way, number = lane.split()
        if way == "up":
            at = bisect_left(self.ids, int(after or 0))
            found = self.ids[at : at + UP]
            more = at + UP < len(self.ids)
            self.read.update(found)
            return gaps.rise(int(number), found, str(found[-1] + 1) if more else None)
        end = len(self.indexed) if below is None else bisect_left(self.indexed, below)
        found = self.indexed[max(0, end - DOWN) : end][::-1]
        self.read.update(found)
        if found:
            self.went_down.append((found[-1], below or 10**18))
        return gaps.fall(int(number), found, is_last=len(found) == end)


def kept(gaps: Gaps) -> Gaps:
    """As it comes back from the database."""
    plain: dict[str, JSON] = json.loads(json.dumps(gaps.as_json()))
    assert Gaps.from_json(plain) == gaps
    return Gaps.from_json(plain)


ids = st.one_of(
    st.integers(1, 6000).map(lambda count: list(range(1, count + 1))),
    st.integers(1, 6000).map(lambda count: [713_000_000_000 + 131 * one for one in range(count)]),
    st.tuples(st.integers(0, 3000), st.integers(1, 3000)).map(
        lambda two: [51 + 50 * one for one in range(two[0])] + [700_000_000_000 + 9 * one for one in range(two[1])]
    ),
)


@settings(max_examples=60, deadline=None)
@given(ids=ids, seed=st.integers(0, 2**32), share_hidden=st.sampled_from([0.0, 0.0, 0.01, 0.5, 1.0]))
def test_every_id_is_read_but_those_an_index_lacked_where_it_was_walked(
    ids: list[int], seed: int, share_hidden: float
) -> None:
    dice = Random(seed)
    hidden = {one for one in ids if dice.random() < share_hidden}
    walk = Walk(ids, hidden, dice)
    walk.go(Gaps.all(top=ids[-1], left=len(ids)))
    lost = set(ids) - walk.read
    assert lost <= hidden
    assert all(any(low < one < below for low, below in walk.went_down) for one in lost)


@settings(max_examples=40, deadline=None)
@given(ids=ids, seed=st.integers(0, 2**32))
def test_sharing_out_costs_few_requests_however_unevenly_the_ids_are_spread(ids: list[int], seed: int) -> None:
    walk = Walk(ids, set(), Random(seed))
    walk.dice.random = lambda: 0.2  # type: ignore[method-assign]  # one more lane whenever it pays, and no crash
    walk.go(Gaps.all(top=ids[-1], left=len(ids)))
    assert walk.requests <= len(ids) / UP + 60


def test_too_few_contacts_are_read_in_one_lane() -> None:
    assert Gaps.all(top=10**12, left=100).one_more(up=4, down=2) is None
