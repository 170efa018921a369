"""Tenants of one vendor share open connections, and nothing that tells one from another."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from leadloom.providers.base import Request
from leadloom.providers.catalogue import provider
from leadloom.sync.client import CrmClient


class Vendor(BaseHTTPRequestHandler):
    """Answers everything, sets a cookie, and remembers who asked and on which line."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str, tuple[str, int]]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.headers["Authorization"], self.headers.get("Cookie", ""), self.client_address))
        self.send_response(200)
        self.send_header("Set-Cookie", "session=of-this-tenant; Path=/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *told: object) -> None:
        pass


@pytest.fixture
def vendor_url() -> Iterator[str]:
    Vendor.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def ask_as(token: str, url: str) -> None:
    CrmClient(provider("hubspot"), base_url=url, token=lambda force: token).send(Request("GET", "/"))


def test_a_vendor_learns_nothing_of_one_tenant_from_anothers_request(vendor_url: str) -> None:
    ask_as("alice", vendor_url)
    ask_as("charlie", vendor_url)
    assert [(who, cookie) for who, cookie, _ in Vendor.asked] == [("Bearer alice", ""), ("Bearer charlie", "")]


def test_two_passes_after_each_other_use_one_connection(vendor_url: str) -> None:
    ask_as("alice", vendor_url)
    ask_as("charlie", vendor_url)
    assert len({line for _, _, line in Vendor.asked}) == 1
