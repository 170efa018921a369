"""An account, a sandbox CRM with its simulated Nango, and the JSON API asked as a program would."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from tests.factories import make_member

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import issue_token
from leadloom.connections import vault
from leadloom.sandbox import Sandbox

type Ask = Callable[..., Any]


@pytest.fixture
def alice(committed: None) -> Member:
    return make_member()


@pytest.fixture(autouse=True)
def no_tokens_in_memory() -> None:
    """Ids begin anew in each test: a token of the last one must not pass for this one's."""
    vault._entries.clear()


@pytest.fixture
def charlie(committed: None) -> Member:
    return make_member("charlie@example.com", "Charlie Co")


@pytest.fixture
def box(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that every connection of the test goes to, and whose Nango is ours."""
    with Sandbox(contacts=60, seed=7) as sandbox:
        monkeypatch.setenv("CRM_HUBSPOT_BASE_URL", sandbox.url)
        settings.NANGO_HOST = sandbox.nango_url
        settings.NANGO_SECRET_KEY = sandbox.nango_key
        settings.NANGO_WEBHOOK_KEY = sandbox.nango_signing_key
        yield sandbox


def program(member: Member) -> Client:
    """A program with an API token of the member's account."""
    with account_scope(member.account_id):
        _, secret = issue_token(account=member.account, member=member, name="Zapier")
    return Client(headers={"Authorization": f"Bearer {secret}"}, enforce_csrf_checks=True)


@pytest.fixture
def api(alice: Member) -> Client:
    return program(alice)


def post(client: Client, path: str, body: object, **options: Any) -> Any:
    return client.post(f"/api/{path}", body, content_type="application/json", **options)
