"""What load balancers, orchestrators and Prometheus are told."""

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from tests.factories import make_connection, make_member, make_run

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import RunState

pytestmark = pytest.mark.django_db


def test_a_process_that_answers_is_alive(client: Client) -> None:
    assert client.get("/healthz").content == b"ok"


def test_alive_asks_nothing_of_the_database(client: Client, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        client.get("/healthz")


def test_ready_names_what_is_missing_and_a_missing_worker_turns_nobody_away(client: Client) -> None:
    reply = client.get("/readyz")
    assert reply.status_code == 200
    told = reply.json()
    assert told["ready"] is True
    assert told["database"] == told["migrations"] == "ok"
    assert told["worker"].startswith("none seen lately")


def test_a_database_older_than_this_version_is_not_ready(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'texter' AND name LIKE '0001%'")
    reply = client.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["migrations"] == "1 missing"


def test_metrics_count_runs_and_contacts_of_all_accounts_and_name_none(client: Client) -> None:
    for email, created in (("alice@example.com", 3), ("charlie@example.com", 4)):
        member = make_member(email=email, account_name=f"Account of {email}")
        with account_scope(member.account_id):
            link = make_connection(member.account)
            make_run(link, state=RunState.RUNNING, seen=created + 1, created=created, skipped=1)
    told = client.get("/metrics").content.decode()
    assert 'leadloom_runs{state="running"} 2.0' in told
    assert 'leadloom_contacts_last_hour{outcome="created"} 7.0' in told
    assert 'leadloom_contacts_last_hour{outcome="skipped"} 2.0' in told
    assert "leadloom_workers 0.0" in told
    assert "process_resident_memory_bytes" in told
    assert "example.com" not in told


def test_metrics_are_for_this_machine_alone_unless_there_is_a_token(client: Client, settings: LazySettings) -> None:
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "10.0.0.9"}).status_code == 403
    settings.METRICS_TOKEN = "a-token"
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    allowed = client.get("/metrics", headers={"Authorization": "Bearer a-token"}, REMOTE_ADDR="10.0.0.9")
    assert allowed.status_code == 200
