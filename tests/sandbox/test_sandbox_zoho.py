"""The simulated Zoho CRM behaves as its vendor documents."""

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from leadloom.sandbox import Sandbox
from leadloom.sandbox.zoho.tokens import LIFETIME_S, MOST_LIVE, REFRESHES

FIELDS = "Last_Name,Phone,Owner,Modified_Time,Converted__s,$converted_detail"
LEADS, CONTACTS = "/crm/v8/Leads", "/crm/v8/Contacts"


@pytest.fixture(scope="module")
def _server() -> Iterator[Sandbox]:
    with Sandbox("zoho", contacts=700, seed=7) as box:
        yield box


@pytest.fixture
def box(_server: Sandbox) -> Sandbox:
    _server.set_limits("none")
    _server.set_latency(0)
    _server.reset()
    return _server


@pytest.fixture
def api(box: Sandbox) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Zoho-oauthtoken {box.token}"}
    with httpx2.Client(base_url=box.url, headers=headers, timeout=10, trust_env=False) as client:
        yield client


def control(box: Sandbox, path: str, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = httpx2.post(f"{box.url}/_control/{path}", json=body).raise_for_status().json()
    return told


def walk(api: httpx2.Client, path: str, **more: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        body = api.get(path, params={"fields": FIELDS, **more, **token}).raise_for_status().json()
        rows += body["data"]
        if not body["info"]["more_records"]:
            return rows
        token = {"page_token": body["info"]["next_page_token"]}


def refusal(reply: httpx2.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def lead(box: Sandbox) -> str:
    return next(one.id for one in box.contacts() if one.properties["module"] == "Leads")


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["id", "Created_Time", "Modified_Time"])
def test_tokens_lead_to_everybody_once_in_any_order(api: httpx2.Client, box: Sandbox, sort: str, order: str) -> None:
    box.change(next(box.contacts()).id, Phone="+1 212 736 5000")
    box.create(module="Leads", Last_Name="New")
    ids = [row["id"] for path in (LEADS, CONTACTS) for row in walk(api, path, sort_by=sort, sort_order=order)]
    assert len(ids) == len(set(ids)) == box.count() == 701


def test_ids_are_the_newest_first_unless_told_otherwise(api: httpx2.Client) -> None:
    ids = [int(row["id"]) for row in walk(api, LEADS)]
    assert ids == sorted(ids, reverse=True)


def test_a_list_tells_the_fields_it_is_asked_for_and_no_others(api: httpx2.Client) -> None:
    assert refusal(api.get(LEADS)) == (400, "REQUIRED_PARAM_MISSING")
    assert api.get(LEADS, params={"fields": ",".join(f"F{n}" for n in range(51))}).status_code == 400
    row = api.get(LEADS, params={"fields": "Last_Name,No_Such_Field"}).json()["data"][0]
    assert set(row) == {"id", "Last_Name"}


def test_pages_stop_at_two_thousand_and_tokens_go_on(api: httpx2.Client) -> None:
    assert refusal(api.get(LEADS, params={"fields": FIELDS, "page": 11})) == (400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED")
    first = api.get(CONTACTS, params={"fields": FIELDS}).json()["info"]
    both = {"fields": FIELDS, "page": 2, "page_token": first["next_page_token"]}
    assert refusal(api.get(CONTACTS, params=both)) == (400, "AMBIGUITY_DURING_PROCESSING")


def test_a_token_is_good_for_a_day_for_one_question_and_not_for_ever(api: httpx2.Client, box: Sandbox) -> None:
    def ask(**more: str) -> httpx2.Response:
        return api.get(CONTACTS, params={"fields": FIELDS, "page_token": token, **more})

    token = api.get(CONTACTS, params={"fields": FIELDS}).json()["info"]["next_page_token"]
    assert refusal(ask(per_page="10")) == (400, "TOKEN_BOUND_DATA_MISMATCH")
    control(box, "settings", reach=200)
    assert refusal(ask()) == (400, "PAGINATION_LIMIT_EXCEEDED")
    control(box, "settings", reach=100_000)
    assert ask().status_code == 200
    box.advance(24 * 3600 + 1)
    assert refusal(ask()) == (400, "EXPIRED_VALUE")


def test_a_file_takes_its_time_is_kept_for_a_day_and_is_refused_for_what_it_cannot_hold(
    api: httpx2.Client, box: Sandbox
) -> None:
    def ask(*names: str, page: int = 1) -> httpx2.Response:
        query = {"module": {"api_name": "Contacts"}, "fields": names, "page": page}
        return api.post("/crm/bulk/v8/read", json={"query": query})

    control(box, "settings", export={"takes_s": 20, "per_page": 100, "refused": ["Mailing_City"]})
    assert refusal(ask("Last_Name", "Mailing_City")) == (400, "FIELD_NOT_SUPPORTED")
    assert refusal(ask("Last_Name", page=51)) == (400, "PAGE_RANGE_EXCEEDED")
    job = f"/crm/bulk/v8/read/{ask('Last_Name').json()['data'][0]['details']['id']}"
    assert api.get(job).json()["data"][0]["state"] == "ADDED"
    assert refusal(api.get(f"{job}/result")) == (400, "RESULT_NOT_READY")
    box.advance(21)
    [told] = api.get(job).json()["data"]
    assert told["state"] == "COMPLETED"
    assert told["result"]["more_records"] is True
    assert api.get(f"{job}/result").headers["content-type"] == "application/zip"
    box.advance(25 * 3600)
    assert api.get(f"{job}/result").status_code == 404


def test_ten_files_a_minute_may_be_downloaded(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", limits="real", export={"takes_s": 0})
    query = {"module": {"api_name": "Leads"}, "fields": ["Last_Name"]}
    job = api.post("/crm/bulk/v8/read", json={"query": query}).json()["data"][0]["details"]["id"]
    statuses = [api.get(f"/crm/bulk/v8/read/{job}/result").status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_nothing_found_is_204_and_nothing_changed_304_both_without_a_body(api: httpx2.Client, box: Sandbox) -> None:
    nobody = api.get(LEADS, params={"fields": FIELDS, "ids": "1"})
    deleted = api.get(f"{LEADS}/deleted")
    later = {"if-modified-since": "2100-01-01T00:00:00+00:00"}
    unchanged = api.get(LEADS, params={"fields": FIELDS}, headers=later)
    assert [(one.status_code, one.content) for one in (nobody, deleted, unchanged)] == [
        (204, b""),
        (204, b""),
        (304, b""),
    ]


def test_changes_since_a_moment_are_told_in_the_users_own_zone(api: httpx2.Client, box: Sandbox) -> None:
    mark = box.advance(10)
    own_id = lead(box)
    box.advance(2)
    box.change(own_id, Phone="+1 212 736 5001")
    since = {"if-modified-since": f"{_iso(mark)}+00:00"}
    [row] = api.get(LEADS, params={"fields": FIELDS}, headers=since).json()["data"]
    assert row["id"] == own_id
    assert row["Modified_Time"].endswith("+03:00")
    control(box, "settings", offset_minutes=-300)
    [row] = api.get(LEADS, params={"fields": FIELDS}, headers=since).json()["data"]
    assert row["Modified_Time"].endswith("-05:00")


def _iso(ms: int) -> str:
    from leadloom.sandbox.clock import iso

    return iso(ms)[:19]


def test_a_converted_lead_leaves_the_usual_list_and_names_its_contact(api: httpx2.Client, box: Sandbox) -> None:
    own_id = lead(box)
    contact = control(box, "contacts/convert", id=own_id)["id"]
    assert own_id not in {row["id"] for row in walk(api, LEADS)}
    [row] = walk(api, LEADS, converted="true")
    assert (row["id"], row["Converted__s"], row["$converted_detail"]["contact"]) == (own_id, True, contact)
    assert {own_id} < {row["id"] for row in walk(api, LEADS, converted="both")}
    assert contact in {row["id"] for row in walk(api, CONTACTS)}
    assert api.get(f"{LEADS}/deleted").status_code == 204


def test_deleted_records_are_listed_apart_and_can_come_back(api: httpx2.Client, box: Sandbox) -> None:
    ids = [one.id for one in box.contacts() if one.properties["module"] == "Leads"][:2]
    box.archive(ids[0])
    box.gdpr_delete(ids[1])
    rows = {row["id"]: row for row in api.get(f"{LEADS}/deleted", params={"type": "all"}).json()["data"]}
    assert {rows[ids[0]]["type"], rows[ids[1]]["type"]} == {"recycle", "permanent"}
    assert rows[ids[1]]["display_name"] is None
    assert api.get(f"{LEADS}/{ids[0]}").status_code == 204
    box.restore(ids[0])
    assert [row["id"] for row in api.get(f"{LEADS}/deleted").json()["data"]] == [ids[1]]
    assert api.get(f"{LEADS}/{ids[0]}").status_code == 200


def test_a_merge_keeps_the_master_and_deletes_the_other(api: httpx2.Client, box: Sandbox) -> None:
    master, other = [one.id for one in box.contacts() if one.properties["module"] == "Contacts"][:2]
    assert box.merge(master, other) == master
    assert [row["id"] for row in api.get(f"{CONTACTS}/deleted").json()["data"]] == [other]


def test_a_query_walks_ids_downward_two_thousand_at_a_time(api: httpx2.Client, box: Sandbox) -> None:
    def ask(text: str) -> httpx2.Response:
        return api.post("/crm/v8/coql", json={"select_query": text})

    ids = [int(one.id) for one in box.contacts() if one.properties["module"] == "Contacts"]
    reply = ask(f"select id from Contacts where id < '{ids[-1]}' order by id desc limit 2000").json()
    assert [int(row["id"]) for row in reply["data"]] == ids[-2::-1]
    assert reply["info"]["more_records"] is False
    some = ask("select id, Phone from Contacts where (id > 0 and Modified_Time >= '2000-01-01T00:00:00Z') limit 5")
    assert len(some.json()["data"]) == 5
    assert ask("select id from Contacts where id < 1").status_code == 204
    assert refusal(ask("select id from Contacts")) == (400, "SYNTAX_ERROR")
    assert refusal(ask("select Shoe_Size from Contacts where id > 0")) == (400, "INVALID_QUERY")
    assert refusal(ask("select id from Contacts where id > 0 limit 2001")) == (400, "LIMIT_EXCEEDED")


def test_users_who_left_are_told_among_all(api: httpx2.Client) -> None:
    def states(kind: str) -> set[str]:
        return {row["status"] for row in api.get("/crm/v8/users", params={"type": kind}).json()["users"]}

    assert states("AllUsers") == {"active", "inactive", "deleted"}
    assert states("ActiveUsers") == {"active"}


def test_a_refused_sign_in_is_told_with_status_200(box: Sandbox) -> None:
    def ask(**more: str) -> tuple[int, dict[str, Any]]:
        given = {"client_id": box.client_id, "client_secret": box.client_secret, "grant_type": "refresh_token"}
        reply = httpx2.post(f"{box.url}/oauth/v2/token", data={**given, "refresh_token": box.refresh_token, **more})
        return reply.status_code, reply.json()

    assert ask(refresh_token="1000.unknown") == (200, {"error": "invalid_code"})
    assert ask(client_id="1000.OTHER") == (200, {"error": "invalid_client"})
    assert ask(client_secret="other") == (200, {"error": "invalid_client_secret"})
    status, told = ask()
    assert (status, told["expires_in"], "refresh_token" in told) == (200, LIFETIME_S, False)
    statuses = [ask()[0] for _ in range(REFRESHES)]
    assert statuses == [200] * (REFRESHES - 1) + [400]


def test_consent_leads_to_a_code_and_a_code_to_tokens_once(box: Sandbox) -> None:
    query = {"client_id": box.client_id, "redirect_uri": "https://app.example/back", "state": "s"}
    reply = httpx2.get(f"{box.url}/oauth/v2/auth", params=query)
    told = parse_qs(urlsplit(reply.headers["location"]).query)
    assert told["accounts-server"] == ["https://accounts.zoho.com"]
    form = {
        "client_id": box.client_id,
        "client_secret": box.client_secret,
        "grant_type": "authorization_code",
        "code": told["code"][0],
    }
    first = httpx2.post(f"{box.url}/oauth/v2/token", params=form).json()
    assert first["refresh_token"]
    assert first["api_domain"] == box.url
    assert httpx2.post(f"{box.url}/oauth/v2/token", data=form).json() == {"error": "invalid_code"}


def test_the_sixteenth_live_token_ends_the_first(box: Sandbox) -> None:
    box.reset()
    refresh = box.new_token()[1]
    given = {"client_id": box.client_id, "client_secret": box.client_secret, "grant_type": "refresh_token"}
    tokens = []
    for turn in range(MOST_LIVE + 1):
        if turn % REFRESHES == 0:
            box.advance(601)
        reply = httpx2.post(f"{box.url}/oauth/v2/token", data={**given, "refresh_token": str(refresh)})
        tokens.append(reply.json()["access_token"])

    def ask(token: str) -> int:
        headers = {"authorization": f"Zoho-oauthtoken {token}"}
        return httpx2.get(f"{box.url}{LEADS}", params={"fields": FIELDS}, headers=headers).status_code

    assert (ask(tokens[0]), ask(tokens[-1])) == (401, 200)


def test_an_expired_token_and_a_missing_scope_are_two_things(api: httpx2.Client, box: Sandbox) -> None:
    token, _ = box.new_token(scopes=["ZohoCRM.users.READ"])
    headers = {"authorization": f"Zoho-oauthtoken {token}"}
    asked = {"fields": FIELDS}
    assert refusal(api.get(LEADS, params=asked, headers=headers)) == (401, "OAUTH_SCOPE_MISMATCH")
    box.expire_token(token)
    assert refusal(api.get(LEADS, params=asked, headers=headers)) == (401, "INVALID_TOKEN")


def test_calls_under_way_at_once_are_limited_and_calls_one_by_one_are_not(api: httpx2.Client, box: Sandbox) -> None:
    box.set_limits("real", burst=2)
    box.set_latency(300)
    together = threading.Barrier(6)
    statuses: list[int] = []

    def ask() -> None:
        headers = {"authorization": f"Zoho-oauthtoken {box.token}"}
        with httpx2.Client(base_url=box.url, headers=headers, timeout=30, trust_env=False) as client:
            together.wait(30)
            statuses.append(client.get(LEADS, params={"fields": FIELDS}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    box.set_latency(0)
    assert set(statuses) == {200, 429}
    assert {api.get(LEADS, params={"fields": FIELDS}).status_code for _ in range(20)} == {200}


def test_credits_are_told_once_half_are_used_and_come_back_after_a_day(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", limits="real", credits=10)
    replies = [api.get(LEADS, params={"fields": FIELDS}) for _ in range(12)]
    assert [one.headers.get("x-api-credits-remaining") for one in replies[3:6]] == [None, "5", "4"]
    assert [one.status_code for one in replies[9:]] == [200, 429, 429]
    box.advance(24 * 3600)
    assert api.get(LEADS, params={"fields": FIELDS}).status_code == 200
