"""What another worker may be able to do when this one cannot reach a CRM: its own line may be the one that is broken.

A run is handed on once. Should the next worker not reach the CRM either, the CRM is away, and the run waits for it.
"""

import time

from django.db import connection

from leadloom.sync.heard import SILENT

MEMORY_S = 60.0
"""How long a worker keeps away from a host that it could not reach, while there are others."""

_unreached: dict[str, float] = {}


def note_unreached(host: str) -> None:
    _unreached[host] = time.monotonic()


def note_reached(host: str) -> None:
    _unreached.pop(host, None)


def was_unreached(host: str) -> bool:
    """From this process, a moment ago."""
    return host in _unreached and time.monotonic() - _unreached[host] < MEMORY_S


def are_there() -> bool:
    """Does another worker live?"""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) > 1 FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s)",
            [SILENT.total_seconds()],
        )
        row = cursor.fetchone()
    return bool(row and row[0])
