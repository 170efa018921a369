"""Addresses that customers type must not become a way into the operator's network."""

import datetime as dt
import logging
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.texter.receiver import receiver

from leadloom.site import outbound
from leadloom.site.outbound import BadAddress, NotDelivered, Reply, check_address, post


class Names:
    """A resolver that answers from a list, one answer per question, and the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def send(address: str, **options: object) -> Reply:
    return post(address, body=b"{}", headers={"Content-Type": "application/json"}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.8",
        "172.16.4.1",
        "192.168.1.1",
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "169.254.169.254",  # the metadata service of most clouds
        "168.63.129.16",  # Azure's, on a public address
        "100.100.100.200",  # Alibaba's
        "100.64.0.1",  # carrier-grade NAT
        "192.0.0.192",  # Oracle's metadata
        "198.18.0.1",  # benchmarking
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",  # 169.254.169.254
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",  # NAT64
        "2002:a00:1::",  # 6to4 around 10.0.0.1
        "2001:0:0:0:0:0:f5ff:fffe",  # Teredo around 10.0.0.1
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",  # AWS's metadata over IPv6
        "fec0::1",
        "ff02::1",
    ],
)
def test_no_form_of_an_inner_address_is_let_through(address: str) -> None:
    assert outbound.is_refused(ip_address(address), allow_private=False)
    with pytest.raises(BadAddress, match="private network"):
        check_address("https://hooks.example.com/", resolve=Names([address]), allow_private=False)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_pass(address: str) -> None:
    assert not outbound.is_refused(ip_address(address), allow_private=False)
    assert check_address(" https://hooks.example.com/in ", resolve=Names([address]), allow_private=False) == (
        "https://hooks.example.com/in"
    )


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "168.63.129.16", "0.0.0.0", "224.0.0.1", "fd00:ec2::254"]
)
def test_metadata_stays_shut_even_where_the_operator_allows_private_addresses(address: str) -> None:
    assert outbound.is_refused(ip_address(address), allow_private=True)
    assert not outbound.is_refused(ip_address("10.0.0.8"), allow_private=True)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "full address"),
        ("hooks.example.com/leads", "https://"),
        ("ftp://hooks.example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("http://hooks.example.com/", "must begin with https://"),
        ("https:///leads", "https://"),
        ("https://user:secret@hooks.example.com/", "name and password"),
        ("https://hooks.example.com@127.0.0.1/", "name and password"),
        ("https://127.0.0.1\\@hooks.example.com/", "name|address"),
        ("https://hooks.example.com/a b", "space"),
        ("https://hooks.example.com/\r\nHost: inner", "not a web"),
        ("https://hooks.example.com:25/", "Port 25"),
        ("https://hooks.example.com:0/", "Port 0"),
        ("https://hooks.example.com:99999/", "not a web address"),
        ("https://2130706433/", "usual way"),  # 127.0.0.1 as one number
        ("https://0177.0.0.1/", "not a web address"),  # octal
        ("https://0177.1/", "usual way"),
        ("https://0x7f.0.0.1/", "usual way"),
        ("https://0x7f000001/", "usual way"),
        ("https://127.1/", "usual way"),
        ("https://127.0.0.1./", "usual way"),
        ("https://127.0.0.1/", "private network"),
        ("https://127。0。0。1/", "private network"),  # ideographic full stops
        ("https://[::1]/", "private network"),
        ("https://[::ffff:127.0.0.1]:8443/", "private network"),
        ("https://[fe80::1%25eth0]/", "private|name"),
        ("https://localhost/", "private network"),
        ("https://" + "a" * 3000, "full address"),
    ],
)
def test_what_the_form_says_about_an_address_it_cannot_use(address: str, sentence: str) -> None:
    with pytest.raises(BadAddress, match=sentence):
        check_address(address, resolve=Names(["127.0.0.1"]), allow_private=False)


def test_an_unknown_name_is_said_to_be_unknown() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(BadAddress, match="No server is known"):
        check_address("https://hooks.exmaple.com/", resolve=unknown)


def test_one_inner_address_among_public_ones_spoils_them_all() -> None:
    with pytest.raises(BadAddress, match="private network"):
        check_address("https://hooks.example.com/", resolve=Names(["1.1.1.1", "10.0.0.1"]), allow_private=False)


def test_the_check_is_made_again_at_each_sending() -> None:
    names = Names(["1.1.1.1"], ["127.0.0.1"])
    check_address("https://hooks.example.com/", resolve=names, allow_private=False)
    with pytest.raises(BadAddress, match="private network"):
        send("https://hooks.example.com/", resolve=names, allow_private=False)


def test_the_connection_goes_to_the_address_that_was_checked_whatever_the_name_says_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: public when checked, inner when connected to. We never ask a second time."""
    connected: list[str] = []

    def no_connection(address: tuple[str, int], *rest: object, **named: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", no_connection)
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    with pytest.raises(NotDelivered):
        send("https://hooks.example.com/", resolve=names, allow_private=False)
    assert names.asked == 1
    assert connected == ["93.184.216.34"]


def test_the_next_address_is_tried_when_the_first_refuses() -> None:
    with receiver() as texting:
        reply = send(
            f"http://hooks.example.com:{texting.port}/",
            resolve=Names(["127.9.9.9", "127.0.0.1"]),
            allow_private=True,
        )
    assert reply.status == 200


def test_a_reply_comes_back_whole() -> None:
    with receiver(status=202, reply=b"taken", reply_headers={"X-Note": "thanks"}) as texting:
        address = f"http://hooks.example.com:{texting.port}/in?key=1"
        reply = send(address, resolve=Names(["127.0.0.1"]), allow_private=True)
    assert (reply.status, reply.body, reply.headers["x-note"]) == (202, b"taken", "thanks")
    sent = texting.received[0]
    assert sent.path == "/in?key=1"
    assert sent.headers["host"] == f"hooks.example.com:{texting.port}"
    assert sent.body == b"{}"


def test_a_redirect_is_an_answer_and_never_followed() -> None:
    with receiver() as inner, receiver(status=307, reply_headers={"Location": inner.url}) as texting:
        reply = send(texting.url, allow_private=True)
    assert reply.status == 307
    assert inner.received == []


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy, receiver() as texting:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        send(texting.url, allow_private=True)
    assert len(texting.received) == 1
    assert proxy.received == []


def test_of_a_long_reply_only_the_beginning_is_read() -> None:
    with receiver(reply=b"x" * 5_000_000) as texting:
        reply = send(texting.url, allow_private=True)
    assert len(reply.body) == outbound.REPLY_LIMIT


@contextmanager
def listening(answer: bytes = b"", *, drip: bool = False) -> Iterator[int]:
    """A server that takes the connection and says nothing more, or one byte at a time."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(answer)
                while not over.wait(0.05):
                    if drip:
                        client.sendall(b"x")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        over.set()


def test_a_silent_server_is_given_up() -> None:
    with listening() as port, pytest.raises(NotDelivered, match="in time"):
        send(f"http://127.0.0.1:{port}/", allow_private=True, total_timeout_s=0.5)


def test_a_server_that_drips_is_given_up_at_the_same_moment() -> None:
    with (
        listening(b"HTTP/1.1 200 OK\r\nX-Drip: ", drip=True) as port,
        pytest.raises(NotDelivered, match="in time"),
    ):
        send(f"http://127.0.0.1:{port}/", allow_private=True, total_timeout_s=0.5)


def test_a_status_counts_although_the_reply_breaks_off() -> None:
    with listening(b"HTTP/1.1 202 Accepted\r\nContent-Length: 50\r\n\r\nhalf", drip=False) as port:
        reply = send(f"http://127.0.0.1:{port}/", allow_private=True, total_timeout_s=0.5)
    assert (reply.status, reply.body) == (202, b"half")


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotDelivered, match="No connection"):
        send(f"http://127.0.0.1:{port}/", allow_private=True)


def test_something_that_is_no_web_server() -> None:
    with listening(b"220 mail.example.com ESMTP\r\n") as port, pytest.raises(NotDelivered):
        send(f"http://127.0.0.1:{port}/", allow_private=True, total_timeout_s=1)


def test_neither_the_query_nor_the_body_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), receiver() as texting:
        post(f"{texting.url}?key=hush", body=b'{"phone": "+14155550123"}', headers={}, allow_private=True)
    assert texting.received
    assert "hush" not in caplog.text
    assert "4155550123" not in caplog.text


# TLS proves the name that was typed, although the connection goes to a number.


def test_tls_asks_for_the_name_and_believes_only_that_name(tmp_path: Path) -> None:
    asked: list[str | None] = []
    server, client = certificates(tmp_path, "hooks.example.com")
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    with receiver(tls=server) as texting:
        names = Names(["127.0.0.1"])
        reply = send(f"https://hooks.example.com:{texting.port}/", resolve=names, allow_private=True, tls=client)
        assert reply.status == 200
        assert asked == ["hooks.example.com"]
        with pytest.raises(NotDelivered, match="certificate"):
            send(f"https://other.example.com:{texting.port}/", resolve=names, allow_private=True, tls=client)


def certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    client = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return server, client
