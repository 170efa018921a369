"""What happens reaches the dashboards of its account, soon, once, and those of no other account."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
from django.conf import settings
from django.test import Client
from tests.factories import make_connection, make_member, make_run
from tests.web import Web, session_of, web_process

from leadloom.accounts.http import CHOSEN_ACCOUNT
from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.live.hub import MOST_A_SECOND, MOST_WAITING, Mailbox, rest_s
from leadloom.live.notify import announce
from leadloom.site.web import MOST_DESCRIPTORS
from leadloom.sync.sink import announce_run

type Word = dict[str, Any]


class Stream:
    """One open dashboard: what it is told, in order."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def next(self) -> Word | None:
        """The next word; None when the stream has ended. Gives up when there was nothing but two signs of life."""
        signs = 0
        for line in self._lines:
            signs += line == ": still here"
            assert signs < 2, "nobody said anything"
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))  # type: ignore[no-any-return]
        return None

    def until(self, is_it: Callable[[Word], bool]) -> list[Word]:
        """Everything up to the word that is meant, that word included."""
        told: list[Word] = []
        while (word := self.next()) is not None:
            told.append(word)
            if is_it(word):
                return told
        raise AssertionError(f"the stream ended after {told}")


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_process(LEADLOOM_DB_POOL="2") as web:
        yield web


@pytest.fixture
def alice(committed: None) -> Member:
    return make_member()


@pytest.fixture
def watch() -> Iterator[Callable[[Web, Member], Stream]]:
    """Opens a member's dashboard and waits until it is listened for."""
    with ExitStack() as open_streams:

        def open_stream(web: Web, member: Member) -> Stream:
            cookies = {settings.SESSION_COOKIE_NAME: session_of(member)}
            client = open_streams.enter_context(httpx2.Client(cookies=cookies, timeout=20))
            response = open_streams.enter_context(client.stream("GET", f"{web.address}/live"))
            assert response.status_code == 200
            assert response.headers["Content-Type"].startswith("text/event-stream")
            stream = Stream(response)
            assert stream.next() == {}  # "ready"
            return stream

        yield open_stream


def say(member: Member, number: int) -> None:
    with account_scope(member.account_id):
        announce(member.account_id, {"kind": "lead", "lead": number})


class Undone(Exception):
    pass


def say_and_undo(member: Member, number: int) -> None:
    with account_scope(member.account_id):
        announce(member.account_id, {"kind": "lead", "lead": number})
        raise Undone


def is_lead(number: int) -> Callable[[Word], bool]:
    return lambda word: word.get("lead") == number


def test_strangers_are_told_nothing(web: Web) -> None:
    assert httpx2.get(f"{web.address}/live").status_code == 401


def test_what_is_announced_reaches_every_open_dashboard_of_the_account(
    web: Web, alice: Member, watch: Callable[[Web, Member], Stream]
) -> None:
    bob = make_member("bob@example.com", account=alice.account, role="member")
    streams = [watch(web, alice), watch(web, bob)]
    say(alice, 7)
    for stream in streams:
        assert stream.until(is_lead(7))[-1] == {"kind": "lead", "lead": 7}


def test_another_account_hears_none_of_it(web: Web, alice: Member, watch: Callable[[Web, Member], Stream]) -> None:
    charlie = make_member("charlie@example.net", "Charlie & Co")
    stream = watch(web, charlie)
    say(alice, 1)
    say(charlie, 2)
    assert [word for word in stream.until(is_lead(2)) if "lead" in word] == [{"kind": "lead", "lead": 2}]


def test_a_stream_asked_for_by_alices_ids_tells_charlie_only_his_own(web: Web, alice: Member) -> None:
    """Whatever he writes into the address or a header, and even if her account's id got into his session."""
    charlie = make_member("charlie@example.net", "Charlie & Co")
    run = make_run(make_connection(alice.account))
    browser = Client()
    browser.force_login(charlie.user)
    session = browser.session
    session[CHOSEN_ACCOUNT] = alice.account_id
    session.save()
    cookies = {settings.SESSION_COOKIE_NAME: browser.cookies[settings.SESSION_COOKIE_NAME].value}
    hers = {"account": alice.account_id, "connection": run.connection_id, "run": run.pk, "lead": 1}
    hers |= {"account_id": alice.account_id, "accountId": alice.account_id, "member": alice.pk, "user": alice.user_id}
    headers = {f"X-{name}".replace("_", "-"): str(pk) for name, pk in hers.items()}
    with (
        httpx2.Client(cookies=cookies, timeout=20) as client,
        client.stream("GET", f"{web.address}/live", params=hers, headers=headers) as response,
    ):
        assert response.status_code == 200
        stream = Stream(response)
        assert stream.next() == {}  # "ready"
        say(alice, 1)
        say(charlie, 2)
        assert [word for word in stream.until(is_lead(2)) if "lead" in word] == [{"kind": "lead", "lead": 2}]


