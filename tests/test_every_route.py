"""Every route, attacked by Charlie with what is Alice's. The routes are found, not listed: one that is added tomorrow
is attacked tomorrow, and a parameter that these tests do not know makes them fail until somebody says what it is."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection as db
from django.db import transaction
from django.test import Client
from pytest_django import Settings
from tests.routes import Operation, Page, hidden_operations, names_read_by_pages, operations, pages
from tests.test_walls import Seeded, account_tables, seed

from leadloom.accounts.models import Account, ApiToken, Invitation, Member, Scope
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import issue_token
from leadloom.connections.models import Connection, Method, Run
from leadloom.leads.models import Lead, Message, SourceContact, Undo
from leadloom.texter.models import Delivery, Event, TexterSettings

pytestmark = pytest.mark.django_db

METHODS = ("get", "head", "post", "put", "patch", "delete")
HERS = "zanzibar"  # is in whatever of Alice's a page could show
NOBODYS = 987_654_321  # an id that nothing has

# Pages that answer without a membership: what they show is nobody's, or belongs to whoever holds the secret in them.
OPEN = {"sign-in", "sign-up", "sign-out", "setup", "demo", "invitation", "healthz", "readyz", "metrics"}
# Event streams are attacked in tests/live: test_a_stream_asked_for_by_alices_ids_tells_charlie_only_his_own.
STREAMS = {"live"}
# Operations for other services, which prove themselves by a secret of the operator's and name no account.
FOR_SERVICES = {"/api/cron/sync-crm", "/api/webhooks/nango"}

# What pages read from a query or form: ids of rows, by whose they could be, and words.
ROWS = {"account", "before", "connection", "log", "reconnect", "runs", "test"}
WORDS = {
    "address", "after", "code", "confirmed", "field", "form", "have_left", "key", "method", "outcome", "provider",
    "reason", "search", "to", "token", "username",
}  # fmt: skip
# The same for operations of the API.
API_ROWS = {"run_id", "connectionId", "lead_id", "undo_id"}
API_WORDS = {
    "after", "confirmed", "credentials", "format", "haveLeft", "integration", "limit", "outcome", "provider",
    "providerConfigKey",
    "search", "strategy", "wait",
}  # fmt: skip
NEEDED = {
    "haveLeft": False,
    "confirmed": True,
}  # what a body must hold beside ids, or it is refused before a row is looked for
# Nango's word for a connection, not an id of ours: test_a_grant_of_another_account_is_refused.
NANGOS = {("POST /api/crm/connect", "connectionId")}


@dataclass
class Stage:
    alice: Member
    charlie: Member
    hers: dict[str, object]
    """By the names that addresses, queries and bodies use."""

    def browser(self, member: Member) -> Client:
        client = Client()
        client.force_login(member.user)
        return client

    def program(self, member: Member) -> Client:
        with account_scope(member.account_id):
            _, secret = issue_token(account=member.account, member=member, name="Attack")
        return Client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def stage(settings: Settings) -> Stage:
    settings.NANGO_SECRET_KEY = "a-nango-key-of-a-test"
    settings.NANGO_HOST = "http://127.0.0.1:9"  # nobody answers there
    hers = seed("alice@example.com", "Acme")
    his = seed("charlie@example.net", "Charlie & Co")
    return Stage(hers.member, his.member, _marked(hers))


def _marked(of: Seeded) -> dict[str, object]:
    """Writes HERS into everything of Alice's that a page shows. Answers her ids."""
    account = of.member.account_id
    of.member.user.name = HERS
    of.member.user.save()
    with account_scope(account):
        Account.objects.filter(pk=account).update(name=HERS)
        Lead.objects.update(name=HERS, company=HERS, crm_description=HERS, last_message=HERS, email=f"{HERS}@a.example")
        Connection.objects.update(external_account_name=HERS, reason=HERS)
        Run.objects.update(error=HERS)
        SourceContact.objects.update(name=HERS, last_run=of.run)
        Message.objects.update(body=HERS)
        ApiToken.objects.update(name=HERS)
        Invitation.objects.update(email=f"{HERS}@b.example")
        TexterSettings.objects.update(url=f"https://{HERS}.example/")
        at_nango = Connection.objects.create(
            account=of.member.account,
            provider="hubspot",
            method=Method.NANGO,
            nango_connection_id="grant-of-alice",
            provider_config_key="hubspot",
            external_account_id="2",
            external_account_name=HERS,
        )
        return {
            "account": account,
            "connection_id": of.connection.pk,
            "connection": of.connection.pk,
            "reconnect": of.connection.pk,
            "connectionId": of.connection.pk,
            "nango connectionId": at_nango.pk,
            "run_id": of.run.pk,
            "runs": of.run.pk,
            "before": of.run.pk + 1,
            "lead_id": of.lead.pk,
            "member_id": of.member.pk,
            "token_id": ApiToken.objects.get().pk,
            "invitation_id": Invitation.objects.get().pk,
            "undo_id": Undo.objects.get().pk,
            "delivery_id": Delivery.objects.order_by("pk")[0].pk,
            "test": Delivery.objects.filter(event=Event.TEST).order_by("pk")[0].pk,
            "log": Delivery.objects.order_by("-pk")[0].pk + 1,
        }


