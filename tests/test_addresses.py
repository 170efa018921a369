"""Promises of every page at once: found from the site's own addresses, so that new pages are held to them too."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from tests.factories import make_connection, make_lead, make_member, make_run

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import issue_token
from leadloom.connections.models import Connection, Run
from leadloom.leads.models import Lead, LeadChange

pytestmark = pytest.mark.django_db

PUBLIC = {"sign-in", "sign-up", "sign-out", "setup", "demo", "invitation", "live", "healthz", "readyz", "metrics"}
NOT_IDS = (0, 2**31, 2**63 - 1, 2**63, 10**30)
ODD = ("²", str(2**63), "%00", "eyJhIjoxfQ", "'" * 3000)
ASKED = ("after", "before", "connection", "outcome", "provider", "reason", "reconnect", "runs", "search")


def addresses() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, address and parameters of every page. The JSON API and the admin have tests of their own."""
    for entry in _flat(get_resolver().url_patterns, ""):
        name, path, _ = entry
        if not path.startswith(("api/", "admin/")) and name not in PUBLIC:
            yield entry


def _flat(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _flat(pattern.url_patterns, path)
        else:
            yield pattern.name or "", path, tuple(pattern.pattern.converters)


@pytest.fixture
def alice() -> Member:
    return make_member()


@pytest.fixture
def charlie() -> Member:
    return make_member("charlie@example.net", "Charlie & Co")


@pytest.fixture
def ids(alice: Member) -> dict[str, object]:
    """One of everything that Alice's account has, by the names that addresses use."""
    connection = make_connection(alice.account)
    lead = make_lead(alice.account)
    with account_scope(alice.account_id):
        token, _ = issue_token(account=alice.account, member=alice, name="Reports")
    return {
        "connection_id": connection.pk,
        "run_id": make_run(connection).pk,
        "lead_id": lead.pk,
        "member_id": alice.pk,
        "token_id": token.pk,
        "delivery_id": 1,
        "undo_id": 1,
        "invitation_id": 1,
        "field": "name",
    }


def test_nobody_sees_or_changes_what_another_account_has(
    client: Client, alice: Member, charlie: Member, ids: dict[str, object]
) -> None:
    client.force_login(charlie.user)
    before = what_there_is(alice)
    for name, path, needs in addresses():
        if not any(need.endswith("_id") for need in needs):
            continue
        address = "/" + fill(path, needs, ids)
        for method in ("get", "post"):
            status = getattr(client, method)(address).status_code
            assert status in (404, 405), f"{method} {address} ({name}) answers a stranger with {status}"
    assert what_there_is(alice) == before


def test_nobody_gets_in_without_signing_in(client: Client, ids: dict[str, object]) -> None:
    for name, path, needs in addresses():
        address = "/" + fill(path, needs, ids)
        for method in ("get", "post"):
            answer = getattr(client, method)(address)
            is_refused = answer.status_code == 405 or (
                answer.status_code == 302 and answer["Location"].startswith("/sign-in")
            )
            assert is_refused, f"{method} {address} ({name}) answers anybody with {answer.status_code}"


def test_ids_that_cannot_be_are_not_found(client: Client, alice: Member, ids: dict[str, object]) -> None:
    client.force_login(alice.user)
    for _, path, needs in addresses():
        for wrong in NOT_IDS:
            wanted = [need for need in needs if need.endswith("_id")]
            if wanted:
                address = "/" + fill(path, needs, ids | dict.fromkeys(wanted, wrong))
                for method in ("get", "post"):
                    status = getattr(client, method)(address).status_code
                    assert status in (404, 405), f"{method} {address}: {status}"


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:12])
def test_odd_words_in_an_address_never_break_a_page(
    client: Client, alice: Member, ids: dict[str, object], odd: str
) -> None:
    client.force_login(alice.user)
    pages = [("/" + fill(path, needs, ids)) for _, path, needs in addresses()]
    pages = [page for page in pages if client.get(page).status_code == 200]
    for page in pages:
        for asked in ASKED:
            status = client.get(f"{page}?{asked}={odd}").status_code
            assert status < 500, f"{page}?{asked}={odd}: {status}"


def fill(path: str, needs: tuple[str, ...], ids: dict[str, object]) -> str:
    for need in needs:
        for converter in ("int:", "str:", "slug:", ""):
            path = path.replace(f"<{converter}{need}>", str(ids[need]))
    return path


def what_there_is(member: Member) -> list[object]:
    with account_scope(member.account_id):
        return [list(model.objects.order_by("pk").values()) for model in (Connection, Run, Lead, LeadChange, Member)]
