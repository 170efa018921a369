"""Tenants of one vendor share open connections, and nothing that tells one from another."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from leadloom.errors import LeadloomError, Unreadable
from leadloom.providers.base import Request
from leadloom.providers.catalogue import provider
from leadloom.sync.client import CrmClient


class Vendor(BaseHTTPRequestHandler):
    """Answers everything, sets a cookie, and remembers who asked and on which line."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str, tuple[str, int]]]] = []
    since: ClassVar[list[str | None]] = []
    paths: ClassVar[list[str]] = []
    status: ClassVar[int] = 200
    leads_to: ClassVar[str] = ""

    def do_GET(self) -> None:
        self.paths.append(self.requestline.split()[1])  # ``self.path`` has lost a second slash
        self.since.append(self.headers.get("If-Modified-Since"))
        self.asked.append((self.headers["Authorization"], self.headers.get("Cookie", ""), self.client_address))
        self.send_response(self.status)
        if self.leads_to:
            self.send_header("Location", self.leads_to)
        self.send_header("Set-Cookie", "session=of-this-tenant; Path=/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *told: object) -> None:
        pass


@pytest.fixture
def vendor_url() -> Iterator[str]:
    Vendor.asked.clear()
    Vendor.since.clear()
    Vendor.paths.clear()
    Vendor.status, Vendor.leads_to = 200, ""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
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


def test_a_question_may_carry_headers_of_its_own_and_never_another_credential(vendor_url: str) -> None:
    request = Request("GET", "/", headers={"if-modified-since": "2026-11-02T09:00:00Z", "authorization": "Bearer x"})
    CrmClient(provider("hubspot"), base_url=vendor_url, token=lambda force: "alice").send(request)
    assert Vendor.since == ["2026-11-02T09:00:00Z"]
    assert [who for who, _, _ in Vendor.asked] == ["Bearer alice"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_and_the_credential_stays_where_it_was_sent(vendor_url: str, status: int) -> None:
    """An inner service would answer whoever could make us ask it, and a foreign one would read the credential."""
    Vendor.leads_to = f"{vendor_url}/elsewhere"
    Vendor.status = status
    with pytest.raises(LeadloomError):
        ask_as("alice", vendor_url)
    assert Vendor.paths == ["/"]


@pytest.mark.parametrize("path", ["@127.0.0.1/", ".evil.example/", ":1@evil.example/", "", "evil", "\\@evil.example/"])
def test_a_place_to_go_on_that_would_be_another_host_is_not_asked(vendor_url: str, path: str) -> None:
    client = CrmClient(provider("hubspot"), base_url=vendor_url, token=lambda force: "alice")
    with pytest.raises(Unreadable):
        client.send(Request("GET", path))
    assert Vendor.paths == []


def test_a_place_with_two_slashes_is_still_one_of_the_vendors(vendor_url: str) -> None:
    client = CrmClient(provider("hubspot"), base_url=vendor_url, token=lambda force: "alice")
    client.send(Request("GET", "//evil.example/"))
    assert Vendor.paths == ["//evil.example/"]
