"""A web process of its own, as ``leadloom up`` starts it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from django.conf import settings
from django.test import Client

from leadloom.accounts.models import Member


@dataclass(frozen=True, slots=True)
class Web:
    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def web_process(*, log: IO[bytes] | None = None, **environment: str) -> Iterator[Web]:
    """Ready to answer, on a free port. Ended with the block. ``log``: where its log goes, if not to ours."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "leadloom.site", "web", "--fd", str(sock.fileno())],
            env={**os.environ, "LEADLOOM_URL": address, "LEADLOOM_LOG_LEVEL": "error", **environment},
            pass_fds=[sock.fileno()],
            stderr=log,
        )
    try:
        _await(address, process)
        yield Web(address, process)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(20)


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            assert process.poll() is None, "the web process ended"
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.05)
        else:
            return


def session_of(member: Member) -> str:
    """The cookie's value of a browser in which this member is signed in."""
    client = Client()
    client.force_login(member.user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value
