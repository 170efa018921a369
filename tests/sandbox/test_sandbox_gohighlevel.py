"""The simulated GoHighLevel behaves as its recorded replies and its specification say."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from leadloom.sandbox import Sandbox
from leadloom.sandbox.gohighlevel.staff import LOCATION

VERSION = {"version": "2021-07-28"}


@pytest.fixture(scope="module")
def _server() -> Iterator[Sandbox]:
    with Sandbox("gohighlevel", contacts=350, seed=7) as box:
        yield box


@pytest.fixture
def box(_server: Sandbox) -> Sandbox:
    _server.set_limits("none")
    _server.set_index_lag(0)
    _server.reset()
    return _server


@pytest.fixture
def api(box: Sandbox) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {box.token}", **VERSION}
    with httpx2.Client(base_url=box.url, headers=headers, timeout=10, trust_env=False) as client:
        yield client


def search(api: httpx2.Client, **more: Any) -> httpx2.Response:
    return api.post("/contacts/search", json={"locationId": LOCATION, "pageLimit": 100, **more})


def walk(api: httpx2.Client, **more: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after: dict[str, Any] = {}
    while page := search(api, **more, **after).json()["contacts"]:
        rows += page
        after = {"searchAfter": page[-1]["searchAfter"]}
    return rows


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("field", ["", "dateAdded", "dateUpdated", "email"])
def test_a_walk_in_any_order_sees_everybody_once(api: httpx2.Client, box: Sandbox, field: str, direction: str) -> None:
    sort = [{"field": field, "direction": direction}] if field else []
    box.change(next(box.contacts()).id, city="Austin")
    box.create(firstName="New", email="new@example.com")
    ids = [row["id"] for row in walk(api, sort=sort)]
    assert len(ids) == len(set(ids)) == box.count() == 351


def test_the_cursor_of_a_row_is_its_sort_value_and_its_id(api: httpx2.Client) -> None:
    rows = walk(api)
    assert [row["searchAfter"] for row in rows] == sorted((row["searchAfter"] for row in rows), reverse=True)
    assert all(row["searchAfter"][1] == row["id"] for row in rows)


def test_a_window_of_changes_holds_what_changed_in_it(api: httpx2.Client, box: Sandbox) -> None:
    changed = next(box.contacts()).id
    at = box.change(changed, city="Austin")
    window = {"field": "dateUpdated", "operator": "range", "value": {"gte": at, "lte": at}}
    assert [row["id"] for row in search(api, filters=[window]).json()["contacts"]] == [changed]
    iso = {**window, "value": {"gt": search(api, filters=[window]).json()["contacts"][0]["dateUpdated"]}}
    assert search(api, filters=[iso]).json()["total"] == 0


def test_page_numbers_end_at_ten_thousand_and_do_not_go_with_a_cursor(api: httpx2.Client) -> None:
    assert search(api, page=100).status_code == 200
    assert search(api, page=101).status_code == 400
    assert search(api, page=1, searchAfter=[1, "x"]).status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"pageLimit": 10}, 422),
        ({"locationId": LOCATION}, 422),
        ({"locationId": LOCATION, "pageLimit": 501}, 400),
        ({"locationId": "another", "pageLimit": 10}, 403),
        ({"locationId": LOCATION, "pageLimit": 10, "sort": [{"field": "mood"}]}, 400),
        ({"locationId": LOCATION, "pageLimit": 10, "filters": [{"field": "mood", "operator": "eq"}]}, 400),
    ],
)
def test_a_bad_search_is_refused(api: httpx2.Client, body: dict[str, Any], status: int) -> None:
    reply = api.post("/contacts/search", json=body)
    assert reply.status_code == status
    assert reply.json()["statusCode"] == status
    assert isinstance(reply.json()["message"], list) == (status == 422)


def test_a_request_without_a_version_or_a_good_token_is_refused(box: Sandbox) -> None:
    with httpx2.Client(base_url=box.url, trust_env=False) as client:
        assert client.get("/users/", headers={"authorization": f"Bearer {box.token}"}).status_code == 401
        assert client.get("/users/", headers={**VERSION, "authorization": "Bearer x"}).status_code == 401


def test_the_token_of_an_agency_opens_no_contacts(box: Sandbox) -> None:
    token = httpx2.post(f"{box.url}/_control/tokens/agency", json={}).json()["access_token"]
    with httpx2.Client(base_url=box.url, headers={**VERSION, "authorization": f"Bearer {token}"}) as client:
        assert search(client).status_code == 403


def test_each_refresh_gives_a_new_refresh_token_and_kills_the_old_one(box: Sandbox) -> None:
    form = {"client_id": box.client_id, "client_secret": box.client_secret, "grant_type": "refresh_token"}

    def renew(refresh: str) -> httpx2.Response:
        return httpx2.post(f"{box.url}/oauth/token", data={**form, "refresh_token": refresh}, trust_env=False)

    first = renew(box.refresh_token)
    assert first.json()["locationId"] == LOCATION
    assert renew(box.refresh_token).json()["error"] == "invalid_grant"
    assert renew(first.json()["refresh_token"]).status_code == 200


def test_a_contact_alone_has_another_shape(api: httpx2.Client) -> None:
    row = search(api).json()["contacts"][0]
    alone = api.get(f"/contacts/{row['id']}").json()["contact"]
    assert {"opportunities", "searchAfter", "contactName"} <= set(row)
    assert not {"opportunities", "searchAfter", "contactName"} & set(alone)
    assert None not in alone.values()
    assert row["contactName"] == row["contactName"].lower()


def test_a_deleted_contact_leaves_no_trace_and_comes_back_under_its_id(api: httpx2.Client, box: Sandbox) -> None:
    gone = next(box.contacts()).id
    assert api.delete(f"/contacts/{gone}").json()["succeded"] is True
    assert api.get(f"/contacts/{gone}").status_code == 400
    assert gone not in [row["id"] for row in walk(api)]
    box.restore(gone)
    assert api.get(f"/contacts/{gone}").status_code == 200


def test_a_merge_looks_like_a_deletion_and_a_change(api: httpx2.Client, box: Sandbox) -> None:
    winner = box.create(firstName="Ann", phone="+12127365001", email="ann@example.com")
    loser = box.create(firstName="Anna", phone="+12127365002", email="anna@example.com", companyName="Acme")
    assert box.merge(winner, loser) == winner
    row = next(row for row in walk(api) if row["id"] == winner)
    assert row["companyName"] == "Acme"
    assert row["additionalPhones"] == [{"phone": "+12127365002"}]
    assert row["additionalEmails"] == [{"email": "anna@example.com"}]
    assert api.get(f"/contacts/{loser}").status_code == 400


def test_the_search_shows_a_change_late_and_the_contact_itself_at_once(api: httpx2.Client, box: Sandbox) -> None:
    box.set_index_lag(60)
    changed = next(box.contacts()).id
    box.change(changed, city="Timbuktu")
    assert api.get(f"/contacts/{changed}").json()["contact"]["city"] == "Timbuktu"
    asked = {"filters": [{"field": "city", "operator": "eq", "value": "Timbuktu"}]}
    assert search(api, **asked).json()["total"] == 0
    box.advance(61)
    assert search(api, **asked).json()["total"] == 1


def test_both_allowances_are_told_and_kept(api: httpx2.Client, box: Sandbox) -> None:
    box.set_limits("real")
    replies = [api.get(f"/locations/{LOCATION}") for _ in range(101)]
    assert [reply.status_code for reply in replies] == [200] * 100 + [429]
    told = replies[0].headers
    assert (told["x-ratelimit-max"], told["x-ratelimit-remaining"]) == ("100", "99")
    assert told["x-ratelimit-interval-milliseconds"] == "10000"
    assert int(told["x-ratelimit-daily-remaining"]) < 200_000
    box.advance(10)
    assert api.get(f"/locations/{LOCATION}").status_code == 200


def test_users_of_the_agency_are_known_by_their_id_alone(api: httpx2.Client) -> None:
    listed = {one["id"] for one in api.get("/users/", params={"locationId": LOCATION}).json()["users"]}
    owners = {row["assignedTo"] for row in walk(api)} - {None}
    assert owners - listed
    assert all(api.get(f"/users/{one}").json()["email"] for one in owners)


def test_an_opportunity_that_moves_is_the_latest_and_leaves_its_contact_as_it_was(
    api: httpx2.Client, box: Sandbox
) -> None:
    row = next(row for row in walk(api) if row["opportunities"])
    deal = row["opportunities"][-1]
    pipelines = api.get("/opportunities/pipelines", params={"locationId": LOCATION}).json()["pipelines"]
    stages = [one for pipeline in pipelines for one in pipeline["stages"]]
    stage = next(one["id"] for one in stages if one["id"] != deal["pipelineStageId"])
    box.advance(60)
    assert api.put(f"/opportunities/{deal['id']}", json={"pipelineStageId": stage}).status_code == 200
    asked = {"locationId": LOCATION, "limit": 10, "sort": [{"field": "date_updated", "direction": "desc"}]}
    latest = api.post("/opportunities/search", json=asked).json()["opportunities"][0]
    assert (latest["contactId"], latest["pipelineStageId"]) == (row["id"], stage)
    assert api.get(f"/contacts/{row['id']}").json()["contact"]["dateUpdated"] == row["dateUpdated"]
    of_contact = {"location_id": LOCATION, "contact_id": row["id"]}
    found = api.get("/opportunities/search", params=of_contact).json()["opportunities"]
    assert stage in [one["pipelineStageId"] for one in found]
