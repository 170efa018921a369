"""Each customer of a CRM may live on a host of their own: which one, who may say so, and what is remembered of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from tests.connections.conftest import post

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections import services, vault
from leadloom.connections.models import Connection
from leadloom.connections.nango import ACCOUNT_TAG
from leadloom.connections.probe import told_by
from leadloom.contact import JSON
from leadloom.errors import BadRequest
from leadloom.providers.base import Asked, Provider, TokenHelp
from leadloom.providers.catalogue import all_providers
from leadloom.providers.crms.hubspot import HubSpot
from leadloom.sandbox import Sandbox
from leadloom.sync.hosts import base_url_of, host_of


@dataclass(frozen=True, slots=True)
class Scattered(HubSpot):
    """A CRM whose customers live on hosts of their own."""

    told_by_sign_in = ("instance",)
    token_help = TokenHelp(
        label="Key",
        placeholder="",
        where="",
        asks=(Asked(name="instance", label="Instance", placeholder="acme", where="It is in the address bar."),),
    )

    def host(self, facts: Mapping[str, JSON]) -> str:
        instance = facts.get("instance")
        if not instance:
            return self.base_url
        if not str(instance).isalnum():
            raise ValueError("an instance is letters and digits")
        return f"https://{instance}.example.com"


@pytest.fixture
def scattered(monkeypatch: pytest.MonkeyPatch) -> Scattered:
    crm = Scattered()
    for module in (services, vault):
        monkeypatch.setattr(module, "provider_of", lambda slug: crm)
    monkeypatch.setattr(services, "all_providers", lambda: [crm])
    return crm


def the_connection(member: Member) -> Connection:
    with account_scope(member.account_id):
        return Connection.objects.get()


def test_requests_go_to_the_host_that_the_account_s_facts_name(monkeypatch: pytest.MonkeyPatch) -> None:
    crm, there = Scattered(), Connection(facts={"instance": "acme"})
    assert base_url_of(there, crm) == "https://acme.example.com"
    assert base_url_of(Connection(), crm) == crm.base_url
    monkeypatch.setenv("CRM_HUBSPOT_BASE_URL", "https://proxy.example.net")
    assert base_url_of(there, crm) == "https://proxy.example.net"
    there.base_url = "http://127.0.0.1:1"
    assert base_url_of(there, crm) == "http://127.0.0.1:1"


@pytest.mark.parametrize("instance", ["evil.com/", "127.0.0.1", "acme@evil", "acme#"])
def test_a_host_that_is_not_the_vendor_s_is_refused(instance: str) -> None:
    with pytest.raises(BadRequest, match="letters and digits"):
        host_of(Scattered(), {"instance": instance})


def test_of_what_nango_tells_only_what_the_provider_names_is_kept() -> None:
    config: dict[str, Any] = {"instance": "acme", "oauth_client_secret": "s3cret", "portalId": 1}
    assert told_by(Scattered(), config) == {"instance": "acme"}
    assert told_by(Scattered(), {"instance": ["acme"]}) == {}


def test_what_a_customer_types_beside_the_token_is_asked_for_and_remembered(
    api: Client, alice: Member, box: Sandbox, scattered: Scattered
) -> None:
    asked: dict[str, Any] = {"provider": "hubspot", "credentials": {"method": "token", "token": box.token}}
    answer = post(api, "crm/connect", asked)
    assert answer.status_code == 400
    assert "Instance" in answer.json()["error"]["message"]
    asked["credentials"]["typed"] = {"instance": " acme ", "else": "x"}
    assert post(api, "crm/connect", asked).status_code == 200
    facts = the_connection(alice).facts
    assert facts["instance"] == "acme"
    assert facts["uiDomain"], "and what the CRM said of the account"
    assert "else" not in facts


def test_an_account_that_moved_is_found_where_it_is_now(
    api: Client, alice: Member, box: Sandbox, scattered: Scattered, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants = box.nango_connect(tags={ACCOUNT_TAG: str(alice.account_id)})
    told: dict[str, Any] = {"instance": "acme"}
    for module in (services, vault):
        monkeypatch.setattr(module, "told_by", lambda crm, config: dict(told))
    assert post(api, "crm/connect", {"connectionId": grants, "providerConfigKey": "hubspot"}).status_code == 200
    kept = the_connection(alice)
    assert kept.facts["instance"] == "acme"
    told["instance"] = "acme2"
    with account_scope(alice.account_id):
        vault.forget(kept)
    vault.access_token(kept)
    assert kept.facts["instance"] == the_connection(alice).facts["instance"] == "acme2"


class Careless(HubSpot):
    """A CRM whose check of hosts has a hole."""

    def host(self, facts: Mapping[str, JSON]) -> str:
        return str(facts["instance"])


INNER_ADDRESSES = (
    "https://127.0.0.1", "https://169.254.169.254", "https://10.0.0.1:8080", "https://[::1]", "https://2130706433",
    "https://0x7f.1", "https://localhost", "https://db", "https://metadata.google.internal", "https://nas.local",
    "https://api.hubapi.com@127.0.0.1", "https://127.0.0.1/.hubapi.com", "https://api.hubapi.com:6379",
    "https://127.0.0.1#.hubapi.com", "https://127.0.0.1?.hubapi.com", "https://127.0.0.1\\.hubapi.com",
    "http://api.hubapi.com", "file:///etc/passwd", "gopher://api.hubapi.com", "//api.hubapi.com", "",
    "https://api.hubapi.com\n", "https://api.hubapi.com/a b", "https://.hubapi.com", "https://127.0.0.1.",
)  # fmt: skip


@pytest.mark.parametrize("address", INNER_ADDRESSES)
def test_no_base_url_leads_inward_even_where_a_crm_checks_badly(address: str) -> None:
    with pytest.raises(BadRequest):
        host_of(Careless(), {"instance": address})


HOSTILE = (
    *INNER_ADDRESSES, "evil.example", "https://evil.example", "evil.example/", "evil.example#", "evil.example?",
    "x@evil.example", "evil.example\\", "evil.example/.", "127.0.0.1", "localhost", "a.b", "..", "com.evil.example",
    "acme.evil.example/#", "{own}.evil.example", "https://{own}.evil.example", "{own}@evil.example",
    "evil.example/{own}", "evil.example#{own}", "evil.example?{own}", "https://evil.example/{own}",
    "https://evil.example/.{own}", "https://evil{own}", "evil{own}",
)  # fmt: skip


@pytest.mark.parametrize("crm", all_providers(), ids=lambda crm: crm.slug)
def test_whatever_a_customer_types_the_host_is_the_vendors_own(crm: Provider) -> None:
    """Through every word that a sign-in, a form or a token's reply can tell."""
    own = urlsplit(crm.base_url).hostname or ""
    names = {*crm.told_by_sign_in, *(one.name for one in (crm.token_help.asks if crm.token_help else ()))}
    for name in sorted(names):
        for typed in HOSTILE:
            try:
                address = host_of(crm, {name: typed.replace("{own}", own)})
            except BadRequest:
                continue
            host = urlsplit(address).hostname or ""
            assert host.split(".")[-2] == own.split(".")[-2], f"{name}={typed!r} leads to {address}"
            assert "evil" not in host.split(".")[-2:], f"{name}={typed!r} leads to {address}"
