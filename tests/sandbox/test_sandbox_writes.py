"""Reading and writing single contacts and batches, merges, erasure."""

import httpx2
import pytest

from leadloom.sandbox import Sandbox

PATH = "/crm/v3/objects/contacts"


def some(box: Sandbox, count: int) -> list[str]:
    return [one.id for one in box.contacts()][:count]


def test_a_batch_with_unknown_ids_is_207_and_names_them(api: httpx2.Client, box: Sandbox) -> None:
    known = some(box, 2)
    reply = api.post(f"{PATH}/batch/read", json={"inputs": [{"id": one} for one in [*known, "888"]], "properties": []})
    assert reply.status_code == 207
    body = reply.json()
    assert {row["id"] for row in body["results"]} == set(known)
    assert body["numErrors"] == 1
    assert body["errors"][0]["context"]["ids"] == ["888"]


@pytest.mark.parametrize("ids", [["1", "1"], [str(n) for n in range(101)]])
def test_a_batch_with_doubles_or_too_many_is_refused(api: httpx2.Client, ids: list[str]) -> None:
    assert api.post(f"{PATH}/batch/read", json={"inputs": [{"id": one} for one in ids]}).status_code == 400


def test_a_merge_keeps_the_primarys_values_and_fills_its_blanks(api: httpx2.Client, box: Sandbox) -> None:
    first = box.create(firstname="Ann", email="ann@example.com", lifecyclestage="lead")
    second = box.create(
        firstname="Anna", lastname="Vogt", email="anna@example.com", phone="+12127365000", lifecyclestage="customer"
    )
    merged = box.merge(first, second)
    names = "firstname,lastname,email,phone,lifecyclestage,hs_additional_emails,hs_merged_object_ids"
    values = api.get(f"{PATH}/{first}", params={"properties": names}).json()["properties"]
    assert (
        values | {"firstname": "Ann", "lastname": "Vogt", "email": "ann@example.com", "phone": "+12127365000"} == values
    )
    assert values["lifecyclestage"] == "customer"
    assert values["hs_additional_emails"] == "anna@example.com"
    assert values["hs_merged_object_ids"] == f"{first};{second}"
    assert values["hs_object_id"] == merged


def test_former_ids_reach_the_survivor_singly_but_not_in_a_batch(api: httpx2.Client, box: Sandbox) -> None:
    first, second, third = some(box, 3)
    merged = box.merge(box.merge(first, second), third)
    for old in (first, second, third):
        assert api.get(f"{PATH}/{old}").json()["id"] == merged
        assert api.patch(f"{PATH}/{old}", json={"properties": {"city": "Ulm"}}).json()["id"] == merged
    assert api.post(f"{PATH}/batch/read", json={"inputs": [{"id": first}]}).status_code == 207
    assert first not in {one.id for one in box.contacts()}


def test_an_erased_contact_is_nowhere_and_its_address_is_blocked(api: httpx2.Client, box: Sandbox) -> None:
    made = box.create(email="gone@example.com")
    assert (
        api.post(f"{PATH}/gdpr-delete", json={"objectId": "gone@example.com", "idProperty": "email"}).status_code == 204
    )
    assert api.get(f"{PATH}/{made}").status_code == 404
    assert api.get(f"{PATH}/{made}", params={"archived": "true"}).status_code == 404
    assert api.post(PATH, json={"properties": {"email": "gone@example.com"}}).status_code == 400


def test_an_archived_contact_is_404_until_asked_for_as_archived(api: httpx2.Client, box: Sandbox) -> None:
    (one,) = some(box, 1)
    assert api.delete(f"{PATH}/{one}").status_code == 204
    assert api.get(f"{PATH}/{one}").json()["category"] == "OBJECT_NOT_FOUND"
    assert api.get(f"{PATH}/{one}", params={"archived": "true"}).json()["archived"]
    box.restore(one)
    assert api.get(f"{PATH}/{one}").status_code == 200


