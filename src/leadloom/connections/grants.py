"""What all processes must know of a grant that Nango holds: how often it was refused, and whose account it opened.

Nango keeps a connection's id when somebody signs in again, be it to another CRM account: nothing in the id tells. So
we remember a mark of what Nango said of the grant when its account was last checked, and check again when it differs.
Kept in the connection's ``settings``, written without touching what else is there.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import connection as db

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection

KEY = "grant"

PATIENCE = timedelta(minutes=10)
"""A vendor whose token endpoint is down looks like a grant that was withdrawn. Most outages are shorter than this."""
REFUSALS_BEFORE_DEAD = 4
BACK_OFF = timedelta(seconds=30)
"""Nango does not ask the vendor again before this."""
DENIALS_BEFORE_DEAD = 2


@dataclass(frozen=True, slots=True)
class Grant:
    mark: str = ""
    """Of the grant whose account was checked; empty: check before the next use."""
    refused: int = 0
    """Refreshes that failed, in a row."""
    denied: int = 0
    """Those of them where the CRM, too, had just refused a token that should have been good."""
    since: float = 0.0
    """When the first of them failed, in seconds of the epoch."""
    token: str = ""
    """A mark of the token that the CRM refused: Nango may hand it out again, and that heals nothing."""

    def is_dead(self, now: float) -> bool:
        """Is it time to ask for a new sign-in? Two witnesses, or one for long enough."""
        lasted = now - self.since
        if self.denied >= DENIALS_BEFORE_DEAD and lasted >= BACK_OFF.total_seconds():
            return True
        return self.refused >= REFUSALS_BEFORE_DEAD and lasted >= PATIENCE.total_seconds()

    def after_refusal(self, *, was_denied: bool, now: float, token: str) -> "Grant":
        return replace(
            self,
            refused=self.refused + 1,
            denied=self.denied + was_denied,
            since=self.since if self.refused else now,
            token=mark_of(token) if token else self.token,
        )

    def after_success(self, *, mark: str, token: str) -> "Grant":
        return replace(self, mark=mark) if self.token == mark_of(token) else Grant(mark=mark)


def mark_of(what: str | Mapping[str, Any]) -> str:
    """Tells two tokens apart, or two of Nango's ``connection_config``: vendors name the account in it."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]


def read_grant(connection: Connection) -> Grant:
    """As stored now, by whichever process."""
    with account_scope(connection.account_id):
        rows = Connection.objects.filter(account_id=connection.account_id, pk=connection.pk)
        settings = rows.values_list("settings", flat=True).first()
    kept = (settings or {}).get(KEY)
    if not isinstance(kept, dict):
        return Grant()
    return Grant(**{name: kept[name] for name in Grant.__slots__ if name in kept})


def keep_grant(connection: Connection, grant: Grant) -> None:
    with account_scope(connection.account_id), db.cursor() as cursor:
        cursor.execute(
            """
            UPDATE crm_connections SET settings = settings || jsonb_build_object(%s::text, %s::jsonb)
            WHERE account_id = %s AND id = %s
            """,
            [KEY, json.dumps(asdict(grant)), connection.account_id, connection.pk],
        )
