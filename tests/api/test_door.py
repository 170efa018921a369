"""What the API refuses, and how: one shape, never a 5xx for what was sent, never another account's rows."""

import csv
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from tests.connections.conftest import post, program
from tests.factories import make_connection, make_lead, make_run

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.leads.models import SourceContact
from leadloom.leads.spreadsheet import safe

READS = ("crm/status", "threads", "runs", "runs/1", "runs/1/records")
WRITES = ("crm/connect", "crm/sync", "crm/preview", "crm/disconnect", "crm/session-token")


def assert_refused(answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.content)
    body = answer.json()
    assert body["success"] is False
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"]


def test_strangers_come_in_nowhere(client: Client, alice: Member) -> None:
    for path in READS:
        assert_refused(client.get(f"/api/{path}"), 401)
    for path in WRITES:
        assert_refused(post(Client(enforce_csrf_checks=True), path, {}), 401)
    for header in ("Bearer nobody", "Bearer ", "Bearer ll_ключ", "Basic YTpi"):
        assert_refused(client.get("/api/threads", headers={"Authorization": header}), 401)


def test_a_session_without_a_csrf_token_is_refused(alice: Member) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice.user)
    for path in WRITES:
        answer = post(browser, path, {})
        assert_refused(answer, 403)
        assert answer.json()["error"]["code"] == "csrf"


def test_a_session_with_its_csrf_token_comes_in(alice: Member) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice.user)
    browser.cookies["csrftoken"] = "a" * 32
    answer = post(browser, "crm/sync", {}, headers={"X-CSRFToken": "a" * 32})
    assert answer.json()["error"]["code"] == "not_connected"


def test_another_accounts_ids_are_not_there(api: Client, charlie: Member) -> None:
    theirs = make_connection(charlie.account)
    run = make_run(theirs)
    make_lead(charlie.account, name="Secret Sam")
    for path in (f"runs/{run.pk}", f"runs/{run.pk}/records", f"runs/{run.pk}/records?format=csv"):
        assert_refused(api.get(f"/api/{path}"), 404)
    for path in ("crm/sync", "crm/preview", "crm/disconnect", "crm/session-token"):
        assert_refused(post(api, path, {"connectionId": theirs.pk}), 400, 404)
    assert api.get("/api/threads").json()["threads"] == []
    assert api.get("/api/runs").json()["runs"] == []
    assert api.get(f"/api/runs?connectionId={theirs.pk}").json()["runs"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'"text"',
        b'{"provider": "hubspot", "credentials": {"token": "\\ud800"}}',
        b'{"provider": "hub\\u0000spot", "credentials": {"token": "x"}}',
        b'{"provider": {"a": 1}, "credentials": []}',
        b'{"provider": "hubspot", "credentials": {"method": "psychic"}}',
        b'{"provider": "hubspot", "credentials": {"token": "   "}}',
        b'{"connectionId": "x"}',
        b'{"wait": 1e999}',
        b'{"wait": NaN}',
        b"\xff\xfe",
        b"{}" + b" " * 1_100_000,
    ],
)
def test_a_body_that_makes_no_sense_is_refused_in_the_one_shape(api: Client, body: bytes) -> None:
    answer = api.post("/api/crm/connect", body, content_type="application/json")
    assert_refused(answer, 400, 413, 422)


@pytest.mark.parametrize(
    "body",
    [{"strategy": "everything"}, {"wait": -1}, {"wait": 1e6}, {"connectionId": 10**40}, {"connectionId": "x"}],
)
def test_a_sync_that_makes_no_sense_is_refused(api: Client, body: dict[str, object]) -> None:
    assert_refused(post(api, "crm/sync", body), 404, 422)


@pytest.mark.parametrize(
    "query",
    [
        "threads?limit=0",
        "threads?limit=201",
        "threads?limit=x",
        "threads?after=nonsense",
        "threads?after=%00",
        "threads?search=%00",
        "threads?after=MjAyNi0wMS0wMVQwMDowMDowMHwx",
        "runs?after=-1",
        "runs?after=99999999999999999999999",
        "runs/99999999999999999999999",
        "runs/-1",
        "runs/x",
        "runs/1/records?outcome=psychic",
        "runs/1/records?format=xls",
        "nothing/here",
    ],
)
def test_an_address_that_makes_no_sense_is_refused(api: Client, query: str) -> None:
    assert_refused(api.get(f"/api/{query}"), 404, 422)


