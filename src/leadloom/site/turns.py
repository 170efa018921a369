"""Turns that processes, on whatever machine, take at one database."""

import time

import psycopg

POLL_S = 0.1


def take_turn(connection: psycopg.Connection, number: int) -> None:
    """Return once nobody else has this turn; it is ours until the connection closes.

    Asked for again and again: a statement that waits for a lock is itself waited for by ``CREATE INDEX CONCURRENTLY``,
    which a migration of whoever has the turn may have come to.
    """
    while connection.execute("SELECT pg_try_advisory_lock(%s)", [number]).fetchone() != (True,):
        time.sleep(POLL_S)
