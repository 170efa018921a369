"""The team: who may invite, change and remove whom; what ends with somebody's place; what strangers cannot reach."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from tests.accounts.conftest import signed_in
from tests.factories import make_member

from leadloom.accounts.models import AuditEntry, Invitation, Member, Role
from leadloom.accounts.scope import account_scope, user_scope
from leadloom.accounts.tokens import find_token, hash_secret, issue_token

pytestmark = pytest.mark.django_db

NEW = {"name": "Dora", "password": "correct horse battery"}


def invite(by: Member, email: str = "dora@example.com", role: str = "member") -> str:
    """The path of a fresh invitation link, as the page shows it."""
    page = signed_in(by).post("/members", {"email": email, "role": role}).content.decode()
    found = re.search(r"/invitations/[\w-]{40,}", page)
    assert found, page
    return found[0]


def role_of(member: Member) -> str | None:
    with account_scope(member.account_id):
        return Member.objects.filter(pk=member.pk).values_list("role", flat=True).first()


def audited(member: Member) -> list[tuple[str, str]]:
    with account_scope(member.account_id):
        return list(AuditEntry.objects.order_by("id").values_list("action", "target"))


# Inviting and joining


def test_an_invited_person_joins_with_a_password_of_their_own(alice: Member, client: Client) -> None:
    link = invite(alice)
    assert b"Join Acme" in client.get(link).content
    assert client.post(link, NEW)["Location"] == "/"
    page = client.get("/account").content.decode()
    assert "dora@example.com, member of Acme" in page


def test_an_invitation_works_once(alice: Member) -> None:
    link = invite(alice)
    Client().post(link, NEW)
    again = Client().post(link, NEW)
    assert again.status_code == 404
    assert b"This invitation is gone" in again.content


def test_an_invitation_ends_after_seven_days(alice: Member, client: Client) -> None:
    link = invite(alice)
    with account_scope(alice.account_id):
        invitation = Invitation.objects.get()
        assert timedelta(days=6) < invitation.expires_at - timezone.now() <= timedelta(days=7)
        Invitation.objects.update(expires_at=timezone.now())
    assert client.get(link).status_code == 404
    assert client.post(link, NEW).status_code == 404


def test_only_the_hash_of_an_invitation_is_stored(alice: Member) -> None:
    secret = invite(alice).rpartition("/")[2]
    with account_scope(alice.account_id):
        stored = Invitation.objects.values().get()
    assert stored["token_hash"] == hash_secret(secret)
    assert secret not in str(stored)


def test_a_guessed_invitation_opens_nothing(alice: Member, client: Client) -> None:
    invite(alice)
    assert client.get("/invitations/guess").status_code == 404


def test_a_withdrawn_invitation_opens_nothing(alice: Member, client: Client) -> None:
    link = invite(alice)
    with account_scope(alice.account_id):
        pk = Invitation.objects.get().pk
    signed_in(alice).post(f"/members/invitations/{pk}/withdraw")
    assert client.get(link).status_code == 404


def test_inviting_the_same_email_again_ends_the_first_link(alice: Member, client: Client) -> None:
    first, second = invite(alice), invite(alice)
    assert client.get(first).status_code == 404
    assert client.get(second).status_code == 200


def test_charlie_joins_with_the_session_he_has_and_then_sees_acme(alice: Member, charlie: Member) -> None:
    link = invite(alice, "charlie@example.com", "admin")
    client = signed_in(charlie)
    assert b"charlie@example.com" in client.get(link).content
    client.post(link)
    assert "admin of Acme" in client.get("/account").content.decode()
    with user_scope(charlie.user_id):
        assert Member.objects.filter(user=charlie.user).count() == 2


def test_merely_opening_a_link_joins_nobody(alice: Member, charlie: Member) -> None:
    signed_in(charlie).get(invite(alice, "charlie@example.com"))
    with user_scope(charlie.user_id):
        assert Member.objects.filter(user=charlie.user).count() == 1


def test_a_link_for_somebody_who_signs_in_already_asks_them_to(alice: Member, charlie: Member, client: Client) -> None:
    """Else whoever holds the link could set a new password for Charlie."""
    link = invite(alice, "charlie@example.com")
    assert f"/sign-in?next={link}" in client.get(link).content.decode()
    client.post(link, NEW)
    charlie.user.refresh_from_db()
    assert charlie.user.check_password("correct horse battery") is True
    assert client.get("/account").status_code == 302


def test_joining_a_team_twice_changes_nothing_and_keeps_the_link(alice: Member, bob: Member) -> None:
    link = invite(alice, "robert@example.com", "owner")
    page = signed_in(bob).post(link).content.decode()
    assert "on this team already" in page
    assert role_of(bob) == Role.MEMBER
    assert Client().get(link).status_code == 200


# Roles


def test_members_reach_neither_the_team_nor_the_tokens(bob: Member) -> None:
    client = signed_in(bob)
    for path in ("/members", "/tokens"):
        assert client.get(path).status_code == 403
        assert client.post(path, {"email": "eve@example.com", "role": "owner", "name": "x"}).status_code == 403
    assert client.post(f"/members/{bob.pk}/role", {"role": "owner"}).status_code == 403
    assert role_of(bob) == Role.MEMBER


def test_alice_makes_bob_an_admin_and_the_log_says_so(alice: Member, bob: Member) -> None:
    signed_in(alice).post(f"/members/{bob.pk}/role", {"role": "admin"})
    assert role_of(bob) == Role.ADMIN
    assert audited(alice)[-1] == ("member.role_changed", f"member {bob.pk} to admin")


def test_an_admin_cannot_become_or_make_or_touch_an_owner(alice: Member, bob: Member) -> None:
    ada = make_member("ada@example.com", role="admin", account=alice.account)
    client = signed_in(ada)
    client.post(f"/members/{ada.pk}/role", {"role": "owner"})
    client.post(f"/members/{bob.pk}/role", {"role": "owner"})
    client.post(f"/members/{alice.pk}/role", {"role": "member"})
    client.post(f"/members/{alice.pk}/remove")
    client.post("/members", {"email": "eve@example.com", "role": "owner"})
    assert [role_of(ada), role_of(bob), role_of(alice)] == ["admin", "member", "owner"]
    with account_scope(alice.account_id):
        assert not Invitation.objects.exists()


def test_the_last_owner_can_be_neither_removed_nor_demoted(alice: Member, bob: Member) -> None:
    client = signed_in(alice)
    client.post(f"/members/{alice.pk}/role", {"role": "member"})
    client.post(f"/members/{alice.pk}/remove")
    assert role_of(alice) == Role.OWNER
    client.post(f"/members/{bob.pk}/role", {"role": "owner"})
    client.post(f"/members/{alice.pk}/remove")
    assert role_of(alice) is None
    assert role_of(bob) == Role.OWNER


def test_an_unknown_role_is_refused(alice: Member, bob: Member) -> None:
    assert signed_in(alice).post(f"/members/{bob.pk}/role", {"role": "god"}).status_code == 400
    assert role_of(bob) == Role.MEMBER


# Leaving


@pytest.mark.parametrize("leaving", ["removed", "demoted"])
def test_keys_and_links_a_manager_made_end_with_their_powers(leaving: str, alice: Member) -> None:
    ada = make_member("ada@example.com", role="admin", account=alice.account)
    with account_scope(alice.account_id):
        _, hers = issue_token(account=ada.account, member=ada, name="Hers")
        _, ours = issue_token(account=alice.account, member=alice, name="Ours")
    link = invite(ada)
    path, fields = {"removed": ("remove", {}), "demoted": ("role", {"role": "member"})}[leaving]
    signed_in(alice).post(f"/members/{ada.pk}/{path}", fields)
    assert find_token(hers) is None
    assert find_token(ours) is not None
    assert Client().get(link).status_code == 404


def test_what_happens_to_the_team_is_in_the_log_without_names(alice: Member, bob: Member) -> None:
    invite(alice)
    signed_in(alice).post(f"/members/{bob.pk}/remove")
    assert [action for action, _ in audited(alice)] == ["account.opened", "member.invited", "member.removed"]
    assert "@" not in str(audited(alice))


# Strangers


def test_charlie_gets_404_for_everything_that_is_alices(alice: Member, bob: Member, charlie: Member) -> None:
    with account_scope(alice.account_id):
        token, secret = issue_token(account=alice.account, member=alice, name="Zapier")
    invite(alice)
    with account_scope(alice.account_id):
        invitation = Invitation.objects.get()
    client = signed_in(charlie)
    for path, fields in (
        (f"/members/{bob.pk}/role", {"role": "owner"}),
        (f"/members/{bob.pk}/remove", {}),
        (f"/members/invitations/{invitation.pk}/withdraw", {}),
        (f"/tokens/{token.pk}/revoke", {}),
        ("/account/switch", {"account": alice.account_id}),
    ):
        assert client.post(path, fields).status_code == 404, path
    assert find_token(secret)
    for page in ("/members", "/tokens", "/account"):
        assert b"Acme" not in client.get(page).content
        assert b"bob@example.com" not in client.get(page).content


def test_changes_need_a_post(alice: Member, bob: Member) -> None:
    client = signed_in(alice)
    for path in (f"/members/{bob.pk}/role", f"/members/{bob.pk}/remove", "/account/switch"):
        assert client.get(path).status_code == 405


def test_changes_cannot_be_forged_by_another_site(alice: Member, bob: Member) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.user)
    for path in ("/members", "/tokens", "/account", "/account/password", f"/members/{bob.pk}/remove"):
        assert client.post(path).status_code == 403
    assert role_of(bob) == Role.MEMBER
