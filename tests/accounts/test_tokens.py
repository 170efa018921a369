"""API tokens: shown once, stored as a hash, ended at once."""

import pytest
from tests.factories import make_member

from leadloom.accounts.models import ApiToken
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import find_token, hash_secret, issue_token, note_use, revoke_token

pytestmark = pytest.mark.django_db


def test_only_the_hash_of_a_token_is_stored() -> None:
    alice = make_member()
    with account_scope(alice.account_id):
        token, secret = issue_token(account=alice.account, member=alice, name="Zapier")
        stored = ApiToken.objects.filter(pk=token.pk).values().get()
    assert stored["token_hash"] == hash_secret(secret)
    assert all(secret not in str(value) for value in stored.values())
    assert secret.startswith(stored["prefix"])
    assert len(secret) - len(stored["prefix"]) > 30  # what stays readable gives nothing away


def test_the_holder_of_a_token_finds_it_without_a_scope() -> None:
    alice = make_member()
    with account_scope(alice.account_id):
        token, secret = issue_token(account=alice.account, member=alice, name="Zapier")
    assert find_token(secret) == token
    assert find_token(secret + "x") is None
    assert find_token("") is None
    assert find_token("\N{SNOWMAN}") is None


def test_a_revoked_token_is_refused() -> None:
    alice = make_member()
    with account_scope(alice.account_id):
        token, secret = issue_token(account=alice.account, member=alice, name="Zapier")
        revoke_token(token, member=alice)
    assert find_token(secret) is None


def test_the_last_use_is_noted_at_most_once_a_minute() -> None:
    alice = make_member()
    with account_scope(alice.account_id):
        token, secret = issue_token(account=alice.account, member=alice, name="Zapier")
    note_use(token)
    first = find_token(secret)
    assert first
    assert first.last_used_at
    note_use(token)  # as another process would, from its older copy of the row
    note_use(first)
    again = find_token(secret)
    assert again
    assert again.last_used_at == first.last_used_at
