"""Faults on order: each kind does its damage to the requests it was meant for and to no others."""

import json
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from leadloom.sandbox import Sandbox
from leadloom.sandbox.faults import Kind

LIST = "/crm/v3/objects/contacts"


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "429", "477"])
def test_a_status_hits_the_next_request_only(box: Sandbox, api: httpx2.Client, kind: Kind) -> None:
    box.fault(kind, retry_after=7 if kind in {"429", "477"} else None)
    reply = api.get(LIST)
    assert reply.status_code == int(kind)
    assert reply.headers.get("retry-after") == ("7" if kind in {"429", "477"} else None)
    assert ("html" in reply.headers["content-type"]) == (kind == "502")
    assert api.get(LIST).status_code == 200


@pytest.mark.parametrize("kind", ["cut_json", "invalid_json", "html"])
def test_a_complete_reply_that_is_no_json(box: Sandbox, api: httpx2.Client, kind: Kind) -> None:
    box.fault(kind)
    reply = api.get(LIST)
    assert reply.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()


@pytest.mark.parametrize("kind", ["drop", "cut"])
def test_a_broken_connection(box: Sandbox, api: httpx2.Client, kind: Kind) -> None:
    box.fault(kind)
    with pytest.raises(httpx2.TransportError):
        api.get(LIST, params={"limit": 100})
    assert api.get(LIST).status_code == 200
    assert box.stats().statuses[0] == 1


def test_a_request_that_hangs_runs_into_the_clients_timeout(box: Sandbox, api: httpx2.Client) -> None:
    box.fault("hang")
    with pytest.raises(httpx2.ReadTimeout):
        api.get(LIST, timeout=0.2)


def test_a_slow_reply_arrives_whole(box: Sandbox, api: httpx2.Client) -> None:
    box.fault("slow", seconds=0.2)
    assert len(api.get(LIST).json()["results"]) == 10


def test_the_same_page_for_ever(box: Sandbox, api: httpx2.Client) -> None:
    box.fault("repeat", times=None, path=LIST)
    first = api.get(LIST).json()
    after = first["paging"]["next"]["after"]
    assert api.get(LIST, params={"after": after}).json() == first
    box.clear_faults()
    assert api.get(LIST, params={"after": after}).json() != first


def test_the_page_that_comes_again_is_one_of_the_same_list_in_the_same_order(box: Sandbox, api: httpx2.Client) -> None:
    box.fault("repeat", times=None, path="/crm/v3/objects/contacts")

    def search(by: str, **more: str) -> list[str]:
        asked = {"sorts": [{"propertyName": by, "direction": "DESCENDING"}], "limit": 3, **more}
        return [one["id"] for one in api.post(f"{LIST}/search", json=asked).json()["results"]]

    by_id = search("hs_object_id")
    assert search("hs_object_id", after="3") == by_id
    assert search("createdate") != by_id
    assert api.get(LIST, params={"archived": "true"}).json() != api.get(LIST).json()


def test_a_page_out_of_order_holds_the_same_people(box: Sandbox, api: httpx2.Client) -> None:
    ordered = api.get(LIST).json()
    box.fault("shuffle")
    page = api.get(LIST).json()
    assert page["results"] == ordered["results"][::-1] != ordered["results"]
    assert page["paging"] == ordered["paging"]
    assert api.get(LIST).json() == ordered


def test_a_fault_waits_for_its_path_and_its_turn(box: Sandbox, api: httpx2.Client) -> None:
    box.fault("503", path="/crm/v3/owners", skip=1, times=2)
    assert api.get(LIST).status_code == 200
    assert [api.get("/crm/v3/owners").status_code for _ in range(4)] == [200, 503, 503, 200]


def test_bad_luck_comes_from_seeded_dice() -> None:
    def luck() -> list[int]:
        with Sandbox(contacts=1, seed=5) as box, httpx2.Client(base_url=box.url, trust_env=False) as client:
            box.fault("500", times=None, probability=0.3)
            client.headers["authorization"] = f"Bearer {box.token}"
            return [client.get(LIST).status_code for _ in range(40)]

    assert luck() == luck()
    assert set(luck()) == {200, 500}


def test_a_wrong_clock_shows_in_the_date_only(box: Sandbox, api: httpx2.Client) -> None:
    box.skew_date(3600)
    told = parsedate_to_datetime(api.get(LIST).headers["date"]).timestamp() * 1000
    assert 3_590_000 < told - box.now_ms() < 3_610_000


def test_a_reset_is_a_new_portal(box: Sandbox, api: httpx2.Client) -> None:
    before = list(box.contacts())
    box.create(firstname="X")
    box.expire_token()
    box.fault("500", times=None)
    box.reset()
    assert list(box.contacts()) == before
    assert api.get(LIST).status_code == 200


def test_a_misspelt_control_is_an_error(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="400"):
        box._post("contacts/change", {"id": "1", "propertys": {}})
