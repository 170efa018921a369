"""Connecting: tested first, saved whole or not at all, and told in a sentence that a customer can act on."""

from typing import Any

import pytest
from django.test import Client
from tests.connections.conftest import post

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run
from leadloom.connections.services import connect_with_token
from leadloom.errors import WrongAccount
from leadloom.sandbox import Sandbox


def connect(api: Client, token: str) -> Any:
    return post(api, "crm/connect", {"provider": "hubspot", "credentials": {"method": "token", "token": token}})


def rows(member: Member) -> tuple[int, int]:
    with account_scope(member.account_id):
        return Connection.objects.count(), Run.objects.count()


def test_the_connection_and_its_first_run_are_there_when_it_answers(api: Client, alice: Member, box: Sandbox) -> None:
    answer = connect(api, box.token)
    assert answer.status_code == 200
    with account_scope(alice.account_id):
        run = Run.objects.get(pk=answer.json()["runId"])
        assert run.connection_id == answer.json()["connectionId"]
        assert (run.state, run.is_first) == ("queued", True)


@pytest.mark.parametrize(
    ("token", "note"),
    [
        ("pat-na1-nobody-knows-this-one", "made up"),
        ("pat-na1-ключ", "letters that no header can carry"),
        ("pat-na1 \u200b-x", "an invisible character from a web page"),
        ("Bearer\r\nX-Evil: 1", "tries to add a header"),
    ],
)
def test_a_wrong_token_is_told_and_saves_nothing(
    api: Client, alice: Member, box: Sandbox, token: str, note: str
) -> None:
    answer = connect(api, token)
    assert answer.status_code == 409, note
    error = answer.json()["error"]
    assert error["code"] == "needs_reconnect"
    assert token not in error["message"]
    assert rows(alice) == (0, 0)


def test_a_revoked_token_is_told_and_saves_nothing(api: Client, alice: Member, box: Sandbox) -> None:
    box.revoke_token()
    answer = connect(api, box.token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "needs_reconnect")
    assert rows(alice) == (0, 0)


def test_a_crm_that_is_down_is_tried_later(api: Client, alice: Member, box: Sandbox) -> None:
    box.fault("500", times=None)
    answer = connect(api, box.token)
    assert answer.status_code == 503, answer.content
    assert int(answer.headers["Retry-After"]) >= 1
    assert rows(alice) == (0, 0)


def test_a_crm_that_answers_html_is_told_and_saves_nothing(api: Client, alice: Member, box: Sandbox) -> None:
    box.fault("html", times=None)
    answer = connect(api, box.token)
    assert answer.status_code in (502, 503), answer.content
    assert "<" not in answer.json()["error"]["message"]
    assert rows(alice) == (0, 0)


def test_spaces_around_a_pasted_token_do_not_matter(api: Client, box: Sandbox) -> None:
    assert connect(api, f"  {box.token}\n").status_code == 200


def test_connecting_the_same_portal_again_keeps_the_row_and_joins_its_run(
    api: Client, alice: Member, box: Sandbox
) -> None:
    first, second = connect(api, box.token).json(), connect(api, box.token).json()
    assert (first["connectionId"], first["runId"]) == (second["connectionId"], second["runId"])
    assert rows(alice) == (1, 1)


def test_connecting_again_after_a_disconnect_revives_the_row(api: Client, alice: Member, box: Sandbox) -> None:
    first = connect(api, box.token).json()
    post(api, "crm/disconnect", {})
    with account_scope(alice.account_id):
        assert Connection.objects.get().sealed_credentials is None
    second = connect(api, box.token).json()
    assert first["connectionId"] == second["connectionId"]
    assert first["runId"] != second["runId"]


def test_a_reconnect_to_another_portal_is_refused(alice: Member, box: Sandbox) -> None:
    with account_scope(alice.account_id):
        connection, _ = connect_with_token(account=alice.account, member=alice, provider="hubspot", token=box.token)
        Connection.objects.update(external_account_id="1", external_account_name="Old portal")
        connection.refresh_from_db()
        with pytest.raises(WrongAccount, match="Old portal"):
            connect_with_token(
                account=alice.account, member=alice, provider="hubspot", token=box.token, reconnect=connection
            )
        assert Connection.objects.count() == 1


def test_members_may_refresh_but_neither_connect_nor_disconnect(client: Client, alice: Member, box: Sandbox) -> None:
    from tests.factories import make_member

    bob = make_member("bob@example.com", role="member", account=alice.account)
    client.force_login(bob.user)
    for path, body in (
        ("crm/connect", {"provider": "hubspot", "credentials": {"token": box.token}}),
        ("crm/disconnect", {}),
        ("crm/session-token", {"provider": "hubspot"}),
    ):
        answer = post(client, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_allowed"), path
    assert rows(alice) == (0, 0)


def test_a_crm_nobody_knows_is_named_as_such(api: Client, box: Sandbox) -> None:
    answer = post(api, "crm/connect", {"provider": "nosuch", "credentials": {"token": "x"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unknown_provider")


def test_there_is_no_sandbox_outside_the_demo(api: Client, alice: Member, box: Sandbox) -> None:
    answer = post(api, "crm/connect", {"provider": "hubspot", "credentials": {"method": "sandbox"}})
    assert answer.status_code == 400
    assert rows(alice) == (0, 0)
