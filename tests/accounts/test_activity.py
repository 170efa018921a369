"""The audit log: every action of a manager, found from the routes, leaves a line by id alone; and who may read it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from pytest_django import Settings
from tests.factories import make_lead, make_member, make_run
from tests.routes import SOURCE, UNSAFE, Operation, Page, operations, pages
from tests.test_walls import Seeded, seed

from leadloom.accounts.activity import WORDS, activity
from leadloom.accounts.models import AuditEntry, Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.services import audit
from leadloom.accounts.tokens import issue_token
from leadloom.connections.models import Connection, Run
from leadloom.connections.secrets import seal
from leadloom.leads.models import SourceContact, Undo
from leadloom.sandbox import Sandbox
from leadloom.texter.models import Delivery, DeliveryState, Event, TexterSettings

pytestmark = pytest.mark.django_db

# What a manager fills in, by the page's name. A new action of managers needs a line here, or it is not tried.
SENT: dict[str, dict[str, str]] = {
    "absent": {"have_left": "no"},
    "account": {"form": "account", "account-name": "New Name", "account-region": "DE"},
    "connect": {"provider": "hubspot", "method": "sandbox"},
    "disconnect": {},
    "pause": {},
    "release": {},
    "resume": {},
    "invitation-withdraw": {},
    "lead-erase": {"confirmed": "yes"},
    "member-remove": {},
    "member-role": {"role": "admin"},
    "members": {"email": "dora@example.com", "role": "member"},
    "run-undo": {},
    "undo-take-back": {},
    "texter-address": {"address": "https://93.184.215.14/hook"},
    "texter-again": {},
    "texter-release": {},
    "texter-secret": {},
    "texter-switch": {"to": "on"},
    "texter-test": {},
    "token-revoke": {},
    "tokens": {"name": "Zapier"},
}
# The same for operations of the API, by their path.
ASKED: dict[str, dict[str, Any]] = {
    "/api/crm/absent": {"haveLeft": False},
    "/api/crm/connect": {"provider": "hubspot", "credentials": {"method": "sandbox"}},
    "/api/crm/disconnect": {},
    "/api/leads/{lead_id}/erase": {"confirmed": True},
    "/api/runs/{run_id}/undo": {},
    "/api/undos/{undo_id}/take-back": {},
}
# It opens a dialog at Nango and changes nothing here: what comes of it is connected by /api/crm/connect.
NOTHING_DONE = {"/api/crm/session-token"}
JSON = "application/json"
TARGET = re.compile(r"([a-z]+ \d+( (as|to) [a-z]+)?|region [A-Z]{2})?")
"""A kind, an id, and perhaps a role or scope: no name, address or number."""


@pytest.fixture
def seeded(settings: Settings) -> Iterator[Seeded]:
    """Alice's account in a state in which each action has something to do."""
    of = seed("alice@example.com", "Acme")
    account = of.member.account
    with account_scope(account.pk):
        Connection.objects.update(state="paused", held_run_id=of.run.pk)
        held = TexterSettings.objects.get()
        held.url, held.sealed_secret = "https://old.example/hook", seal("whsec_" + "A" * 32, held.seal_context)
        held.save()
        lead = make_lead(account)
        make_run(of.connection, state="done", created=1, seen=1)  # the other run is undone, and that may be taken back
        Delivery.objects.create(
            account=account, lead=lead, event=Event.LEAD_CREATED, webhook_id="msg_x", state=DeliveryState.FAILED
        )
    with Sandbox(contacts=3) as box:
        settings.SANDBOX_URL, settings.SANDBOX_CRM, settings.SANDBOX_TOKEN = box.url, "hubspot", box.token
        settings.SANDBOX_TOLD = {}
        yield of


@pytest.fixture
def bob(seeded: Seeded) -> Member:
    return make_member("bob@example.com", role="member", account=seeded.member.account)


def signed_in(member: Member) -> Client:
    client = Client()
    client.force_login(member.user)
    return client


def ids(of: Seeded, bob: Member) -> dict[str, object]:
    with account_scope(of.member.account_id):
        account = of.member.account
        return {
            "connection_id": of.connection.pk,
            "lead_id": of.lead.pk,
            "run_id": Run.objects.get(state="done").pk,
            "member_id": bob.pk,
            "token_id": account.apitoken_set.get().pk,
            "invitation_id": account.invitation_set.get().pk,
            "undo_id": Undo.objects.get().pk,
            "delivery_id": Delivery.objects.get(event=Event.LEAD_CREATED).pk,
            "secret": "x" * 43,
        }


@dataclass
class Asking:
    """Somebody signed in, whose every request is undone."""

    member: Member

    def send(self, method: str, path: str, sent: dict[str, Any] | None = None, **options: Any) -> "Answer":
        client = signed_in(self.member)
        with transaction.atomic():
            status = getattr(client, method)(path, sent or {}, **options).status_code
            with account_scope(self.member.account_id):
                noted = list(AuditEntry.objects.order_by("pk"))
            transaction.set_rollback(True)
        return Answer(status, noted)


@dataclass
class Answer:
    status: int
    noted: list[AuditEntry]


def actions_of_managers(bob: Member, values: dict[str, object]) -> list[Page]:
    """Pages that refuse a member's change, whatever is sent."""
    client = Asking(bob)
    found = []
    for page in pages():
        if page.is_stream:
            continue
        if 403 in {client.send("post", page.at(values), sent).status for sent in ({}, SENT.get(page.name, {}))}:
            found.append(page)
    return found


