"""HubSpot's refusals: each ends in what to do next, with a sentence the customer can act on."""

import json
from datetime import timedelta

import pytest
from tests.providers.conformance import NOW

from leadloom.errors import BadRequest, LeadloomError, NotAllowed, TokenExpired, TryLater
from leadloom.providers.base import Limit, Reply
from leadloom.providers.catalogue import provider

hubspot = provider("hubspot")
CORRELATION = "019cd9fe-d093-7d4f-99bc-45975fdcf7c6"
RATE = {"x-hubspot-ratelimit-max": "110", "x-hubspot-ratelimit-remaining": "0"}


def refusal(status: int, body: object = None, **headers: str) -> LeadloomError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return hubspot.explain(Reply(status, named, json.dumps(body or {}).encode()), now=NOW)


EXPIRED = {
    "status": "error",
    "message": "The OAuth token used to make this call expired 0 second(s) ago.",
    "correlationId": CORRELATION,
    "category": "EXPIRED_AUTHENTICATION",
    "context": {"expire time": ["2026-03-10T23:04:41.164Z"]},
}
SCOPES_ON_TOP = {"category": "MISSING_SCOPES", "context": {"requiredGranularScopes": ["crm.objects.owners.read"]}}
SCOPES_INSIDE = {
    "category": "MISSING_SCOPES",
    "errors": [{"message": "…", "context": {"requiredScopes": ["crm.objects.owners.read"]}}],
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"category": "VALIDATION_ERROR"}, BadRequest, "our_fault"),
        (401, EXPIRED, TokenExpired, "token_expired"),
        (401, {"category": "INVALID_AUTHENTICATION"}, TokenExpired, "token_expired"),  # a fresh token tells
        (403, SCOPES_ON_TOP, NotAllowed, "not_allowed"),
        (404, {"category": "OBJECT_NOT_FOUND"}, BadRequest, "our_fault"),
        (409, {"category": "CONFLICT"}, BadRequest, "our_fault"),
        (414, None, BadRequest, "our_fault"),
        (423, None, TryLater, "vendor_down"),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, TryLater, "rate_limited"),
        (429, {"policyName": "SECONDLY"}, TryLater, "rate_limited"),
        (429, {"policyName": "DAILY"}, TryLater, "quota"),
        (429, {"category": "RATE_LIMITS"}, TryLater, "rate_limited"),
        (477, None, TryLater, "vendor_down"),
        (500, None, TryLater, "vendor_down"),
        (502, None, TryLater, "vendor_down"),
        (524, None, TryLater, "vendor_down"),
    ],
)
def test_a_refusal_is_named_by_what_we_do_next(status: int, body: object, kind: type[LeadloomError], code: str) -> None:
    error = refusal(status, body)
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize("body", [SCOPES_ON_TOP, SCOPES_INSIDE])
def test_a_missing_permission_is_named_wherever_hubspot_puts_it(body: object) -> None:
    error = refusal(403, body)
    assert isinstance(error, NotAllowed)
    assert error.scopes == ("crm.objects.owners.read",)
    assert "crm.objects.owners.read" in str(error)


@pytest.mark.parametrize(
    ("body", "headers", "after"),
    [
        ({"policyName": "TEN_SECONDLY_ROLLING"}, RATE, timedelta(seconds=10)),
        ({"policyName": "SECONDLY"}, {}, timedelta(seconds=1)),
        ({}, {}, timedelta(seconds=1)),  # a search: the only replies without rate headers
        ({}, RATE, timedelta(seconds=10)),
        ({"policyName": "TEN_SECONDLY_ROLLING"}, {"retry-after": "3"}, timedelta(seconds=3)),
        ({"policyName": "DAILY"}, RATE, timedelta(hours=1)),  # midnight where? ask hourly
    ],
)
def test_a_limit_is_waited_out_and_no_longer(body: object, headers: dict[str, str], after: timedelta) -> None:
    error = hubspot.explain(Reply(429, headers, json.dumps(body).encode()), now=NOW)
    assert isinstance(error, TryLater)
    assert error.after == after


def test_an_account_on_the_move_is_left_alone_as_long_as_hubspot_says() -> None:
    error = refusal(477, retry_after="86400")
    assert isinstance(error, TryLater)
    assert error.after == timedelta(days=1)


def test_a_locked_record_is_asked_for_again_after_two_seconds_at_the_earliest() -> None:
    error = refusal(423)
    assert isinstance(error, TryLater)
    assert error.after >= timedelta(seconds=2)


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[]", b"\xff"])
def test_an_outage_that_answers_in_html_is_an_outage(body: bytes) -> None:
    error = hubspot.explain(Reply(502, {"content-type": "text/html"}, body), now=NOW)
    assert isinstance(error, TryLater)
    assert error.code == "vendor_down"


def test_we_keep_the_correlation_id_and_the_customer_is_spared_it() -> None:
    error = refusal(401, EXPIRED)
    assert CORRELATION in error.detail
    assert CORRELATION not in str(error)
    assert "leads are kept" in str(error)


def test_the_correlation_id_is_taken_from_the_header_when_there_is_no_body() -> None:
    assert CORRELATION in refusal(500, x_hubspot_correlation_id=CORRELATION).detail


def test_hubspots_own_headers_tell_the_limit_and_a_relays_do_not() -> None:
    reply = Reply(
        200,
        {
            "x-hubspot-ratelimit-max": "190",
            "x-hubspot-ratelimit-interval-milliseconds": "10000",
            "x-hubspot-ratelimit-remaining": "17",
            "x-ratelimit-limit": "5",
            "x-ratelimit-remaining": "0",
        },
        b"{}",
    )
    assert hubspot.allowance(reply) == Limit(190, timedelta(seconds=10))
    assert hubspot.remaining(reply) == 17
    assert hubspot.allowance(Reply(200, {"x-ratelimit-limit": "5"}, b"")) is None
    assert hubspot.remaining(Reply(200, {"x-ratelimit-remaining": "5"}, b"")) is None


@pytest.mark.parametrize("odd", ["²", "-1", "", "soon", "0", "9" * 40])
def test_odd_headers_are_read_as_silence(odd: str) -> None:
    headers = {"x-hubspot-ratelimit-max": odd, "x-hubspot-ratelimit-interval-milliseconds": "10000"}
    allowance = hubspot.allowance(Reply(200, headers, b""))
    assert allowance is None or allowance.requests > 0
    hubspot.remaining(Reply(200, {"x-hubspot-ratelimit-remaining": odd}, b""))
    error = refusal(477, retry_after=odd)
    assert isinstance(error, TryLater)
    assert timedelta(seconds=1) <= error.after <= timedelta(days=1)
