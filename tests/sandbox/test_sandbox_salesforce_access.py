"""The simulated Salesforce behaves as its vendor documents: sign-in, limits, bulk jobs, bad weather."""

import csv
import gzip
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from leadloom.sandbox import Sandbox

API = "/services/data/v63.0"
type SignIn = Callable[..., httpx2.Response]


@pytest.fixture(scope="module")
def _server() -> Iterator[Sandbox]:
    with Sandbox("salesforce", contacts=400, seed=7) as box:
        yield box


@pytest.fixture
def box(_server: Sandbox) -> Sandbox:
    _server.set_limits("none")
    _server.set_latency(0)
    _server.reset()
    return _server


@pytest.fixture
def api(box: Sandbox) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {box.token}"}
    with httpx2.Client(base_url=box.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def sign_in(box: Sandbox) -> SignIn:
    def post(way: str = "token", **form: str) -> httpx2.Response:
        client = {"client_id": box.client_id, "client_secret": box.client_secret}
        return httpx2.post(f"{box.url}/services/oauth2/{way}", data={**client, **form}, timeout=60)

    return post


def control(box: Sandbox, what: str, /, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = httpx2.post(f"{box.url}/_control/{what}", json=body).raise_for_status().json()
    return told


def refusal(reply: httpx2.Response) -> tuple[int, str]:
    [error] = reply.json()
    return reply.status_code, error["errorCode"]


def query(api: httpx2.Client, **more: Any) -> httpx2.Response:
    return api.get(f"{API}/query", params={"q": "SELECT Id FROM Lead LIMIT 1"}, **more)


def status_of(box: Sandbox, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.get(f"{box.url}{API}/limits", headers=headers, timeout=60).status_code


# -- sign-in


def test_consent_leads_to_a_code_and_a_code_to_tokens_once(box: Sandbox, sign_in: SignIn) -> None:
    asked = {"client_id": box.client_id, "redirect_uri": "https://app.example/back", "state": "s"}
    reply = httpx2.get(f"{box.url}/services/oauth2/authorize", params=asked)
    told = parse_qs(urlsplit(reply.headers["location"]).query)
    assert told["state"] == ["s"]
    given = {"grant_type": "authorization_code", "code": told["code"][0]}
    first = sign_in(**given).json()
    assert first["refresh_token"]
    assert first["instance_url"] == box.url
    assert first["id"].startswith("https://login.salesforce.com/id/00D")
    assert first["issued_at"].isdecimal()
    assert "expires_in" not in first
    assert sign_in(**given).json()["error"] == "invalid_grant"


def test_a_refresh_tells_no_refresh_token_unless_they_rotate(box: Sandbox, sign_in: SignIn) -> None:
    def refresh(token: str) -> httpx2.Response:
        return sign_in(grant_type="refresh_token", refresh_token=token)

    assert "refresh_token" not in refresh(box.refresh_token).json()
    control(box, "settings", rotates=True)
    new = refresh(box.refresh_token).json()["refresh_token"]
    dead = refresh(box.refresh_token)
    assert (dead.status_code, dead.json()["error"]) == (400, "invalid_grant")
    assert refresh(new).status_code == 200


def test_a_token_ends_without_a_word_and_introspection_tells_when(box: Sandbox, sign_in: SignIn) -> None:
    token, _ = box.new_token(lifetime_s=600)
    told = sign_in("introspect", token=token, token_type_hint="access_token").json()
    assert (told["active"], told["token_type"]) == (True, "access_token")
    assert abs(told["exp"] - box.now_ms() / 1000 - 600) < 60
    box.advance(601)
    assert status_of(box, token) == 401
    assert sign_in("introspect", token=token).json() == {"active": False}


def test_the_wrong_app_is_told_apart_from_the_wrong_grant(box: Sandbox, sign_in: SignIn) -> None:
    def error(**form: str) -> str:
        return str(
            sign_in(**{"grant_type": "refresh_token", "refresh_token": box.refresh_token, **form}).json()["error"]
        )

    assert error(client_id="other") == "invalid_client_id"
    assert error(client_secret="other") == "invalid_client"
    assert error(refresh_token="other") == "invalid_grant"
    assert error(grant_type="other") == "unsupported_grant_type"


def test_a_revoked_refresh_token_takes_its_access_tokens_along(box: Sandbox, sign_in: SignIn) -> None:
    token, refresh = box.new_token()
    assert status_of(box, token) == 200
    assert sign_in("revoke", token=str(refresh)).status_code == 200
    assert status_of(box, token) == 401
    assert sign_in(grant_type="refresh_token", refresh_token=str(refresh)).json()["error"] == "invalid_grant"


def test_one_grant_too_many_ends_the_oldest(box: Sandbox, sign_in: SignIn) -> None:
    tokens = [box.new_token()[0] for _ in range(5)]  # beside the grant that is there from the start
    assert [status_of(box, one) for one in tokens] == [200] * 5
    assert sign_in(grant_type="refresh_token", refresh_token=box.refresh_token).status_code == 400
    box.new_token()
    assert [status_of(box, one) for one in tokens] == [401, 200, 200, 200, 200]


def test_who_the_user_is_can_be_asked(api: httpx2.Client, box: Sandbox) -> None:
    told = api.get("/services/oauth2/userinfo").json()
    assert told["organization_id"].startswith("00D")
    assert "{version}" in told["urls"]["query"]
    path = urlsplit(told["sub"]).path
    assert api.get(path).json()["user_id"] == told["user_id"]
    token, _ = box.new_token(scopes=["api"])
    assert api.get("/services/oauth2/userinfo", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_a_token_without_the_api_is_refused_in_other_words(api: httpx2.Client, box: Sandbox) -> None:
    token, _ = box.new_token(scopes=["id"])
    reply = query(api, headers={"authorization": f"Bearer {token}"})
    assert refusal(reply) == (401, "INVALID_SESSION_ID")
    assert "not valid for use with the REST API" in reply.text
    assert "expired" in query(api, headers={"authorization": "Bearer other"}).text


def test_an_organisation_without_the_api_says_so(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", api_enabled=False)
    assert refusal(query(api)) == (403, "API_DISABLED_FOR_ORG")


def test_nango_is_told_no_expiry_and_refreshes_all_the_same(box: Sandbox) -> None:
    def connection() -> dict[str, Any]:
        headers = {"authorization": f"Bearer {box.nango_key}"}
        params = {"provider_config_key": "salesforce"}
        reply = httpx2.get(f"{box.nango_url}/connections/{own_id}", params=params, headers=headers, timeout=60)
        told: dict[str, Any] = reply.raise_for_status().json()
        return told

    own_id = box.nango_connect({})
    first = connection()
    assert first["connection_config"] == {"instance_url": "https://sandbox-sales.my.salesforce.com"}
    assert "expires_at" not in first["credentials"]
    assert first["credentials"]["raw"]["instance_url"] == "https://sandbox-sales.my.salesforce.com"
    assert status_of(box, first["credentials"]["access_token"]) == 200
    box.nango_expire(own_id)
    again = connection()["credentials"]["access_token"]
    assert again != first["credentials"]["access_token"]
    assert status_of(box, again) == 200


# -- versions and limits


def test_versions_are_listed_to_anybody_and_others_are_not_there(api: httpx2.Client, box: Sandbox) -> None:
    found = httpx2.get(f"{box.url}/services/data/").json()
    assert found[0] == {"label": "Summer '14", "url": "/services/data/v31.0", "version": "31.0"}
    assert found[-1] == {"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"}
    assert refusal(api.get("/services/data/v99.0/limits")) == (404, "NOT_FOUND")


def test_each_reply_tells_what_is_used_but_one_without_a_body(api: httpx2.Client, box: Sandbox) -> None:
    assert query(api).headers["sforce-limit-info"] == "api-usage=1/5000000"
    assert api.get(f"{API}/nowhere").status_code == 404
    own_id = next(box.contacts()).id
    assert "sforce-limit-info" not in api.delete(f"{API}/sobjects/Contact/{own_id}").headers
    box.set_limits("real")
    assert query(api).headers["sforce-limit-info"] == "api-usage=1/110000"


def test_the_days_calls_run_out_and_come_back_as_the_day_rolls(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", limits="real", daily=2)
    assert [query(api).status_code for _ in range(3)] == [200, 200, 403]
    reply = query(api)
    assert refusal(reply) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert "TotalRequests" in reply.text
    assert "retry-after" not in reply.headers
    box.advance(86_400)
    assert query(api).status_code == 200


def test_calls_at_once_have_the_same_code_and_another_text(box: Sandbox) -> None:
    box.set_limits("real", burst=2)
    box.set_latency(300)
    together = threading.Barrier(6)
    replies: list[httpx2.Response] = []

    def ask() -> None:
        with httpx2.Client(base_url=box.url, timeout=60, trust_env=False) as client:
            together.wait(30)
            replies.append(query(client, headers={"authorization": f"Bearer {box.token}"}))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    box.set_latency(0)
    refused = [one for one in replies if one.status_code != 200]
    assert refused
    assert {refusal(one) for one in refused} == {(403, "REQUEST_LIMIT_EXCEEDED")}
    assert all("ConcurrentRequests" in one.text for one in refused)


def test_without_a_limit_by_time_many_may_ask_at_once(api: httpx2.Client, box: Sandbox) -> None:
    box.set_limits("real")
    assert {query(api).status_code for _ in range(60)} == {200}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("QUERY_TIMEOUT", 400, "QUERY_TIMEOUT"),
        ("CONCURRENT", 403, "REQUEST_LIMIT_EXCEEDED"),
        ("SERVER_UNAVAILABLE", 503, "SERVER_UNAVAILABLE"),
        ("INSUFFICIENT_ACCESS", 403, "INSUFFICIENT_ACCESS"),
    ],
)
def test_troubles_come_when_ordered_and_pass(
    api: httpx2.Client, box: Sandbox, kind: str, status: int, code: str
) -> None:
    control(box, "trouble", kind=kind, times=2, path=f"{API}/query")
    assert api.get(f"{API}/limits").status_code == 200
    assert [refusal(query(api)) for _ in range(2)] == [(status, code)] * 2
    assert query(api).status_code == 200


def test_the_edge_answers_in_html(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "trouble", kind="MAINTENANCE")
    reply = query(api)
    assert (reply.status_code, reply.headers["content-type"][:9]) == (503, "text/html")
    control(box, "trouble", kind="NOT_ACCEPTABLE")
    assert (query(api).status_code, query(api).status_code) == (406, 200)


# -- bulk


def job(api: httpx2.Client, soql: str, **more: str) -> dict[str, Any]:
    body = {"operation": "query", "query": soql, **more}
    reply = api.post(f"{API}/jobs/query", json=body)
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


def end(api: httpx2.Client, box: Sandbox, own_id: str) -> dict[str, Any]:
    box.advance(5)
    told: dict[str, Any] = api.get(f"{API}/jobs/query/{own_id}").json()
    return told


def test_a_job_goes_from_state_to_state_in_its_own_time(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", bulk_queue_s=3600)
    made = job(api, "SELECT Id FROM Contact")
    assert (made["id"][:3], made["state"], made["object"], made["apiVersion"]) == (
        "750",
        "UploadComplete",
        "Contact",
        63,
    )
    path = f"{API}/jobs/query/{made['id']}"
    assert refusal(api.get(f"{path}/results")) == (400, "API_ERROR")
    assert refusal(api.delete(path)) == (400, "API_ERROR")
    box.advance(3600 - 1)
    assert api.get(path).json()["state"] in ("UploadComplete", "InProgress")
    done = end(api, box, made["id"])
    assert (done["state"], done["jobType"]) == ("JobComplete", "V2Query")
    assert done["numberRecordsProcessed"] == sum(one.id.startswith("003") for one in box.contacts())


def test_results_come_in_compressed_pages_that_end_with_a_word(api: httpx2.Client, box: Sandbox) -> None:
    own_id = job(api, "SELECT Id, LastName, Account.Name, DoNotCall, SystemModstamp FROM Contact")["id"]
    end(api, box, own_id)
    path, found = f"{API}/jobs/query/{own_id}/results", []
    locator = ""
    while locator != "null":
        reply = api.get(path, params={"maxRecords": 100} | ({"locator": locator} if locator else {}))
        assert reply.headers["content-encoding"] == "gzip"
        page = list(csv.DictReader(io.StringIO(reply.text)))
        assert reply.text.startswith('"Id","LastName","Account.Name","DoNotCall","SystemModstamp"\n')
        assert int(reply.headers["sforce-numberofrecords"]) == len(page) <= 100
        found += page
        locator = reply.headers["sforce-locator"]
    assert [row["Id"] for row in found] == [one.id for one in box.contacts() if one.id.startswith("003")]
    assert {row["DoNotCall"] for row in found} <= {"true", "false"}
    assert "" in {row["Account.Name"] for row in found}
    assert all(row["SystemModstamp"].endswith(".000Z") for row in found)


def test_a_result_read_again_is_the_same_whatever_has_happened(api: httpx2.Client, box: Sandbox) -> None:
    own_id = job(api, "SELECT Id, LastName FROM Lead")["id"]
    end(api, box, own_id)
    path = f"{API}/jobs/query/{own_id}/results"
    before = api.get(path).text
    lead = [one.id for one in box.contacts() if one.id.startswith("00Q")]
    box.change(lead[0], LastName="Renamed")
    box.gdpr_delete(lead[1])
    assert api.get(path).text == before


def test_pages_can_be_read_side_by_side(api: httpx2.Client, box: Sandbox) -> None:
    own_id = job(api, "SELECT Id FROM Contact")["id"]
    end(api, box, own_id)
    path: str | None = f"{API}/jobs/query/{own_id}/resultPages?maxRecords=40"
    found: list[str] = []
    while path:
        told = api.get(path).json()
        assert len(told["resultPages"]) <= 5
        for page in told["resultPages"]:
            found += [row["Id"] for row in csv.DictReader(io.StringIO(api.get(page["resultUrl"]).text))]
        path = told.get("nextRecordsUrl")
        assert told["done"] is (path is None)
    assert found == [one.id for one in box.contacts() if one.id.startswith("003")]


def test_awkward_values_survive_the_columns(api: httpx2.Client, box: Sandbox) -> None:
    box.add_awkward()
    text = "SELECT Id, LastName, Description FROM Lead WHERE LastName LIKE 'O%Sons'"
    own_id = job(api, text, columnDelimiter="SEMICOLON", lineEnding="CRLF")["id"]
    end(api, box, own_id)
    raw = api.get(f"{API}/jobs/query/{own_id}/results").text
    assert raw.startswith('"Id";"LastName";"Description"\r\n')
    [row] = csv.DictReader(io.StringIO(raw, newline=""), delimiter=";")
    assert (row["LastName"], row["Description"]) == ("O'Br\"ien & \\Sons", 'a,b\n"c";d')


def test_query_all_jobs_see_the_bin(api: httpx2.Client, box: Sandbox) -> None:
    gone = next(box.contacts()).id
    box.archive(gone)
    for operation, expected in (("query", []), ("queryAll", [gone])):
        own_id = job(api, "SELECT Id FROM Contact WHERE IsDeleted = true", operation=operation)["id"]
        end(api, box, own_id)
        text = api.get(f"{API}/jobs/query/{own_id}/results").text
        assert [row["Id"] for row in csv.DictReader(io.StringIO(text))] == expected


def test_a_job_can_be_aborted_removed_and_read_with_its_own_version_only(api: httpx2.Client, box: Sandbox) -> None:
    own_id = job(api, "SELECT Id FROM Lead")["id"]
    path = f"{API}/jobs/query/{own_id}"
    assert api.patch(path, json={"state": "Aborted"}).json()["state"] == "Aborted"
    assert api.get(path).json()["state"] == "Aborted"
    assert api.delete(path).status_code == 204
    assert refusal(api.get(path)) == (404, "NOT_FOUND")
    other = job(api, "SELECT Id FROM Lead")["id"]
    end(api, box, other)
    assert api.get(f"/services/data/v62.0/jobs/query/{other}/results").status_code == 409
    assert api.get(f"{API}/jobs/query/{other}/results").status_code == 200
    box.advance(7 * 86_400)
    assert refusal(api.get(f"{API}/jobs/query/{other}")) == (404, "NOT_FOUND")


def test_a_job_can_fail_and_says_why(api: httpx2.Client, box: Sandbox) -> None:
    control(box, "settings", failing_jobs=["InternalServerError"])
    failed = end(api, box, job(api, "SELECT Id FROM Lead")["id"])
    assert (failed["state"], failed["errorMessage"]) == ("Failed", "InternalServerError")
    assert end(api, box, job(api, "SELECT Id FROM Lead")["id"])["state"] == "JobComplete"


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Id, MailingAddress FROM Contact", "API_ERROR"),
        ("SELECT Id, (SELECT Id FROM OpportunityContactRoles) FROM Contact", "API_ERROR"),
        ("SELECT COUNT() FROM Contact", "API_ERROR"),
        ("SELECT Id FROM Contact LIMIT 5 OFFSET 5", "API_ERROR"),
        ("SELECT Nope FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE LastName = '" + "x" * 100_000 + "'", "MALFORMED_QUERY"),
    ],
)
def test_what_a_job_cannot_ask_is_refused_at_once(api: httpx2.Client, soql: str, code: str) -> None:
    reply = api.post(f"{API}/jobs/query", json={"operation": "query", "query": soql})
    assert refusal(reply) == (400, code)


def test_a_statement_too_long_for_an_address_passes_as_a_job(api: httpx2.Client) -> None:
    job(api, "SELECT Id FROM Lead WHERE LastName = '" + "x" * 50_000 + "'")


def test_results_are_compressed_even_for_who_does_not_ask(api: httpx2.Client, box: Sandbox) -> None:
    own_id = job(api, "SELECT Id FROM Lead LIMIT 1")["id"]
    end(api, box, own_id)
    headers = {"accept-encoding": "identity"}
    with api.stream("GET", f"{API}/jobs/query/{own_id}/results", headers=headers) as reply:
        assert gzip.decompress(b"".join(reply.iter_raw())).startswith(b'"Id"\n"00Q')
