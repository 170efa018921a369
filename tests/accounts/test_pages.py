"""The pages about oneself and the account: API tokens, name and region, password, switching."""

import re
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client
from tests.accounts.conftest import signed_in
from tests.factories import PASSWORD, make_member

from leadloom import accounts
from leadloom.accounts.models import Account, ApiToken, Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import find_token

pytestmark = pytest.mark.django_db


def test_a_new_token_is_shown_once_and_not_kept_by_caches(alice: Member) -> None:
    client = signed_in(alice)
    page = client.post("/tokens", {"name": "Zapier"})
    found = re.search(r"ll_[\w-]{40,}", page.content.decode())
    assert found
    assert find_token(found[0])
    assert "no-store" in page["Cache-Control"]
    later = client.get("/tokens").content.decode()
    assert "Zapier" in later
    assert found[0] not in later


@pytest.mark.parametrize(("asked", "made"), [({}, "read"), ({"scope": "read"}, "read"), ({"scope": "full"}, "full")])
def test_a_token_may_do_the_least_unless_more_is_asked_for(alice: Member, asked: dict[str, str], made: str) -> None:
    signed_in(alice).post("/tokens", {"name": "Zapier", **asked})
    with account_scope(alice.account_id):
        assert ApiToken.objects.get().scope == made


def test_a_scope_that_does_not_exist_makes_no_token(alice: Member) -> None:
    signed_in(alice).post("/tokens", {"name": "Zapier", "scope": "everything"})
    with account_scope(alice.account_id):
        assert not ApiToken.objects.exists()


def test_a_token_is_revoked_on_the_page(alice: Member) -> None:
    client = signed_in(alice)
    client.post("/tokens", {"name": "Warehouse loader"})
    with account_scope(alice.account_id):
        token = ApiToken.objects.get()
    client.post(f"/tokens/{token.pk}/revoke")
    assert "Warehouse loader" not in client.get("/tokens").content.decode()
    with account_scope(alice.account_id):
        assert ApiToken.objects.get().revoked_at is not None


def test_the_region_of_phone_numbers_is_the_accounts_to_choose(alice: Member) -> None:
    client = signed_in(alice)
    client.post("/account", {"form": "account", "account-name": "Acme Ltd", "account-region": "GB"})
    with account_scope(alice.account_id):
        account = Account.objects.get()
    assert (account.name, account.region) == ("Acme Ltd", "GB")


@pytest.mark.parametrize("region", ["", "XX", "gb", "USA"])
def test_a_region_that_does_not_exist_is_refused(region: str, alice: Member) -> None:
    page = signed_in(alice).post("/account", {"form": "account", "account-name": "Acme", "account-region": region})
    assert page.status_code == 200
    with account_scope(alice.account_id):
        assert Account.objects.get().region == "US"


def test_bob_may_change_his_name_but_not_the_accounts(bob: Member) -> None:
    client = signed_in(bob)
    client.post("/account", {"form": "person", "name": "Robert"})
    bob.user.refresh_from_db()
    assert bob.user.name == "Robert"
    fields = {"form": "account", "account-name": "Bob's", "account-region": "GB"}
    assert client.post("/account", fields).status_code == 403
    with account_scope(bob.account_id):
        assert Account.objects.get().name == "Acme"


def test_a_name_full_of_markup_is_shown_as_text(alice: Member) -> None:
    client = signed_in(alice)
    client.post("/account", {"form": "person", "name": "<script>alert(1)</script>"})
    for page in ("/account", "/members"):
        assert b"<script>alert(1)" not in client.get(page).content


def test_somebody_with_two_accounts_switches_between_them(alice: Member, charlie: Member) -> None:
    make_member("alice@example.com", role="member", account=charlie.account)
    client = signed_in(alice)
    assert "owner of Acme" in client.get("/account").content.decode()
    client.post("/account/switch", {"account": charlie.account_id})
    assert "member of Charlie" in client.get("/account").content.decode()
    assert client.get("/members").status_code == 403  # her role there, not the one at home


@pytest.mark.parametrize("account", ["", "0", "-1", "1e9", "²", "9" * 30, "9" * 5000])
def test_switching_to_nonsense_is_404(account: str, alice: Member) -> None:
    assert signed_in(alice).post("/account/switch", {"account": account}).status_code == 404


def change(client: Client, old: str, new: str = "a different long password") -> int:
    fields = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/account/password", fields).status_code


def test_a_new_password_signs_the_other_sessions_out_and_keeps_this_one(alice: Member) -> None:
    here, elsewhere = signed_in(alice), signed_in(alice)
    before = here.cookies[django_settings.SESSION_COOKIE_NAME].value
    assert change(here, PASSWORD) == 302
    assert here.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302
    assert here.cookies[django_settings.SESSION_COOKIE_NAME].value != before


def test_a_new_password_needs_the_old_one_and_it_cannot_be_guessed(alice: Member) -> None:
    client = signed_in(alice)
    for _ in range(10):
        assert change(client, "guess") == 200
    assert change(client, PASSWORD) == 429
    alice.user.refresh_from_db()
    assert alice.user.check_password(PASSWORD)


def test_pages_allow_no_foreign_or_inline_script_and_no_framing(client: Client, db: None) -> None:
    page = client.get("/sign-in")
    policy = dict(part.strip().split(" ", 1) for part in page["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert page["X-Content-Type-Options"] == "nosniff"
    assert page["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("template", sorted(Path(accounts.__file__).parent.rglob("*.html")), ids=lambda path: path.name)
def test_no_page_needs_inline_script_or_style(template: Path) -> None:
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", template.read_text())
