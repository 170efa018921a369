"""When a worker counts as dead."""

from datetime import timedelta

SILENT = timedelta(seconds=15)
"""A worker that has not been heard of for so long is counted as dead."""
