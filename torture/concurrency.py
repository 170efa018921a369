"""Many who want the same at once, many accounts at once, and one large account beside a small one."""

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from torture.house import CRON_SECRET, House, open_house, until
from torture.report import Verdict, Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadloom.accounts.models import Member
    from leadloom.connections.models import Connection
    from leadloom.sandbox import Sandbox

LONGEST_S = 600
DELAY_S = 5
ROUNDS = 3  # of the crowd
SMALL = 100
ACTIVE = "state IN ('queued', 'running', 'waiting')"


def suffer(wish: Wish) -> Verdict:
    verdict = Verdict()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-torture-")))
        house = stack.enter_context(open_house(folder, LEADLOOM_DB_POOL="40"))
        stack.enter_context(house.open_web())
        house.add_workers(2)
        _crowd(verdict, house, wish)
        _many(verdict, house, wish)
        _large_and_small(verdict, house, wish)
        verdict.tell("deadlocks", str(house.deadlocks()), "0")
        verdict.require(house.deadlocks() == 0, f"{house.deadlocks()} deadlocks")
    return verdict


# -- fifty people, the schedule, a webhook and a reconnect want one connection


def _crowd(verdict: Verdict, house: House, wish: Wish) -> None:
    from leadloom.sandbox import Sandbox

    refreshes = wish.refreshes or (20 if wish.short else 50)
    with Sandbox(contacts=300, latency_ms=40, own_process=True) as box:
        member, connection = _connected(box, "crowd")
        _await_ends(house, member.account_id)
        wishes = _wishes(house, box, member, connection, refreshes)
        together = Together(house, connection.pk)
        answers: list[str] = []
        for _ in range(1 if wish.short else ROUNDS):
            house.value("UPDATE crm_connections SET next_due_at = now() WHERE id = %s RETURNING 1", connection.pk)
            with ThreadPoolExecutor(len(wishes)) as pool:
                answers += pool.map(partial(_at_once, threading.Barrier(len(wishes))), wishes)
            _await_ends(house, member.account_id)
        together.stop()
        overlapping = house.value(_OVERLAPPING, connection.pk)
        states = _states(house, member.account_id)
    good = sum(answer.startswith("2") for answer in answers)
    verdict.tell(
        f"{refreshes} refreshes, cron, webhook and connect at once: answered well", f"{good} of {len(answers)}"
    )
    verdict.require(good == len(answers), f"at once: {sorted(set(answers))}")
    verdict.tell("runs that came of it; most at one time", f"{sum(states.values())}; {together.most}", "1 at a time")
    verdict.require(
        together.most <= 1 and overlapping == 0, f"{together.most} runs at one time, {overlapping} overlapped"
    )
    verdict.require(set(states) == {"done"}, f"runs ended as {states}")


def _wishes(
    house: House, box: "Sandbox", member: "Member", connection: "Connection", refreshes: int
) -> "list[Callable[[], str]]":
    from leadloom.accounts.scope import account_scope
    from leadloom.accounts.tokens import issue_token

    with account_scope(member.account_id):
        _, secret = issue_token(account=member.account, member=member, name="Torture")
    ask = partial(_ask, house.address, secret)
    refresh = partial(ask, "POST", "/api/crm/sync", {"connectionId": connection.pk})
    cron = partial(_ask, house.address, CRON_SECRET, "GET", "/api/cron/sync-crm", None)
    return [
        *[refresh] * refreshes,
        *[cron] * 2,
        *[partial(_webhook, member.account_id, connection.pk)] * 2,
        partial(_connect_again, box, member),
    ]


def _ask(address: str, secret: str, method: str, path: str, body: Any) -> str:
    headers = {"Authorization": f"Bearer {secret}"}
    try:
        reply = httpx2.request(method, f"{address}{path}", json=body, headers=headers, timeout=120, trust_env=False)
    except httpx2.HTTPError as error:
        return type(error).__name__
    return str(reply.status_code) if reply.status_code < 300 else f"{reply.status_code} {reply.text[:200]}"


def _webhook(account: int, connection: int) -> str:
    from leadloom.accounts.scope import account_scope
    from leadloom.connections.models import Connection
    from leadloom.connections.services import request_run

    with account_scope(account):
        request_run(connection=Connection.objects.get(pk=connection), trigger="webhook")
    return "2xx"


def _connect_again(box: "Sandbox", member: "Member") -> str:
    from leadloom.connections.services import connect_with_token

    connect_with_token(account=member.account, member=member, provider=box.crm, token=box.token, base_url=box.url)
    return "2xx"


def _at_once(start: threading.Barrier, act: "Callable[[], str]") -> str:
    from django.db import connection

    try:
        start.wait()
        return act()
    except Exception as error:  # noqa: BLE001 - what it is, is the answer
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


class Together:
    """Looks how many runs of a connection are under way at one time."""

    def __init__(self, house: House, connection: int) -> None:
        self.most = 0
        self._house, self._connection = house, connection
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        query = f"SELECT count(*) FROM sync_runs WHERE connection_id = %s AND {ACTIVE}"
        with self._house.database() as database:
            while not self._is_over.wait(0.02):
                [(count,)] = database.execute(query, [self._connection]).fetchall()
                self.most = max(self.most, count)


