"""The simulated Pipedrive behaves as its vendor documents."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from leadloom.sandbox import Sandbox
from leadloom.sandbox.pipedrive.limits import PATIENCE
from leadloom.sandbox.pipedrive.staff import BUDGET, DO_NOT_TEXT, USERS

PERSONS, DEALS, RECENTS = "/api/v2/persons", "/api/v2/deals", "/v1/recents"
DAY_S = 86_400


@pytest.fixture(scope="module")
def _server() -> Iterator[Sandbox]:
    with Sandbox("pipedrive", contacts=700, seed=7) as box:
        yield box


@pytest.fixture
def box(_server: Sandbox) -> Sandbox:
    _server.set_limits("none")
    _server.reset()
    return _server


@pytest.fixture
def api(box: Sandbox) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=box.url, headers={"x-api-token": box.token}, timeout=30, trust_env=False) as client:
        yield client


def control(box: Sandbox, path: str, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = httpx2.post(f"{box.url}/_control/{path}", json=body).raise_for_status().json()
    return told


def walk(api: httpx2.Client, path: str, **asked: str | int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        body = api.get(path, params={"limit": 150, **asked, **cursor}).raise_for_status().json()
        rows += body["data"]
        if body["additional_data"]["next_cursor"] is None:
            return rows
        cursor = {"cursor": body["additional_data"]["next_cursor"]}


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def some(box: Sandbox, count: int) -> list[int]:
    return [int(one.id) for _, one in zip(range(count), box.contacts(), strict=False)]


def one(api: httpx2.Client, own_id: int) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{PERSONS}/{own_id}").raise_for_status().json()["data"]
    return found


def second(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def refusal(reply: httpx2.Response) -> tuple[int, str]:
    body = reply.json()
    assert body["success"] is False
    return reply.status_code, body.get("code") or body["error"]


# -- lists


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["id", "add_time", "update_time"])
def test_cursors_lead_to_everybody_once_in_any_order(
    api: httpx2.Client, box: Sandbox, sort: str, direction: str
) -> None:
    box.change(str(some(box, 1)[0]), phone="+1 212 736 5000")
    box.create(name="New Person")
    rows = walk(api, PERSONS, sort_by=sort, sort_direction=direction)
    assert len(set(ids(rows))) == len(rows) == box.count() == 701
    keys = [(row[sort], row["id"]) for row in rows]
    assert keys == sorted(keys, reverse=direction == "desc")


@pytest.mark.parametrize("sort", ["id", "add_time", "update_time"])
def test_changes_are_from_a_second_to_before_another(api: httpx2.Client, box: Sandbox, sort: str) -> None:
    start = (box.now_ms() // 1000 + 100) * 1000
    own_ids = some(box, 4)
    for own_id, at_ms in zip(own_ids, (start - 1, start, start + 999, start + 1000), strict=True):
        box.change(str(own_id), at_ms=at_ms, phone="+1 212 736 5000")
    window = {"updated_since": second(start), "updated_until": second(start + 1000)}
    assert sorted(ids(walk(api, PERSONS, sort_by=sort, limit=1, **window))) == own_ids[1:3]


def test_whoever_changes_during_a_walk_by_change_is_told_again_and_nobody_is_lost(
    api: httpx2.Client, box: Sandbox
) -> None:
    asked: dict[str, str | int] = {"sort_by": "update_time", "sort_direction": "asc", "limit": 300}
    first = api.get(PERSONS, params=asked).json()
    early, late = first["data"][0]["id"], walk(api, PERSONS, **asked)[-1]["id"]
    for own_id in (early, late):
        box.change(str(own_id), phone="+1 212 736 5000")
    rest = walk(api, PERSONS, **asked, cursor=first["additional_data"]["next_cursor"])
    assert set(ids(rest)[-2:]) == {early, late}
    assert len({*ids(first["data"]), *ids(rest)}) == 700


def test_a_cursor_is_for_one_question_whatever_the_size_of_the_page(api: httpx2.Client) -> None:
    asked = {"sort_by": "id", "limit": 10}
    cursor = api.get(PERSONS, params=asked).json()["additional_data"]["next_cursor"]
    assert len(api.get(PERSONS, params={"sort_by": "id", "cursor": cursor, "limit": 20}).json()["data"]) == 20
    other = api.get(PERSONS, params={"sort_by": "add_time", "cursor": cursor})
    assert refusal(other) == (400, "ERR_SCHEMA_VALIDATION_FAILED")
    assert refusal(api.get(PERSONS, params={**asked, "cursor": "nonsense"}))[0] == 400


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "501"},
        {"limit": "0"},
        {"sort_by": "name"},
        {"sort_direction": "up"},
        {"updated_since": "2026-01-01T00:00:00.000Z"},  # a fraction of a second
        {"updated_since": "2026-01-01 00:00:00"},
        {"updated_until": "2026-01-01"},
        {"ids": ",".join(str(n) for n in range(101))},
        {"ids": "some"},
        {"include_fields": "shoe_size"},
        {"custom_fields": ",".join(f"{n:040x}" for n in range(16))},
        {"owner_id": "Ada"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(api: httpx2.Client, asked: dict[str, str]) -> None:
    assert refusal(api.get(PERSONS, params=asked)) == (400, "ERR_SCHEMA_VALIDATION_FAILED")


def test_unknown_ids_are_dropped_without_a_word(api: httpx2.Client, box: Sandbox) -> None:
    own_ids = some(box, 3)
    assert ids(api.get(PERSONS, params={"ids": f"{own_ids[2]},1,{own_ids[0]}"}).json()["data"]) == [
        own_ids[0],
        own_ids[2],
    ]


def test_persons_are_found_by_owner_and_organization(api: httpx2.Client, box: Sandbox) -> None:
    everybody = walk(api, PERSONS)
    org = next(row["org_id"] for row in everybody if row["org_id"])
    for name, value in (("owner_id", USERS[1].id), ("org_id", org)):
        assert ids(walk(api, PERSONS, **{name: value})) == [row["id"] for row in everybody if row[name] == value]


# -- a person


def test_fields_of_customers_are_told_by_code_and_by_option(api: httpx2.Client, box: Sandbox) -> None:
    own_id = box.create(name="Jane Smith", **{DO_NOT_TEXT: "41", BUDGET: '{"value": 12.5, "currency": "EUR"}'})
    fields = one(api, int(own_id))["custom_fields"]
    assert (fields[DO_NOT_TEXT], fields[BUDGET]) == (41, {"value": 12.5, "currency": "EUR"})
    asked = {"ids": own_id, "custom_fields": DO_NOT_TEXT, "include_option_labels": "true"}
    [row] = api.get(PERSONS, params=asked).json()["data"]
    assert row["custom_fields"] == {DO_NOT_TEXT: {"id": 41, "label": "Yes"}}


def test_what_a_company_does_not_use_is_not_told(api: httpx2.Client, box: Sandbox) -> None:
    asked = {"limit": 1, "include_fields": "marketing_status,last_outgoing_mail_time"}
    [row] = api.get(PERSONS, params=asked).json()["data"]
    assert {"marketing_status", "last_outgoing_mail_time", "postal_address", "job_title"} < set(row)
    control(box, "settings", campaigns=False, contact_sync=False)
    [row] = api.get(PERSONS, params=asked).json()["data"]
    assert not {"marketing_status", "postal_address", "job_title"} & set(row)
    fields = {field["field_code"] for field in api.get("/api/v2/personFields").json()["data"]}
    assert "marketing_status" not in fields


def test_lists_are_replaced_whole_and_customers_fields_one_by_one(api: httpx2.Client, box: Sandbox) -> None:
    own_id = box.create(name="Jane Smith", phone="+1 212 736 5000", **{DO_NOT_TEXT: "41"})
    body = {"phones": [{"value": "+1 212 736 5001"}], "custom_fields": {BUDGET: {"value": 1, "currency": "USD"}}}
    told = api.patch(f"{PERSONS}/{own_id}", json=body).raise_for_status().json()["data"]
    assert told["phones"] == [{"value": "+1 212 736 5001"}]
    assert (told["custom_fields"][DO_NOT_TEXT], told["custom_fields"][BUDGET]["value"]) == (41, 1)
    assert refusal(api.patch(f"{PERSONS}/{own_id}", json={"shoe_size": 1}))[0] == 400
    assert refusal(api.post(PERSONS, json={"phones": []}))[0] == 400


# -- gone


def test_a_deleted_person_leaves_the_lists_and_is_told_alone_for_thirty_days(api: httpx2.Client, box: Sandbox) -> None:
    own_id = some(box, 1)[0]
    assert api.delete(f"{PERSONS}/{own_id}").json() == {"success": True, "data": {"id": own_id}}
    again = api.delete(f"{PERSONS}/{own_id}")
    assert (again.status_code, again.json()["success"]) == (410, True)
    assert own_id not in ids(walk(api, PERSONS))
    assert api.get(PERSONS, params={"ids": own_id}).json()["data"] == []
    assert one(api, own_id)["is_deleted"] is True
    box.advance(30 * DAY_S)
    assert refusal(api.get(f"{PERSONS}/{own_id}"))[0] == 404
    assert refusal(api.delete(f"{PERSONS}/{own_id}"))[0] == 404


def test_a_deleted_person_can_come_back_with_the_same_id(api: httpx2.Client, box: Sandbox) -> None:
    back, erased = some(box, 2)
    box.archive(str(back))
    box.restore(str(back))
    assert one(api, back)["is_deleted"] is False
    assert back in ids(walk(api, PERSONS))
    box.gdpr_delete(str(erased))
    assert refusal(api.get(f"{PERSONS}/{erased}"))[0] == 404


def test_a_company_may_tell_of_deleted_persons_in_lists(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", lists_deleted=True)
    own_id = some(box, 1)[0]
    now = second(box.advance(5))
    box.archive(str(own_id))
    asked = {"updated_since": now, "sort_by": "update_time"}
    for rows in (walk(api, PERSONS, **asked), walk(api, PERSONS, ids=own_id)):
        assert [(row["id"], row["is_deleted"]) for row in rows] == [(own_id, True)]
    assert own_id not in ids(walk(api, PERSONS))


def test_a_merge_joins_numbers_and_deals_and_deletes_the_other(api: httpx2.Client, box: Sandbox) -> None:
    winner = int(box.create(name="Jane Smith", phone="+1 212 736 5000"))
    loser = int(box.create(name="J. Smith", phone="+1 212 736 5001", email="jane@example.com"))
    deal = int(control(box, "contacts/move", id=str(loser), stage="Contacted")["id"])
    told = api.put(f"/v1/persons/{loser}/merge", json={"merge_with_id": winner}).raise_for_status().json()["data"]
    assert told["merge_what_id"] == loser
    row = one(api, winner)
    assert row["name"] == "Jane Smith"
    assert [(number["value"], number["primary"]) for number in row["phones"]] == [
        ("+1 212 736 5000", True),
        ("+1 212 736 5001", False),
    ]
    assert row["emails"][0] == {"value": "jane@example.com", "label": "work", "primary": True}
    assert ids(walk(api, DEALS, person_id=winner)) == [deal]
    assert walk(api, DEALS, person_id=loser) == []
    assert one(api, loser)["is_deleted"] is True


def test_recents_tell_of_changes_and_deletions_page_by_page(api: httpx2.Client, box: Sandbox) -> None:
    changed, deleted = some(box, 2)
    since = second(box.advance(5)).replace("T", " ").removesuffix("Z")
    box.change(str(changed), phone="+1 212 736 5000")
    box.archive(str(deleted))

    def ask(**more: Any) -> dict[str, Any]:
        body: dict[str, Any] = api.get(RECENTS, params={"since_timestamp": since, "items": "person", **more}).json()
        return body

    assert {row["id"]: row["data"]["active_flag"] for row in ask()["data"]} == {changed: True, deleted: False}
    first = ask(limit=1)
    assert first["additional_data"]["pagination"]["next_start"] == 1
    last = ask(limit=1, start=1)
    assert "next_start" not in last["additional_data"]["pagination"]
    assert {first["data"][0]["id"], last["data"][0]["id"]} == {changed, deleted}
    control(box, "settings", hides_deleted_data=True)
    assert {row["id"]: row["data"] is None for row in ask()["data"]} == {changed: False, deleted: True}
    assert ask(since_timestamp="2100-01-01 00:00:00")["data"] is None
    assert refusal(api.get(RECENTS, params={"since_timestamp": "2026-01-01T00:00:00Z"}))[0] == 400


def test_recents_tell_a_person_in_the_words_of_version_1(api: httpx2.Client, box: Sandbox) -> None:
    since = second(box.advance(5)).replace("T", " ").removesuffix("Z")
    own_id = int(box.create(name="Jane Smith", company="Acme Roofing"))
    [row] = api.get(RECENTS, params={"since_timestamp": since}).json()["data"]
    told = row["data"]
    assert (told["id"], told["org_name"], told["org_id"]["name"]) == (own_id, "Acme Roofing", "Acme Roofing")
    assert told["phone"] == [{"value": "", "primary": True}]
    assert told["owner_id"]["name"] == "Ada Okafor"
    assert " " in told["update_time"]


# -- who may see and ask


def test_a_user_sees_no_private_persons_of_others(api: httpx2.Client, box: Sandbox) -> None:
    everybody = walk(api, PERSONS)
    mine, private = USERS[1].id, [row for row in everybody if row["visible_to"] == 1]
    assert {row["owner_id"] for row in private} > {mine}
    control(box, "tokens/user", token=box.token, user=mine)
    assert ids(walk(api, PERSONS)) == [
        row["id"] for row in everybody if row["visible_to"] != 1 or row["owner_id"] == mine
    ]
    others = next(row["id"] for row in private if row["owner_id"] != mine)
    assert refusal(api.get(f"{PERSONS}/{others}"))[0] == 404
    assert api.get("/v1/users/me").json()["data"]["id"] == mine


def test_an_api_token_is_no_bearer_and_an_apps_token_no_api_token(box: Sandbox) -> None:
    token, _ = box.new_token()

    def ask(**headers: str) -> int:
        return httpx2.get(f"{box.url}{PERSONS}?limit=1", headers=headers).status_code

    assert ask(**{"x-api-token": box.token}) == ask(authorization=f"Bearer {token}") == 200
    assert ask(**{"x-api-token": token}) == ask(authorization=f"Bearer {box.token}") == ask() == 401


def test_a_token_that_expired_and_a_missing_scope_are_two_things(box: Sandbox) -> None:
    token, _ = box.new_token(scopes=["users:read"])

    def ask(path: str) -> httpx2.Response:
        return httpx2.get(f"{box.url}{path}", headers={"authorization": f"Bearer {token}"})

    assert refusal(ask(PERSONS)) == (403, "Scope and URL mismatch")
    assert ask("/v1/users").status_code == 200
    box.expire_token(token)
    assert refusal(ask("/v1/users")) == (401, "unauthorized access")


def test_a_company_that_did_not_pay_is_closed(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", unpaid=True)
    assert api.get(PERSONS).status_code == 402


def test_consent_leads_to_a_code_good_once_for_five_minutes_at_one_address(box: Sandbox) -> None:
    back = "https://app.example/back"

    def code() -> str:
        query = {"client_id": box.client_id, "redirect_uri": back, "state": "s"}
        told = parse_qs(urlsplit(httpx2.get(f"{box.url}/oauth/authorize", params=query).headers["location"]).query)
        assert told["state"] == ["s"]
        return told["code"][0]

    def spend(code: str, redirect_uri: str = back) -> httpx2.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return httpx2.post(f"{box.url}/oauth/token", data=form, auth=(box.client_id, box.client_secret))

    first = code()
    told = spend(first).raise_for_status().json()
    assert (told["expires_in"], told["api_domain"], told["token_type"]) == (3600, box.url, "bearer")
    assert (spend(first).status_code, spend(first).json()["error"]) == (400, "invalid_grant")
    assert spend(code(), "https://app.example/other").status_code == 400
    late = code()
    box.advance(301)
    assert spend(late).status_code == 400


def test_a_refresh_token_stays_the_same_and_dies_of_sixty_days_without_use(box: Sandbox) -> None:
    _, refresh = box.new_token()

    def ask(**more: str) -> httpx2.Response:
        shown = {"client_id": box.client_id, "client_secret": box.client_secret}  # in the form: discouraged
        form = {"grant_type": "refresh_token", "refresh_token": str(refresh), **shown, **more}
        return httpx2.post(f"{box.url}/oauth/token", data=form)

    for _ in range(2):
        box.advance(59 * DAY_S)
        assert ask().raise_for_status().json()["refresh_token"] == refresh
    assert (ask(client_secret="other").status_code, ask(refresh_token="other").status_code) == (401, 400)
    box.advance(60 * DAY_S)
    assert ask().json() == {
        "success": "false",
        "message": "Invalid grant: refresh token is invalid",
        "error": "invalid_grant",
    }


def test_revoking_the_refresh_token_uninstalls_the_app(box: Sandbox) -> None:
    token, refresh = box.new_token()
    shown = (box.client_id, box.client_secret)
    httpx2.post(f"{box.url}/oauth/revoke", data={"token": str(refresh)}, auth=shown).raise_for_status()
    assert httpx2.get(f"{box.url}{PERSONS}", headers={"authorization": f"Bearer {token}"}).status_code == 401


# -- limits


def test_calls_in_two_seconds_are_limited_for_each_credential(api: httpx2.Client, box: Sandbox) -> None:
    box.set_limits("lite")
    token, _ = box.new_token()
    app = {"authorization": f"Bearer {token}"}
    replies = [api.get(f"{PERSONS}/10001") for _ in range(21)]
    assert [reply.status_code for reply in replies[-2:]] == [200, 429]
    assert refusal(replies[-1]) == (429, "request over limit")
    told = replies[0].headers
    assert [told[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")] == ["20", "19", "2"]
    assert replies[-1].headers["x-ratelimit-remaining"] == "0"
    assert api.get(PERSONS, headers={"x-api-token": "", **app}).headers["x-ratelimit-limit"] == "80"
    box.advance(2)
    assert api.get(f"{PERSONS}/10001").status_code == 200


def test_whoever_goes_on_after_a_refusal_is_shut_out_with_a_page(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", limits="lite", burst=1)
    statuses = [api.get(f"{PERSONS}/10001").status_code for _ in range(PATIENCE + 10)]
    assert {200, 429, 403} == set(statuses)
    reply = api.get(f"{PERSONS}/10001")
    assert (reply.status_code, reply.headers["content-type"]) == (403, "text/html; charset=UTF-8")
    box.advance(60)
    assert api.get(f"{PERSONS}/10001").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "cost"),
    [
        ("GET", PERSONS, 10),
        ("GET", f"{PERSONS}/10001", 1),
        ("GET", "/api/v2/organizations?ids=4001", 10),
        ("GET", DEALS, 10),
        ("GET", "/api/v2/stages", 5),
        ("GET", "/api/v2/pipelines", 5),
        ("GET", "/api/v2/personFields", 10),
        ("GET", "/v1/users", 20),
        ("GET", "/v1/users/me", 2),
        ("GET", f"{RECENTS}?since_timestamp=2100-01-01 00:00:00", 20),
        ("DELETE", f"{PERSONS}/10001", 3),
    ],
)
def test_a_call_costs_tokens_by_what_it_does(
    api: httpx2.Client, box: Sandbox, method: str, path: str, cost: int
) -> None:
    control(box, "settings", limits="premium")

    def left(reply: httpx2.Response) -> int:
        return int(reply.headers["x-daily-ratelimit-token-remaining"])

    before = left(api.get("/api/v2/stages"))
    reply = api.request(method, path)
    assert reply.status_code == 200, reply.text
    assert before - left(reply) == cost
    assert reply.headers["x-daily-ratelimit-token-limit"] == "150000"


def test_the_tokens_of_a_day_are_the_companys_and_come_back_at_midnight(api: httpx2.Client, box: Sandbox) -> None:
    midnight = datetime.fromtimestamp(box.now_ms() / 1000, UTC).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    box.advance((midnight - datetime.fromtimestamp(box.now_ms() / 1000, UTC)).total_seconds() + 60)
    control(box, "settings", limits="lite", daily=25)
    token, _ = box.new_token()
    assert [api.get(PERSONS).status_code for _ in range(3)] == [200, 200, 429]
    other = httpx2.get(f"{box.url}{PERSONS}", headers={"authorization": f"Bearer {token}"})
    assert (other.status_code, other.headers["x-daily-ratelimit-token-remaining"]) == (429, "5")
    assert int(other.headers["x-ratelimit-remaining"]) > 0
    box.advance(DAY_S)
    assert api.get(PERSONS).status_code == 200


# -- what persons refer to


def test_deals_are_found_by_person_status_and_change(api: httpx2.Client, box: Sandbox) -> None:
    everything = walk(api, DEALS)
    assert ids(everything) == sorted(set(ids(everything)))
    assert {row["status"] for row in everything} == {"open", "won", "lost"}
    assert ids(walk(api, DEALS, status="open")) == [row["id"] for row in everything if row["status"] == "open"]
    owner = next(row["person_id"] for row in everything if row["status"] == "lost")
    of_one = [row["id"] for row in everything if row["person_id"] == owner]
    assert ids(walk(api, DEALS, person_id=owner)) == of_one
    unchanged = one(api, owner)["update_time"]
    now = second(box.advance(5))
    moved = int(control(box, "contacts/move", id=str(owner), stage="Follow-up", status="won")["id"])
    [row] = walk(api, DEALS, updated_since=now, sort_by="update_time")
    assert (row["id"], row["status"], row["pipeline_id"]) == (moved, "won", 2)
    assert one(api, owner)["update_time"] == unchanged


def test_persons_tell_how_many_deals_they_have_when_asked(api: httpx2.Client, box: Sandbox) -> None:
    winner, loser = some(box, 2)
    made = control(box, "contacts/move", id=str(winner), stage="Contacted")["id"]
    control(box, "deals/delete", id=made)
    box.merge(str(winner), str(loser))
    asked = {"include_fields": "open_deals_count,closed_deals_count,lost_deals_count"}
    of_person = Counter((row["person_id"], row["status"]) for row in walk(api, DEALS))
    rows = walk(api, PERSONS, **asked)
    assert any(row["open_deals_count"] for row in rows)
    for row in rows:
        is_open, won, lost = (of_person[row["id"], status] for status in ("open", "won", "lost"))
        told = (row["open_deals_count"], row["closed_deals_count"], row["lost_deals_count"])
        assert told == (is_open, won + lost, lost)


def test_deleted_deals_are_listed_apart(api: httpx2.Client, box: Sandbox) -> None:
    everything = walk(api, DEALS)
    own_id, person = next((row["id"], row["person_id"]) for row in everything if row["status"] == "open")
    now = second(box.advance(5))
    control(box, "deals/delete", id=str(own_id))
    assert own_id not in ids(walk(api, DEALS))
    assert ids(walk(api, DEALS, status="deleted")) == [own_id]
    assert ids(walk(api, DEALS, status="open,won,lost,deleted")) == ids(everything)
    changed = {"updated_since": now, "sort_by": "update_time", "status": "open,deleted"}
    for asked in (changed, {"status": "deleted", "person_id": person}, {"status": "open,deleted", "ids": own_id}):
        assert ids(walk(api, DEALS, **asked)) == [own_id]
    told = api.get(f"{DEALS}/{own_id}").json()["data"]
    assert (told["is_deleted"], told["custom_fields"]) == (True, None)
    box.advance(30 * DAY_S)
    assert walk(api, DEALS, status="deleted") == []


def test_every_person_of_a_deal_and_organization_of_a_person_is_there(api: httpx2.Client) -> None:
    persons = {row["id"]: row for row in walk(api, PERSONS)}
    organizations = {row["id"] for row in walk(api, "/api/v2/organizations")}
    assert {row["person_id"] for row in walk(api, DEALS)} <= set(persons)
    assert {row["org_id"] for row in persons.values()} - {None} <= organizations


def test_an_organization_is_renamed_without_a_change_of_its_persons(api: httpx2.Client, box: Sandbox) -> None:
    own_id = int(box.create(name="Jane Smith", company="Acme Roofing"))
    before = one(api, own_id)
    control(box, "organizations/rename", name="Acme Roofing", to="Acme Holdings")
    assert one(api, own_id) == before
    told = api.get(f"/api/v2/organizations/{before['org_id']}").json()["data"]
    assert told["name"] == "Acme Holdings"


def test_the_last_activity_can_be_read_by_its_id(api: httpx2.Client) -> None:
    rows = walk(api, PERSONS, include_fields="last_activity_id,last_outgoing_mail_time")
    spoken = [row for row in rows if row["last_activity_id"]][:3]
    asked = {"ids": ",".join(str(row["last_activity_id"]) for row in spoken)}
    found = {row["person_id"]: row["due_date"] for row in api.get("/api/v2/activities", params=asked).json()["data"]}
    assert found == {row["id"]: row["last_outgoing_mail_time"][:10] for row in spoken}


def test_the_traps_among_persons_can_be_added(api: httpx2.Client, box: Sandbox) -> None:
    made = box.add_awkward()
    assert [number["value"] for number in one(api, int(made["blank_numbers"]))["phones"]] == [
        "",
        "  ",
        "+1 212 736 5040",
    ]
    assert one(api, int(made["label_is_gone"]))["label_ids"] == [77]
    assert box.count() == 700 + len(made)
