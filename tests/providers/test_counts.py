"""How many contacts the CRM says it has: what is asked, what an answer says, and when it proves nothing."""

import json
from typing import Any

import httpx2
import pytest

from leadloom.errors import Unreadable
from leadloom.providers.base import Counting, CrmAccount, Reply
from leadloom.providers.catalogue import all_providers
from leadloom.providers.catalogue import provider as provider_of
from leadloom.sandbox import Sandbox
from leadloom.sandbox.gohighlevel.staff import LOCATION

KEYS = {"hubspot": "total", "gohighlevel": "total", "zoho": "count", "salesforce": "totalSize"}


def counting(slug: str) -> Counting:
    facts = {"locationId": LOCATION} if slug == "gohighlevel" else {}
    found = provider_of(slug).for_account(CrmAccount(external_id=str(facts.get("locationId", "1")), facts=facts))
    assert isinstance(found, Counting)
    return found


def count_of(slug: str, box: Sandbox) -> int:
    """What a simulated CRM tells over HTTP."""
    provider, total = counting(slug), 0
    headers = provider_of(slug).authorization(box.token)
    for request in provider.count():
        answer = httpx2.request(
            request.method, box.url + request.path, params=dict(request.query),
            headers={**headers, **request.headers}, json=request.body,
        )  # fmt: skip
        told = provider.read_count(Reply(answer.status_code, {}, answer.content))
        assert told is not None
        total += told
    return total


def reply(body: Any) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps(body).encode())


@pytest.mark.parametrize("slug", KEYS)
def test_it_costs_one_request_or_two(slug: str) -> None:
    assert 1 <= len(counting(slug).count()) <= 2


@pytest.mark.parametrize("slug", KEYS)
def test_the_number_is_read_from_the_reply(slug: str) -> None:
    assert counting(slug).read_count(reply({KEYS[slug]: 412_903, "contacts": [], "results": []})) == 412_903
    assert counting(slug).read_count(reply({KEYS[slug]: 0})) == 0


@pytest.mark.parametrize("slug", KEYS)
@pytest.mark.parametrize("found", [None, "7", True, -1, 7.5, [], {}], ids=repr)
def test_what_is_no_number_is_refused_and_never_read_as_zero(slug: str, found: Any) -> None:
    for body in ({KEYS[slug]: found}, {}, []):
        with pytest.raises(Unreadable):
            counting(slug).read_count(reply(body))


def test_a_search_that_stops_counting_at_ten_thousand_proves_nothing_there() -> None:
    assert counting("gohighlevel").read_count(reply({"total": 10_000})) is None
    assert counting("gohighlevel").read_count(reply({"total": 10_001})) == 10_001


@pytest.mark.parametrize("slug", KEYS)
def test_requests_are_within_a_known_limit(slug: str) -> None:
    assert {request.pool for request in counting(slug).count()} <= set(provider_of(slug).limits)


def test_every_crm_that_counts_is_tested_here() -> None:
    assert {crm.slug for crm in all_providers() if isinstance(crm, Counting)} == set(KEYS)
