"""The cast: Alice owns Acme, Bob is a member of her team, Charlie owns an account of his own and must see nothing."""

import pytest
from django.test import Client
from tests.factories import make_member

from leadloom.accounts.models import Member


@pytest.fixture
def alice(db: None) -> Member:
    return make_member("alice@example.com", "Acme")


@pytest.fixture
def bob(alice: Member) -> Member:
    return make_member("bob@example.com", role="member", account=alice.account)


@pytest.fixture
def charlie(db: None) -> Member:
    return make_member("charlie@example.com", "Charlie's")


def signed_in(member: Member) -> Client:
    """A browser in which this person is signed in."""
    client = Client()
    client.force_login(member.user)
    return client
