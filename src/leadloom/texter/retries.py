"""When to try again, and how many at a time. Pure.

The waits are those that Standard Webhooks suggests: eight attempts over a little more than a day. A receiver that fails
again and again is left alone for a while altogether, so that it costs its own leads time and nobody else's.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))
JITTER = 0.1
LANES = 3
"""Requests to one account's receiver at a time; one while it is failing."""
PATIENCE = 3  # useless attempts in a row before a receiver is left alone
FIRST_REST = timedelta(seconds=30)
LONGEST_REST = timedelta(minutes=10)
# What says something about this one lead; anything else but success says something about the receiver.
ABOUT_THE_LEAD = frozenset({400, 405, 406, 409, 411, 412, 413, 415, 416, 417, 418, 422, 428, 431, 451})


class Verdict(Enum):
    TAKEN = auto()
    REFUSED = auto()  # this event; others may pass
    UNREACHED = auto()  # nobody can be served there at the moment
    GONE = auto()  # send nothing there any more
    HELD = auto()  # nothing was sent: the lead may not be texted any more


@dataclass(frozen=True, slots=True)
class Result:
    """What one request came to. ``status`` is None when no reply came."""

    status: int | None
    ms: int
    error: str = ""
    reply: str = ""
    retry_after: timedelta | None = None

    @property
    def verdict(self) -> Verdict:
        if self.status is None:
            return Verdict.UNREACHED
        if 200 <= self.status < 300:
            return Verdict.TAKEN
        if self.status == 410:
            return Verdict.GONE
        return Verdict.REFUSED if self.status in ABOUT_THE_LEAD else Verdict.UNREACHED


def next_attempt(attempts: int, result: Result, *, now: datetime, rng: random.Random | None = None) -> datetime | None:
    """When to repeat after this many attempts, or None to give up."""
    if attempts > len(WAITS):
        return None
    spread = (rng or random.SystemRandom()).uniform(1, 1 + JITTER)
    wait: timedelta = WAITS[attempts - 1] * spread
    if result.retry_after:
        wait = max(wait, min(result.retry_after, WAITS[-1]))
    return now + wait


def rest_until(failures: int, *, now: datetime) -> datetime | None:
    """How long to leave a receiver alone after this many useless attempts in a row."""
    if failures < PATIENCE:
        return None
    return now + min(FIRST_REST * (1 << min(failures - PATIENCE, 10)), LONGEST_REST)


def sentence_for(status: int) -> str:
    """What a refusal means, for the person who reads the log."""
    if status in SENTENCES:
        return SENTENCES[status]
    if 300 <= status < 400:
        return "The address redirects elsewhere, and redirects are not followed. Enter the final address."
    if status >= 500:
        return "The texting service had a problem of its own."
    return f"The texting service refused the event (status {status})."


SENTENCES = {
    401: "The texting service did not accept the signature. Check that it has the current secret.",
    403: "The texting service did not accept the signature. Check that it has the current secret.",
    404: "There is nothing at this address. Check that it is the webhook address of your texting service.",
    410: "The texting service said that this address is no longer in use.",
    429: "The texting service asked us to slow down.",
}
