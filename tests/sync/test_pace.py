"""The shared bucket: never more than the limit in any window, and no less than it allows."""

from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadloom.providers.base import Limit, Provider
from leadloom.sync.pace import SharedPace, _reserve, burst_of, spacing

TEN_SECONDS = timedelta(seconds=10)


@given(st.integers(1, 1000), st.floats(0.5, 60))
def test_no_window_holds_more_than_the_limit_even_right_after_a_burst(requests: int, seconds: float) -> None:
    limit = Limit(requests, timedelta(seconds=seconds))
    assert burst_of(limit) + limit.per / spacing(limit) <= requests


def test_at_least_95_percent_of_hubspots_limit_is_used() -> None:
    assert TEN_SECONDS / spacing(Limit(110, TEN_SECONDS)) >= 0.95 * 110


@pytest.mark.django_db
def test_two_workers_on_one_crm_account_share_its_limit() -> None:
    interval = timedelta(milliseconds=100)
    first = _reserve("key", interval, 5, 4)
    second = _reserve("key", interval, 5, 4)
    assert first <= -0.3, "after a pause a few requests may go at once"
    assert second - first == pytest.approx(0.5, abs=0.05), "the second worker's slots come after the first one's"


@pytest.mark.django_db
def test_another_crm_account_has_a_bucket_of_its_own() -> None:
    _reserve("key", timedelta(seconds=1), 50, 0)
    assert _reserve("other key", timedelta(seconds=1), 1, 0) <= 0


@pytest.mark.django_db
def test_slots_are_spent_in_order_and_waited_for() -> None:
    provider = cast(Provider, SimpleNamespace(slug="made-up", limits={"api": Limit(5, timedelta(seconds=5))}))
    waits: list[float] = []
    pace = SharedPace(provider, "portal", wait=waits.append)
    for _ in range(4):
        pace.wait("api")
    assert waits == sorted(waits), "nobody really slept here, so each wait is longer than the last"
    assert waits[-1] == pytest.approx(3, abs=0.4)


def test_a_limit_far_above_any_need_costs_no_bookkeeping() -> None:
    provider = cast(Provider, SimpleNamespace(slug="made-up", limits={"api": Limit(1_000_000, TEN_SECONDS)}))
    pace = SharedPace(provider, "portal", wait=lambda seconds: pytest.fail("must not wait"))
    for _ in range(100):
        pace.wait("api")
