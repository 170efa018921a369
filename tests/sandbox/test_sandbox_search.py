"""Search: agrees with the truth, stops at 10,000, lags, takes one sort."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx2
import pytest

from leadloom.sandbox import Sandbox, TrueContact

type Search = Callable[..., dict[str, Any]]
PATH = "/crm/v3/objects/contacts/search"


def ids(found: dict[str, Any]) -> list[str]:
    return [row["id"] for row in found["results"]]


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def walk_by_id(search: Search, *filters: tuple[str, str, object]) -> list[str]:
    """The recommended walk: fixed window, ascending id, no offset."""
    found: list[str] = []
    last = "0"
    while page := ids(search(*filters, ("hs_object_id", "GT", last), sort="hs_object_id")):
        found += page
        last = page[-1]
    return found


def test_a_window_walked_by_id_holds_exactly_those_modified_in_it(search: Search, box: Sandbox) -> None:
    box.change(next(box.contacts()).id, firstname="Touched")
    box.create(firstname="Made")
    truth = list(box.contacts())
    for days in (0.01, 10, 200, 2000):
        low = box.now_ms() - int(days * 86_400_000)
        wanted = [one.id for one in truth if ms(one.properties["lastmodifieddate"]) >= low]
        assert walk_by_id(search, ("lastmodifieddate", "GTE", str(low))) == wanted


def test_the_total_counts_only_what_is_left(search: Search) -> None:
    first = search(sort="hs_object_id")
    rest = search(("hs_object_id", "GT", first["results"][-1]["id"]), sort="hs_object_id")
    assert first["total"] == 350
    assert rest["total"] == 150


def test_offset_pages_and_their_end(search: Search) -> None:
    first = search(sort="createdate", limit=200)
    assert first["paging"]["next"] == {"after": "200"}
    second = search(sort="createdate", limit=200, after="200")
    assert "paging" not in second
    assert len({*ids(first), *ids(second)}) == 350


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("name", ["createdate", "lastmodifieddate", "hs_object_id", "lastname"])
def test_a_sort_orders_untouched_and_changed_contacts_alike(
    search: Search, box: Sandbox, name: str, descending: bool
) -> None:
    box.create(firstname="Made", lastname="Zz")
    box.change(list(box.contacts())[3].id, lastname="Aa")
    truth = {one.id: one.properties for one in box.contacts()}
    found = [
        *ids(search(sort=name, descending=descending)),
        *ids(search(sort=name, descending=descending, after="200")),
    ]
    values = [truth[one].get(name, "").lower() for one in found]
    assert sorted(found) == sorted(truth)
    assert values == sorted(values, reverse=descending)


def test_the_oldest_come_first_without_a_sort(api: httpx2.Client) -> None:
    created = [row["createdAt"] for row in api.post(PATH, json={"limit": 50}).json()["results"]]
    assert created == sorted(created)


type Fits = Callable[[TrueContact], bool]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ([("lifecyclestage", "EQ", "lead")], lambda one: one.properties.get("lifecyclestage") == "lead"),
        ([("lifecyclestage", "NEQ", "lead")], lambda one: one.properties.get("lifecyclestage") != "lead"),
        ([("phone", "HAS_PROPERTY", None)], lambda one: "phone" in one.properties),
        ([("phone", "NOT_HAS_PROPERTY", None)], lambda one: "phone" not in one.properties),
        (
            [("phone", "HAS_PROPERTY", None), ("email", "NOT_HAS_PROPERTY", None)],
            lambda one: "phone" in one.properties and "email" not in one.properties,
        ),
        ([("num_notes", "GT", 5)], lambda one: int(one.properties.get("num_notes", 0)) > 5),
        ([("hs_email_optout", "EQ", True)], lambda one: one.properties.get("hs_email_optout") == "true"),
        ([("city", "CONTAINS_TOKEN", "aust*")], lambda one: "austin" in one.properties.get("city", "").lower()),
        ([("hs_lastmodifieddate", "GTE", "0")], lambda one: False),
    ],
)  # fmt: skip
def test_filters_find_whom_they_describe(
    search: Search, box: Sandbox, filters: list[tuple[str, str, object]], fits: Fits
) -> None:
    assert sorted(walk_by_id(search, *filters)) == sorted(one.id for one in box.contacts() if fits(one))


def test_groups_are_alternatives(api: httpx2.Client, box: Sandbox) -> None:
    groups = [
        {"filters": [{"propertyName": "lifecyclestage", "operator": "IN", "values": ["lead", "customer"]}]},
        {"filters": [{"propertyName": "phone", "operator": "NOT_HAS_PROPERTY"}]},
    ]
    total = api.post(PATH, json={"filterGroups": groups, "limit": 0}).json()["total"]
    assert total == sum(
        one.properties["lifecyclestage"] in {"lead", "customer"} or "phone" not in one.properties
        for one in box.contacts()
    )


def test_between_and_iso_times(api: httpx2.Client, box: Sandbox) -> None:
    created = sorted(one.properties["createdate"] for one in box.contacts())
    between = {"propertyName": "createdate", "operator": "BETWEEN", "value": created[10], "highValue": created[19]}
    assert api.post(PATH, json={"filterGroups": [{"filters": [between]}]}).json()["total"] == 10


def test_an_address_finds_its_contact_and_the_one_who_shares_it(search: Search, box: Sandbox) -> None:
    someone = next(one for one in box.contacts() if "email" in one.properties)
    mail = someone.properties["email"]
    assert ids(search(("email", "EQ", mail.upper()))) == [
        one.id for one in box.contacts() if one.properties.get("email") == mail
    ]


def test_the_wall_stands_at_ten_thousand(api: httpx2.Client) -> None:
    with Sandbox(contacts=10_500) as large, httpx2.Client(base_url=large.url, trust_env=False) as client:
        client.headers["authorization"] = f"Bearer {large.token}"

        def ask(after: int, limit: int) -> httpx2.Response:
            return client.post(PATH, json={"limit": limit, "after": str(after)})

        assert ask(9800, 200).json()["total"] == 10_500
        assert ask(9801, 200).status_code == 400
        assert ask(10_000, 10).json()["category"] == "VALIDATION_ERROR"
        assert ask(0, 0).json()["total"] == 10_500


def test_a_mass_import_at_one_millisecond_is_walked_by_id_beyond_the_wall(box: Sandbox) -> None:
    with Sandbox(contacts=10_500) as large, httpx2.Client(base_url=large.url, trust_env=False) as client:
        client.headers["authorization"] = f"Bearer {large.token}"
        at_ms = large.now_ms()
        changed = large.bulk_change(10_400, at_ms=at_ms, hs_lead_status="OPEN")
        found: list[str] = []
        last = "0"
        while True:
            filters = [
                {"propertyName": "lastmodifieddate", "operator": "EQ", "value": str(at_ms)},
                {"propertyName": "hs_object_id", "operator": "GT", "value": last},
            ]
            sorts = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
            body = {"filterGroups": [{"filters": filters}], "sorts": sorts, "limit": 200}
            page = ids(client.post(PATH, json=body).json())
            if not page:
                break
            found += page
            last = page[-1]
        assert found == sorted(changed, key=int)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"limit": 201}, "too large a page"),
        ({"after": "abc"}, "an after that is no number"),
        ({"sorts": ["createdate", "lastname"]}, "two sorts"),
        ({"sorts": [{"propertyName": "nonsense"}]}, "a sort by an unknown property"),
        ({"filterGroups": [{"filters": []}] * 6}, "six groups"),
        ({"filterGroups": [{"filters": [{"propertyName": "x", "operator": "EQ", "value": "1"}]}]}, "unknown property"),
        ({"filterGroups": [{"filters": [{"propertyName": "city", "operator": "LIKE", "value": "1"}]}]}, "operator"),
        ({"filterGroups": [{"filters": [{"propertyName": "city", "operator": "EQ"}]}]}, "no value"),
        ({"properties": ["x" * 3100]}, "a body beyond 3,000 characters"),
        ({"limit": "many"}, "a limit of the wrong type"),
    ],
)
def test_it_refuses(api: httpx2.Client, body: dict[str, Any], why: str) -> None:
    reply = api.post(PATH, json=body)
    assert reply.status_code == 400, why
    assert reply.json()["status"] == "error"


def test_a_list_cursor_leads_nowhere(api: httpx2.Client) -> None:
    after = api.get("/crm/v3/objects/contacts").json()["paging"]["next"]["after"]
    assert api.post(PATH, json={"after": after}).status_code == 400


def test_a_change_is_unseen_until_the_index_has_it(search: Search, box: Sandbox, api: httpx2.Client) -> None:
    someone = next(box.contacts()).id
    box.set_index_lag(60)
    box.change(someone, firstname="Fresh")
    made = box.create(firstname="Unseen")
    recent = ("lastmodifieddate", "GTE", str(box.now_ms() - 60_000))
    assert ids(search(recent)) == []
    assert api.get(f"/crm/v3/objects/contacts/{someone}").json()["properties"]["firstname"] == "Fresh"
    box.advance(61)
    assert sorted(ids(search(recent))) == sorted([someone, made])


def test_archived_and_merged_contacts_are_not_found(search: Search, box: Sandbox) -> None:
    first, second, third = [one.id for one in box.contacts()][:3]
    box.archive(first)
    merged = box.merge(second, third)
    found = {*ids(search(sort="hs_object_id")), *ids(search(sort="hs_object_id", after="200"))}
    assert found.isdisjoint({first, second, third})
    assert merged in found


def test_words_are_looked_for_in_names_and_addresses(search: Search, box: Sandbox) -> None:
    made = box.create(firstname="Quirinius", email="q@example.com")
    assert ids(search(query="quirin")) == [made]
