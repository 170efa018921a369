"""A team signs in to Salesforce through Nango: its people become leads that link to its own org.

Everything as a customer's program does it, over the JSON API, against the simulated CRM over HTTP.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from tests.connections.conftest import post

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection
from leadloom.connections.nango import ACCOUNT_TAG
from leadloom.leads.models import Lead
from leadloom.providers.catalogue import provider
from leadloom.sandbox import Sandbox
from leadloom.sync.hosts import base_url_of


@pytest.fixture
def box(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox("salesforce", contacts=60, seed=7) as sandbox:
        monkeypatch.setenv("CRM_SALESFORCE_BASE_URL", sandbox.url)
        settings.NANGO_HOST = sandbox.nango_url
        settings.NANGO_SECRET_KEY = sandbox.nango_key
        yield sandbox


def test_its_people_are_leads_that_link_to_its_own_org(
    api: Client, alice: Member, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    assert post(api, "crm/connect", {"connectionId": grant, "providerConfigKey": "salesforce"}).status_code == 200
    answer = post(api, "crm/sync", {"wait": 60})
    assert answer.status_code == 200, answer.content
    results: dict[str, Any] = answer.json()["results"]
    assert (results["total"], results["failed"]) == (60, 0)
    with account_scope(alice.account_id):
        connection = Connection.objects.get()
        lead = Lead.objects.exclude(crm_url="").first()
    assert lead is not None
    monkeypatch.delenv("CRM_SALESFORCE_BASE_URL")
    home = base_url_of(connection, provider("salesforce"))
    assert home == connection.facts["instance_url"]
    assert lead.crm_url == f"{home}/{lead.crm_id}"
