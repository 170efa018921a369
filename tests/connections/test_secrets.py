"""Credentials at rest: unreadable, of no use elsewhere, and sealed anew when the key changes."""

import pytest
from django.db import connection as db
from pytest_django import Settings
from tests.factories import make_connection

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections import vault
from leadloom.connections.models import Connection
from leadloom.connections.rotation import reseal_all
from leadloom.connections.secrets import CannotOpen, is_sealed_with_newest, open_sealed, seal
from leadloom.connections.services import connect_with_token
from leadloom.errors import NeedsReconnect
from leadloom.sandbox import Sandbox
from leadloom.texter.models import TexterSettings

OLD, NEW = "old-key-" + "x" * 32, "new-key-" + "y" * 32


def test_a_token_is_nowhere_in_the_database(alice: Member, box: Sandbox) -> None:
    with account_scope(alice.account_id):
        connect_with_token(account=alice.account, member=alice, provider="hubspot", token=box.token)
    with account_scope(alice.account_id):
        kept = Connection.objects.get()
        assert box.token.encode() not in bytes(kept.sealed_credentials or b"")
        with db.cursor() as cursor:
            cursor.execute("SELECT c::text FROM crm_connections c")
            assert box.token not in str(cursor.fetchall())
        assert vault.access_token(kept) == box.token


def test_a_sealed_token_moved_to_another_account_does_not_open(alice: Member, charlie: Member, box: Sandbox) -> None:
    with account_scope(alice.account_id):
        connect_with_token(account=alice.account, member=alice, provider="hubspot", token=box.token)
        stolen = bytes(Connection.objects.get().sealed_credentials or b"")
    theirs = make_connection(charlie.account, sealed_credentials=stolen)
    with pytest.raises(NeedsReconnect, match="cannot be opened"):
        vault.access_token(theirs)


@pytest.mark.parametrize("position", [0, 1, 5, -1])
def test_a_sealed_secret_that_was_altered_does_not_open(position: int) -> None:
    sealed = bytearray(seal("secret", "here"))
    sealed[position] ^= 1
    with pytest.raises(CannotOpen):
        open_sealed(bytes(sealed), "here")


def test_two_seals_of_one_secret_differ() -> None:
    assert seal("secret", "here") != seal("secret", "here")


def test_after_a_rotation_the_old_key_is_not_needed(alice: Member, charlie: Member, settings: Settings) -> None:
    settings.SECRET_KEYS = [OLD]
    mine, theirs = make_connection(alice.account), make_connection(charlie.account)
    for connection, token in ((mine, "token of Alice"), (theirs, "token of Charlie")):
        with account_scope(connection.account_id):
            connection.sealed_credentials = seal(token, vault.context_of(connection))
            connection.save()
    with account_scope(alice.account_id):
        texter = TexterSettings(account=alice.account)
        texter.sealed_secret = seal("whsec_1", texter.seal_context)
        texter.sealed_old_secret = seal("whsec_0", texter.seal_context)
        texter.save()

    settings.SECRET_KEYS = [NEW, OLD]
    first, again = reseal_all(), reseal_all()
    assert (first.sealed, first.current, first.lost) == (4, 0, 0)
    assert (again.sealed, again.current, again.lost) == (0, 4, 0)

    settings.SECRET_KEYS = [NEW]
    for connection, token in ((mine, "token of Alice"), (theirs, "token of Charlie")):
        with account_scope(connection.account_id):
            connection.refresh_from_db()
            assert is_sealed_with_newest(bytes(connection.sealed_credentials or b""))
            assert vault.access_token(connection) == token
    with account_scope(alice.account_id):
        texter.refresh_from_db()
        assert open_sealed(bytes(texter.sealed_secret or b""), texter.seal_context) == "whsec_1"
        assert open_sealed(bytes(texter.sealed_old_secret or b""), texter.seal_context) == "whsec_0"


def test_what_no_key_opens_is_counted_and_left_alone(alice: Member, settings: Settings) -> None:
    settings.SECRET_KEYS = [OLD]
    connection = make_connection(alice.account)
    sealed = seal("token", vault.context_of(connection))
    with account_scope(alice.account_id):
        Connection.objects.update(sealed_credentials=sealed)
    settings.SECRET_KEYS = [NEW]
    assert reseal_all().lost == 1
    with account_scope(alice.account_id):
        assert bytes(Connection.objects.get().sealed_credentials or b"") == sealed
