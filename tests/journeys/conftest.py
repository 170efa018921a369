"""Real worker processes beside the test, and a CRM over HTTP."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from tests.factories import make_member

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run
from leadloom.connections.services import connect_with_token
from leadloom.sandbox import Sandbox

type Until = Callable[..., Run]


class Worker:
    """One worker process, as ``leadloom worker`` starts it."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "leadloom.site", "worker"],
            env={**os.environ, "LEADLOOM_CONCURRENCY": "4", **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        """As the kernel does when memory is short: no goodbye."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, timeout_s: float = 20) -> float:
        """As a deploy does. Answers how long it took."""
        started = time.monotonic()
        self.process.terminate()
        self.process.wait(timeout_s)
        return time.monotonic() - started


@pytest.fixture
def start_worker(committed: None) -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start(**environment: str) -> Worker:
        workers.append(Worker(**environment))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def alice(committed: None) -> Member:
    return make_member()


@pytest.fixture
def connect(alice: Member) -> Callable[[Sandbox], tuple[Connection, Run]]:
    def connect_to(sandbox: Sandbox) -> tuple[Connection, Run]:
        with account_scope(alice.account_id):
            return connect_with_token(
                account=alice.account, member=alice, provider="hubspot", token=sandbox.token, base_url=sandbox.url
            )

    return connect_to


@pytest.fixture
def until() -> Until:
    """Wait until something is true of a run, or fail with what it is instead."""

    def wait(run: Run, is_so: Callable[[Run], bool], *, within_s: float = 60) -> Run:
        deadline = time.monotonic() + within_s
        while True:
            with account_scope(run.account_id):
                found = Run.objects.get(pk=run.pk)
            if is_so(found):
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"after {within_s} s: {found.state} {found.counters} {found.error} {found.error_detail}")
            time.sleep(0.05)

    return wait
