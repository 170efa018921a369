"""The JSON API's door: a session with CSRF, or a token; and the scope around all of an operation."""

from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import include, path
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError
from tests.accounts.conftest import signed_in
from tests.factories import make_lead

from leadloom.accounts.api_auth import ApiRequest, in_account, require_manager, session_or_token
from leadloom.accounts.models import ApiToken, Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import find_token, issue_token, revoke_token
from leadloom.leads.models import Lead

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

api = NinjaAPI(urls_namespace="door", auth=session_or_token)


class LeadOut(Schema):
    name: str


@api.get("/leads", response=list[LeadOut])
@in_account
def leads(request: ApiRequest) -> Any:
    return Lead.objects.order_by("name")  # read while the answer is serialised


@api.post("/leads")
@in_account
def add_lead(request: ApiRequest, refuse: bool = False) -> dict[str, str]:
    make_lead(request.account, name="Ann")
    if refuse:
        raise HttpError(409, "No.")
    return {"account": request.account.name, "member": request.member.role if request.member else ""}


@api.post("/manage")
@in_account
def manage(request: ApiRequest) -> dict[str, bool]:
    require_manager(request)
    return {"ok": True}


@api.get("/outside")
def outside(request: ApiRequest) -> dict[str, Any]:
    return {"account": request.account.pk, "leads": Lead.objects.count()}


@api.get("/stream")
@in_account
def stream(request: ApiRequest) -> Any:
    return StreamingHttpResponse(lead.name for lead in Lead.objects.all())


urlpatterns = [path("", include("leadloom.accounts.urls")), path("door/", api.urls)]


@pytest.fixture
def secret(alice: Member) -> str:
    with account_scope(alice.account_id):
        return issue_token(account=alice.account, member=alice, name="Zapier")[1]


def bearing(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"}, enforce_csrf_checks=True)


def names(client: Client) -> list[str]:
    response = client.get("/door/leads")
    assert response.status_code == 200
    return [lead["name"] for lead in response.json()]


def test_no_one_without_a_session_or_token_reads_anything(alice: Member) -> None:
    make_lead(alice.account)
    assert Client().get("/door/leads").status_code == 401
    assert bearing("ll_wrong").get("/door/leads").status_code == 401
    assert bearing("").get("/door/leads").status_code == 401


def test_a_token_reads_its_own_account_and_no_other(alice: Member, charlie: Member, secret: str) -> None:
    make_lead(alice.account, name="Ann")
    make_lead(charlie.account, name="Cem")
    assert names(bearing(secret)) == ["Ann"]


def test_a_session_reads_its_own_account_and_no_other(alice: Member, bob: Member, charlie: Member) -> None:
    make_lead(alice.account, name="Ann")
    assert names(signed_in(bob)) == ["Ann"]
    assert names(signed_in(charlie)) == []


def test_a_revoked_token_is_refused_at_once(alice: Member, secret: str) -> None:
    token = find_token(secret)
    assert token
    with account_scope(alice.account_id):
        revoke_token(token, member=alice)
    assert bearing(secret).get("/door/leads").status_code == 401


def test_a_wrong_token_is_not_replaced_by_the_session_beside_it(alice: Member) -> None:
    client = signed_in(alice)
    assert client.get("/door/leads", headers={"Authorization": "Bearer ll_wrong"}).status_code == 401


def test_a_session_must_prove_that_it_is_no_forgery(alice: Member) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.user)
    assert client.post("/door/leads").status_code == 403
    with account_scope(alice.account_id):
        assert not Lead.objects.exists()


def test_a_session_with_its_csrf_token_may_write(alice: Member) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/sign-in")  # sets the cookie
    client.force_login(alice.user)
    csrf = client.cookies["csrftoken"].value
    response = client.post("/door/leads", headers={"X-CSRFToken": csrf})
    assert response.json() == {"account": "Acme", "member": "owner"}


def test_a_token_needs_no_csrf(alice: Member, secret: str) -> None:
    assert bearing(secret).post("/door/leads").json() == {"account": "Acme", "member": ""}
    with account_scope(alice.account_id):
        assert Lead.objects.count() == 1


def test_an_error_answer_undoes_what_the_operation_wrote(alice: Member, secret: str) -> None:
    assert bearing(secret).post("/door/leads?refuse=true").status_code == 409
    with account_scope(alice.account_id):
        assert not Lead.objects.exists()


def test_members_may_not_manage_but_tokens_and_managers_may(alice: Member, bob: Member, secret: str) -> None:
    assert signed_in(alice).post("/door/manage").status_code == 200
    assert bearing(secret).post("/door/manage").status_code == 200
    refused = signed_in(bob).post("/door/manage")
    assert refused.status_code == 403
    assert "owners and admins" in refused.content.decode()


def test_an_operation_outside_knows_its_account_and_sees_no_rows(alice: Member, secret: str) -> None:
    make_lead(alice.account)
    assert bearing(secret).get("/door/outside").json() == {"account": alice.account_id, "leads": 0}


def test_a_streaming_answer_from_inside_a_scope_fails_loudly(alice: Member) -> None:
    with pytest.raises(RuntimeError, match="streaming"):
        signed_in(alice).get("/door/stream")


def test_using_a_token_notes_when(alice: Member, secret: str) -> None:
    bearing(secret).get("/door/leads")
    with account_scope(alice.account_id):
        assert ApiToken.objects.get().last_used_at is not None
