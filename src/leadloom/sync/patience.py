"""Asking patiently: short waits are sat out here, long ones go back to the run as ``resume_at``.

Wraps a client. Decides only when to ask again; what an error means is the provider's word.
"""

import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from leadloom.errors import SyncStopped, TryLater, Unreachable
from leadloom.providers.base import Reply, Request

LONGEST_WAIT = timedelta(seconds=30)
"""A longer wait frees the worker: the run goes on by itself at ``resume_at``."""
TRIES = 5  # of one request, before the whole run waits
STEP_S = 0.5  # how soon a wait notices that it should stop


class Sender(Protocol):
    def send(self, request: Request) -> Reply: ...


class Patient:
    """A source that waits and retries. ``should_stop`` is asked while waiting and before each request; ``may_hand_on``
    when the CRM cannot be reached from here a second time: is there anybody else to try?"""

    def __init__(
        self,
        client: Sender,
        *,
        should_stop: Callable[[], bool],
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        may_hand_on: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._should_stop = should_stop
        self._sleep = sleep
        self._jitter = jitter
        self._may_hand_on = may_hand_on
        self.waited_s = 0.0

    def send(self, request: Request) -> Reply:
        """The reply. Raises TryLater when the wait is long or the tries are used up, SyncStopped when told to stop."""
        for attempt in range(1, TRIES + 1):
            if self._should_stop():
                raise SyncStopped("The run was handed over.")
            try:
                return self._client.send(request)
            except TryLater as later:
                if later.after > LONGEST_WAIT or attempt == TRIES:
                    raise
                if attempt > 1 and isinstance(later, Unreachable) and self._may_hand_on():
                    raise
                backoff = later.after if later.code == "rate_limited" else later.after * 2 ** (attempt - 1)
                self.wait(min(backoff, LONGEST_WAIT).total_seconds() * (1 + self._jitter() / 10))
        raise AssertionError("unreachable: the last try returns or raises")

    def wait(self, seconds: float) -> None:
        """Sleep in short steps, so that a deploy or a takeover does not have to wait for us."""
        remaining = seconds
        while remaining > 0:
            if self._should_stop():
                raise SyncStopped("The run was handed over.")
            step = min(remaining, STEP_S)
            self._sleep(step)
            remaining -= step
            self.waited_s += step
