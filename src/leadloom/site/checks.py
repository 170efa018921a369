"""``leadloom check``: is everything as it must be? One line for each thing, and what to do where it is not.

Changes nothing. Each connected CRM is asked one question, with the credential that a sync would use. Lines name ids,
states and statuses: no names, addresses or secrets.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import Error
from django.db import connection as db

from leadloom.accounts.scope import account_scope, system_scope
from leadloom.connections.models import Connection, State
from leadloom.connections.nango import Nango
from leadloom.connections.proof import proof_of
from leadloom.connections.vault import access_token
from leadloom.errors import LeadloomError
from leadloom.providers.base import CrmAccount
from leadloom.providers.catalogue import UnknownProvider
from leadloom.providers.catalogue import provider as provider_of
from leadloom.site.database import unapplied_migrations
from leadloom.site.health import workers_alive
from leadloom.sync.client import CrmClient
from leadloom.sync.hosts import base_url_of

OLDEST_POSTGRESQL = 160000  # as server_version_num counts
LATE_JOB_S = 120
LATE_PASS_S = 15 * 60  # as a scheduler may be that calls every quarter of an hour
# Beside the accounts' tables: sign-in, pace, the queue and the framework's own hold no account's rows.
OUTSIDE_THE_WALL = ("users", "users_groups", "users_user_permissions", "sign_in_attempts", "pace_buckets")
FRAMEWORK = ("django_", "auth_", "procrastinate_")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    what: str
    sentence: str
    is_right: bool = True

    def __str__(self) -> str:
        return f"{'ok   ' if self.is_right else 'WRONG'}  {self.what:<14}  {self.sentence}"


def run_checks(echo: Callable[[str], None]) -> bool:
    """Say every finding, as it is made. True when all is right."""
    all_right = True
    for finding in check_everything():
        echo(str(finding))
        all_right = all_right and finding.is_right
    return all_right


def check_everything() -> Iterator[Finding]:
    """Every finding, as it is made. Raises nothing that a finding can say."""
    for what, check in CHECKS.items():
        try:
            yield from check()
        except Error as error:
            yield wrong(what, f"The database did not answer ({type(error).__name__}): see DATABASE_URL.")


def right(what: str, sentence: str) -> Finding:
    return Finding(what, sentence)


def wrong(what: str, sentence: str) -> Finding:
    return Finding(what, sentence, is_right=False)


def _settings() -> Iterable[Finding]:
    """They can be read, or no command would come this far. What is left is what does not go together."""
    if settings.DEBUG and settings.IS_HTTPS:
        yield wrong("settings", "LEADLOOM_DEBUG is on at a public address: it shows strangers our code. Unset it.")
    if settings.DEMO_KEY and settings.IS_HTTPS:
        yield wrong("settings", "LEADLOOM_DEMO_KEY is set at a public address: it signs in whoever has it. Unset it.")
    yield right("settings", f"The address is {settings.LEADLOOM_URL}; the schedule is {settings.SYNC_SCHEDULE!r}.")
    if not settings.CRON_SECRET:
        yield right("cron", "CRON_SECRET is not set: /api/cron/sync-crm refuses all; the worker's own schedule works.")


def _database() -> Iterable[Finding]:
    with db.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('server_version')")
        number, version = cursor.fetchone()
    if number < OLDEST_POSTGRESQL:
        yield wrong("database", f"PostgreSQL {version} is too old: 16 or newer is needed.")
    else:
        yield right("database", f"PostgreSQL {version.split()[0]} answers.")
    if missing := unapplied_migrations():
        yield wrong("tables", f"{len(missing)} migration(s) are missing, the first is {missing[0]}: leadloom migrate.")
    else:
        yield right("tables", "They are this version's.")


def _walls() -> Iterable[Finding]:
    """Row-level security holds only for a plain role, on tables that force it."""
    with db.cursor() as cursor:
        cursor.execute("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        role, is_super, passes_walls = cursor.fetchone()
        cursor.execute(
            """
            SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
                   pg_has_role(current_user, c.relowner, 'MEMBER')
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') ORDER BY 1
            """
        )
        tables = cursor.fetchall()
    if is_super or passes_walls:
        yield wrong("role", f"{role} is not bound by row-level security: let Leadloom run as a plain role.")
    elif any(is_owned for _, _, is_owned in tables):
        yield wrong("role", f"{role} owns tables and could lift their walls: run as another role than the owner.")
    else:
        yield right("role", f"{role} is a plain role.")
    open_tables = [name for name, is_walled, _ in tables if not is_walled and _belongs_to_accounts(name)]
    if open_tables:
        yield wrong("walls", f"Without forced row-level security: {', '.join(open_tables)}.")
    else:
        yield right("walls", "Every account table forces row-level security.")


def _belongs_to_accounts(table: str) -> bool:
    return table not in OUTSIDE_THE_WALL and not table.startswith(FRAMEWORK)


def _queue() -> Iterable[Finding]:
    alive = workers_alive()
    if alive:
        yield right("worker", f"{alive} heard of lately.")
    else:
        yield wrong(
            "worker", "None heard of lately, so nothing is read: start one with leadloom up or leadloom worker."
        )
    with db.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), coalesce(extract(epoch FROM now() - min(e.at) FILTER (WHERE j.priority >= 0)), 0)
            FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'
            WHERE j.status = 'todo' AND coalesce(j.scheduled_at, now()) <= now()
            """
        )  # below 0 are the hourly pass and what gives way to it: they may take their time
        waiting, oldest_s = cursor.fetchone()
    if alive and oldest_s > LATE_JOB_S:
        yield wrong("queue", f"{waiting} jobs wait, the oldest for {oldest_s:.0f} s: raise LEADLOOM_CONCURRENCY.")
    else:
        yield right("queue", f"{waiting} jobs wait.")