def test_a_wrong_method_is_told_in_the_one_shape(api: Client) -> None:
    answer = api.get("/api/crm/sync")
    assert_refused(answer, 405)
    assert "POST" in answer.headers["Allow"]


def test_a_refusal_never_repeats_a_credential(api: Client) -> None:
    answer = post(api, "crm/connect", {"provider": "hubspot", "credentials": {"token": ["pat-na1-very-secret"]}})
    assert_refused(answer, 422)
    assert "very-secret" not in answer.content.decode()


def test_with_several_crms_the_caller_says_which(api: Client, alice: Member) -> None:
    first = make_connection(alice.account, external_account_id="1")
    make_connection(alice.account, external_account_id="2")
    assert post(api, "crm/sync", {}).json()["error"]["code"] == "which_connection"
    assert post(api, "crm/sync", {"connectionId": first.pk}).json()["connectionId"] == first.pk


@pytest.mark.parametrize(("state", "code"), [("paused", "paused"), ("needs_reconnect", "needs_reconnect")])
def test_what_cannot_be_refreshed_says_why(api: Client, alice: Member, state: str, code: str) -> None:
    make_connection(alice.account, state=state)
    answer = post(api, "crm/sync", {})
    assert_refused(answer, 409)
    assert answer.json()["error"]["code"] == code


def test_search_finds_by_name_phone_and_email(api: Client, alice: Member) -> None:
    make_lead(alice.account, name="Ann 100%", phone="+12125550147", email="ann@example.com")
    make_lead(alice.account, name="Ben", phone="+13105550199", email="ben@example.com")
    for words in ("ann", "100%", "(212) 555-01", "ANN@example"):
        found = api.get("/api/threads", {"search": words}).json()["threads"]
        assert [thread["name"] for thread in found] == ["Ann 100%"], words
    assert api.get("/api/threads", {"search": "%"}).json()["threads"][0]["name"] == "Ann 100%"


def records(alice: Member, **names: str) -> int:
    connection = make_connection(alice.account)
    run = make_run(connection, state="done", seen=len(names), skipped=len(names))
    with account_scope(alice.account_id):
        for external_id, name in names.items():
            SourceContact.objects.create(
                account=alice.account, connection=connection, external_id=external_id, name=name, last_run=run,
                outcome="skipped", reason="no_phone_or_email", phones=[], emails=[],
            )  # fmt: skip
    return run.pk


def test_each_contact_that_was_skipped_has_its_reason(api: Client, alice: Member) -> None:
    run = records(alice, a1="Ann", b2="Ben", c3="Cid")
    page = api.get(f"/api/runs/{run}/records?outcome=skipped&limit=2").json()
    assert [one["externalId"] for one in page["records"]] == ["a1", "b2"]
    assert page["records"][0]["reason"] == "no_phone_or_email"
    assert page["records"][0]["message"]
    assert page["records"][0]["fix"]
    rest = api.get(f"/api/runs/{run}/records?outcome=skipped&limit=2&after={page['next']}").json()
    assert ([one["externalId"] for one in rest["records"]], rest["next"]) == (["c3"], None)
    assert api.get(f"/api/runs/{run}/records?outcome=created").json()["records"] == []


def test_a_contacts_name_is_no_formula_in_the_spreadsheet(api: Client, alice: Member) -> None:
    run = records(alice, a1='=HYPERLINK("http://evil","x")', b2="Zoë, of “Acme”\nLtd")
    answer = api.get(f"/api/runs/{run}/records?format=csv&limit=1")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert 'rel="next"' in answer.headers["Link"]
    rows = list(csv.reader(StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[1][1].startswith("'=")
    rest = api.get(f"/api/runs/{run}/records?format=csv&after=a1")
    assert "Link" not in rest.headers
    assert next(row for row in csv.reader(StringIO(rest.content.decode("utf-8-sig"))) if row[0] == "b2")[1].startswith(
        "Zoë, of “Acme”"
    )


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "＝1", "\n=1", "\u00a0@x"])
def test_no_cell_is_taken_for_a_formula(cell: str) -> None:
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Ann", "a=b", "x@y", "1+1"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert safe(cell) == cell


def test_two_programs_see_their_own_accounts(alice: Member, charlie: Member) -> None:
    make_lead(alice.account, name="Ann")
    make_lead(charlie.account, name="Cleo")
    for member, name in ((alice, "Ann"), (charlie, "Cleo")):
        assert [one["name"] for one in program(member).get("/api/threads").json()["threads"]] == [name]
