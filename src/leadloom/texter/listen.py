"""Hears that a run has ended and rings for a collection. A sync is never troubled by it."""

import structlog
from django.db import Error

from leadloom.texter.doorbell import ring_collect
from leadloom.texter.due import is_on

log = structlog.get_logger()


def collect_after_run(*, account_id: int, run_id: int, found_something: bool = True, **_: object) -> None:
    try:
        if found_something and is_on(account_id):
            ring_collect(account_id)
    except Error as error:  # the hourly sweep collects all the same
        log.warning("texter.not_rung", account=account_id, run=run_id, error=type(error).__name__)
