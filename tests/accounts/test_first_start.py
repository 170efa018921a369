"""Opening accounts: the one-time set-up page, sign-up where it is open, the demo's key."""

import pytest
from django.test import Client
from pytest_django import Settings
from tests.accounts.conftest import signed_in

from leadloom.accounts.models import Account, Member, Role, User
from leadloom.accounts.scope import user_scope
from leadloom.accounts.setup import setup_code, setup_path

pytestmark = pytest.mark.django_db

FORM = {
    "name": "Alice",
    "account_name": "Acme",
    "email": "Alice@Example.com",
    "password": "correct horse battery",
}


def the_member() -> Member:
    user = User.objects.get()
    with user_scope(user.pk):
        return Member.objects.select_related("account", "user").get()


def test_the_printed_address_makes_the_first_owner_and_signs_them_in(client: Client) -> None:
    address = setup_path()
    assert address
    assert client.get(address).status_code == 200
    assert client.post(address, FORM)["Location"] == "/"
    member = the_member()
    assert (member.user.email, member.role, member.account.name) == ("alice@example.com", Role.OWNER, "Acme")
    assert client.get("/account").status_code == 200


def test_the_setup_page_needs_the_code(client: Client) -> None:
    for address in ("/setup", "/setup?code=", "/setup?code=wrong", "/setup?code=\N{SNOWMAN}"):
        assert client.get(address).status_code == 403
        assert client.post(address, FORM).status_code == 403
    assert not User.objects.exists()


def test_the_setup_page_closes_after_the_first_user(alice: Member, client: Client) -> None:
    assert setup_path() is None
    address = f"/setup?code={setup_code()}"
    assert client.get(address)["Location"] == "/sign-in"
    assert client.post(address, FORM | {"email": "mallory@example.com"})["Location"] == "/sign-in"
    assert list(User.objects.all()) == [alice.user]


def test_the_code_depends_on_the_secret_key(settings: Settings) -> None:
    before = setup_code()
    settings.SECRET_KEY = "another key that nobody can guess"
    assert setup_code() != before


@pytest.mark.parametrize("password", ["short", "password1234", "alice@example.com"])
def test_a_password_that_is_easy_to_guess_is_refused(password: str, client: Client) -> None:
    response = client.post(setup_path() or "", FORM | {"password": password})
    assert response.status_code == 200
    assert b'class="error"' in response.content
    assert not User.objects.exists()


def test_a_closed_signup_tells_strangers_to_ask_for_an_invitation(alice: Member, client: Client) -> None:
    for response in (client.get("/sign-up"), client.post("/sign-up", FORM | {"email": "mallory@example.com"})):
        assert response.status_code == 403
        assert b"By invitation" in response.content
    assert User.objects.count() == 1


def test_an_open_signup_does_not_replace_the_setup_page(settings: Settings, client: Client) -> None:
    settings.OPEN_SIGNUP = True
    assert client.post("/sign-up", FORM).status_code == 403
    assert not User.objects.exists()


def test_an_open_signup_opens_an_account_of_ones_own(alice: Member, settings: Settings, client: Client) -> None:
    settings.OPEN_SIGNUP = True
    client.post("/sign-up", FORM | {"email": "charlie@example.com", "account_name": "Charlie's"})
    page = client.get("/account").content.decode()
    assert "charlie@example.com" in page
    assert "Acme" not in page


def test_signing_up_with_a_known_email_changes_nothing(alice: Member, settings: Settings, client: Client) -> None:
    settings.OPEN_SIGNUP = True
    response = client.post("/sign-up", FORM)
    assert response.status_code == 200
    assert b"signs in already" in response.content
    assert User.objects.count() == 1
    with user_scope(alice.user_id):
        assert Account.objects.count() == 1


def test_the_demo_door_does_not_exist_without_a_key(client: Client) -> None:
    for address in ("/demo", "/demo?key=", "/demo?key=None"):
        assert client.get(address).status_code == 404
    assert not User.objects.exists()


def test_the_demo_key_signs_the_demo_person_in(settings: Settings, client: Client) -> None:
    settings.DEMO_KEY = "printed-by-the-demo"
    assert client.get("/demo?key=guess").status_code == 404
    assert client.get("/demo?key=printed-by-the-demo")["Location"] == "/"
    assert the_member().user.email == "demo@leadloom.example"
    assert not the_member().user.has_usable_password()
    client.post("/sign-out")
    client.get("/demo?key=printed-by-the-demo")  # again: the same person, not a second one
    assert client.get("/account").status_code == 200
    assert User.objects.count() == 1


def test_the_demo_key_never_opens_somebody_elses_account(alice: Member, settings: Settings) -> None:
    settings.DEMO_KEY = "printed-by-the-demo"
    client = signed_in(alice)
    client.get("/demo?key=printed-by-the-demo")
    assert "Acme" not in client.get("/account").content.decode()
