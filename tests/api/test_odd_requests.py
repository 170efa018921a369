"""Requests made up from the OpenAPI description by Schemathesis, such as it allows and such as it does not: none ends
in a 5xx, and every answer is one that the description tells of. https://schemathesis.readthedocs.io

Every other request names what there is, or all would end at an id that nothing has."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pytest_django import Settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.factories import make_connection, make_lead, make_run
from tests.routes import Operation, operations

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import issue_token
from leadloom.connections.models import RunState
from leadloom.leads.models import LeadChange, Outcome, SourceContact, Undo, UndoStep
from leadloom.sandbox import Sandbox
from leadloom.site.api import api as leadloom_api

EXAMPLES = 30
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CRON_SECRET = "a-secret-of-a-test"


@dataclass(frozen=True)
class Situation:
    """Who sends what is made up: a program of Alice's and the scheduler. And what there is, by the names of the API."""

    secrets: list[str]
    there_is: dict[str, object]


@pytest.fixture
def situation(alice: Member, box: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Situation:
    monkeypatch.setenv("CRM_HUBSPOT_BASE_URL", box.url)
    settings.NANGO_HOST, settings.NANGO_SECRET_KEY = box.nango_url, box.nango_key
    settings.CRON_SECRET = CRON_SECRET
    connection = make_connection(alice.account)
    run, undone = (make_run(connection, state=RunState.DONE, created=1, seen=1) for _ in range(2))
    lead = make_lead(alice.account)
    with account_scope(alice.account_id):
        connection.held_run_id = run.pk
        connection.save()
        SourceContact.objects.create(
            account=alice.account,
            connection=connection,
            external_id="1",
            lead=lead,
            outcome=Outcome.CREATED,
            last_run=run,
        )
        undo = Undo.objects.create(account=alice.account, run=undone, step=UndoStep.DONE)
        LeadChange.objects.create(account=alice.account, lead=lead, undo=undo, before={}, after={"archived": True})
        _, token = issue_token(account=alice.account, member=alice, name="Zapier")
    there_is = {"run_id": run.pk, "lead_id": lead.pk, "undo_id": undo.pk, "connectionId": connection.pk}
    to_connect = {"confirmed": True, "provider": "hubspot", "credentials": {"token": box.token}}
    return Situation([token, CRON_SECRET], there_is | to_connect)


@pytest.fixture(autouse=True)
def connection_kept_open() -> Iterator[None]:
    """The transaction around a request, which undoes it, is on the connection that the request uses."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


# Where nothing is asked for, nothing can be asked for wrongly.
KINDS = [
    (one, mode) for one in operations() for mode in GenerationMode if one.asks_for or mode is GenerationMode.POSITIVE
]
# A connection has another meaning there: Nango's word for one, or one that signed in by Nango.
NO_CONNECTION_OF_OURS = {"/api/crm/connect", "/api/crm/session-token"}
SIGNED = {"/api/webhooks/nango"}  # refuses whatever is made up


@cache
def described() -> Any:
    found = schemathesis.openapi.from_dict(leadloom_api.get_openapi_schema())
    found.app = WSGIHandler()
    return found


@pytest.mark.parametrize(("one", "mode"), KINDS, ids=lambda part: str(getattr(part, "name", part)))
def test_no_request_made_up_from_the_description_breaks_the_api(
    one: Operation, mode: GenerationMode, situation: Situation
) -> None:
    description, statuses = described(), set()

    @effort(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=description[one.path][one.method].as_strategy(generation_mode=mode), is_there=st.booleans())
    def send(case: Any, is_there: bool) -> None:
        _hurried(case)
        if is_there:
            _name_what_there_is(case, one, situation.there_is)
        for secret in situation.secrets:
            with transaction.atomic():
                answer = case.call_and_validate(headers={"Authorization": f"Bearer {secret}"}, checks=CHECKS)
                statuses.add(answer.status_code)
                transaction.set_rollback(True)

    send()
    if mode is GenerationMode.POSITIVE and one.path not in SIGNED:
        assert any(status < 300 for status in statuses), f"{one.name} only ever refused: {statuses}"


def _name_what_there_is(case: Any, one: Operation, there_is: dict[str, object]) -> None:
    for sent, asked in ((case.path_parameters, one.in_path), (case.query, one.in_query), (case.body, one.in_body)):
        if isinstance(sent, dict):
            for name in asked & there_is.keys():
                made_up, known = sent.get(name), there_is[name]
                sent[name] = made_up | known if isinstance(made_up, dict) and isinstance(known, dict) else known
            if one.path in NO_CONNECTION_OF_OURS:
                sent.pop("connectionId", None)


def _hurried(case: Any) -> None:
    """Nobody works on runs here, so waiting for one is of no use."""
    for sent in (case.query, case.body):
        if isinstance(sent, dict) and isinstance(sent.get("wait"), int | float) and sent["wait"] > 0:
            sent["wait"] = min(sent["wait"], 0.01) if sent["wait"] <= 300 else sent["wait"]
