"""Signing in and out: sessions cannot be planted, guessing is slowed down, nobody is sent to another site."""

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings
from tests.accounts.conftest import signed_in
from tests.factories import PASSWORD, make_member

from leadloom.accounts import throttle
from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.services import replace_password

pytestmark = pytest.mark.django_db


def sign_in(
    client: Client, email: str, password: str = PASSWORD, *, to: str = "", address: str = "192.0.2.1"
) -> HttpResponse:
    fields = {"username": email, "password": password, "next": to}
    return client.post("/sign-in", fields, REMOTE_ADDR=address)  # type: ignore[return-value]


def is_signed_in(client: Client) -> bool:
    return client.get("/account").status_code == 200


def test_alice_signs_in_by_email_in_any_spelling_of_case(alice: Member, client: Client) -> None:
    assert sign_in(client, "Alice@Example.com ").status_code == 302
    assert is_signed_in(client)


def test_a_wrong_password_and_an_unknown_email_look_the_same(alice: Member, client: Client) -> None:
    wrong = sign_in(client, "alice@example.com", "not her password")
    unknown = sign_in(client, "nobody@example.com", "not her password")
    assert wrong.status_code == unknown.status_code == 200
    sentence = b"That e-mail and password do not go together."
    assert sentence in wrong.content
    assert sentence in unknown.content
    assert not is_signed_in(client)


def test_a_planted_session_does_not_become_alices(alice: Member) -> None:
    """Session fixation: somebody gives Alice a session key they know, and waits for her to sign in."""
    planted = SessionStore()
    planted["planted"] = True
    planted.create()
    victim, attacker = Client(), Client()
    for client in (victim, attacker):
        client.cookies[django_settings.SESSION_COOKIE_NAME] = planted.session_key
    sign_in(victim, "alice@example.com")
    assert is_signed_in(victim)
    assert victim.cookies[django_settings.SESSION_COOKIE_NAME].value != planted.session_key
    assert not is_signed_in(attacker)


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(alice: Member, client: Client) -> None:
    sign_in(client, "alice@example.com")
    cookie = client.cookies[django_settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_signing_in_needs_a_csrf_token(alice: Member) -> None:
    client = Client(enforce_csrf_checks=True)
    assert sign_in(client, "alice@example.com").status_code == 403


@pytest.mark.parametrize(
    ("to", "lands"),
    [
        ("/leads/7", "/leads/7"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("http:///evil.example", "/"),
    ],
)
def test_signing_in_leads_only_to_pages_of_this_site(to: str, lands: str, alice: Member, client: Client) -> None:
    assert sign_in(client, "alice@example.com", to=to)["Location"] == lands


def test_signing_out_needs_a_post_and_ends_the_session(alice: Member) -> None:
    client = signed_in(alice)
    key = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    assert client.get("/sign-out").status_code == 405
    assert is_signed_in(client)
    client.post("/sign-out")
    replay = Client()
    replay.cookies[django_settings.SESSION_COOKIE_NAME] = key
    assert not is_signed_in(client)
    assert not is_signed_in(replay)


def test_signing_out_cannot_be_forced_by_another_site(alice: Member) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.user)
    assert client.post("/sign-out").status_code == 403
    assert is_signed_in(client)


def test_a_removed_member_is_out_with_the_next_request(bob: Member) -> None:
    client = signed_in(bob)
    assert is_signed_in(client)
    with account_scope(bob.account_id):
        Member.objects.filter(pk=bob.pk).delete()
    refused = client.get("/account")
    assert refused.status_code == 403
    assert "on no team" in refused.content.decode()


def test_after_ten_wrong_passwords_even_the_right_one_is_refused(alice: Member, client: Client) -> None:
    for _ in range(10):
        assert sign_in(client, "alice@example.com", "guess").status_code == 200
    refused = sign_in(client, "alice@example.com")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert not is_signed_in(client)


def test_other_spellings_of_an_email_do_not_start_the_count_afresh(alice: Member, client: Client) -> None:
    for number in range(10):
        sign_in(client, "ALICE@example.com"[:number] + "alice@example.com"[number:], "guess")
    assert sign_in(client, " alice@example.com").status_code == 429


def test_a_guesser_elsewhere_does_not_lock_alice_out(alice: Member, client: Client) -> None:
    for _ in range(11):
        sign_in(Client(), "alice@example.com", "guess", address="203.0.113.9")
    assert sign_in(client, "alice@example.com", address="192.0.2.1").status_code == 302


def test_guessing_for_many_people_from_one_address_is_refused(alice: Member, client: Client) -> None:
    for number in range(50):
        sign_in(client, f"person{number}@example.com", "guess")
    assert sign_in(client, "alice@example.com").status_code == 429


def test_one_good_password_does_not_buy_endless_guesses_for_others(alice: Member) -> None:
    for number in range(49):
        sign_in(Client(), f"person{number}@example.com", "guess")
    assert sign_in(Client(), "alice@example.com").status_code == 302
    sign_in(Client(), "bob@example.com", "guess")
    assert sign_in(Client(), "bob@example.com", "guess").status_code == 429


def test_signing_in_forgives_earlier_slips(alice: Member) -> None:
    for _ in range(9):
        sign_in(Client(), "alice@example.com", "slip")
    assert sign_in(Client(), "alice@example.com").status_code == 302
    for _ in range(9):
        assert sign_in(Client(), "alice@example.com", "slip").status_code == 200


def test_attempts_are_forgotten_after_a_quarter_of_an_hour(alice: Member) -> None:
    for _ in range(11):
        sign_in(Client(), "alice@example.com", "guess")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sign_in_attempts SET since = since - %s - interval '1 second'", [throttle.WINDOW])
    assert sign_in(Client(), "alice@example.com").status_code == 302


def test_attempts_are_counted_without_storing_who_or_where(alice: Member) -> None:
    sign_in(Client(), "alice@example.com", "guess")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM sign_in_attempts")
        kept = str(cursor.fetchall())
    assert "alice" not in kept
    assert "192.0.2.1" not in kept


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),  # one customer has all of these
        ("", "unknown"),  # a Unix socket
    ],
)
def test_an_address_counts_as_one_customer(address: str, network: str) -> None:
    assert throttle.client_network(RequestFactory().get("/", REMOTE_ADDR=address)) == network


def test_behind_a_proxy_only_its_own_word_on_the_address_counts(settings: Settings) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="6.6.6.6, 192.0.2.1")
    assert throttle.client_network(request) == "10.0.0.1"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert throttle.client_network(request) == "192.0.2.1"


def test_a_second_person_signing_in_on_this_browser_does_not_inherit_the_first_ones_account(charlie: Member) -> None:
    alice = make_member("alice@example.com", "Acme")
    client = signed_in(alice)
    client.post("/account/switch", {"account": alice.account_id})
    client.force_login(charlie.user)
    page = client.get("/account").content.decode()
    assert "Charlie" in page
    assert "Acme" not in page


def test_an_office_behind_one_address_signs_in_all_day(alice: Member) -> None:
    for _ in range(55):
        assert sign_in(Client(), "alice@example.com").status_code == 302


def test_the_operator_replaces_a_forgotten_password_and_old_sessions_end(alice: Member, client: Client) -> None:
    before = signed_in(alice)
    password = replace_password("Alice@example.com")
    assert password
    assert not is_signed_in(before)
    assert sign_in(client, "alice@example.com").status_code == 200  # the old one is wrong now
    assert sign_in(client, "alice@example.com", password).status_code == 302
    assert replace_password("nobody@example.com") is None
