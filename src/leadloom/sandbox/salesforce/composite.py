"""``composite/batch``: up to 25 requests in one, each with a status of its own."""

from urllib.parse import urlsplit

import msgspec

from leadloom.sandbox.http import Json, Refusal, Reply, Request, json_reply
from leadloom.sandbox.salesforce.hub import READ, ROUTES, VERSION, Hub
from leadloom.sandbox.salesforce.problems import not_found, problem, read_json

MOST = 25


class Inner(msgspec.Struct):
    method: str
    url: str
    richInput: msgspec.Raw = msgspec.Raw(b"")  # noqa: N815


class Batch(msgspec.Struct):
    batchRequests: list[Inner]  # noqa: N815


@ROUTES.add("POST", rf"{VERSION}/composite/batch/?", READ)
def batch(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    asked = read_json(request, Batch).batchRequests
    if len(asked) > MOST:
        raise problem(400, "INVALID_BATCH_SIZE", "more requests than allowed")
    results = [_one(hub, request, one) for one in asked]
    told: list[Json] = [{"statusCode": status, "result": body} for status, body in results]
    return json_reply(200, {"hasErrors": any(status >= 400 for status, _ in results), "results": told})


def _one(hub: Hub, request: Request, one: Inner) -> tuple[int, Json]:
    parts = urlsplit(one.url)
    path = parts.path if parts.path.startswith("/services/") else f"/services/data/{parts.path.lstrip('/')}"
    inner = Request(one.method, path, parts.query.encode(), request.raw_headers, bytes(one.richInput))
    try:
        found = ROUTES.find(inner)
        if found is None or not found[0].mark.is_counted:
            raise not_found()
        reply = found[0].handler(hub, inner, found[1])
    except Refusal as refusal:
        reply = refusal.reply
    return reply.status, msgspec.json.decode(reply.body) if reply.body else None
