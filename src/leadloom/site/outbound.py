"""POST to addresses that customers type, without letting them reach into the operator's network.

A name is resolved once, every address it has is checked, and the connection goes to a checked address: a name
that answers differently a moment later (DNS rebinding) gains nothing. TLS proves the name. Redirects are
never followed, proxies from the environment never used, replies are cut at 64 KB, and the whole exchange ends
after 15 s. Nothing here logs. It does not sign, retry or remember: that is the caller's.
"""

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore2
import httpx2
from django.conf import settings

from leadloom.errors import LeadloomError

CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 15.0
REPLY_LIMIT = 64 * 1024
ADDRESS_LIMIT = 2000  # characters

type IP = IPv4Address | IPv6Address
type Resolver = Callable[[str, int], Sequence[str]]
"""Host and port in, addresses out; raises OSError when the name has none."""

PRIVATE = "This address leads into a private network. Use one that can be reached from the internet."
UNKNOWN = "No server is known by this name. Check the spelling."
UNREADABLE = "This is not a web address. It should look like https://hooks.example.com/leads."

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# Metadata services outside link-local (Azure, Alibaba, AWS over IPv6): they hand out the machine's own keys.
METADATA = ("168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128")
# Refused even where the operator allows private addresses: this host, link-local, multicast and reserved.
NOWHERE = ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "fe80::/10", "ff00::/8")
NEVER = tuple(ip_network(block) for block in (*METADATA, *NOWHERE))
# A last label that a parser may take for a number: 2130706433, 0x7f.1, 0177.0.0.1, 127.1
NUMERIC_HOST = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)\.?$", re.IGNORECASE)
WEB_PORTS = {"https": 443, "http": 80}
TIMEOUTS = {"timeout": {"connect": CONNECT_TIMEOUT_S, "read": TOTAL_TIMEOUT_S, "write": TOTAL_TIMEOUT_S}}


class BadAddress(LeadloomError):
    """The address itself cannot be used: show the sentence to the person who typed it."""

    code = "bad_address"


class NotDelivered(LeadloomError):
    """Nothing, or nothing readable, came back: try again later."""

    code = "not_delivered"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """At most the first 64 KB."""
    ms: int


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed address: what to ask for, and of whom."""

    scheme: str
    host: str
    port: int
    url: httpcore2.URL


def post(
    address: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    resolve: Resolver | None = None,
    allow_private: bool | None = None,
    tls: ssl.SSLContext | None = None,
    total_timeout_s: float = TOTAL_TIMEOUT_S,
) -> Reply:
    """Send, and give back what came. Raises BadAddress or NotDelivered, each with a customer's sentence."""
    started = time.monotonic()
    target = _parse(address, allow_private)
    addresses = _checked_addresses(target, resolve or system_resolver, allow_private)
    backend = _Pinned(addresses, started + total_timeout_s)
    sent = [("Host", _host_header(target)), *headers.items(), ("Content-Length", str(len(body)))]
    try:
        with (
            httpcore2.ConnectionPool(ssl_context=tls or _tls(), network_backend=backend) as pool,
            pool.stream("POST", target.url, headers=sent, content=body, extensions=TIMEOUTS) as response,
        ):
            return Reply(
                status=response.status,
                headers={name.decode("latin-1").lower(): text.decode("latin-1") for name, text in response.headers},
                body=_beginning(response),
                ms=round((time.monotonic() - started) * 1000),
            )
    except httpcore2.TimeoutException as error:
        raise NotDelivered("It did not answer in time.", detail=type(error).__name__) from None
    except httpcore2.ConnectError as error:
        raise NotDelivered(_why_no_connection(error), detail=type(error).__name__) from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise NotDelivered("The connection broke before a reply came.", detail=type(error).__name__) from None


def check_address(address: str, *, resolve: Resolver | None = None, allow_private: bool | None = None) -> str:
    """The address, tidied. Raises BadAddress with a sentence for the form. Asks for the name, sends nothing.

    A name may change its addresses at any time, so ``post`` checks again each time it sends.
    """
    target = _parse(address, allow_private)
    _checked_addresses(target, resolve or system_resolver, allow_private)
    return address.strip()


def _beginning(response: httpcore2.Response) -> bytes:
    """The first 64 KB. The status has come already, so a reply that breaks off is as good as it got."""
    received = b""
    with suppress(httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException):
        for chunk in response.iter_stream():
            received += chunk
            if len(received) >= REPLY_LIMIT:
                break
    return received[:REPLY_LIMIT]


def system_resolver(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_refused(ip: IP, *, allow_private: bool) -> bool:
    """May we not connect there? Looks through every way to write an IPv4 address inside an IPv6 one."""
    ip = _innermost(ip)
    if any(ip in block for block in NEVER if block.version == ip.version):
        return True
    if allow_private:
        return False
    return not ip.is_global or ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False)


