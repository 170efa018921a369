"""What the sync tells the rest of the house, without knowing who listens."""

from django.dispatch import Signal

run_ended = Signal()
"""Sent with ``account_id`` and ``run_id`` once a run has ended and its transaction is committed, and with
``found_something``: false when it is known to have changed no lead."""
