"""``/_control/nango``: connections made and spoiled by hand, webhooks sent by hand."""

import msgspec

from leadloom.sandbox.control import done, read_control
from leadloom.sandbox.http import Json, Refusal, Reply, Request, Routes, json_reply
from leadloom.sandbox.nango.environment import Environment, Link
from leadloom.sandbox.pace import RollingWindow

CONTROLS: Routes[Environment, None] = Routes()


class Connect(msgspec.Struct, forbid_unknown_fields=True):
    tags: dict[str, str] = {}
    connection_id: str | None = None
    provider_config_key: str | None = None
    end_user: dict[str, str] | None = None


class Target(msgspec.Struct, forbid_unknown_fields=True):
    connection_id: str


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    webhook_url: str | None = None
    per_minute: int | None = None
    failing_refreshes: int | None = None


class Webhook(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    body: dict[str, str | int | bool | dict[str, str] | None] | None = None
    connection_id: str | None = None
    operation: str = "creation"


@CONTROLS.add("POST", "/_control/nango/connections", None)
def connect(nango: Environment, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_control(request, Connect)
    end_user: dict[str, Json] | None = None if body.end_user is None else {**body.end_user}
    link = nango.connect(
        tags={name.lower(): value for name, value in body.tags.items()},
        end_user=end_user,
        connection_id=body.connection_id,
        key=body.provider_config_key,
    )
    return done(connection_id=link.connection_id, provider_config_key=link.key, access_token=link.access_token)


@CONTROLS.add("POST", "/_control/nango/revoke", None)
def revoke(nango: Environment, request: Request, _: tuple[str, ...]) -> Reply:
    """The grant dies at the CRM; Nango finds out at its next refresh."""
    link = _known(nango, request)
    if link.refresh_token:
        nango.provider.revoke(link.refresh_token)
    return done()


@CONTROLS.add("POST", "/_control/nango/expire", None)
def expire(nango: Environment, request: Request, _: tuple[str, ...]) -> Reply:
    """The access token runs out at the CRM, and Nango knows: the next read refreshes."""
    link = _known(nango, request)
    nango.provider.expire(link.access_token)
    link.expires_ms = nango.clock.now_ms()
    return done()


@CONTROLS.add("POST", "/_control/nango/settings", None)
def configure(nango: Environment, request: Request, _: tuple[str, ...]) -> Reply:
    """``per_minute`` 0 lifts the limit. ``failing_refreshes``: so many refreshes fail though the grant lives."""
    body = read_control(request, Wanted)
    if body.webhook_url is not None:
        nango.webhook_url = body.webhook_url
    if body.per_minute is not None:
        nango.limit = RollingWindow(body.per_minute or None, 60, lambda: nango.clock.now_ms() / 1000)
    if body.failing_refreshes is not None:
        nango.failing_refreshes = body.failing_refreshes
    return done()


async def send_webhook(nango: Environment, request: Request) -> Reply:
    """Signs and sends the given body, or the ``auth`` event of a connection."""
    body = read_control(request, Webhook)
    if body.body is not None:
        event: dict[str, Json] = {**body.body}
    else:
        event = nango.event(_link(nango, body.connection_id or ""), body.operation)
    return done(status=await nango.deliver(event, body.url))


def _known(nango: Environment, request: Request) -> Link:
    return _link(nango, read_control(request, Target).connection_id)


def _link(nango: Environment, connection_id: str) -> Link:
    if connection_id not in nango.links:
        raise Refusal(json_reply(404, {"error": "no such connection"}))
    return nango.links[connection_id]
