"""GoHighLevel's own client, unmodified but for the base address, cannot tell the difference.

It speaks v3 of the API, in which the calls for contacts are those of the version that Leadloom asks for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from highlevel import HighLevel
from highlevel.error import GHLError
from highlevel.storage import MemorySessionStorage

from leadloom.sandbox import Sandbox
from leadloom.sandbox.gohighlevel.staff import COMPANY, LOCATION, USERS

type Ask = Callable[[Callable[[Any], Awaitable[Any]]], Any]


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
def official(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Does something with the official client and a private integration token."""
    monkeypatch.setattr(HighLevel, "BASE_URL", box.url)

    def ask(do: Callable[[Any], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            client = HighLevel(private_integration_token=box.token)
            try:
                return await do(client)
            finally:
                await client.close()

        return asyncio.run(run())

    return ask


def search(**more: Any) -> dict[str, Any]:
    return {"locationId": LOCATION, "pageLimit": 100, **more}


def test_it_walks_every_contact_newest_first(official: Ask, box: Sandbox) -> None:
    async def walk(client: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        page = (await client.contacts.search_contacts_advanced(search()))["contacts"]
        while page:
            rows += page
            after = search(searchAfter=page[-1]["searchAfter"])
            page = (await client.contacts.search_contacts_advanced(after))["contacts"]
        return rows

    rows = official(walk)
    added = [row["dateAdded"] for row in rows]
    assert added == sorted(added, reverse=True)
    assert {row["id"]: row["email"] for row in rows} == {one.id: one.properties.get("email") for one in box.contacts()}


def test_it_finds_what_changed_in_a_window(official: Ask, box: Sandbox) -> None:
    changed = next(box.contacts()).id
    at = box.change(changed, companyName="Acme")
    window = {"field": "dateUpdated", "operator": "range", "value": {"gte": at, "lte": at + 1000}}
    asked = search(filters=[window], sort=[{"field": "dateUpdated", "direction": "asc"}])
    found = official(lambda client: client.contacts.search_contacts_advanced(asked))
    assert [(row["id"], row["companyName"]) for row in found["contacts"]] == [(changed, "Acme")]
    assert found["total"] == 1


def test_it_creates_reads_updates_and_deletes(official: Ask) -> None:
    async def live(client: Any) -> tuple[Any, ...]:
        made = await client.contacts.create_contact(
            {"locationId": LOCATION, "firstName": "New", "email": "New.Person@Example.com", "phone": "+12127365000"}
        )
        own_id = made["contact"]["id"]
        read = await client.contacts.get_contact(own_id)
        changed = await client.contacts.update_contact(own_id, {"dndSettings": {"SMS": {"status": "active"}}})
        tagged = await client.contacts.add_tags(own_id, {"tags": ["Follow-Up"]})
        deleted = await client.contacts.delete_contact(own_id)
        with pytest.raises(GHLError) as gone:
            await client.contacts.get_contact(own_id)
        return read, changed, tagged, deleted, gone.value

    read, changed, tagged, deleted, gone = official(live)
    assert read["contact"]["email"] == "new.person@example.com"
    assert changed["contact"]["dndSettings"]["SMS"]["status"] == "active"
    assert tagged["tags"] == ["follow-up"]
    assert deleted["succeded"] is True
    assert gone.status_code == 400


def test_it_upserts_by_address(official: Ask, box: Sandbox) -> None:
    known = box.create(firstName="Ann", email="ann@example.com")
    body = {"locationId": LOCATION, "email": "Ann@example.com", "firstName": "Anna"}
    found = official(lambda client: client.contacts.upsert_contact(body))
    assert (found["new"], found["contact"]["id"], found["contact"]["firstName"]) == (False, known, "Anna")


def test_it_reads_users_pipelines_fields_companies_and_the_location(official: Ask, box: Sandbox) -> None:
    linked = next(one for one in box.contacts() if "businessId" in one.properties)

    async def read(client: Any) -> tuple[Any, ...]:
        return (
            await client.users.search_users(COMPANY, location_id=LOCATION),
            await client.users.get_user(USERS[-1].id),
            await client.opportunities.get_pipelines(LOCATION),
            await client.locations.get_custom_fields(LOCATION, model="contact"),
            await client.businesses.get_business(linked.properties["businessId"]),
            await client.locations.get_location(LOCATION),
        )

    users, former, pipelines, fields, business, location = official(read)
    assert {one["id"] for one in users["users"]} == {one.id for one in USERS}
    assert former["deleted"] is True
    assert "Offer sent 📄" in [stage["name"] for one in pipelines["pipelines"] for stage in one["stages"]]
    assert "MONETORY" in [one["dataType"] for one in fields["customFields"]]
    assert business["business"]["name"] == linked.properties["businessName"]
    assert location["location"]["id"] == LOCATION


def test_it_moves_an_opportunity_and_finds_it_as_the_latest(official: Ask, box: Sandbox) -> None:
    async def move(client: Any) -> tuple[Any, ...]:
        found = await client.contacts.search_contacts_advanced(search())
        contact = next(row for row in found["contacts"] if row["opportunities"])
        deal = contact["opportunities"][-1]["id"]
        await client.opportunities.update_opportunity(deal, {"status": "lost"})
        latest = {"locationId": LOCATION, "limit": 5, "sort": [{"field": "date_updated", "direction": "desc"}]}
        listed = await client.opportunities.search_opportunities_advanced(latest)
        of_contact = await client.opportunities.search_opportunity(LOCATION, contact_id=contact["id"])
        return deal, listed["opportunities"][0], of_contact["opportunities"]

    deal, latest, of_contact = official(move)
    assert (latest["id"], latest["status"]) == (deal, "lost")
    assert deal in [one["id"] for one in of_contact]


def test_a_refused_search_is_told_in_its_own_words(official: Ask) -> None:
    async def refused(client: Any) -> list[Any]:
        told = []
        for body in ({"pageLimit": 5}, search(filters=[{"field": "mood", "operator": "eq", "value": 1}])):
            with pytest.raises(GHLError) as error:
                await client.contacts.search_contacts_advanced(body)
            told.append((error.value.status_code, str(error.value)))
        return told

    (first, second) = official(refused)
    assert first[0] == 422
    assert "locationId must be a string" in first[1]
    assert second[0] == 400
    assert "Invalid field mood" in second[1]


def test_it_renews_a_token_that_ran_out_and_keeps_the_new_pair(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HighLevel, "BASE_URL", box.url)

    async def run() -> list[dict[str, Any]]:
        storage = MemorySessionStorage()
        client = HighLevel(client_id=box.client_id, client_secret=box.client_secret, session_storage=storage)
        body = {
            "clientId": box.client_id,
            "clientSecret": box.client_secret,
            "grantType": "authorization_code",
            "code": box.new_code(),
        }
        pairs = [await client.oauth.get_access_token(body)]
        await storage.set_session(LOCATION, pairs[0])
        for _ in range(2):
            kept = await storage.get_session(LOCATION)
            box.expire_token(kept["access_token"])
            found = await client.contacts.search_contacts_advanced(search())
            assert found["total"] == 350
            pairs.append(await storage.get_session(LOCATION))
        await client.close()
        return pairs

    pairs = asyncio.run(run())
    assert len({one["refresh_token"] for one in pairs}) == len({one["access_token"] for one in pairs}) == 3
