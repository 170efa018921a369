"""The scope around a page: rendering and exceptions fall inside it, strangers are turned away before it."""

import json

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template, engines
from django.template.response import TemplateResponse
from django.test import RequestFactory
from tests.factories import make_lead, make_member

from leadloom.accounts.http import CHOSEN_ACCOUNT, AccountRequest, account_view, manager_view
from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.leads.models import Lead

pytestmark = pytest.mark.django_db


def asked_by(member: Member | None, *, path: str = "/leads/7?page=2", **headers: str) -> HttpRequest:
    request = RequestFactory().get(path, headers=headers)
    request.user = member.user if member else AnonymousUser()
    request.session = {}  # type: ignore[assignment]
    return request


@account_view
def names(request: AccountRequest) -> HttpResponse:
    """Renders leads lazily, as templates do."""
    template = Template("{% for lead in leads %}{{ lead.name }};{% endfor %}")
    return HttpResponse(template.render(Context({"leads": Lead.objects.order_by("name")})))


def test_a_member_sees_the_accounts_leads_and_charlie_does_not(alice: Member, bob: Member, charlie: Member) -> None:
    make_lead(alice.account, name="Ann")
    assert names(asked_by(alice)).content == b"Ann;"
    assert names(asked_by(bob)).content == b"Ann;"
    assert names(asked_by(charlie)).content == b""


def test_the_scope_is_closed_after_the_page(alice: Member) -> None:
    make_lead(alice.account)
    names(asked_by(alice))
    assert not Lead.objects.exists()


def test_a_template_response_is_rendered_inside_the_scope(alice: Member) -> None:
    make_lead(alice.account, name="Ann")

    @account_view
    def lazy(request: AccountRequest) -> HttpResponse:
        template = engines["django"].from_string("{% for lead in leads %}{{ lead.name }}{% endfor %}")
        return TemplateResponse(request, template, {"leads": Lead.objects.all()})

    assert lazy(asked_by(alice)).content == b"Ann"


def test_an_exception_in_a_page_undoes_what_it_wrote(alice: Member) -> None:
    @account_view
    def breaks(request: AccountRequest) -> HttpResponse:
        make_lead(request.account, name="Half written")
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        breaks(asked_by(alice))
    with account_scope(alice.account_id):
        assert not Lead.objects.exists()


def test_anonymous_people_are_sent_to_sign_in_and_back_to_the_page() -> None:
    response = names(asked_by(None))
    assert response.status_code == 302
    assert response["Location"] == "/sign-in?next=%2Fleads%2F7%3Fpage%3D2"


def test_an_anonymous_post_is_not_repeated_after_signing_in() -> None:
    request = asked_by(None)
    request.method = "POST"
    assert names(request)["Location"] == "/sign-in?next=%2F"


def test_an_htmx_request_gets_401_and_the_page_goes_to_sign_in() -> None:
    response = names(asked_by(None, **{"HX-Request": "true", "HX-Current-URL": "https://evil.example//evil/leads"}))
    assert response.status_code == 401
    assert response["HX-Redirect"].startswith("/sign-in?next=")
    assert "example" not in response["HX-Redirect"]


def test_a_program_without_a_session_gets_401_as_json() -> None:
    response = names(asked_by(None, Accept="application/json"))
    assert response.status_code == 401
    assert json.loads(response.content)["error"] == "sign_in"


def test_shared_caches_keep_no_account_page(alice: Member) -> None:
    assert "private" in names(asked_by(alice))["Cache-Control"]


def test_the_account_chosen_in_the_session_is_the_one_in_scope(alice: Member, charlie: Member) -> None:
    also = make_member("alice@example.com", role="member", account=charlie.account)
    make_lead(alice.account, name="Ann")
    make_lead(charlie.account, name="Cem")
    request = asked_by(also)
    assert names(request).content == b"Ann;"  # the first, until she chooses
    request.session[CHOSEN_ACCOUNT] = charlie.account_id
    assert names(request).content == b"Cem;"


def test_choosing_a_strangers_account_chooses_nothing(alice: Member, charlie: Member) -> None:
    make_lead(alice.account, name="Ann")
    request = asked_by(charlie)
    request.session[CHOSEN_ACCOUNT] = alice.account_id
    assert names(request).content == b""


def test_a_page_of_managers_lets_owners_and_admins_in(alice: Member) -> None:
    @manager_view
    def page(request: AccountRequest) -> HttpResponse:
        return HttpResponse(request.member.role)

    admin = make_member("ada@example.com", role="admin", account=alice.account)
    assert page(asked_by(alice)).content == b"owner"
    assert page(asked_by(admin)).content == b"admin"
