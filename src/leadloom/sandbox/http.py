"""A request, a reply, and a table of routes: as much of a web framework as simulated vendors need."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, unquote

import msgspec

type Json = str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None

JSON_TYPE = b"application/json;charset=utf-8"
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: bytes = JSON_TYPE
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Refusal(Exception):
    """Raised anywhere below a handler to answer with this reply at once."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Request:
    """One request, read in full."""

    def __init__(self, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.method = method
        self.path = path
        self.raw_query = query
        self.raw_headers = headers
        self.body = body
        self.at_once = 1
        """How many requests were under way when it arrived, itself included."""

    @cached_property
    def query(self) -> dict[str, str]:
        """A name given several times holds all its values, separated by commas: clients write lists both ways."""
        query: dict[str, str] = {}
        for name, value in parse_qsl(self.raw_query.decode("latin-1"), keep_blank_values=True):
            query[name] = f"{query[name]},{value}" if name in query else value
        return query

    def asks(self, name: str) -> bool:
        """``true`` in any case: HubSpot's own Python client writes ``True``."""
        return self.query.get(name, "").lower() == "true"

    @cached_property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @cached_property
    def headers(self) -> dict[str, str]:
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.raw_headers}

    @property
    def bearer(self) -> str | None:
        for name, value in self.raw_headers:
            if name == b"authorization":
                kind, _, token = value.decode("latin-1").partition(" ")
                return token.strip() if kind.lower() == "bearer" else None
        return None

    @property
    def target(self) -> str:
        """Path and query as sent."""
        return f"{self.path}?{self.raw_query.decode('latin-1')}" if self.raw_query else self.path


def json_reply(status: int, body: Json, headers: list[tuple[bytes, bytes]] | None = None) -> Reply:
    return Reply(status, _encode(body), headers=headers or [])


def as_json(value: object) -> bytes:
    return _encode(value)


type Handler[State] = Callable[[State, Request, tuple[str, ...]], Reply]


@dataclass(frozen=True, slots=True)
class Route[State, Mark]:
    """``mark`` is whatever the owner of the table wants to know before calling: a scope, a limit."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler[State]
    mark: Mark


class Routes[State, Mark]:
    """Routes in order. A path is a pattern whose groups become the handler's arguments."""

    def __init__(self) -> None:
        self._routes: list[Route[State, Mark]] = []

    def add(self, method: str, path: str, mark: Mark) -> Callable[[Handler[State]], Handler[State]]:
        def register(handler: Handler[State]) -> Handler[State]:
            self._routes.append(Route(method, re.compile(path), handler, mark))
            return handler

        return register

    def find(self, request: Request) -> tuple[Route[State, Mark], tuple[str, ...]] | None:
        for route in self._routes:
            if route.method == request.method and (match := route.pattern.fullmatch(request.path)):
                return route, tuple(unquote(part) for part in match.groups(default=""))
        return None
