"""Tokens: who may ask what, for how long, and how a dead grant says so."""

import httpx2
import pytest

from leadloom.sandbox import Sandbox

LIST = "/crm/v3/objects/contacts"


def ask(box: Sandbox, token: str, path: str = LIST) -> httpx2.Response:
    return httpx2.get(f"{box.url}{path}", headers={"authorization": f"Bearer {token}"}, trust_env=False)


def exchange(box: Sandbox, path: str = "/oauth/2026-09/token", **form: str) -> httpx2.Response:
    client = {"client_id": box.client_id, "client_secret": box.client_secret}
    return httpx2.post(f"{box.url}{path}", data={**client, **form}, trust_env=False)


def renew(box: Sandbox, path: str = "/oauth/2026-09/token") -> httpx2.Response:
    return exchange(box, path, grant_type="refresh_token", refresh_token=box.refresh_token)


def test_an_unknown_token_is_401(box: Sandbox) -> None:
    reply = ask(box, "nobody")
    assert reply.status_code == 401
    assert reply.json()["category"] == "INVALID_AUTHENTICATION"
    assert "x-hubspot-auth-failure" in reply.headers


def test_an_expired_token_says_when(box: Sandbox) -> None:
    box.expire_token()
    reply = ask(box, box.token)
    assert reply.status_code == 401
    assert reply.json()["category"] == "EXPIRED_AUTHENTICATION"
    assert reply.json()["context"]["expire time"]


def test_a_token_can_expire_in_the_middle_of_a_run(box: Sandbox) -> None:
    box.expire_token(after_requests=3)
    assert [ask(box, box.token).status_code for _ in range(5)] == [200, 200, 200, 401, 401]


def test_a_missing_scope_is_named(box: Sandbox) -> None:
    box.set_scopes(["oauth", "crm.objects.contacts.read"])
    reply = ask(box, box.token, "/crm/v3/owners")
    assert reply.status_code == 403
    assert reply.json()["category"] == "MISSING_SCOPES"
    assert reply.json()["context"]["requiredGranularScopes"] == ["crm.objects.owners.read"]
    assert ask(box, box.token).status_code == 200


@pytest.mark.parametrize("version", ["2026-09", "2026-03", "v3", "v1"])
def test_a_refresh_gives_a_long_token_for_half_an_hour(box: Sandbox, version: str) -> None:
    body = renew(box, f"/oauth/{version}/token").json()
    assert body["expires_in"] == 1800
    assert len(body["access_token"]) == 588
    assert ("hub_id" in body) == (version != "v1")
    assert ask(box, body["access_token"]).status_code == 200
    box.advance(1801)
    assert ask(box, body["access_token"]).json()["category"] == "EXPIRED_AUTHENTICATION"


def test_a_code_is_good_once(box: Sandbox) -> None:
    code = box.new_code()
    first = exchange(box, grant_type="authorization_code", code=code, redirect_uri="http://localhost/")
    again = exchange(box, grant_type="authorization_code", code=code, redirect_uri="http://localhost/")
    assert ask(box, first.json()["access_token"]).status_code == 200
    assert (again.status_code, again.json()["status"]) == (400, "BAD_AUTH_CODE")


def test_the_consent_page_agrees_at_once_and_gives_the_state_back(box: Sandbox) -> None:
    query = {"client_id": box.client_id, "redirect_uri": "http://localhost/back", "state": "s1", "scope": "oauth"}
    reply = httpx2.get(f"{box.url}/oauth/authorize", params=query, trust_env=False)
    assert reply.status_code == 302
    location = httpx2.URL(reply.headers["location"])
    assert location.params["state"] == "s1"
    assert exchange(box, grant_type="authorization_code", code=location.params["code"]).status_code == 200


def test_a_revoked_grant_is_a_bad_refresh_token_but_its_access_token_lives_on(box: Sandbox) -> None:
    access = renew(box).json()["access_token"]
    revoked = exchange(box, "/oauth/2026-09/token/revoke", token=box.refresh_token, token_type_hint="refresh_token")
    assert revoked.status_code == 200
    assert renew(box).json()["status"] == "BAD_REFRESH_TOKEN"
    assert renew(box).json()["error"] == "invalid_grant"
    assert ask(box, access).status_code == 200


def test_an_uninstalled_app_is_a_bad_hub(box: Sandbox) -> None:
    access = renew(box).json()["access_token"]
    box.uninstall()
    assert renew(box).json()["status"] == "BAD_HUB"
    assert ask(box, access).status_code == 401


def test_a_wrong_client_is_the_apps_fault(box: Sandbox) -> None:
    reply = exchange(box, grant_type="refresh_token", refresh_token=box.refresh_token, client_secret="wrong")
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client")


def test_introspection_tells_the_portal_and_the_seconds_left(box: Sandbox) -> None:
    access = renew(box).json()["access_token"]
    told = exchange(box, "/oauth/2026-09/token/introspect", token=access).json()
    assert told["active"]
    assert told["hub_id"] == 24681357
    assert 0 < told["expires_in"] <= 1800
    legacy = httpx2.get(f"{box.url}/oauth/v1/access-tokens/{access}", trust_env=False).json()
    assert legacy["hub_id"] == 24681357


def test_a_revoked_access_token_is_unknown(box: Sandbox) -> None:
    access, _ = box.new_token(scopes=["crm.objects.contacts.read"])
    assert ask(box, access).status_code == 200
    box.revoke_token(access)
    assert ask(box, access).json()["category"] == "INVALID_AUTHENTICATION"