def operations_of_managers(bob: Member, values: dict[str, object]) -> list[Operation]:
    client = Asking(bob)
    return [
        one
        for one in operations()
        if one.method in UNSAFE
        and client.send(one.method, at(one, values), ASKED.get(one.path, {}), content_type=JSON).status == 403
    ]


def at(operation: Operation, values: dict[str, object]) -> str:
    path = operation.path
    for name in operation.in_path:
        path = path.replace("{" + name + "}", str(values[name]))
    return path


def test_every_action_of_a_manager_is_noted_by_id_alone(seeded: Seeded, bob: Member) -> None:
    values = ids(seeded, bob)
    client = Asking(seeded.member)
    with account_scope(seeded.member.account_id):
        before = AuditEntry.objects.count()
    found = actions_of_managers(bob, values)
    assert {page.name for page in found} == set(SENT), "say in SENT what a manager sends there"
    for page in found:
        answer = client.send("post", page.at(values), SENT[page.name])
        assert answer.status < 400, f"{page.name}: {answer.status}"
        assert len(answer.noted) > before, f"{page.name} is not noted"
        for entry in answer.noted[before:]:
            assert entry.user_id == seeded.member.user_id, page.name
            assert TARGET.fullmatch(entry.target), f"{page.name}: {entry.target}"


def test_every_operation_of_a_manager_is_noted_with_whoever_made_the_token(seeded: Seeded, bob: Member) -> None:
    values = ids(seeded, bob)
    found = {one.path: one for one in operations_of_managers(bob, values)}
    assert set(found) == set(ASKED) | NOTHING_DONE, "say in ASKED what a manager asks there"
    with account_scope(seeded.member.account_id):
        _, secret = issue_token(account=seeded.member.account, member=seeded.member, name="Zapier", scope="full")
        before = AuditEntry.objects.count()
    client = Asking(seeded.member)
    for path, sent in ASKED.items():
        one = found[path]
        key = {"Authorization": f"Bearer {secret}"}
        answer = client.send(one.method, at(one, values), sent, headers=key, content_type=JSON)
        assert answer.status < 400, f"{path}: {answer.status}"
        assert {entry.user_id for entry in answer.noted[before:]} == {seeded.member.user_id}, path


def test_an_export_is_noted(seeded: Seeded) -> None:
    with account_scope(seeded.member.account_id):
        SourceContact.objects.update(last_run=seeded.run)
    noted = Asking(seeded.member).send("get", f"/api/runs/{seeded.run.pk}/records?format=csv").noted
    assert (noted[-1].action, noted[-1].target) == ("records.exported", f"run {seeded.run.pk}")


def test_an_overwrite_is_noted_for_it_archives(seeded: Seeded) -> None:
    with account_scope(seeded.member.account_id):
        Run.objects.update(state="done")
        Connection.objects.update(state="live")
    sent = {"strategy": "overwrite", "connectionId": seeded.connection.pk}
    noted = Asking(seeded.member).send("post", "/api/crm/sync", sent, content_type=JSON).noted
    assert noted[-1].action == "run.overwrite_asked"


def test_every_action_that_is_noted_has_words() -> None:
    noted = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("audit", "_note"):
                texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                noted |= {str(text) for text in texts if re.fullmatch(r"[a-z]+\.[a-z_]+", str(text))}
    assert noted == set(WORDS)


class TestReading:
    def test_managers_see_it_page_by_page_and_members_do_not(self) -> None:
        alice = make_member()
        with account_scope(alice.account_id):
            for number in range(60):
                audit(alice.account, alice.user, "lead.archived", f"lead {number}")
            page = activity(alice.account)
        first = signed_in(alice).get("/activity").content.decode()
        assert "lead 59" in first
        assert "lead 9<" not in first
        older = signed_in(alice).get(f"/activity?before={page.next}").content.decode()
        assert "lead 9<" in older
        assert "opened the account" in older.lower()
        bob = make_member("bob@example.com", role="member", account=alice.account)
        assert signed_in(bob).get("/activity").status_code == 403
        assert signed_in(bob).get("/api/activity").status_code == 403

    def test_a_program_reads_it_with_keysets(self) -> None:
        alice = make_member()
        client = signed_in(alice)
        with account_scope(alice.account_id):
            audit(alice.account, None, "connection.connected", "connection 7")
        told = client.get("/api/activity?limit=1").json()
        assert [one["sentence"] for one in told["activity"]] == ["connected a CRM"]
        assert [one["userId"] for one in told["activity"]] == [None]
        following = client.get(f"/api/activity?limit=1&after={told['next']}").json()
        assert [one["action"] for one in following["activity"]] == ["account.opened"]
        assert following["next"] is None

    def test_a_deed_leads_to_its_page_but_not_to_an_erased_lead(self) -> None:
        alice = make_member()
        lead = make_lead(alice.account)
        with account_scope(alice.account_id):
            audit(alice.account, alice.user, "lead.archived", f"lead {lead.pk}")
            audit(alice.account, alice.user, "lead.erased", "lead 99")
        shown = signed_in(alice).get("/activity").content.decode()
        assert f'href="/leads/{lead.pk}"' in shown
        assert 'href="/leads/99"' not in shown