def _innermost(ip: IP) -> IP:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    if int(ip) >> 32 == 0 and int(ip) > 1:  # ::a.b.c.d, deprecated and still parsed
        return IPv4Address(int(ip))
    teredo = ip.teredo[1] if ip.teredo else None
    return ip.ipv4_mapped or ip.sixtofour or teredo or ip


def _parse(address: str, allow_private: bool | None) -> Target:
    text = address.strip()
    may_be_private = settings.ALLOW_PRIVATE_URLS if allow_private is None else allow_private
    if not text or len(text) > ADDRESS_LIMIT:
        raise BadAddress("Enter the full address, such as https://hooks.example.com/leads.")
    try:
        url = httpx2.URL(text)
        scheme, host, port, userinfo = url.scheme, url.raw_host.decode(), url.port, url.userinfo
        raw_path = url.raw_path
    except (httpx2.InvalidURL, UnicodeError, ValueError, TypeError):
        raise BadAddress(UNREADABLE) from None
    if scheme not in ("https", "http") or not host:
        raise BadAddress("Enter the full address, beginning with https://.")
    if scheme == "http" and not may_be_private:
        raise BadAddress("The address must begin with https://, because leads are personal data.")
    if userinfo:
        raise BadAddress("Leave the name and password out of the address: requests are signed instead.")
    if "\\" in text or any(ord(char) <= 32 or ord(char) == 127 for char in text):
        raise BadAddress("The address has a space or another character that web addresses cannot have.")
    port = WEB_PORTS[scheme] if port is None else port
    if port > 65535:
        raise BadAddress(UNREADABLE)
    if port < 1024 and port not in WEB_PORTS.values():
        raise BadAddress(f"Port {port} belongs to another kind of service. Use 443, or a port from 1024 up.")
    _refuse_disguised_numbers(host)
    core = httpcore2.URL(scheme=scheme.encode(), host=_bracketed(host).encode(), port=port, target=raw_path)
    return Target(scheme, host, port, core)


def _refuse_disguised_numbers(host: str) -> None:
    """``0177.0.0.1``, ``2130706433``, ``0x7f.1``: spellings that parsers read each in their own way."""
    if ":" in host or not NUMERIC_HOST.search(host):
        return
    try:
        IPv4Address(host)
    except ValueError:
        raise BadAddress("This is not a usual way to write an address. Use the server's name.") from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _host_header(target: Target) -> str:
    host = _bracketed(target.host)
    return host if target.port == WEB_PORTS[target.scheme] else f"{host}:{target.port}"


def _checked_addresses(target: Target, resolve: Resolver, allow_private: bool | None) -> list[str]:
    """Every address of the host. One that is refused spoils them all: an honest host has no such mixture."""
    may_be_private = settings.ALLOW_PRIVATE_URLS if allow_private is None else allow_private
    try:
        texts = [target.host] if _is_ip(target.host) else list(resolve(target.host, target.port))
    except (OSError, UnicodeError):
        raise BadAddress(UNKNOWN) from None
    if not texts:
        raise BadAddress(UNKNOWN)
    for text in texts:
        if is_refused(ip_address(text.partition("%")[0]), allow_private=may_be_private):
            raise BadAddress(PRIVATE)
    return texts


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


# Both classes must take the arguments httpcore2 passes, and put their own host and deadline in their place.
class _Pinned(httpcore2.NetworkBackend):
    """Connects to the checked addresses, whatever name the request carries; nothing outlives the deadline."""

    def __init__(self, addresses: Sequence[str], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._network = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        until = min(self._deadline, time.monotonic() + CONNECT_TIMEOUT_S)
        last: Exception = httpcore2.ConnectError("no address")
        for number, address in enumerate(self._addresses):
            # A first address that swallows packets leaves time for the next.
            share = _left(until) / (len(self._addresses) - number)
            try:
                stream = self._network.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
                continue
            return _Hurried(stream, self._deadline)
        raise last


class _Hurried(httpcore2.NetworkStream):
    """A stream whose every wait is cut at one deadline, so that a drop a second cannot hold us for hours."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        hostname = server_hostname.strip("[]").rstrip(".") if server_hostname else None
        limit = min(CONNECT_TIMEOUT_S, _left(self._deadline))
        return _Hurried(self._stream.start_tls(ssl_context, hostname, limit), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("deadline")
    return left


@cache
def _tls() -> ssl.SSLContext:
    return httpcore2.default_ssl_context()


def _why_no_connection(error: Exception) -> str:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return "Its TLS certificate is not valid for this name."
        seen = seen.__cause__ or seen.__context__
    return "No connection could be made."
