"""The last wall of the logs: what looks personal or secret does not pass, ids and counts do."""

import pytest

from leadloom.providers.base import Provider
from leadloom.providers.catalogue import all_providers
from leadloom.site.logs import REMOVED, take_out_secrets


def logged(**event: object) -> dict[str, object]:
    return dict(take_out_secrets(None, "info", event))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("refused for alice@example.com", "alice@example.com"),
        ("could not read +1 (212) 555-0182", "555-0182"),
        ("Authorization: Bearer ll_3kd83jd83jd83jd83jd83jd83j", "ll_3kd83jd83jd83jd83jd83jd83j"),
        ("token pat-na1-1f2e3d4c-aaaa-bbbb-cccc-121212121212 expired", "1f2e3d4c"),  # pragma: allowlist secret
        ("token pit-1f2e3d4c-aaaa-bbbb-cccc-121212121212 expired", "1f2e3d4c"),  # pragma: allowlist secret
        ("Zoho-oauthtoken 1000." + "ab12" * 8 + "." + "cd34" * 8, "cd34cd34"),
        ("asked with 00D5g00000AbCdE!" + "AQ.x" * 12, "AQ.xAQ.x"),
        ("GET /invitations/kJ8s7dh37dh37dh37d", "kJ8s7dh37dh37dh37d"),
        ("GET /setup?code=1234567890abcdef", "1234567890abcdef"),
        ("GET /demo?key=abcdefgh&x=1", "abcdefgh"),
        ("postgresql://leadloom:hunter2@db/leadloom is away", "hunter2"),
    ],
)
def test_what_has_the_shape_of_something_personal_or_secret_is_taken_out(text: str, secret: str) -> None:
    passed = str(logged(event=text)["event"])
    assert secret not in passed
    assert REMOVED in passed


@pytest.mark.parametrize("crm", all_providers(), ids=lambda crm: crm.slug)
def test_the_header_that_opens_a_crm_is_taken_out_of_a_text_too(crm: Provider) -> None:
    """Whatever the token looks like: a header as it is printed, and as it is sent."""
    for token in ("quillfeather-of-no-shape", "ab12" * 10):  # the latter as Pipedrive's are
        headers = crm.authorization(token)
        sent = "\n".join(f"{name}: {value}" for name, value in headers.items())
        for text in (f"asked with {dict(headers)}", f"asked with {list(headers.items())}", sent):
            assert token not in str(logged(event=text)["event"]), text


def test_keys_that_must_never_be_logged_lose_their_values_also_deep_inside() -> None:
    passed = logged(event="x", name="Ada", job={"args": {"phone": "212", "run_id": 7}}, note="", rows=[{"email": "a"}])
    assert passed["name"] == REMOVED
    assert passed["job"] == {"args": {"phone": REMOVED, "run_id": 7}}
    assert passed["note"] == ""
    assert passed["rows"] == [{"email": REMOVED}]


@pytest.mark.parametrize(
    "text",
    [
        "[cron/sync-crm] started 12 of 14",
        "✅ Synced: 1200 seen, 5 updated",
        "run 812345678901 of connection 4, correlation 0f8fad5b-d9cb-469f-a165-70867728950e",
        "2026-11-23T14:48:50.535432Z",
    ],
)
def test_ids_counts_and_times_pass_as_they_are(text: str) -> None:
    assert logged(event=text)["event"] == text


def test_an_exception_is_cleaned_too() -> None:
    passed = logged(event="failed", error=ValueError("no lead for bob@example.org"))
    assert passed["error"] == f"ValueError: no lead for {REMOVED}"


FAILED_ROW = """Traceback (most recent call last):
  File "leads.py", line 7, in save
psycopg.errors.NotNullViolation: null value in column "status" of relation "leads" violates not-null constraint
DETAIL:  Failing row contains (7, 1, Zenobia Quillfeather, 4155550142, zq at example,
second line of her notes, null).

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "base.py", line 105, in _execute
django.db.utils.IntegrityError: null value in column "status" of relation "leads" violates not-null constraint
DETAIL:  Failing row contains (7, 1, Zenobia Quillfeather, 4155550142, zq at example,
second line of her notes, null).
"""


def test_the_row_that_a_database_refused_is_not_told() -> None:
    passed = str(logged(event="sync.bug", exception=FAILED_ROW)["exception"])
    for personal in ("Zenobia", "4155550142", "second line"):
        assert personal not in passed
    assert 'column "status"' in passed
    assert passed.count("line 105, in _execute") == 1
