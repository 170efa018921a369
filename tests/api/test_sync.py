"""Asking for runs over the JSON API, without a worker: the request then does the work itself."""

from django.test import Client
from tests.connections.conftest import post

from leadloom.accounts.models import Member
from leadloom.sandbox import Sandbox


def connected(api: Client, box: Sandbox) -> dict[str, object]:
    answer = post(api, "crm/connect", {"provider": "hubspot", "credentials": {"method": "token", "token": box.token}})
    assert answer.status_code == 200, answer.content
    body: dict[str, object] = answer.json()
    return body


def test_connecting_answers_before_any_contact_is_read(api: Client, box: Sandbox) -> None:
    body = connected(api, box)
    assert body["success"] is True
    assert body["provider"] == "hubspot"
    assert "HubSpot" in str(body["message"])
    assert not any("contacts" in path for path in box.stats().paths)
    run = api.get(f"/api/runs/{body['runId']}").json()["run"]
    assert (run["state"], run["seen"], run["isFirst"]) == ("queued", 0, True)


def test_a_sync_that_ends_in_time_answers_with_its_results(api: Client, box: Sandbox) -> None:
    connected(api, box)
    answer = post(api, "crm/sync", {"wait": 60})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["state"] == "done"
    results = body["results"]
    assert results["total"] == box.count()
    assert results["total"] == sum(
        results[name] for name in ("created", "updated", "unchanged", "linked", "skipped", "failed")
    )
    assert sum(error["count"] for error in results["errors"]) == results["skipped"] + results["failed"]


def test_a_sync_that_is_not_waited_for_is_accepted(api: Client, box: Sandbox) -> None:
    first = connected(api, box)
    answer = post(api, "crm/sync", {})
    assert answer.status_code == 202
    assert answer.json()["runId"] == first["runId"]  # joined
    assert answer.json()["joined"] is True
    assert answer.json()["results"] is None


def test_a_preview_counts_and_changes_nothing(api: Client, box: Sandbox) -> None:
    connected(api, box)
    refused = post(api, "crm/preview", {"wait": 60})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "run_under_way")
    post(api, "crm/sync", {"wait": 60})
    box.create(firstname="Zoe", lastname="New", phone="+1 212 555 0199")
    told = post(api, "crm/preview", {"wait": 60}).json()
    assert told["results"]["created"] == 1
    assert told["sample"]["created"][0]["name"] == "Zoe New"
    assert api.get("/api/threads?search=Zoe New").json()["threads"] == []


def test_threads_are_paged_to_the_end_without_gaps(api: Client, box: Sandbox) -> None:
    connected(api, box)
    created = post(api, "crm/sync", {"wait": 60}).json()["results"]["created"]
    met: list[int] = []
    after = ""
    while True:
        page = api.get(f"/api/threads?limit=7&after={after}").json()
        met += [thread["leadId"] for thread in page["threads"]]
        if not (after := page["next"]):
            break
    assert len(met) == len(set(met)) == created


def test_status_tells_what_is_connected(api: Client, alice: Member, box: Sandbox) -> None:
    assert api.get("/api/crm/status").json() == {
        "success": True, "connected": False, "provider": None, "connectionId": None, "state": None, "reason": None,
        "lastSyncedAt": None, "nextSyncAt": None, "connections": [],
    }  # fmt: skip
    body = connected(api, box)
    post(api, "crm/sync", {"wait": 60})
    status = api.get("/api/crm/status").json()
    assert (status["connected"], status["state"], status["connectionId"]) == (True, "live", body["connectionId"])
    assert status["lastSyncedAt"]
    assert status["nextSyncAt"]
    assert len(status["connections"]) == 1
    assert "credential" not in str(status).lower()


def test_after_a_disconnect_the_leads_are_still_there(api: Client, box: Sandbox) -> None:
    connected(api, box)
    post(api, "crm/sync", {"wait": 60})
    before = len(api.get("/api/threads?limit=200").json()["threads"])
    answer = post(api, "crm/disconnect", {})
    assert answer.status_code == 200
    assert api.get("/api/crm/status").json()["connected"] is False
    assert len(api.get("/api/threads?limit=200").json()["threads"]) == before
    again = post(api, "crm/disconnect", {"connectionId": answer.json()["connectionId"]})
    assert again.status_code == 200
    assert post(api, "crm/sync", {}).json()["error"]["code"] == "not_connected"
