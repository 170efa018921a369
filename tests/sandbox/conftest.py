"""One sandbox for all these tests, as new before each."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from hubspot import HubSpot

from leadloom.sandbox import Sandbox

CONTACTS = 350


@pytest.fixture(scope="session")
def _server() -> Iterator[Sandbox]:
    with Sandbox(contacts=CONTACTS, seed=7) as box:
        yield box


@pytest.fixture
def box(_server: Sandbox) -> Sandbox:
    _server.set_limits("none")
    _server.set_index_lag(0)
    _server.set_latency(0)
    _server.reset()
    return _server


@pytest.fixture
def api(box: Sandbox) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {box.token}"}
    with httpx2.Client(base_url=box.url, headers=headers, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def official(box: Sandbox) -> HubSpot:
    """HubSpot's own client, told nothing but another host."""
    return HubSpot(access_token=box.token, host=box.url)


@pytest.fixture
def walk(api: httpx2.Client) -> Callable[..., list[dict[str, Any]]]:
    """Every row of the list, page after page."""

    def pages(**params: str | int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        after: str | None = "0"
        while after is not None:
            body = api.get("/crm/v3/objects/contacts", params={"limit": 100, "after": after, **params}).json()
            rows += body["results"]
            after = body.get("paging", {}).get("next", {}).get("after")
        return rows

    return pages


@pytest.fixture
def search(api: httpx2.Client) -> Callable[..., dict[str, Any]]:
    """One search; ``filters`` are (property, operator, value) of one group."""

    def ask(*filters: tuple[str, str, object], sort: str = "", descending: bool = False, **more: Any) -> dict[str, Any]:
        group = [{"propertyName": name, "operator": operator, "value": value} for name, operator, value in filters]
        body: dict[str, Any] = {"filterGroups": [{"filters": group}], "limit": 200, **more}
        if sort:
            body["sorts"] = [{"propertyName": sort, "direction": "DESCENDING" if descending else "ASCENDING"}]
        reply = api.post("/crm/v3/objects/contacts/search", json=body)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    return ask
