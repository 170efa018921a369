"""Tell the dashboards of an account that something changed. Delivered when the transaction commits, if it commits.

Carries kinds, ids and counters only: whoever hears it fetches what they may see. Runs announce themselves in
``sync/sink.py``; this is for everybody else.
"""

import json
from collections.abc import Mapping

from django.db import connection

from leadloom.contact import JSON

CHANNEL = "leadloom_live"


def announce(account_id: int, message: Mapping[str, JSON]) -> None:
    """``announce(7, {"kind": "lead"})``. PostgreSQL takes less than 8,000 bytes: ids and numbers, no texts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps({"account": account_id, **message})])
