"""When to ask again: short waits are sat out, long ones are the run's business."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from leadloom.errors import LeadloomError, NeedsReconnect, SyncStopped, TryLater, Unreachable
from leadloom.providers.base import Reply, Request
from leadloom.sync.patience import TRIES, Patient

ASK = Request("GET", "/")
FINE = Reply(200, {}, b"{}")


class Crm:
    """Answers with what it was given, one thing a request."""

    def __init__(self, *answers: Reply | LeadloomError) -> None:
        self.answers: Iterator[Reply | LeadloomError] = iter(answers)
        self.asked = 0

    def send(self, request: Request) -> Reply:
        self.asked += 1
        answer = next(self.answers)
        if isinstance(answer, LeadloomError):
            raise answer
        return answer


def limited(seconds: float) -> TryLater:
    return TryLater("Busy.", after=timedelta(seconds=seconds), code="rate_limited")


def down(seconds: float = 2) -> TryLater:
    return TryLater("Away.", after=timedelta(seconds=seconds), code="vendor_down")


def patient(crm: Crm, slept: list[float] | None = None) -> Patient:
    times = [] if slept is None else slept
    return Patient(crm, should_stop=lambda: False, sleep=times.append, jitter=lambda: 0.0)


def test_a_rate_limit_is_waited_out_and_the_request_repeated() -> None:
    slept: list[float] = []
    crm = Crm(limited(3), FINE)
    assert patient(crm, slept).send(ASK) is FINE
    assert (sum(slept), crm.asked) == (3, 2)


def test_a_long_wait_is_handed_back_at_once_so_that_no_worker_sleeps_through_it() -> None:
    slept: list[float] = []
    with pytest.raises(TryLater) as caught:
        patient(Crm(limited(31)), slept).send(ASK)
    assert (caught.value.after, slept) == (timedelta(seconds=31), [])


def test_an_outage_is_asked_again_at_growing_distance_a_few_times_only() -> None:
    slept: list[float] = []
    crm = Crm(*[down() for _ in range(10)])
    with pytest.raises(TryLater):
        patient(crm, slept).send(ASK)
    assert (crm.asked, sum(slept)) == (TRIES, 2 + 4 + 8 + 16)


@pytest.mark.parametrize(("others", "asked"), [(True, 2), (False, TRIES)])
def test_a_crm_that_cannot_be_reached_from_here_is_left_to_others_if_there_are_any(others: bool, asked: int) -> None:
    crm = Crm(*[Unreachable("Away.", after=timedelta(seconds=2)) for _ in range(10)])
    waiting = Patient(
        crm, should_stop=lambda: False, sleep=lambda _: None, jitter=lambda: 0.0, may_hand_on=lambda: others
    )
    with pytest.raises(Unreachable):
        waiting.send(ASK)
    assert crm.asked == asked


def test_a_dead_grant_is_not_asked_again() -> None:
    crm = Crm(NeedsReconnect("Sign in again."))
    with pytest.raises(NeedsReconnect):
        patient(crm).send(ASK)
    assert crm.asked == 1


def test_a_wait_ends_as_soon_as_the_run_must_stop() -> None:
    stops = iter([False, False, True])
    slept: list[float] = []
    waiting = Patient(Crm(limited(20)), should_stop=lambda: next(stops), sleep=slept.append, jitter=lambda: 0.0)
    with pytest.raises(SyncStopped):
        waiting.send(ASK)
    assert sum(slept) <= 1
