"""Waiting for a run to end, for callers that want the result in the same breath."""

import time
from collections.abc import Callable

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run

POLL_S = 0.1


def wait_for(run_id: int, account_id: int, timeout_s: float, *, sleep: Callable[[float], None] = time.sleep) -> Run:
    """The run once it has ended, or as it stands after ``timeout_s``. No transaction is open while it waits."""
    deadline = time.monotonic() + timeout_s
    while True:
        with account_scope(account_id):
            run = Run.objects.get(account_id=account_id, pk=run_id)
        if not run.is_active or time.monotonic() >= deadline:
            return run
        sleep(POLL_S)
