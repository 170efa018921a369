"""Slows guessing down: so many attempts in a quarter of an hour, counted in PostgreSQL for all processes together.

An attempt is counted before the password is looked at, so a hundred attempts sent at once are not all the first.
E-mails and addresses are stored as keyed hashes only. There is deliberately no limit by e-mail alone: it would let a
stranger lock somebody out of their own account.
"""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

WINDOW = timedelta(minutes=15)
NETWORK_OF_ONE_CUSTOMER = 64  # IPv6 providers hand out at least a /64; counting single addresses would count nothing

FORGET_OLD = """
    DELETE FROM sign_in_attempts WHERE key_hash IN (
        SELECT key_hash FROM sign_in_attempts WHERE since < now() - make_interval(secs => %s)
        FOR UPDATE SKIP LOCKED  -- whoever holds one is counting in it, and starts it afresh
    )
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``attempts`` within the window by whoever has this key."""

    key: str
    attempts: int

    @property
    def key_hash(self) -> str:
        return salted_hmac("leadloom.throttle", self.key, algorithm="sha256").hexdigest()


def sign_in_limits(request: HttpRequest, email: str) -> list[Limit]:
    address = client_network(request)
    return [Limit(f"sign-in {address} {email.strip().lower()}", 10), Limit(f"sign-in {address}", 50)]


def sign_up_limits(request: HttpRequest) -> list[Limit]:
    return [Limit(f"sign-up {client_network(request)}", 20)]


def password_limits(user_id: int) -> list[Limit]:
    """For somebody signed in who must show the old password: a borrowed session must not be able to guess it."""
    return [Limit(f"password {user_id}", 10)]


def take_attempt(limits: list[Limit]) -> bool:
    """Count one attempt against each limit. False: one of them is used up, refuse without looking further."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET_OLD, [WINDOW.total_seconds()])
        return all([_count(cursor, limit) <= limit.attempts for limit in limits])  # noqa: C419 - count in every one


def forgive(limits: list[Limit]) -> None:
    """The attempt succeeded: the person's own count starts afresh, wider ones only lose this attempt.

    The first limit is the narrowest. Were the wider ones cleared too, an attacker with one good password would have
    no limit for guessing others.
    """
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM sign_in_attempts WHERE key_hash = %s", [limits[0].key_hash])
        cursor.execute(
            "UPDATE sign_in_attempts SET attempts = attempts - 1 WHERE key_hash = ANY(%s)",
            [[limit.key_hash for limit in limits[1:]]],
        )


def client_network(request: HttpRequest) -> str:
    """Who is calling, as an address that counts as one customer.

    Behind a proxy that is the last entry of X-Forwarded-For, the one our proxy wrote; earlier ones can be invented.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.SECURE_PROXY_SSL_HEADER:
        address = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, NETWORK_OF_ONE_CUSTOMER), strict=False))


def _count(cursor: CursorWrapper, limit: Limit) -> int:
    cursor.execute(
        """
        INSERT INTO sign_in_attempts AS kept (key_hash, attempts, since) VALUES (%s, 1, now())
        ON CONFLICT (key_hash) DO UPDATE SET
            attempts = CASE WHEN kept.since < now() - make_interval(secs => %s) THEN 1 ELSE kept.attempts + 1 END,
            since = CASE WHEN kept.since < now() - make_interval(secs => %s) THEN now() ELSE kept.since END
        RETURNING attempts
        """,
        [limit.key_hash, WINDOW.total_seconds(), WINDOW.total_seconds()],
    )
    return int(cursor.fetchone()[0])
