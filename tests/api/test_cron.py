"""The scheduler's call: closed without its secret, whole in spite of single failures."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from tests.connections.conftest import post
from tests.factories import make_connection

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run, State
from leadloom.sandbox import Sandbox

SECRET = "a-secret-of-the-scheduler"


def cron(client: Client, secret: str = SECRET, query: str = "") -> Any:
    return client.get(f"/api/cron/sync-crm{query}", headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def with_secret(settings: Settings) -> None:
    settings.CRON_SECRET = SECRET


@pytest.mark.parametrize("secret", ["", "None", SECRET])
def test_without_a_secret_configured_nobody_comes_in(
    client: Client, alice: Member, settings: Settings, secret: str
) -> None:
    settings.CRON_SECRET = ""
    make_connection(alice.account)
    assert cron(client, secret).status_code == 401
    with account_scope(alice.account_id):
        assert not Run.objects.exists()


@pytest.mark.parametrize("secret", ["", SECRET[:-1], SECRET.upper(), "ключ"])
@pytest.mark.usefixtures("with_secret")
def test_a_wrong_secret_is_refused(client: Client, alice: Member, secret: str) -> None:
    answer = cron(client, secret)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_signed_in")


@pytest.mark.usefixtures("with_secret")
def test_a_person_who_is_signed_in_is_no_scheduler(client: Client, alice: Member, api: Client) -> None:
    client.force_login(alice.user)
    assert client.get("/api/cron/sync-crm").status_code == 401
    assert api.get("/api/cron/sync-crm").status_code == 401


@pytest.mark.usefixtures("with_secret")
def test_every_connection_that_is_due_gets_a_run_and_no_other(client: Client, alice: Member, charlie: Member) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    due = [
        make_connection(alice.account, external_account_id="1"),
        make_connection(charlie.account, external_account_id="2"),
    ]
    make_connection(alice.account, external_account_id="3", next_due_at=later)
    make_connection(alice.account, external_account_id="4", state=State.PAUSED)
    make_connection(alice.account, external_account_id="5", state=State.NEEDS_RECONNECT)
    make_connection(alice.account, external_account_id="6", state=State.DISCONNECTED, is_active=False)
    body = cron(client).json()
    assert {one["connectionId"] for one in body["results"]} == {connection.pk for connection in due}
    assert (body["success"], body["total"], body["queued"], body["synced"], body["failed"]) == (True, 2, 2, 0, 0)


@pytest.mark.usefixtures("with_secret")
def test_waiting_brings_results_and_one_failure_never_stops_the_rest(
    client: Client, api: Client, alice: Member, charlie: Member, box: Sandbox
) -> None:
    broken = make_connection(charlie.account, external_account_id="1", sealed_credentials=b"not sealed at all")
    unknown = make_connection(charlie.account, external_account_id="2", provider="nosuch")
    post(api, "crm/connect", {"provider": "hubspot", "credentials": {"token": box.token}})
    body = cron(client, query="?wait=60").json()
    by_id = {one["connectionId"]: one for one in body["results"]}
    assert by_id[broken.pk]["error"] == "needs_reconnect"
    assert by_id[unknown.pk]["error"]
    good = next(one for one in body["results"] if one["connectionId"] not in (broken.pk, unknown.pk))
    assert (good["state"], good["results"]["total"]) == ("done", box.count())
    assert (body["success"], body["total"], body["queued"], body["synced"], body["failed"]) == (False, 3, 3, 1, 2)


@pytest.mark.usefixtures("with_secret")
def test_work_that_does_not_fit_goes_on_at_the_next_call(client: Client, api: Client, box: Sandbox) -> None:
    for number in range(250):
        box.create(firstname=f"P{number}", phone=f"+1 212 736 {number:04}")
    box.set_latency(150)
    connected = post(api, "crm/connect", {"provider": "hubspot", "credentials": {"token": box.token}}).json()
    first = cron(client, query="?wait=0.01").json()
    assert first["synced"] == 0
    box.set_latency(0)
    for _ in range(5):
        body = cron(client, query="?wait=60").json()
        if body["synced"]:
            break
    assert body["results"][0]["runId"] == connected["runId"]
    assert body["results"][0]["results"]["total"] == box.count()


@pytest.mark.usefixtures("with_secret")
@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "1e9", "soon"])
def test_a_wait_that_makes_no_sense_is_refused(client: Client, alice: Member, wait: str) -> None:
    assert cron(client, query=f"?wait={wait}").status_code == 422
