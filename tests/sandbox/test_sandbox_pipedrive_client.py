"""Pipedrive's own client, unmodified but for the address, cannot tell the difference.

It is a package for Node, which is installed by its lock file on first use; without npm these tests are left out.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from leadloom.sandbox import Sandbox

FOLDER = Path(__file__).parent / "pipedrive_client"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
LONG_AGO, NEVER = "2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the client beside it."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("there is no node or npm on this machine, and Pipedrive's own client is a package for them")
    with (FOLDER / "package.json").open() as wanted:
        fcntl.flock(wanted, fcntl.LOCK_EX)  # tests run side by side
        _install(npm)
    return found


def _install(npm: str) -> None:
    asked = json.loads((FOLDER / "package.json").read_text())["dependencies"]["pipedrive"]
    there = FOLDER / "node_modules" / "pipedrive" / "package.json"
    if there.exists() and json.loads(there.read_text())["version"] == asked:
        return
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip(f"npm cannot reach its registry to install Pipedrive's own client: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr


class Client:
    """The client in a process of Node's."""

    def __init__(self, node: str, box: Sandbox) -> None:
        self._process = subprocess.Popen(
            [node, "ask.js", box.url, box.token],
            cwd=FOLDER, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def reply(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def ask(self, **question: Any) -> Any:
        told = self.reply(**question)
        assert "error" not in told, told
        return told["value"]

    def call(self, api: str, method: str, *, version: str = "v2", **given: Any) -> Any:
        return self.ask(version=version, api=api, method=method, given=given)

    def refusal(self, api: str, method: str, *, version: str = "v2", **given: Any) -> dict[str, Any]:
        told: dict[str, Any] = self.reply(version=version, api=api, method=method, given=given)["error"]
        return told

    def walk(self, api: str, method: str, **given: Any) -> list[dict[str, Any]]:
        """Every page's rows, by cursor."""
        rows: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.call(api, method, **given, **cursor)
            rows += page["data"]
            if page["additional_data"]["next_cursor"] is None:
                return rows
            cursor = {"cursor": page["additional_data"]["next_cursor"]}


@pytest.fixture(scope="module")
def _server(node: str) -> Iterator[tuple[Sandbox, Client]]:
    with Sandbox("pipedrive", contacts=450, seed=7) as sandbox:
        client = Client(node, sandbox)
        yield sandbox, client
        client.close()


@pytest.fixture
def box(_server: tuple[Sandbox, Client]) -> Sandbox:
    _server[0].reset()
    return _server[0]


@pytest.fixture
def client(_server: tuple[Sandbox, Client], box: Sandbox) -> Client:
    _server[1].ask(sign_in=None)
    return _server[1]


def known(box: Sandbox) -> list[int]:
    return [int(one.id) for one in box.contacts()]


def test_it_lists_everybody_by_cursor(box: Sandbox, client: Client) -> None:
    rows = client.walk("PersonsApi", "getPersons", limit=200, sort_by="id", sort_direction="asc")
    assert [row["id"] for row in rows] == known(box)


def test_it_reads_what_changed(box: Sandbox, client: Client) -> None:
    assert client.call("PersonsApi", "getPersons", updated_since=NEVER)["data"] == []
    order = {"sort_by": "update_time", "sort_direction": "asc"}
    everybody = client.walk("PersonsApi", "getPersons", limit=500, updated_since=LONG_AGO, **order)
    assert {row["id"] for row in everybody} == set(known(box))
    box.advance(60)
    own_id = known(box)[3]
    box.change(str(own_id), phone="+1 212 736 5000")
    [row] = client.walk("PersonsApi", "getPersons", updated_since=_after(everybody[-1]), **order)
    assert (row["id"], row["phones"][0]) == (own_id, {"value": "+1 212 736 5000", "primary": True, "label": "work"})


def _after(row: dict[str, Any]) -> str:
    """A second later than this row's last change."""
    return (datetime.fromisoformat(row["update_time"]) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")


def test_it_reads_one_person_with_what_is_told_when_asked_for(box: Sandbox, client: Client) -> None:
    own_id = int(
        box.create(name="Jane Smith", email="jane@example.com", marketing_status="unsubscribed", label="Customer")
    )
    person = client.call("PersonsApi", "getPerson", id=own_id, include_fields="marketing_status", include_labels=True)
    told = person["data"]
    assert (told["first_name"], told["last_name"]) == ("Jane", "Smith")
    assert told["emails"] == [{"value": "jane@example.com", "primary": True, "label": "work"}]
    assert (told["marketing_status"], told["labels"]) == ("unsubscribed", [{"id": 1, "label": "Customer"}])


def test_it_reads_organizations_by_id(box: Sandbox, client: Client) -> None:
    box.create(name="Jane Smith", company="Acme Roofing")
    own_id = client.call("PersonsApi", "getPersons", sort_by="id", sort_direction="desc", limit=1)["data"][0]["org_id"]
    [row] = client.call("OrganizationsApi", "getOrganizations", ids=f"{own_id},1")["data"]
    assert row["name"] == "Acme Roofing"


def test_it_reads_deals_with_their_stages(box: Sandbox, client: Client) -> None:
    own_id = known(box)[0]
    httpx2.post(
        f"{box.url}/_control/contacts/move", json={"id": str(own_id), "stage": "On-site visit booked"}
    ).raise_for_status()
    deals = client.call("DealsApi", "getDeals", person_id=own_id, status="open")["data"]
    stages = {row["id"]: row for row in client.call("StagesApi", "getStages")["data"]}
    pipelines = {row["id"]: row["name"] for row in client.call("PipelinesApi", "getPipelines")["data"]}
    assert [stages[row["stage_id"]]["name"] for row in deals] == ["On-site visit booked"]
    assert pipelines[stages[deals[0]["stage_id"]]["pipeline_id"]] == "Sales"
    everything = client.walk("DealsApi", "getDeals", limit=50, status="lost", sort_by="update_time")
    assert everything
    assert {row["status"] for row in everything} == {"lost"}


def test_it_reads_users_who_left_and_the_company(client: Client) -> None:
    users = client.call("UsersApi", "getUsers", version="v1")["data"]
    assert {one["active_flag"] for one in users} == {True, False}
    assert any(one["is_deleted"] for one in users)
    me = client.call("UsersApi", "getCurrentUser", version="v1")["data"]
    assert (me["company_domain"], me["company_name"]) == ("sandbox-sales", "Sandbox Sales")


def test_it_reads_the_fields_of_a_person(client: Client) -> None:
    fields = {one["field_name"]: one for one in client.walk("PersonFieldsApi", "getPersonFields", limit=7)}
    assert [one["label"] for one in fields["Labels"]["options"]] == ["Customer", "Hot lead", "Warm lead", "Cold lead"]
    own = fields["Do not text"]
    assert own["is_custom_field"]
    assert len(own["field_code"]) == 40


def test_it_creates_changes_and_deletes(box: Sandbox, client: Client) -> None:
    phones = [{"value": "+1 212 736 5001", "primary": True, "label": "mobile"}]
    made = client.call("PersonsApi", "addPerson", AddPersonRequest={"name": "New Person", "phones": phones})["data"]
    assert made["phones"] == phones
    changed = client.call("PersonsApi", "updatePerson", id=made["id"], UpdatePersonRequest={"phones": []})["data"]
    assert (changed["name"], changed["phones"]) == ("New Person", [])
    assert client.call("PersonsApi", "deletePerson", id=made["id"])["data"] == {"id": made["id"]}
    assert made["id"] not in known(box)
    assert client.call("PersonsApi", "getPerson", id=made["id"])["data"]["is_deleted"] is True


def test_it_merges_into_the_person_it_names(box: Sandbox, client: Client) -> None:
    loser, winner = known(box)[:2]
    merged = client.call(
        "PersonsApi", "mergePersons", version="v1", id=loser, MergePersonsRequest={"merge_with_id": winner}
    )["data"]
    assert (merged["id"], merged["merge_what_id"]) == (winner, loser)
    assert loser not in known(box)


def test_it_learns_of_deletions_from_recents(box: Sandbox, client: Client) -> None:
    own_id = known(box)[5]
    box.archive(str(own_id))
    since = httpx2.get(f"{box.url}/api/v2/persons/{own_id}", headers={"x-api-token": box.token}).json()["data"]
    given = {"since_timestamp": since["update_time"][:19].replace("T", " "), "items": "person", "limit": 500}
    recents = client.call("RecentsApi", "getRecents", version="v1", **given)["data"]
    assert {one["id"]: one["data"]["active_flag"] for one in recents}[own_id] is False


def test_it_signs_in_and_goes_where_the_token_says(box: Sandbox, client: Client) -> None:
    back = "https://app.example/back"
    asked = client.ask(sign_in={"clientId": box.client_id, "clientSecret": box.client_secret, "redirectUri": back})
    location = httpx2.get(asked["authorizationUrl"]).headers["location"]
    code = parse_qs(urlsplit(location).query)["code"][0]
    first = client.ask(oauth="authorize", given=[code])
    assert first["basePath"] == f"{box.url}/api/v2"
    assert client.call("PersonsApi", "getPersons", limit=1)["data"]
    again = client.ask(oauth="tokenRefresh")
    assert again["refreshToken"] == first["refreshToken"]
    assert again["told"]["access_token"] != first["told"]["access_token"]
    client.ask(oauth="revokeToken", given=["refresh_token"])
    assert client.refusal("PersonsApi", "getPersons", limit=1)["error"] == "unauthorized access"


def test_it_is_refused_in_words_it_knows(client: Client) -> None:
    told = client.refusal("PersonsApi", "getPersons", updated_since="2026-01-01T00:00:00.000Z")
    assert (told["success"], told["code"]) == (False, "ERR_SCHEMA_VALIDATION_FAILED")
    assert client.refusal("PersonsApi", "getPerson", id=1)["success"] is False
