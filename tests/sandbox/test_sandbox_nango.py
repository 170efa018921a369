"""Nango: sessions, connections whose tokens are good at the CRM, refreshes that fail as the recorded ones."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from leadloom.sandbox import Sandbox

KEY = {"provider_config_key": "hubspot"}


@pytest.fixture
def nango(box: Sandbox) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {box.nango_key}"}
    with httpx2.Client(base_url=box.nango_url, headers=headers, timeout=10, trust_env=False) as client:
        yield client


def works_at_the_crm(box: Sandbox, connection: dict[str, Any]) -> bool:
    token = connection["credentials"]["access_token"]
    reply = httpx2.get(
        f"{box.url}/crm/v3/objects/contacts", headers={"authorization": f"Bearer {token}"}, trust_env=False
    )
    return reply.status_code == 200


def test_a_connection_gives_a_token_that_is_good_at_the_crm(box: Sandbox, nango: httpx2.Client) -> None:
    made = box.nango_connect({"account_id": "a-1"})
    connection = nango.get(f"/connections/{made}", params=KEY).json()
    assert connection["tags"] == {"account_id": "a-1"}
    assert connection["connection_config"] == {"portalId": 24681357}
    assert connection["credentials"]["type"] == "OAUTH2"
    assert "refresh_token" not in connection["credentials"]
    assert works_at_the_crm(box, connection)


def test_a_session_leads_to_a_connection_with_its_tags(box: Sandbox, nango: httpx2.Client) -> None:
    body = {
        "end_user": {"id": "u-1", "email": "ann@example.com"},
        "tags": {"Account_ID": "a-1"},
        "allowed_integrations": ["hubspot"],
    }
    reply = nango.post("/connect/sessions", json=body)
    assert reply.status_code == 201
    token = reply.json()["data"]["token"]
    made = nango.get("/oauth/connect/hubspot", params={"connect_session_token": token}).json()
    tags = nango.get(f"/connections/{made['connectionId']}", params=KEY).json()["tags"]
    assert tags == {"account_id": "a-1", "end_user_id": "u-1", "end_user_email": "ann@example.com"}


def test_a_reconnect_keeps_the_id_and_replaces_the_tags(box: Sandbox, nango: httpx2.Client) -> None:
    made = box.nango_connect({"account_id": "a-1"})
    body = {"connection_id": made, "integration_id": "hubspot"}
    token = nango.post("/connect/sessions/reconnect", json=body).json()["data"]["token"]
    again = nango.get("/oauth/connect/hubspot", params={"connect_session_token": token}).json()
    assert again["connectionId"] == made
    assert nango.get(f"/connections/{made}", params=KEY).json()["tags"] == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"end_user": {"id": "u"}, "foo": 1},
        {"end_user": {"id": "u", "displayName": "x"}},
        {"tags": {"n": 1}},
        {"tags": {"1 bad key!": "x"}},
        {"tags": {"a": "x", "A": "y"}},
        {"tags": {f"k{n}": "x" for n in range(11)}},
        {"end_user": {"id": "u"}, "allowed_integrations": ["nope"]},
    ],
)
def test_a_bad_session_is_refused(nango: httpx2.Client, body: dict[str, Any]) -> None:
    reply = nango.post("/connect/sessions", json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_body"


def test_a_token_is_refreshed_when_less_than_fifteen_minutes_are_left(box: Sandbox, nango: httpx2.Client) -> None:
    made = box.nango_connect({})

    def token() -> str:
        return str(nango.get(f"/connections/{made}", params=KEY).json()["credentials"]["access_token"])

    first = token()
    box.advance(14 * 60)
    assert token() == first
    box.advance(2 * 60)
    assert token() != first


def test_a_token_that_ran_out_is_renewed_by_force_or_by_itself(box: Sandbox, nango: httpx2.Client) -> None:
    made = box.nango_connect({})
    old = nango.get(f"/connections/{made}", params=KEY).json()
    box.nango_expire(made)
    assert not works_at_the_crm(box, old)
    new = nango.get(f"/connections/{made}", params=KEY).json()
    assert works_at_the_crm(box, new)
    forced = nango.get(f"/connections/{made}", params={**KEY, "force_refresh": "true"}).json()
    assert forced["credentials"]["access_token"] != new["credentials"]["access_token"]


def test_a_dead_grant_is_400_then_424_for_thirty_seconds(box: Sandbox, nango: httpx2.Client) -> None:
    made = box.nango_connect({"account_id": "a-1"})
    box.nango_revoke(made)
    forced = nango.get(f"/connections/{made}", params={**KEY, "force_refresh": "true"})
    assert forced.status_code == 400
    assert forced.json()["error"]["code"] == "invalid_credentials"
    assert forced.json()["error"]["payload"]["connection"]["credentials"] == {}
    backing_off = nango.get(f"/connections/{made}", params=KEY)
    assert backing_off.status_code == 424
    assert nango.get("/connections").json()["connections"][0]["errors"][0]["type"] == "auth"
    box.advance(31)
    assert nango.get(f"/connections/{made}", params=KEY).status_code == 200  # the old token has minutes left


def test_a_refresh_that_fails_for_no_lasting_reason_heals(box: Sandbox, nango: httpx2.Client) -> None:
    made = box.nango_connect({})
    box.set_nango(failing_refreshes=1)
    force = {**KEY, "force_refresh": "true"}
    assert nango.get(f"/connections/{made}", params=force).status_code == 400
    assert nango.get(f"/connections/{made}", params=force).status_code == 200


def test_connections_are_listed_by_tag_and_can_be_retagged_and_deleted(box: Sandbox, nango: httpx2.Client) -> None:
    mine, other = box.nango_connect({"account_id": "a-1"}), box.nango_connect({"account_id": "a-2"})
    found = nango.get("/connections", params={"tags[account_id]": "a-1"}).json()["connections"]
    assert [one["connection_id"] for one in found] == [mine]
    assert "created" in found[0]
    assert "credentials" not in found[0]
    assert nango.patch(f"/connections/{other}", params=KEY, json={"tags": {"account_id": "a-3"}}).json()["success"]
    grant = nango.get(f"/connections/{mine}", params={**KEY, "refresh_token": "true"}).json()["credentials"]
    assert nango.delete(f"/connections/{mine}", params=KEY).json() == {"success": True}
    assert nango.get(f"/connections/{mine}", params=KEY).json()["error"]["code"] == "not_found"
    assert nango.delete(f"/connections/{mine}", params=KEY).json()["error"]["code"] == "unknown_connection"
    form = {"grant_type": "refresh_token", "refresh_token": grant["refresh_token"]}
    client = {"client_id": box.client_id, "client_secret": box.client_secret}
    renewed = httpx2.post(f"{box.url}/oauth/v1/token", data={**form, **client}, trust_env=False)
    assert renewed.json()["status"] == "BAD_REFRESH_TOKEN"


def test_reads_that_are_wrong_are_told_apart(box: Sandbox, nango: httpx2.Client) -> None:
    made = box.nango_connect({})

    def code(path: str, **params: str) -> tuple[int, str]:
        reply = nango.get(path, params=params)
        return reply.status_code, reply.json()["error"]["code"]

    assert code(f"/connections/{made}") == (400, "invalid_query_params")
    assert code(f"/connections/{made}", provider_config_key="nope") == (400, "unknown_provider_config")
    assert code("/connections/none", provider_config_key="hubspot") == (404, "not_found")
    assert code("/connections", foo="1") == (400, "invalid_query_params")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_auth_header"),
        ({"authorization": "Bearer nonsense"}, "invalid_secret_key_format"),
        ({"authorization": "Bearer 11111111-1111-4111-8111-111111111111"}, "unknown_account"),
    ],
)
def test_a_bad_key_is_refused_by_its_kind(box: Sandbox, headers: dict[str, str], code: str) -> None:
    reply = httpx2.get(f"{box.nango_url}/connections", headers=headers, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, code)


def test_its_own_limit_answers_429(box: Sandbox, nango: httpx2.Client) -> None:
    box.set_nango(per_minute=2)
    replies = [nango.get("/integrations") for _ in range(3)]
    assert [one.status_code for one in replies] == [200, 200, 429]
    assert replies[-1].headers["retry-after"]
    assert replies[-1].json()["error"]["code"] == "too_many_request"


def test_webhooks_are_signed_over_the_bytes_sent(box: Sandbox) -> None:
    box.set_nango(webhook_url=box.texting_url)
    made = box.nango_connect({"account_id": "é"})
    assert box.send_nango_webhook(box.texting_url, connection_id=made, operation="override") == 202
    created, override = box.texting()
    for one in (created, override):
        wanted = hmac.new(box.nango_signing_key.encode(), one.text.encode(), hashlib.sha256).hexdigest()
        assert one.headers["x-nango-hmac-sha256"] == wanted
    assert json.loads(created.text)["operation"] == "creation"
    assert override.body["connectionId"] == made
    assert override.body["tags"] == {"account_id": "é"}


def test_a_failed_refresh_is_announced(box: Sandbox, nango: httpx2.Client) -> None:
    made = box.nango_connect({})
    box.set_nango(webhook_url=box.texting_url)
    box.nango_revoke(made)
    nango.get(f"/connections/{made}", params={**KEY, "force_refresh": "true"})
    (one,) = box.texting()
    assert one.body["operation"] == "refresh"
    assert one.body["success"] is False