def test_an_address_can_be_had_once_only(api: httpx2.Client, box: Sandbox) -> None:
    made = box.create(email="once@example.com")
    reply = api.post(PATH, json={"properties": {"email": "Once@example.com"}})
    assert reply.status_code == 409
    assert made in reply.json()["message"]


def test_unknown_and_read_only_properties_are_refused_in_writes(api: httpx2.Client, box: Sandbox) -> None:
    (one,) = some(box, 1)
    for name in ("first000name", "createdate"):
        assert api.patch(f"{PATH}/{one}", json={"properties": {name: "x"}}).status_code == 400


def test_the_stage_only_moves_forward_unless_cleared(api: httpx2.Client, box: Sandbox) -> None:
    made = box.create(lifecyclestage="customer")

    def write(value: str) -> str | None:
        api.patch(f"{PATH}/{made}", json={"properties": {"lifecyclestage": value}})
        stage: str | None = api.get(f"{PATH}/{made}?properties=lifecyclestage").json()["properties"]["lifecyclestage"]
        return stage

    assert write("lead") == "customer"
    assert write("") is None
    assert write("lead") == "lead"


def test_a_write_answers_with_some_properties_only_and_moves_the_date(api: httpx2.Client, box: Sandbox) -> None:
    (one,) = some(box, 1)
    before = api.get(f"{PATH}/{one}").json()
    reply = api.patch(f"{PATH}/{one}", json={"properties": {"city": "Ulm"}}).json()
    assert reply["properties"]["city"] == "Ulm"
    assert "email" not in reply["properties"]
    assert reply["updatedAt"] > before["updatedAt"]
    assert reply["createdAt"] == before["createdAt"]


def test_the_calculated_number_follows_the_phone(api: httpx2.Client, box: Sandbox) -> None:
    made = box.create(phone="+1 (212) 736-5000")
    box.change(made, phone="ask")
    values = api.get(f"{PATH}/{made}?properties=phone,hs_calculated_phone_number").json()["properties"]
    assert values["hs_calculated_phone_number"] is None


def test_a_batch_update_and_archive_reach_each_contact(api: httpx2.Client, box: Sandbox) -> None:
    first, second = some(box, 2)
    inputs = [{"id": one, "properties": {"city": "Ulm"}} for one in (first, second)]
    assert len(api.post(f"{PATH}/batch/update", json={"inputs": inputs}).json()["results"]) == 2
    assert api.post(f"{PATH}/batch/archive", json={"inputs": [{"id": first}]}).status_code == 204
    assert {one.id: one.properties.get("city") for one in box.contacts() if one.id in {first, second}} == {
        second: "Ulm"
    }


def test_a_mass_change_has_one_time_for_all(box: Sandbox) -> None:
    changed = box.bulk_change(120, company="Northwind")
    times = {one.properties["lastmodifieddate"] for one in box.contacts() if one.id in set(changed)}
    assert len(changed) == 120
    assert len(times) == 1


def test_the_account_tells_its_portal(api: httpx2.Client) -> None:
    for path in ("/account-info/v3/details", "/account-info/2026-09/details"):
        assert api.get(path).json()["portalId"] == 24681357


def test_contacts_without_a_company_are_missing_from_the_links(api: httpx2.Client, box: Sandbox) -> None:
    people = list(box.contacts())[:60]
    inputs = [{"id": one.id} for one in people]
    found = api.post("/crm/v4/associations/contacts/companies/batch/read", json={"inputs": inputs}).json()["results"]
    assert [one["from"]["id"] for one in found] == [one.id for one in people if "associatedcompanyid" in one.properties]
    assert {1, 279} == {kind["typeId"] for kind in found[0]["to"][0]["associationTypes"]}


def test_companies_are_listed_and_owners_are_paged(api: httpx2.Client) -> None:
    assert len(api.get("/crm/v3/objects/companies?limit=100").json()["results"]) == 100
    first = api.get("/crm/owners/2026-09?limit=4").json()
    rest = api.get("/crm/v3/owners", params={"after": first["paging"]["next"]["after"]}).json()
    assert len(first["results"]) + len(rest["results"]) == 7