def all_of(member: Member) -> dict[str, str]:
    """A fingerprint of every row of this account, table by table."""
    with account_scope(member.account_id), db.cursor() as cursor:
        told = {}
        for table, _, _ in account_tables():
            cursor.execute(f"SELECT coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {table} t")
            told[table] = str(cursor.fetchone()[0])
        return told


def with_ids() -> list[Page]:
    return [page for page in pages() if page.needs and page.name not in OPEN]


def test_every_parameter_of_an_address_is_known_here(stage: Stage) -> None:
    unknown = {(page.name, need) for page in with_ids() for need in page.needs if need not in stage.hers}
    assert not unknown, "say in _marked() what these are, so that they are attacked"


def test_every_name_that_pages_read_is_known_here() -> None:
    assert names_read_by_pages() - ROWS - WORDS == set(), "is it the id of a row (ROWS) or not (WORDS)?"


def test_every_parameter_of_an_operation_is_known_here() -> None:
    unknown = {(one.name, name) for one in operations() for name in one.asks_for - API_ROWS - API_WORDS}
    assert not unknown, "is it the id of a row (API_ROWS) or not (API_WORDS)?"


def test_no_operation_is_hidden_and_no_stream_is_new() -> None:
    assert hidden_operations() == set()
    assert {page.name for page in pages() if page.is_stream} == STREAMS
    assert {one.path for one in operations()} >= FOR_SERVICES


def test_alices_addresses_do_not_exist_for_charlie(stage: Stage) -> None:
    charlie = stage.browser(stage.charlie)
    before = all_of(stage.alice)
    assert len(with_ids()) > 20
    for page in with_ids():
        for method in METHODS:
            answer = getattr(charlie, method)(page.at(stage.hers))
            assert answer.status_code in (404, 405), f"{method} {page.path}: {answer.status_code}"
            assert HERS not in answer.content.decode(), f"{method} {page.path}"
    assert all_of(stage.alice) == before


def test_they_do_exist_for_alice(stage: Stage) -> None:
    """Or the test above would pass for the wrong reason."""
    alice = stage.browser(stage.alice)
    for page in with_ids():
        assert {_undone(alice, method, page.at(stage.hers)).status_code for method in ("get", "post")} - {404, 405}, (
            f"{page.path} is not there for Alice either"
        )


def _undone(client: Client, method: str, address: str, **sent: Any) -> Any:
    with transaction.atomic():
        answer = getattr(client, method)(address, **sent)
        transaction.set_rollback(True)
    return answer


def plain() -> list[Page]:
    return [page for page in pages() if not page.needs and page.name not in OPEN | STREAMS]


@pytest.mark.parametrize("is_fragment", [False, True])
def test_no_page_shows_charlie_anything_of_alices_whatever_ids_he_names(stage: Stage, is_fragment: bool) -> None:
    charlie, alice = stage.browser(stage.charlie), stage.browser(stage.alice)
    headers = {"HX-Request": "true"} if is_fragment else {}
    before, shown_to_her = all_of(stage.alice), 0
    for page in plain():
        for name in sorted(ROWS):
            answer = charlie.get(page.at({}), {name: str(stage.hers[name])}, headers=headers)
            assert answer.status_code in (200, 302, 404, 405), f"{page.path}?{name}: {answer.status_code}"
            assert HERS not in answer.content.decode(), f"{page.path}?{name} shows Charlie what is Alice's"
            shown_to_her += HERS in alice.get(page.at({}), {name: str(stage.hers[name])}).content.decode()
    assert all_of(stage.alice) == before
    assert shown_to_her > 20


