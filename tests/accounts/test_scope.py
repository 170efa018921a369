"""The door to account data: what is open inside a scope, and that nothing stays open after it."""

import pytest
from django.db import connection, transaction
from tests.factories import make_lead

from leadloom.accounts.models import Account, Invitation, Member
from leadloom.accounts.scope import ScopeError, account_scope, key_scope, system_scope, user_scope
from leadloom.accounts.tokens import issue_token
from leadloom.leads.models import Lead

pytestmark = pytest.mark.django_db


def setting(name: str) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nullif(current_setting(%s, true), '')", [name])
        return cursor.fetchone()[0]


def test_a_scope_shows_this_account_and_closes_behind_itself(alice: Member, charlie: Member) -> None:
    lead = make_lead(alice.account)
    make_lead(charlie.account)
    with account_scope(alice.account_id):
        assert list(Lead.objects.all()) == [lead]
    assert list(Lead.objects.all()) == []
    assert setting("leadloom.account_id") is None


def test_a_nested_scope_of_the_same_account_leaves_the_outer_one_open(alice: Member) -> None:
    lead = make_lead(alice.account)
    with account_scope(alice.account_id):
        with account_scope(alice.account_id):
            pass
        assert list(Lead.objects.all()) == [lead]


def test_a_nested_scope_of_another_account_is_refused(alice: Member, charlie: Member) -> None:
    lead = make_lead(alice.account)
    with account_scope(alice.account_id):
        with pytest.raises(ScopeError), account_scope(charlie.account_id):
            pass
        assert list(Lead.objects.all()) == [lead]  # and ours is as it was


def test_after_a_refused_scope_the_next_one_opens(alice: Member, charlie: Member) -> None:
    with pytest.raises(ScopeError), account_scope(alice.account_id), account_scope(charlie.account_id):
        pass
    with account_scope(charlie.account_id):
        assert Account.objects.get() == charlie.account


def test_an_exception_undoes_the_writing_and_closes_the_scope(alice: Member) -> None:
    with pytest.raises(ZeroDivisionError), account_scope(alice.account_id):  # noqa: PT012 - writing, then failing
        make_lead(alice.account, name="Half written")
        raise ZeroDivisionError
    assert setting("leadloom.account_id") is None
    with account_scope(alice.account_id):
        assert not Lead.objects.exists()


def test_an_exception_in_a_nested_scope_that_is_caught_leaves_the_outer_one_open(alice: Member) -> None:
    lead = make_lead(alice.account)
    with account_scope(alice.account_id):
        with pytest.raises(RuntimeError), account_scope(alice.account_id):
            raise RuntimeError
        assert list(Lead.objects.all()) == [lead]


def test_rows_read_lazily_after_the_scope_are_gone_not_leaked(alice: Member) -> None:
    make_lead(alice.account)
    with account_scope(alice.account_id):
        leads = Lead.objects.all()
    assert list(leads) == []


def test_a_person_finds_their_own_memberships_and_account_names_only(
    alice: Member, bob: Member, charlie: Member
) -> None:
    with user_scope(bob.user_id):
        assert list(Member.objects.all()) == [bob]  # not even Alice, on the same team
        assert list(Account.objects.all()) == [alice.account]


def test_a_person_cannot_write_their_own_membership(bob: Member) -> None:
    with user_scope(bob.user_id):
        assert Member.objects.filter(pk=bob.pk).update(role="owner") == 0


def test_the_holder_of_a_key_sees_the_one_row_it_opens(alice: Member, charlie: Member) -> None:
    with account_scope(alice.account_id):
        token, _ = issue_token(account=alice.account, member=alice, name="One")
        issue_token(account=alice.account, member=alice, name="Two")
    with key_scope(token.token_hash):
        assert list(type(token).objects.all()) == [token]
        assert not Invitation.objects.exists()
        assert type(token).objects.filter(pk=token.pk).update(name="Mine") == 0
    assert not type(token).objects.exists()


def test_narrow_scopes_close_behind_themselves_too(alice: Member) -> None:
    with transaction.atomic():
        for scope in (user_scope(alice.user_id), key_scope("0" * 64), system_scope()):
            with scope:
                pass
        assert {setting(f"leadloom.{name}") for name in ("user_id", "key_hash", "system")} == {None}
        assert not Account.objects.exists()


def test_a_nested_person_scope_puts_the_outer_person_back(alice: Member, charlie: Member) -> None:
    with user_scope(alice.user_id):
        with user_scope(charlie.user_id):
            assert list(Member.objects.all()) == [charlie]
        assert list(Member.objects.all()) == [alice]