# -- many accounts at once


def _many(verdict: Verdict, house: House, wish: Wish) -> None:
    """Every account's first import, all asked for before the first has begun."""
    from leadloom.sandbox import Sandbox

    accounts = wish.accounts or (20 if wish.short else 1_000)
    with Sandbox(contacts=20, latency_ms=20, own_process=True) as box:
        first = house.value("SELECT coalesce(max(id), 0) FROM accounts")
        began = time.monotonic()
        for number in range(accounts):
            _connected(box, f"many{number}", is_unpaced=True)  # to the CRM they are one account, with one limit
        query = f"SELECT count(*) FROM sync_runs WHERE account_id > %s AND {ACTIVE}"
        until(lambda: house.value(query, first) == 0, "all accounts have synced", within_s=LONGEST_S)
        seconds = time.monotonic() - began
        done = house.value(
            "SELECT count(*) FROM sync_runs WHERE account_id > %s AND state = 'done' AND seen = 20", first
        )
        leads = house.value("SELECT count(DISTINCT account_id) FROM leads WHERE account_id > %s", first)
    verdict.tell(f"{accounts:,} accounts at once on two workers", f"{done:,} done in {seconds:.0f} s", f"{accounts:,}")
    verdict.require(done == leads == accounts, f"of {accounts} accounts {done} runs are done, {leads} have leads")


# -- a large account beside a small one


def _large_and_small(verdict: Verdict, house: House, wish: Wish) -> None:
    from leadloom.sandbox import Sandbox

    contacts = wish.contacts or (3_000 if wish.short else 500_000)
    with (
        Sandbox(contacts=contacts, latency_ms=10, own_process=True) as big,
        Sandbox(contacts=SMALL, latency_ms=10, own_process=True, seed=2) as little,
    ):
        alone = _time_of_small(house, little, "alone")
        giant, _ = _connected(big, "giant", is_unpaced=True)
        is_begun = "SELECT coalesce(max(seen), 0) > 0 FROM sync_runs WHERE account_id = %s"
        until(lambda: house.value(is_begun, giant.account_id), "the large import is under way", within_s=LONGEST_S)
        beside = _time_of_small(house, little, "beside")
        is_on = house.value(f"SELECT count(*) FROM sync_runs WHERE account_id = %s AND {ACTIVE}", giant.account_id)
        _await_ends(house, giant.account_id)
        seen = house.value("SELECT max(seen) FROM sync_runs WHERE account_id = %s", giant.account_id)
    what = f"{SMALL} contacts beside {contacts:,}, connect to done"
    verdict.tell(what, f"{beside:.2f} s, alone {alone:.2f} s", f"<= {DELAY_S} s later")
    verdict.require(beside - alone <= DELAY_S, f"{SMALL} contacts waited {beside - alone:.1f} s for {contacts:,}")
    verdict.require(seen == contacts, f"the large account has seen {seen} of {contacts}")
    if not is_on:
        verdict.tell("(the large import was over before the small one)", "take more contacts")


def _time_of_small(house: House, box: "Sandbox", name: str) -> float:
    began = time.monotonic()
    member, _ = _connected(box, name, is_unpaced=True)
    _await_ends(house, member.account_id, every_s=0.05)
    return time.monotonic() - began


# -- steps


def _connected(box: "Sandbox", name: str, *, is_unpaced: bool = False) -> "tuple[Member, Connection]":
    from leadloom.accounts.models import User
    from leadloom.accounts.scope import account_scope
    from leadloom.accounts.services import open_account_for
    from leadloom.connections.models import Connection as Row
    from leadloom.connections.services import connect_with_token

    user = User(email=f"{name}@example.com", name=name)
    user.set_unusable_password()  # hashing a thousand passwords is another torture
    user.save()
    member = open_account_for(user, name=name)
    with account_scope(member.account_id):
        connection, _ = connect_with_token(
            account=member.account, member=member, provider=box.crm, token=box.token, base_url=box.url
        )
        if is_unpaced:
            Row.objects.filter(pk=connection.pk).update(method="sandbox", settings={"is_unpaced": True})
    return member, connection


def _await_ends(house: House, account: int, *, every_s: float = 0.3) -> None:
    query = f"SELECT count(*) FROM sync_runs WHERE account_id = %s AND {ACTIVE}"
    until(lambda: house.value(query, account) == 0, "every run has ended", within_s=LONGEST_S, every_s=every_s)


def _states(house: House, account: int) -> dict[str, int]:
    with house.database() as database:
        query = "SELECT state, count(*) FROM sync_runs WHERE account_id = %s GROUP BY state"
        return dict(database.execute(query, [account]).fetchall())


_OVERLAPPING = """
SELECT count(*) FROM sync_runs a JOIN sync_runs b ON a.connection_id = b.connection_id AND a.id < b.id
WHERE a.connection_id = %s AND b.created_at < a.finished_at
"""