def test_no_form_changes_or_shows_anything_of_alices_whatever_ids_charlie_puts_into_it(stage: Stage) -> None:
    charlie = stage.browser(stage.charlie)
    before = all_of(stage.alice)
    ids = {name: str(stage.hers[name]) for name in ROWS}
    for page in plain():
        answer = _undone(charlie, "post", page.at({}), data={**ids, "provider": "hubspot", "token": ""})
        assert answer.status_code < 500, page.path
        assert HERS not in answer.content.decode(), page.path
    assert all_of(stage.alice) == before


def sent(operation: Operation, ids: dict[str, object]) -> tuple[str, dict[str, Any]]:
    """Its address and what to send, with these ids wherever it takes any."""
    path = operation.path
    for name in operation.in_path:
        path = path.replace("{" + name + "}", str(ids[name]))
    if operation.in_body:
        key = "nango connectionId" if operation.path == "/api/crm/session-token" else "connectionId"
        body = {"connectionId": ids[key]} if "connectionId" in operation.in_body else {}
        body |= {name: value for name, value in NEEDED.items() if name in operation.in_body}
        return path, {"data": body, "content_type": "application/json"}
    query = "&".join(f"{name}={ids[name]}" for name in operation.in_query & API_ROWS)
    return f"{path}?{query}" if query else path, {}


def naming_rows() -> list[Operation]:
    return [one for one in operations() if {(one.name, name) for name in one.asks_for & API_ROWS} - NANGOS]


@pytest.mark.parametrize("by", ["browser", "program"])
def test_alices_ids_do_not_exist_for_charlie_in_any_operation(stage: Stage, by: str) -> None:
    """404 where an id says what is meant. A list narrowed by one is as empty as for an id that nobody has."""
    charlie = getattr(stage, by)(stage.charlie)
    before = all_of(stage.alice)
    assert len(naming_rows()) >= 6
    for operation in naming_rows():
        path, hers = sent(operation, stage.hers)
        answer = getattr(charlie, operation.method)(path, **hers)
        path, nobodys = sent(operation, dict.fromkeys(stage.hers, NOBODYS))
        nothing = getattr(charlie, operation.method)(path, **nobodys)
        assert (answer.status_code, answer.content) == (nothing.status_code, nothing.content), operation.name
        if operation.in_path or operation.in_body:
            assert answer.status_code == 404, f"{operation.name}: {answer.status_code} {answer.content!r}"
    assert all_of(stage.alice) == before


def test_they_do_exist_for_alices_programs(stage: Stage) -> None:
    program = stage.program(stage.alice)
    for operation in naming_rows():
        path, hers = sent(operation, stage.hers)
        answer = _undone(program, operation.method, path, **hers)
        assert answer.status_code not in (400, 404, 422), f"{operation.name}: {answer.content!r}"


@pytest.mark.parametrize("by", ["browser", "program"])
def test_no_operation_shows_charlie_anything_of_alices(stage: Stage, by: str) -> None:
    charlie, alice, shown_to_her = getattr(stage, by)(stage.charlie), getattr(stage, by)(stage.alice), 0
    for operation in operations():
        if operation.method == "get" and not operation.in_path and operation.path not in FOR_SERVICES:
            assert HERS not in charlie.get(operation.path).content.decode(), operation.name
            shown_to_her += HERS in alice.get(operation.path).content.decode()
    assert shown_to_her >= 3


def test_a_token_that_may_only_read_changes_nothing_by_any_operation(stage: Stage) -> None:
    """403 for every method that could change something, known or not yet thought of; reading goes on."""
    account = stage.alice.account
    with account_scope(account.pk):
        _, secret = issue_token(account=account, member=stage.alice, name="Reports", scope=Scope.READ)
    reports = Client(headers={"Authorization": f"Bearer {secret}"})
    reports.get("/api/threads")  # notes that the token was used
    before, read = all_of(stage.alice), 0
    for operation in operations():
        if operation.path in FOR_SERVICES:
            continue
        path, hers = sent(operation, stage.hers)
        answer = getattr(reports, operation.method)(path, **hers)
        if operation.method == "get":
            read += answer.status_code == 200
        else:
            assert answer.status_code == 403, f"{operation.name}: {answer.status_code}"
            assert "only read" in answer.json()["error"]["message"]
    assert read >= 5
    assert all_of(stage.alice) == before


def test_no_key_of_a_customer_opens_what_is_for_other_services(stage: Stage) -> None:
    for client in (stage.program(stage.alice), stage.browser(stage.alice)):
        for operation in operations():
            if operation.path in FOR_SERVICES:
                answer = client.generic(operation.method.upper(), operation.path, "{}", "application/json")
                assert answer.status_code == 401, operation.name
