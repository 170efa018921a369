"""A GoHighLevel location in memory: the simulated one, asked without a network. It refuses what the vendor refuses."""

import json
from dataclasses import dataclass, field

from tests.providers.conformance import NOW

from leadloom.providers.base import Reply, Request
from leadloom.sandbox import http
from leadloom.sandbox.gohighlevel.location import GoHighLevel
from leadloom.sandbox.gohighlevel.staff import LOCATION
from leadloom.sandbox.gohighlevel.tokens import PRIVATE_TOKEN


@dataclass
class Location:
    crm: GoHighLevel
    asked: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        headers = {**request.headers, "authorization": f"Bearer {PRIVATE_TOKEN}"}
        query = {name: value or LOCATION for name, value in request.query.items()}
        body = dict(request.body) if isinstance(request.body, dict) else None
        if body is not None:  # the provider as the catalogue has it is for no location yet
            body["locationId"] = body["locationId"] or LOCATION
        path = request.path.replace("/locations/", f"/locations/{LOCATION}") if LOCATION not in request.path else ""
        asked = http.Request(
            request.method,
            path or request.path,
            "&".join(f"{name}={value}" for name, value in query.items()).encode(),
            [(name.encode(), value.encode()) for name, value in headers.items()],
            json.dumps(body).encode() if body is not None else b"",
        )
        try:
            reply = self.crm.answer(asked)
        except http.Refusal as refusal:
            reply = refusal.reply
        assert reply.status < 300 or reply.status in request.accept, reply.body
        told = {name.decode(): value.decode() for name, value in reply.headers}
        return Reply(reply.status, {"content-type": "application/json", **told}, reply.body)


def with_contacts(contacts: int) -> Location:
    now_ms = int(NOW.timestamp() * 1000)
    return Location(GoHighLevel(contacts=contacts, seed=3, limits="none", now_ms=now_ms))
