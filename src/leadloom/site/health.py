"""Is it alive, is it ready, how is it doing: for load balancers, orchestrators and Prometheus.

Numbers of the product are counted in the database when asked, so they are right however many processes there are, and
never name an account. Numbers of a process (memory, CPU) are those of the web process that answers.
"""

import hmac
from collections.abc import Callable, Iterator

import structlog
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from leadloom.accounts.scope import system_scope
from leadloom.site.database import unapplied_migrations

log = structlog.get_logger()

WORKER_SEEN_S = 30  # a worker that has not been heard of for longer is not there
LOOPBACK = ("127.0.0.1", "::1")


@never_cache
@require_safe
def alive(_request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing of anybody, so that a database's bad minute restarts no process."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Send visitors here? 503 names what is missing. A missing worker is told but does not turn visitors away."""
    answers = {name: _answer(check) for name, check in CHECKS.items()}
    is_ready = answers["database"] == answers["migrations"] == "ok"
    return JsonResponse({"ready": is_ready, **answers}, status=200 if is_ready else 503)


def _answer(check: Callable[[], str]) -> str:
    try:
        return check()
    except Error as error:
        log.warning("ready.check_failed", check=check.__name__, error=type(error).__name__)
        return "cannot be reached"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _migrations() -> str:
    missing = unapplied_migrations()
    return "ok" if not missing else f"{len(missing)} missing"


def _worker() -> str:
    return "ok" if workers_alive() else "none seen lately: nothing is read until one starts"


CHECKS: dict[str, Callable[[], str]] = {"database": _database, "migrations": _migrations, "worker": _worker}


def workers_alive() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s)",
            [WORKER_SEEN_S],
        )
        return int(cursor.fetchone()[0])


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus: with METRICS_TOKEN as Bearer; without that setting only from this machine, and not by proxy."""
    if not _may_measure(request):
        return HttpResponseForbidden("Set METRICS_TOKEN and send it as Authorization: Bearer.")
    registry = CollectorRegistry()
    registry.register(_FromDatabase())
    return HttpResponse(generate_latest(registry) + generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _may_measure(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
    was_forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not was_forwarded


class _FromDatabase:
    """Asks when asked. Each query reads an index or a small table."""

    def collect(self) -> Iterator[Metric]:
        with system_scope():
            yield _by_label("leadloom_runs", "Sync runs under way, by state.", "state", _RUNS)
            yield _by_label("leadloom_connections", "Connections by state.", "state", _CONNECTIONS)
            yield _gauge("leadloom_due_lag_seconds", "How late the connection is that waits longest.", _LAG)
            yield from _contacts()
            yield _by_label("leadloom_jobs", "Jobs in the queue, by queue.", "queue", _JOBS)
            yield _gauge("leadloom_oldest_job_seconds", "How long the oldest job has waited.", _OLDEST)
        yield GaugeMetricFamily("leadloom_workers", "Workers heard of lately.", workers_alive())


_RUNS = "SELECT state, count(*) FROM sync_runs WHERE state IN ('queued', 'running', 'waiting') GROUP BY 1"
_CONNECTIONS = "SELECT state, count(*) FROM crm_connections WHERE is_active GROUP BY 1"
_LAG = """
SELECT coalesce(extract(epoch FROM now() - min(next_due_at)), 0) FROM crm_connections
WHERE is_active AND state NOT IN ('paused', 'needs_reconnect', 'disconnected') AND next_due_at < now()
"""
_JOBS = "SELECT queue_name, count(*) FROM procrastinate_jobs WHERE status = 'todo' GROUP BY 1"
_OLDEST = """
SELECT coalesce(extract(epoch FROM now() - min(e.at)), 0)
FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'
WHERE j.status = 'todo' AND coalesce(j.scheduled_at, now()) <= now()
"""
OUTCOMES = ("created", "updated", "unchanged", "linked", "skipped", "failed")
# Runs are kept, so adding up all of them would cost more every day: the newest by id are enough for an hour.
_CONTACTS = """
SELECT coalesce(sum(created), 0), coalesce(sum(updated), 0), coalesce(sum(unchanged), 0), coalesce(sum(linked), 0),
       coalesce(sum(skipped), 0), coalesce(sum(failed), 0), coalesce(sum(requests), 0)
FROM (SELECT * FROM sync_runs ORDER BY id DESC LIMIT 20000) newest
WHERE coalesce(finished_at, now()) > now() - interval '1 hour'
"""


def _rows(query: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[tuple[object, ...]] = cursor.fetchall()
        return rows


def _by_label(name: str, help_text: str, label: str, query: str) -> Metric:
    metric = GaugeMetricFamily(name, help_text, labels=[label])
    for value, count in _rows(query):
        metric.add_metric([str(value)], float(str(count)))
    return metric


def _gauge(name: str, help_text: str, query: str) -> Metric:
    return GaugeMetricFamily(name, help_text, float(str(_rows(query)[0][0])))


def _contacts() -> Iterator[Metric]:
    *counts, requests = _rows(_CONTACTS)[0]
    contacts = GaugeMetricFamily(
        "leadloom_contacts_last_hour",
        "Contacts read by the runs of the last hour, by what became of them.",
        labels=["outcome"],
    )
    for outcome, count in zip(OUTCOMES, counts, strict=True):
        contacts.add_metric([outcome], float(str(count)))
    yield contacts
    yield GaugeMetricFamily(
        "leadloom_crm_requests_last_hour", "Requests that the runs of the last hour sent to CRMs.", float(str(requests))
    )
