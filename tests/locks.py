"""Waiting, in tests of several who write at once."""

import os
from time import monotonic, sleep

import psycopg


def await_somebody_who_waits() -> None:
    """Until some transaction waits for another one's lock."""
    deadline = monotonic() + 60
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as database:
        while not database.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert monotonic() < deadline, "nobody waits"
            sleep(0.05)
