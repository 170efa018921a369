"""A company with Pipedrive: with an API token or signed in, over the JSON API, against the simulated CRM over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from tests.connections.conftest import post

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, State
from leadloom.connections.nango import ACCOUNT_TAG
from leadloom.providers.crms.pipedrive import provider
from leadloom.sandbox import Sandbox


@pytest.fixture
def box(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox("pipedrive", contacts=120, seed=7) as sandbox:
        monkeypatch.setenv("CRM_PIPEDRIVE_BASE_URL", sandbox.url)
        settings.NANGO_HOST = sandbox.nango_url
        settings.NANGO_SECRET_KEY = sandbox.nango_key
        yield sandbox


def refresh(api: Client) -> dict[str, Any]:
    answer = post(api, "crm/sync", {"wait": 120})
    assert answer.status_code == 200, answer.content
    results: dict[str, Any] = answer.json()["results"]
    return results


def the_connection(member: Member) -> Connection:
    with account_scope(member.account_id):
        return Connection.objects.get()


def test_an_api_token_is_enough_and_tells_the_companys_domain(api: Client, alice: Member, box: Sandbox) -> None:
    credentials = {"method": "token", "token": box.token}
    answer = post(api, "crm/connect", {"provider": "pipedrive", "credentials": credentials})
    assert answer.json()["success"] is True, answer.content
    assert refresh(api)["total"] == 120
    kept = the_connection(alice)
    assert (kept.external_account_id, kept.external_account_name) == ("13579246", "Sandbox Sales")
    assert provider.host(kept.facts) == "https://sandbox-sales.pipedrive.com"


def test_signing_in_through_nango_tells_the_companys_domain_and_outlives_the_hour_of_a_token(
    api: Client, alice: Member, box: Sandbox
) -> None:
    nango_id = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    answer = post(api, "crm/connect", {"connectionId": nango_id, "providerConfigKey": "pipedrive"})
    assert answer.status_code == 200, answer.content
    assert refresh(api)["total"] == 120
    kept = the_connection(alice)
    assert kept.facts["api_domain"] == "https://sandbox-sales.pipedrive.com"
    new = box.create(name="New", mobile="+12127365055")
    box.nango_expire(nango_id)
    assert refresh(api)["created"] == 1
    assert the_connection(alice).state == State.LIVE
    threads = api.get("/api/threads", {"limit": 100}).json()["threads"]
    assert new in {one["crmUrl"].rsplit("/", 1)[-1] for one in threads}
