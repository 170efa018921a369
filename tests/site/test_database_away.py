"""A database that breaks off in the middle of a request, really: its server process for us is ended."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection as db
from django.test import Client
from tests.factories import make_connection, make_member

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import issue_token
from leadloom.connections import services
from leadloom.connections.models import Run


@pytest.fixture
def alice(committed: None) -> Member:
    member = make_member()
    make_connection(member.account)
    return member


@pytest.fixture
def breaks_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever asks for a run loses the database just before it is written."""
    ask = services.request_run

    def lose(**asked: Any) -> object:
        db.ensure_connection()
        ours = db.connection.info.backend_pid
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [ours])
        return ask(**asked)

    monkeypatch.setattr(services, "request_run", lose)
    yield
    db.close()


def browser(alice: Member) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(alice.user)
    return client


def program(alice: Member) -> Client:
    with account_scope(alice.account_id):
        _, secret = issue_token(account=alice.account, member=alice, name="Zapier")
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {secret}"})


def runs(alice: Member) -> int:
    db.close()
    with account_scope(alice.account_id):
        return Run.objects.count()


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["a form", "a button"])
def test_a_page_says_that_it_is_worth_trying_again(alice: Member, breaks_off: None, headers: dict[str, str]) -> None:
    answer = browser(alice).post("/connections/refresh", headers=headers)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Try again in a few seconds" in answer.content.decode()
    assert runs(alice) == 0


@pytest.mark.parametrize("who", [browser, program])
def test_the_api_says_so_in_its_one_shape(
    alice: Member, who: Callable[[Member], Client], request: pytest.FixtureRequest
) -> None:
    client = who(alice)
    request.getfixturevalue("breaks_off")
    answer = client.post("/api/crm/sync", {}, content_type="application/json")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json()["error"]["code"] == "database_away"
    assert runs(alice) == 0


def test_our_own_mistake_is_no_trouble_of_the_database(alice: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    def slip(**_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(services, "request_run", slip)
    assert browser(alice).post("/connections/refresh").status_code == 500
    assert program(alice).post("/api/crm/sync", {}, content_type="application/json").status_code == 500
