"""A customer's own do-not-text properties are asked for and obeyed, wherever HubSpot's contacts are read."""

import json

import pytest
from tests.providers.conformance import NOW, walk
from tests.providers.fakes.hubspot import LONGEST_BODY, LONGEST_URL, with_contacts

from leadloom.contact import JSON
from leadloom.providers.base import CrmAccount, Request
from leadloom.providers.crms.hubspot import HubSpot, provider


def account(opt_out_properties: JSON = None) -> CrmAccount:
    facts = {} if opt_out_properties is None else {"opt_out_properties": opt_out_properties}
    return CrmAccount(external_id="147893286", facts=facts)


def set_up(*names: str) -> HubSpot:
    return provider.for_account(account(list(names)))


def asks_for(request: Request) -> str:
    return json.dumps([request.body, dict(request.query)])


def test_own_properties_are_asked_for_in_every_request_that_brings_values() -> None:
    hubspot = set_up("do_not_text")
    portal = with_contacts(3)
    portal.people[1001].is_deaf_to_batch = True  # so that one is read alone
    values = [
        *walk(hubspot.everything(), portal).requests,
        *[asked for asked in walk(hubspot.changes(), portal).requests if not asked.path.endswith("/search")],
    ]
    assert len(values) == 4
    assert all("do_not_text" in asks_for(request) and "sakari_opted_out" in asks_for(request) for request in values)


@pytest.mark.parametrize(
    ("value", "is_opted_out"),
    [("true", True), ("2026-01-05", True), ("Yes, by phone", True), ("false", False), ("", False), (None, False)],
)
def test_own_properties_are_obeyed(value: str | None, is_opted_out: bool) -> None:
    record = {"id": "1", "properties": {"do_not_text": value}}
    contact = set_up("do_not_text").contact(record, tables={}, account=account(), region="US")
    assert contact.opted_out is is_opted_out


def test_an_account_without_own_properties_is_read_as_ever() -> None:
    assert provider.for_account(account()) == provider


@pytest.mark.parametrize(
    "named", ["do_not_text", ["do not text"], ["a,b"], [5], {"a": "b"}, [f"p{i}" for i in range(11)]]
)
def test_what_cannot_be_a_property_is_refused_rather_than_ignored(named: JSON) -> None:
    with pytest.raises(ValueError, match="opt_out_properties"):
        provider.for_account(account(named))


def test_the_longest_names_still_fit_into_hubspots_requests() -> None:
    hubspot = set_up(*(f"{number}".rjust(100, "x") for number in range(10)))
    feed = hubspot.everything()
    search = feed.request(feed.first(bookmark=None, now=NOW))
    assert len(json.dumps(search.body)) <= LONGEST_BODY
    listing = walk(feed, with_contacts(1)).requests[1]
    assert len(listing.path) + sum(len(value) for value in listing.query.values()) < LONGEST_URL
