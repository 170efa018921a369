"""Signing in through Nango, simulated over HTTP: whose grant it is, its token's life, its webhook."""

import hashlib
import hmac
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from tests.connections.conftest import post
from tests.factories import make_connection

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections import vault
from leadloom.connections.grants import REFUSALS_BEFORE_DEAD, keep_grant, read_grant
from leadloom.connections.models import Connection, Method, Run, State
from leadloom.connections.nango import ACCOUNT_TAG
from leadloom.errors import NeedsReconnect, TryLater
from leadloom.sandbox import Sandbox


def signed_in(box: Sandbox, member: Member) -> str:
    return box.nango_connect(tags={ACCOUNT_TAG: str(member.account_id)})


def connect(api: Client, nango_id: str) -> Any:
    return post(api, "crm/connect", {"connectionId": nango_id, "providerConfigKey": "hubspot"})


def _keep_asking(connection: Connection) -> None:
    for _ in range(REFUSALS_BEFORE_DEAD):
        with suppress(TryLater):
            vault.access_token(connection, force=True)


def the_connection(member: Member) -> Connection:
    with account_scope(member.account_id):
        return Connection.objects.get()


def test_a_session_opens_the_dialog(api: Client, box: Sandbox) -> None:
    answer = post(api, "crm/session-token", {"provider": "hubspot"})
    assert answer.status_code == 200, answer.content
    assert answer.json()["token"].startswith("nango_connect_session_")
    assert answer.json()["expiresAt"]
    assert box.nango_key not in answer.content.decode()


def test_a_grant_of_this_account_connects(api: Client, alice: Member, box: Sandbox) -> None:
    answer = connect(api, signed_in(box, alice))
    assert answer.status_code == 200, answer.content
    kept = the_connection(alice)
    assert (kept.method, kept.sealed_credentials) == (Method.NANGO, None)
    assert post(api, "crm/sync", {"wait": 60}).json()["results"]["total"] == box.count()


def test_a_grant_of_another_account_is_refused(api: Client, alice: Member, charlie: Member, box: Sandbox) -> None:
    answer = connect(api, signed_in(box, charlie))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_allowed")
    with account_scope(alice.account_id):
        assert not Connection.objects.exists()


def test_a_grant_without_a_tag_or_unknown_is_refused(api: Client, alice: Member, box: Sandbox) -> None:
    assert connect(api, box.nango_connect(tags={})).status_code == 403
    assert connect(api, "../../integrations").status_code in (400, 409)
    assert connect(api, "00000000-0000-0000-0000-000000000000").status_code in (400, 409)


def test_a_token_is_asked_for_once(api: Client, alice: Member, box: Sandbox) -> None:
    nango_id = signed_in(box, alice)
    connect(api, nango_id)
    kept = the_connection(alice)
    vault.forget(kept)
    first = vault.access_token(kept)
    box.nango_revoke(nango_id)
    box.nango_expire(nango_id)  # from here on Nango has no answer to give
    assert {vault.access_token(kept) for _ in range(5)} == {first}


def test_a_token_that_ran_out_is_renewed_without_anyone_noticing(api: Client, alice: Member, box: Sandbox) -> None:
    nango_id = signed_in(box, alice)
    connect(api, nango_id)
    kept = the_connection(alice)
    vault.access_token(kept)
    box.nango_expire(nango_id)
    body = post(api, "crm/sync", {"wait": 60}).json()
    assert (body["state"], body["results"]["total"]) == ("done", box.count())


def test_a_refused_renewal_is_tried_later_and_only_a_lasting_one_asks_the_customer(
    api: Client, alice: Member, box: Sandbox
) -> None:
    nango_id = signed_in(box, alice)
    connect(api, nango_id)
    kept = the_connection(alice)
    box.nango_revoke(nango_id)
    box.nango_expire(nango_id)
    with pytest.raises(TryLater):
        vault.access_token(kept, force=True)
    with account_scope(alice.account_id):
        keep_grant(kept, replace(read_grant(kept), since=0))  # it has lasted for ages
    with pytest.raises(NeedsReconnect):
        _keep_asking(kept)


