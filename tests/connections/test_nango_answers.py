"""What each answer of Nango means: asked of a server that gives the recorded answers, and worse ones."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pytest_django import Settings

from leadloom.connections.nango import REFUSED, ConnectSession, Nango
from leadloom.errors import BadRequest, LeadloomError, NeedsReconnect, TryLater, Unreadable

type Answers = Callable[..., None]
GRANT = b'{"provider": "hubspot", "credentials": {"type": "OAUTH2", "access_token": "t-1"%s}%s}'


@pytest.fixture
def nango_answers(settings: Settings) -> Iterator[Answers]:
    """Say what Nango shall answer to everything from now on."""
    answer: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer["status"])  # type: ignore[arg-type]
            body = bytes(answer["body"])  # type: ignore[call-overload]
            for name, value in {"content-length": str(len(body)), **answer["headers"]}.items():  # type: ignore[dict-item]
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.NANGO_HOST = f"http://127.0.0.1:{server.server_port}"
    settings.NANGO_SECRET_KEY = "5f0c1a52-7b7e-4c53-9f0e-6d2a8c1b4e77"

    def say(status: int, body: bytes, **headers: str) -> None:
        answer.update(status=status, body=body, headers={name.replace("_", "-"): v for name, v in headers.items()})

    yield say
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "note"),
    [
        (400, b'{"error":{"code":"invalid_credentials","payload":{}}}', TryLater, REFUSED, "a refresh that failed"),
        (424, b'{"error":{"code":"invalid_credentials"}}', TryLater, REFUSED, "and backs off"),
        (404, b'{"error":{"code":"not_found"}}', NeedsReconnect, "needs_reconnect", "deleted at Nango"),
        (404, b"<h1>nginx</h1>", BadRequest, "our_fault", "somebody else answers: no customer's fault"),
        (400, b'{"error":{"code":"unknown_provider_config"}}', BadRequest, "our_fault", "the integration is gone"),
        (401, b'{"error":{"code":"unknown_account"}}', BadRequest, "our_fault", "a wrong key"),
        (403, b'{"error":{"code":"forbidden"}}', BadRequest, "our_fault", "a key of too few scopes"),
        (500, b'{"error":{"code":"server_error"}}', TryLater, "vendor_down", "its own fault"),
        (502, b"<html>", TryLater, "vendor_down", "a proxy in between"),
        (400, b'{"error":{"code":7}}', BadRequest, "our_fault", "not a code"),
        (400, b"[" * 100_000, BadRequest, "our_fault", "nested without end"),
        (200, b"<html>", Unreadable, "unreadable", "not JSON"),
        (200, b"[]", Unreadable, "unreadable", "not an object"),
        (200, b'{"provider": "hubspot", "credentials": {}}', Unreadable, "unreadable", "a key that may not see them"),
        (200, GRANT % (b"", b', "tags": [1]'), Unreadable, "unreadable", "tags of a wrong shape"),
        (200, b"\xff\xfe", Unreadable, "unreadable", "not UTF-8"),
    ],
)
def test_an_answer_is_named_by_what_we_do_next(
    nango_answers: Answers, status: int, body: bytes, kind: type[LeadloomError], code: str, note: str
) -> None:
    nango_answers(status, body)
    with pytest.raises(kind) as caught:
        Nango().connection("c-1", "hubspot")
    assert caught.value.code == code, note
    assert "t-1" not in str(caught.value) + caught.value.detail


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7), ("", 10), ("soon", 10), ("-5", 10), ("\xb2", 10), ("9" * 40, 3600), ("86400", 3600)],
)
def test_its_own_limit_is_kept(nango_answers: Answers, retry_after: str, seconds: int) -> None:
    nango_answers(429, b'{"error":{"code":"too_many_request"}}', retry_after=retry_after)
    with pytest.raises(TryLater) as caught:
        Nango().connection("c-1", "hubspot")
    assert caught.value.after.total_seconds() == seconds


@pytest.mark.parametrize(
    ("expiry", "is_known", "note"),
    [
        (b"", False, "a vendor without expiry"),
        (b', "expires_at": null', False, "likewise"),
        (b', "expires_at": "2099-01-01T00:00:00.000Z"', True, "as an import answers"),
        (b', "expires_at": "2099-01-01T00:00:00.600+00:00"', True, "as a read answers"),
        (b', "expires_at": "tomorrow"', False, "nonsense is no expiry"),
    ],
)
def test_both_forms_of_time_are_read(nango_answers: Answers, expiry: bytes, is_known: bool, note: str) -> None:
    nango_answers(200, GRANT % (expiry, b""))
    found = Nango().connection("c-1", "hubspot")
    assert (found.access_token, found.expires_in_s is not None) == ("t-1", is_known), note


@pytest.mark.parametrize("secret", ["token", "apiKey"])
def test_a_key_instead_of_a_token_is_read_too(nango_answers: Answers, secret: str) -> None:
    nango_answers(200, b'{"provider": "x", "credentials": {"%s": "k-1"}}' % secret.encode())
    assert Nango().connection("c-1", "x").access_token == "k-1"


@pytest.mark.parametrize("nango_id", ["", ".", ".."])
def test_an_id_from_a_browser_cannot_leave_its_place_in_the_path(nango_answers: Answers, nango_id: str) -> None:
    nango_answers(200, GRANT % (b"", b""))
    with pytest.raises(NeedsReconnect):
        Nango().connection(nango_id, "hubspot")


def test_secrets_do_not_show_when_a_session_or_grant_is_printed(nango_answers: Answers) -> None:
    nango_answers(200, GRANT % (b"", b""))
    assert "t-1" not in repr(Nango().connection("c-1", "hubspot"))
    assert "s-1" not in repr(ConnectSession(token="s-1"))
