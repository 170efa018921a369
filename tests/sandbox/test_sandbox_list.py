"""The list: keyset by id, strings and nulls, archived apart, changed contacts in their place."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from leadloom.sandbox import Sandbox
from leadloom.sandbox.hubspot.properties import CONTACT

type Walk = Callable[..., list[dict[str, Any]]]
LIST = "/crm/v3/objects/contacts"
EVERYTHING = ",".join(one.name for one in CONTACT)


def test_a_walk_sees_everybody_once_by_ascending_id(walk: Walk, box: Sandbox) -> None:
    ids = [int(row["id"]) for row in walk()]
    assert ids == sorted(set(ids))
    assert len(ids) == box.count() == 350


def test_the_fast_rows_say_what_the_truth_says(walk: Walk, box: Sandbox) -> None:
    truth = {one.id: one.properties for one in box.contacts()}
    for row in walk(properties=EVERYTHING):
        assert {name: value for name, value in row["properties"].items() if value is not None} == truth[row["id"]]


def test_a_row_has_the_recorded_keys_in_the_recorded_order(api: httpx2.Client) -> None:
    row = api.get(LIST, params={"limit": 1}).json()["results"][0]
    assert list(row) == ["id", "properties", "createdAt", "updatedAt", "archived", "url"]
    assert list(row["properties"]) == [
        "createdate",
        "email",
        "firstname",
        "hs_object_id",
        "lastmodifieddate",
        "lastname",
    ]
    assert row["updatedAt"] == row["properties"]["lastmodifieddate"]


def test_unknown_properties_are_left_out_and_empty_ones_are_null(api: httpx2.Client) -> None:
    row = api.get(LIST, params={"limit": 1, "properties": "fax,nonsense"}).json()["results"][0]
    assert list(row["properties"]) == ["createdate", "fax", "hs_object_id", "lastmodifieddate"]
    assert row["properties"]["fax"] is None


@pytest.mark.parametrize(
    "path", ["/crm/objects/2026-03/contacts", "/crm/objects/2026-09/contacts", "/crm/v3/objects/0-1"]
)
def test_every_version_of_the_path_answers(api: httpx2.Client, path: str) -> None:
    assert len(api.get(path).json()["results"]) == 10


@pytest.mark.parametrize("params", [{"limit": 101}, {"limit": 0}, {"limit": "x"}, {"after": "abc"}])
def test_a_bad_page_is_refused(api: httpx2.Client, params: dict[str, str]) -> None:
    reply = api.get(LIST, params=params)
    assert reply.status_code == 400
    assert reply.json()["category"] == "VALIDATION_ERROR"


def test_a_url_that_is_too_long_is_refused(api: httpx2.Client) -> None:
    assert api.get(LIST, params={"properties": "x" * 9000}).status_code == 414


def test_the_link_leads_to_the_next_page_of_the_same_question(api: httpx2.Client) -> None:
    first = api.get(LIST, params={"limit": 3, "properties": "phone,email"}).json()
    second = api.get(first["paging"]["next"]["link"]).json()
    assert int(second["results"][0]["id"]) > int(first["results"][-1]["id"])
    assert "phone" in second["results"][0]["properties"]


def test_companies_come_inline_and_some_twice(walk: Walk) -> None:
    links = [
        row["associations"]["companies"]["results"] for row in walk(associations="companies") if "associations" in row
    ]
    assert links
    assert any(len(one) == 2 and one[0]["id"] == one[1]["id"] for one in links)


def test_a_contact_made_during_a_walk_can_land_behind_the_cursor(walk: Walk, box: Sandbox) -> None:
    last = int(walk()[-1]["id"])
    assert any(int(box.create(firstname=f"Late {n}")) < last for n in range(10))


def test_changed_created_archived_and_restored_contacts_stand_where_they_belong(walk: Walk, box: Sandbox) -> None:
    ids = [row["id"] for row in walk()]
    box.change(ids[5], firstname="Changed")
    box.archive(ids[6])
    box.gdpr_delete(ids[7])
    box.archive(ids[8])
    box.restore(ids[8])
    made = box.create(firstname="Made")
    rows = walk()
    assert [int(row["id"]) for row in rows] == sorted(int(one) for one in {*ids, made} - {ids[6], ids[7]})
    assert {row["id"]: row["properties"]["firstname"] for row in rows}[ids[5]] == "Changed"
    assert {one.id for one in box.contacts()} == {row["id"] for row in rows}
    assert box.count() == len(rows)


def test_archived_contacts_are_listed_alone(walk: Walk, box: Sandbox) -> None:
    ids = [row["id"] for row in walk()][:3]
    for one in ids:
        box.archive(one)
    box.gdpr_delete(ids[2])
    rows = walk(archived="true")
    assert [row["id"] for row in rows] == ids[:2]
    assert all(row["archived"] and row["archivedAt"] for row in rows)


def test_the_same_arguments_give_the_same_portal() -> None:
    settings: dict[str, Any] = {"contacts": 40, "seed": 9, "now_ms": 1_795_000_000_000}
    with Sandbox(**settings) as one, Sandbox(**settings) as two:
        assert list(one.contacts()) == list(two.contacts())
        assert one.create(firstname="X") == two.create(firstname="X")


def test_an_empty_portal_is_a_portal() -> None:
    with Sandbox(contacts=0) as box:
        assert list(box.contacts()) == []
        box.create(firstname="First")
        assert box.count() == 1


def test_a_million_contacts_are_there_at_once_in_a_process_of_their_own() -> None:
    with Sandbox(contacts=1_000_000, own_process=True) as box:
        headers = {"authorization": f"Bearer {box.token}"}
        body = {"sorts": [{"propertyName": "createdate", "direction": "DESCENDING"}], "limit": 200}
        found = httpx2.post(f"{box.url}{LIST}/search", json=body, headers=headers, trust_env=False).json()
        assert found["total"] == box.count() == 1_000_000


def test_the_awkward_contacts_arrive_as_they_are(box: Sandbox, api: httpx2.Client) -> None:
    ids = box.add_awkward()

    def read(name: str, *properties: str) -> dict[str, Any]:
        reply = api.get(f"{LIST}/{ids[name]}", params={"properties": ",".join(properties)})
        values: dict[str, Any] = reply.json()["properties"]
        return values

    assert len(read("description_1mb", "message")["message"]) == 1_048_576
    assert read("nul_characters", "message")["message"] == "before\x00after"
    assert read("emoji", "firstname")["firstname"] == "🦄"
    assert read("phone_words", "phone", "hs_calculated_phone_number") | {"phone": "call office"} == read(
        "phone_words", "phone", "hs_calculated_phone_number"
    )
    assert b"\\u0000" in api.get(f"{LIST}/{ids['nul_characters']}?properties=message").content
    assert sum(name.startswith("phone_") for name in ids) >= 10
