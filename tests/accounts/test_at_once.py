"""What must hold when things happen at once, or one after another on one connection: with real commits."""

from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import psycopg
import pytest
from django.db import connection
from tests.factories import make_lead, make_member

from leadloom.accounts import members
from leadloom.accounts.models import Member, User
from leadloom.accounts.scope import account_scope
from leadloom.accounts.setup import AlreadySetUp, set_up
from leadloom.accounts.throttle import Limit, take_attempt
from leadloom.leads.models import Lead

pytestmark = pytest.mark.usefixtures("committed")


def roles(account_id: int) -> list[str]:
    with account_scope(account_id):
        return sorted(Member.objects.filter(account_id=account_id).values_list("role", flat=True))


@pytest.mark.parametrize("fails", [False, True], ids=["committed", "rolled back"])
def test_the_scope_ends_with_its_transaction_on_a_connection_that_is_used_again(
    fails: bool,
) -> None:
    alice = make_member()
    make_lead(alice.account)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        before = cursor.fetchone()
    try:
        with account_scope(alice.account_id):
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() == before  # the same server process, as the next request might get it
    assert not Member.objects.exists()
    assert not Lead.objects.exists()


def test_a_scope_belongs_to_its_thread() -> None:
    alice = make_member()
    make_lead(alice.account)
    seen: list[int] = []

    def look() -> None:
        seen.append(Lead.objects.count())
        connection.close()

    with account_scope(alice.account_id):
        stranger = Thread(target=look)
        stranger.start()
        stranger.join()
        assert Lead.objects.count() == 1
    assert seen == [0]


def test_of_two_setups_at_once_one_wins() -> None:
    def attempt(number: int) -> bool:
        try:
            set_up(name="Acme", email=f"first{number}@example.com", password="correct horse battery")
        except AlreadySetUp:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]
    assert User.objects.count() == 1


def test_of_two_people_using_one_link_at_once_one_joins() -> None:
    alice = make_member()
    users = [make_member(f"person{number}@example.com", "Own").user for number in range(4)]
    with account_scope(alice.account_id):
        invitation, _ = members.invite(by=alice, email="dora@example.com", role="member")

    def join(user: User) -> bool:
        try:
            members.accept_as(user, invitation)
        except members.InvitationGone:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(join, users)) == [False, False, False, True]
    assert roles(alice.account_id) == ["member", "owner"]


def test_two_owners_cannot_demote_each_other_at_once() -> None:
    alice = make_member()
    bob = make_member("bob@example.com", role="owner", account=alice.account)

    def demote(pair: tuple[Member, Member]) -> None:
        other, by = pair
        try:
            with account_scope(by.account_id):
                members.change_role(other, role="member", by=by)
        except members.MembershipRefused:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(demote, [(alice, bob), (bob, alice)]))
    assert roles(alice.account_id) == ["member", "owner"]


def test_attempts_sent_at_once_by_many_processes_are_all_counted() -> None:
    def attempt(_: int) -> bool:
        try:
            return take_attempt([Limit("sign-in somebody", 5)])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(20))) == [False] * 15 + [True] * 5


def test_even_the_owner_of_the_tables_sees_nothing_without_a_scope(owner_url: str) -> None:
    make_lead(make_member().account)
    with psycopg.connect(owner_url) as owner:
        assert owner.execute("SELECT count(*) FROM leads").fetchone() == (0,)
        assert owner.execute("SELECT count(*) FROM members").fetchone() == (0,)
