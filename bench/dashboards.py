"""Many dashboards open at once: what they cost the web process, and how long news takes to reach them.

A real web process and members of several accounts, each stream a socket of its own. Every account has an import that
says how far it is, through the application's own ``announce``; some dashboards never read what they are sent.
"""

import asyncio
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import psutil
import psycopg

from bench.house import open_house
from bench.report import Row, Wish

if TYPE_CHECKING:
    from leadloom.accounts.models import Member

WORDS_A_SECOND = 5  # of each account: an import saves that often
LISTEN_S = 15
LAST_WORDS_S = 2  # of them nobody says anything any more
QUIET_S = 10
DEAF_SHARE = 10  # one of ten dashboards never reads
LOOK_EVERY_S = 0.2
OPEN_AT_ONCE = 50
DEAF_BUFFER = 4096
SENT = re.compile(rb'"sent": ([\d.]+)')


@dataclass(frozen=True, slots=True)
class Visitor:
    account_id: int
    cookie: str


@dataclass(frozen=True, slots=True)
class State:
    """The web process at a moment."""

    cpu_s: float
    memory_mb: float
    descriptors: int
    threads: int
    connections: int

    def __str__(self) -> str:
        held = f"{self.descriptors} descriptors, {self.threads} threads, {self.connections} connections"
        return f"{self.memory_mb:.0f} MB, {held}"


def measure(wish: Wish) -> list[Row]:
    streams = wish.streams or 500
    _allow_descriptors(streams * 2 + 200)
    with tempfile.TemporaryDirectory(prefix="leadloom-bench-", dir="/tmp") as name:
        folder = Path(name)
        with open_house(folder, contacts=1, latency_ms=0, has_worker=False):
            visitors = _visitors(wish.accounts or 20)
            with _web() as (address, process):
                watched = _Watched(process, os.environ["DATABASE_OWNER_URL"])
                return asyncio.run(_measure(watched, address, visitors, streams))


async def _measure(web: "_Watched", address: str, visitors: "Sequence[Visitor]", streams: int) -> list[Row]:
    async with httpx2.AsyncClient(
        base_url=address, cookies={"leadloom_session": visitors[0].cookie}, timeout=60, trust_env=False
    ) as browser:
        alone = await _look(browser, 5)
        before = web.state()
        began = time.monotonic()
        dashboards = await _open(address, visitors, streams)
        opening_s = time.monotonic() - began
        opened = web.state()
        await asyncio.sleep(QUIET_S)
        quiet = web.state()
        talk = _Talk(visitors)
        looks, _ = await asyncio.gather(_look(browser, LISTEN_S), asyncio.to_thread(talk.go_on, LISTEN_S))
        told = web.state()
    delays = sorted(delay for dashboard in dashboards for delay in dashboard.delays)
    lost = sum(dashboard.is_lost for dashboard in dashboards)
    readers = [dashboard for dashboard in dashboards if not dashboard.is_deaf]
    latest = sum(dashboard.latest >= talk.last[dashboard.account_id] for dashboard in readers)
    for dashboard in dashboards:
        dashboard.close()
    words = talk.words / (LISTEN_S - LAST_WORDS_S)
    return [
        Row(f"{streams} streams opened in", f"{opening_s:.1f} s, {_ms(opened.cpu_s - before.cpu_s, streams)} CPU each"),
        Row("web process before", str(before)),
        Row("web process with them", str(opened), "connections as before + 1"),
        Row("memory a stream", f"{(opened.memory_mb - before.memory_mb) * 1024 / streams:.0f} KB", "<= 100 KB"),
        Row("quiet, CPU of one core", _share(quiet.cpu_s - opened.cpu_s, QUIET_S), "<= 2 %"),
        Row(f"{words:.0f} words a second, CPU of one core", _share(told.cpu_s - quiet.cpu_s, LISTEN_S), "<= 50 %"),
        Row("events delivered a second", f"{len(delays) / LISTEN_S:,.0f}"),
        Row("word announced to word received", _percentiles(delays), "p95 <= 250 ms"),
        Row("dashboards that heard the last word", f"{latest} of {len(readers)}, {lost} cut off", "all, 0"),
        Row("memory after that, some not reading", str(told), f"<= {opened.memory_mb + 20:.0f} MB"),
        Row("a page, no stream open", _percentiles(alone)),
        Row("a page meanwhile", _percentiles(looks), "p95 <= 250 ms"),
    ]


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _visitors(accounts: int) -> list[Visitor]:
    from django.conf import settings
    from django.test import Client

    from leadloom.accounts.services import open_account

    def sign_in(member: "Member") -> str:
        client = Client()
        client.force_login(member.user)
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    members = [
        open_account(name=f"Bench {n}", email=f"bench{n}@example.com", password="only for this run")
        for n in range(accounts)
    ]
    return [Visitor(member.account_id, sign_in(member)) for member in members]


@contextmanager
def _web() -> Iterator[tuple[str, psutil.Process]]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as sock:
        address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "leadloom.site", "web", "--fd", str(sock.fileno())],
            env={**os.environ, "LEADLOOM_URL": address},
            pass_fds=[sock.fileno()],
        )
        try:
            httpx2.get(f"{address}/healthz", timeout=60, trust_env=False).raise_for_status()
            yield address, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