def _schedule() -> Iterable[Finding]:
    """Whether the hour was kept, by a worker or by a scheduler that calls us."""
    with system_scope(), db.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), coalesce(extract(epoch FROM now() - min(next_due_at)) / 60, 0)
            FROM crm_connections c
            WHERE is_active AND state NOT IN ('paused', 'needs_reconnect', 'disconnected')
              AND next_due_at < now() - make_interval(secs => %s)
              AND NOT EXISTS (SELECT FROM sync_runs r WHERE r.connection_id = c.id
                              AND r.state IN ('queued', 'running', 'waiting'))
            """,
            [LATE_PASS_S],
        )
        late, oldest_m = cursor.fetchone()
    if late:
        how = "a worker does it, or a scheduler that calls /api/cron/sync-crm"
        yield wrong("schedule", f"{late} connections are late, the first by {oldest_m:.0f} minutes: {how}.")
    else:
        yield right("schedule", "No connection is late.")


def _nango() -> Iterable[Finding]:
    if not settings.NANGO_SECRET_KEY:
        yield right("nango", "Not set up: CRMs are connected with access tokens.")
        return
    try:
        found = Nango().integrations()
    except LeadloomError as error:
        yield wrong("nango", f"{settings.NANGO_HOST} refused ({error.detail}): see NANGO_SECRET_KEY and NANGO_HOST.")
        return
    if found:
        yield right("nango", f"{settings.NANGO_HOST} answers; integrations: {', '.join(sorted(found))}.")
    else:
        yield wrong("nango", "It answers but has no integration: make one for each CRM in Nango.")


def _connections() -> Iterable[Finding]:
    with system_scope():
        rows = Connection.objects.filter(is_active=True).order_by("account_id", "pk").values_list("account_id", "pk")
        found = list(rows)
    if not found:
        yield right("connections", "There are none.")
    for account_id, connection_id in found:
        with account_scope(account_id):
            connection = Connection.objects.get(account_id=account_id, pk=connection_id)
        yield _connection(connection)  # no transaction is open while we wait for the CRM
        yield from _count(connection)


def _connection(connection: Connection) -> Finding:
    what = f"connection {connection.pk}"
    who = f"{connection.provider} of account {connection.account_id}"
    if connection.state in (State.NEEDS_RECONNECT, State.STUCK):
        return wrong(what, f"{who}: {connection.state} ({connection.reason_code}). {connection.reason}")
    if connection.state == State.PAUSED:
        return right(what, f"{who}: paused by a member; not asked.")
    try:
        answered = _whose_account(connection)
    except LeadloomError as error:
        return wrong(what, f"{who}: {error} ({error.code} {error.detail})".rstrip())
    except UnknownProvider as error:
        return wrong(what, str(error))
    except ValueError as error:  # facts that its CRM's file cannot obey
        return wrong(what, f"{who}: {error}. Connect it again.")
    if answered != connection.external_account_id:
        return wrong(what, f"{who}: its credential opens another account of the CRM now. Reconnect it.")
    return right(what, f"{who}: {connection.state}, and the CRM answers.")


def _count(connection: Connection) -> Iterator[Finding]:
    """As last counted, which is once a day: nobody is counted here."""
    proof = proof_of(connection)
    if proof is None:
        return
    say = right if proof.is_explained else wrong
    yield say(f"count {connection.pk}", f"{proof.headline}. {proof.sentence}")


def _whose_account(connection: Connection) -> str:
    account = CrmAccount(
        external_id=connection.external_account_id,
        name=connection.external_account_name,
        facts={**connection.facts, **connection.settings},
    )
    crm = provider_of(connection.provider).for_account(account)

    def token(force: bool) -> str:
        return access_token(connection, force=force)

    client = CrmClient(crm, base_url=base_url_of(connection, crm), token=token)
    return crm.read_account(client.send(crm.account_request())).external_id


CHECKS: dict[str, Callable[[], Iterable[Finding]]] = {
    "settings": _settings,
    "database": _database,
    "walls": _walls,
    "worker": _queue,
    "schedule": _schedule,
    "nango": _nango,
    "connections": _connections,
}