def test_a_passing_failure_of_nango_heals(api: Client, alice: Member, box: Sandbox) -> None:
    nango_id = signed_in(box, alice)
    connect(api, nango_id)
    kept = the_connection(alice)
    box.nango_expire(nango_id)
    box.set_nango(failing_refreshes=1)
    with pytest.raises(TryLater):
        vault.access_token(kept, force=True)
    assert vault.access_token(kept, force=True)


def test_disconnecting_ends_the_grant_at_nango(api: Client, alice: Member, box: Sandbox) -> None:
    nango_id = signed_in(box, alice)
    connect(api, nango_id)
    assert post(api, "crm/disconnect", {}).status_code == 200
    assert connect(api, nango_id).status_code == 409  # nobody knows it any more


def test_without_nango_the_dialog_says_so(api: Client, settings: Settings, committed: None) -> None:
    settings.NANGO_SECRET_KEY = ""
    answer = post(api, "crm/session-token", {"provider": "hubspot"})
    assert answer.status_code == 400
    assert "Nango" in answer.json()["error"]["message"]


def webhook(client: Client, settings: Settings, event: object, *, signature: str | None = None) -> Any:
    body = json.dumps(event).encode()
    good = hmac.new(settings.NANGO_WEBHOOK_KEY.encode(), body, hashlib.sha256).hexdigest()
    return client.post(
        "/api/webhooks/nango",
        body,
        content_type="application/json",
        headers={"X-Nango-Hmac-Sha256": good if signature is None else signature},
    )


def refused(nango_id: str) -> dict[str, object]:
    return {"type": "auth", "operation": "refresh", "success": False, "connectionId": nango_id}


@pytest.fixture
def quiet(alice: Member, settings: Settings) -> Connection:
    """A connection through Nango with nothing under way."""
    settings.NANGO_WEBHOOK_KEY = "a-signing-key"
    return make_connection(alice.account, method=Method.NANGO, nango_connection_id="n-1", provider_config_key="hubspot")


def test_a_refused_renewal_makes_us_look(client: Client, settings: Settings, quiet: Connection) -> None:
    answer = webhook(client, settings, refused("n-1"))
    assert (answer.status_code, answer.json()["runs"]) == (200, 1)
    with account_scope(quiet.account_id):
        assert Run.objects.get().trigger == "webhook"


@pytest.mark.parametrize(
    ("event", "note"),
    [
        (refused("n-2"), "a connection we do not know"),
        ({"type": "auth", "operation": "creation", "success": True, "connectionId": "n-1"}, "the browser tells us"),
        ({"type": "sync", "connectionId": "n-1"}, "not about signing in"),
        ({"type": "auth", "operation": "refresh", "success": False, "connectionId": 5}, "not an id"),
        (refused("n-1\0"), "not storable"),
        ([], "not an event"),
        (None, "nothing"),
    ],
)
def test_other_events_are_taken_and_change_nothing(
    client: Client, settings: Settings, quiet: Connection, event: object, note: str
) -> None:
    answer = webhook(client, settings, event)
    assert (answer.status_code, answer.json()["runs"]) == (200, 0), note
    with account_scope(quiet.account_id):
        assert not Run.objects.exists()


@pytest.mark.parametrize("signature", ["", "0" * 64, "ключ", "é"])
def test_an_event_that_nango_did_not_sign_is_refused(
    client: Client, settings: Settings, quiet: Connection, signature: str
) -> None:
    answer = webhook(client, settings, refused("n-1"), signature=signature)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad_signature")
    with account_scope(quiet.account_id):
        assert not Run.objects.exists()


def test_without_a_signing_key_every_event_is_refused(client: Client, settings: Settings, quiet: Connection) -> None:
    settings.NANGO_WEBHOOK_KEY = ""
    assert webhook(client, settings, refused("n-1")).status_code == 401


def test_a_paused_connection_stays_paused(client: Client, settings: Settings, quiet: Connection) -> None:
    with account_scope(quiet.account_id):
        Connection.objects.update(state=State.PAUSED)
    assert webhook(client, settings, refused("n-1")).json()["runs"] == 0