class _Watched:
    """The web process, and what it holds in the database."""

    def __init__(self, process: psutil.Process, url: str) -> None:
        self._process = process
        self._url = url

    def state(self) -> State:
        spent = self._process.cpu_times()
        memory = self._process.memory_info().rss / 2**20
        descriptors, threads = self._process.num_fds(), self._process.num_threads()
        return State(spent.user + spent.system, memory, descriptors, threads, self._connections())

    def _connections(self) -> int:
        """All of the application's role but this process's own."""
        with psycopg.connect(self._url) as connection:
            [(count,)] = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'leadloom_app'"
            ).fetchall()
        return int(count) - _own_connections()


def _own_connections() -> int:
    from django.db import connections

    pool = getattr(connections["default"], "pool", None)
    return int(pool.get_stats().get("pool_size", 0)) if pool else 0


class Dashboard(asyncio.Protocol):
    """One open stream. A deaf one stops reading as soon as it is open."""

    def __init__(self, visitor: Visitor, *, is_deaf: bool) -> None:
        self.account_id = visitor.account_id
        self.is_deaf = is_deaf
        self.delays: list[float] = []
        self.latest = 0.0
        self.is_lost = False
        self.is_open = asyncio.get_running_loop().create_future()
        self._cookie = visitor.cookie
        self._transport: asyncio.Transport | None = None
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: leadloom_session={self._cookie}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if b"event: ready" in data and not self.is_open.done():
            self.is_open.set_result(None)
            if self.is_deaf and self._transport:
                self._transport.pause_reading()
        for found in SENT.findall(data):
            self.latest = max(self.latest, float(found))
            self.delays.append(now - float(found))

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self.is_lost = not self._is_closing
        if not self.is_open.done():
            self.is_open.set_exception(ConnectionError("the stream was refused"))

    def close(self) -> None:
        self._is_closing = True
        if self._transport:
            self._transport.abort()


async def _open(address: str, visitors: "Sequence[Visitor]", streams: int) -> list[Dashboard]:
    loop = asyncio.get_running_loop()
    host, port = address.removeprefix("http://").split(":")
    gate = asyncio.Semaphore(OPEN_AT_ONCE)

    async def open_one(number: int) -> Dashboard:
        visitor, is_deaf = visitors[number % len(visitors)], number % DEAF_SHARE == DEAF_SHARE - 1
        sock = socket.socket()
        if is_deaf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEAF_BUFFER)
        sock.setblocking(False)
        async with gate:
            await loop.sock_connect(sock, (host, int(port)))
            _, dashboard = await loop.create_connection(lambda: Dashboard(visitor, is_deaf=is_deaf), sock=sock)
            await asyncio.wait_for(dashboard.is_open, 60)
        return dashboard

    return await asyncio.gather(*(open_one(number) for number in range(streams)))


class _Talk:
    """Every account's import says how far it is, some times a second."""

    def __init__(self, visitors: "Sequence[Visitor]") -> None:
        self.words = 0
        self.last: dict[int, float] = {}
        self._accounts = [visitor.account_id for visitor in visitors]

    def go_on(self, seconds: float) -> None:
        from django.db import connection

        pause_s = 1 / WORDS_A_SECOND / len(self._accounts)
        end = time.monotonic() + seconds - LAST_WORDS_S
        due = time.monotonic()
        while due < end:
            self._say(self._accounts[self.words % len(self._accounts)])
            due += pause_s
            time.sleep(max(0.0, due - time.monotonic()))
        connection.close()
        time.sleep(LAST_WORDS_S)

    def _say(self, account_id: int) -> None:
        from leadloom.accounts.scope import account_scope
        from leadloom.live.notify import announce

        self.words += 1
        with account_scope(account_id):
            self.last[account_id] = sent = time.time()
            announce(account_id, {"kind": "run", "connection": account_id, "run": account_id, "sent": sent,
                                  "seen": self.words, "created": self.words, "updated": 0, "unchanged": 0, "linked": 0,
                                  "skipped": 0, "failed": 0, "gone": 0, "total": 100_000, "rate": 1_000})  # fmt: skip


async def _look(browser: httpx2.AsyncClient, seconds: float) -> list[float]:
    """Times of a page somebody opens again and again."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        (await browser.get("/")).raise_for_status()
        taken.append(time.monotonic() - began)
        await asyncio.sleep(LOOK_EVERY_S)
    return sorted(taken)


def _percentiles(taken: "Sequence[float]") -> str:
    if not taken:
        return "nothing arrived"
    p50, p95 = (taken[min(len(taken) - 1, int(len(taken) * share))] * 1000 for share in (0.5, 0.95))
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, most {taken[-1] * 1000:.0f} ms"


def _share(cpu_s: float, of_s: float) -> str:
    return f"{cpu_s / of_s * 100:.1f} %"


def _ms(cpu_s: float, count: int) -> str:
    return f"{cpu_s / count * 1000:.1f} ms"