def test_what_was_rolled_back_is_never_told(web: Web, alice: Member, watch: Callable[[Web, Member], Stream]) -> None:
    stream = watch(web, alice)
    with pytest.raises(Undone):
        say_and_undo(alice, 1)
    say(alice, 2)
    assert not [word for word in stream.until(is_lead(2)) if is_lead(1)(word)]


def test_a_run_tells_its_counters_and_how_it_ended(
    web: Web, alice: Member, watch: Callable[[Web, Member], Stream]
) -> None:
    run = make_run(make_connection(alice.account))
    stream = watch(web, alice)
    row = {"state": "done", "seen": 400, "created": 398, "skipped": 2, "elapsed_s": 2.0, "first_lead_s": 0.8}
    with account_scope(alice.account_id):
        announce_run(run, row, ended=True, sentence="398 new, 2 skipped.")
    told = stream.until(lambda word: word.get("run") == run.pk)[-1]
    assert (told["connection"], told["seen"], told["rate"]) == (run.connection_id, 400, 200)
    assert (told["ended"], told["sentence"]) == (True, "398 new, 2 skipped.")


def test_open_dashboards_hold_no_database_connection(
    web: Web, alice: Member, watch: Callable[[Web, Member], Stream]
) -> None:
    streams = [watch(web, alice) for _ in range(12)]  # the process may hold two connections
    cookies = {settings.SESSION_COOKIE_NAME: session_of(alice)}
    assert httpx2.get(f"{web.address}/account", cookies=cookies, timeout=20).status_code == 200
    say(alice, 3)
    assert all(stream.until(is_lead(3)) for stream in streams)


def test_open_dashboards_hold_no_thread_each(web: Web, alice: Member, watch: Callable[[Web, Member], Stream]) -> None:
    watch(web, alice)
    before = psutil.Process(web.process.pid).num_threads()
    streams = [watch(web, alice) for _ in range(12)]
    assert psutil.Process(web.process.pid).num_threads() < before + 6
    say(alice, 4)
    assert all(stream.until(is_lead(4)) for stream in streams)


def test_a_web_process_takes_as_many_descriptors_as_dashboards_may_need(web: Web) -> None:
    soft, hard = psutil.Process(web.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert soft >= (MOST_DESCRIPTORS if hard == psutil.RLIM_INFINITY else min(MOST_DESCRIPTORS, hard))


def test_the_dashboards_look_again_after_the_database_was_away(
    web: Web, alice: Member, watch: Callable[[Web, Member], Stream]
) -> None:
    stream = watch(web, alice)
    say(alice, 1)
    stream.until(is_lead(1))
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as database:
        cut = database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'leadloom live'"
        ).fetchall()
    assert cut
    stream.until(lambda word: word == {"kind": "look_again"})
    say(alice, 2)
    stream.until(is_lead(2))


def test_a_server_that_stops_ends_its_streams_instead_of_waiting_for_them(
    alice: Member, watch: Callable[[Web, Member], Stream]
) -> None:
    with web_process() as web:
        stream = watch(web, alice)
        web.process.terminate()
        while stream.next() is not None:
            pass  # ended in order: an answer cut off in the middle would raise
        web.process.wait(20)


def test_a_slow_dashboard_is_told_the_latest_of_a_run_and_not_what_is_outdated() -> None:
    box = Mailbox()
    for seen in range(1_000):
        box.put({"kind": "run", "run": 1, "seen": seen})
    box.put({"kind": "run", "run": 2, "seen": 5})
    told = asyncio.run(box.take(1))
    assert [(word["run"], word["seen"]) for word in told] == [(1, 999), (2, 5)]


def test_a_dashboard_with_too_much_to_hear_is_told_to_look_again_at_everything() -> None:
    box = Mailbox()
    for lead in range(10_000):
        box.put({"kind": "lead", "lead": lead})
    told = asyncio.run(box.take(1))
    assert {"kind": "look_again"} in told
    assert len(told) <= MOST_WAITING


@pytest.mark.parametrize("dashboards", [1, 100, 500, 10_000])
def test_however_many_dashboards_hear_of_something_pages_have_most_of_the_process(dashboards: int) -> None:
    assert dashboards / rest_s(dashboards) <= MOST_A_SECOND


def test_a_few_dashboards_hear_a_dozen_times_a_second() -> None:
    assert rest_s(50) <= 0.1
