"""Nango's HTTP interface, as far as an application's backend calls it.

No proxy, no syncs, no Connect UI: ``GET /oauth/connect/{integration}`` stands for the whole dance and agrees at once.
"""

import re
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

from leadloom.sandbox.clock import iso
from leadloom.sandbox.http import Json, Refusal, Reply, Request, Routes, json_reply
from leadloom.sandbox.nango.environment import SESSION_MS, Environment, Link, Session
from leadloom.sandbox.nango.replies import bad_body, issue, offset_iso, refusal
from leadloom.sandbox.nango.tags import EndUser, Organization, all_tags, checked_tags, end_user_body

type Who = Literal["", "key", "either"]
"""Whose bearer a route wants: nobody's, the environment's key, or also a connect session's token."""

ROUTES: Routes[Environment, Who] = Routes()
_KEY_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


class SessionBody(msgspec.Struct, forbid_unknown_fields=True):
    end_user: EndUser | None = None
    organization: Organization | None = None
    tags: dict[str, str] | None = None
    allowed_integrations: list[str] | None = None
    integrations_config_defaults: dict[str, Any] | None = None
    overrides: dict[str, Any] | None = None
    webhook_url_override: str | None = None


class ReconnectBody(msgspec.Struct, forbid_unknown_fields=True):
    connection_id: str
    integration_id: str
    end_user: EndUser | None = None
    organization: Organization | None = None
    tags: dict[str, str] | None = None
    integrations_config_defaults: dict[str, Any] | None = None
    overrides: dict[str, Any] | None = None
    webhook_url_override: str | None = None


class PatchBody(msgspec.Struct, forbid_unknown_fields=True):
    tags: dict[str, str] | None = None
    end_user: EndUser | None = None
    webhook_url_override: str | None = None


def _read[Body](request: Request, kind: type[Body]) -> Body:
    if "application/json" not in request.headers.get("content-type", ""):
        raise refusal(415, "invalid_content_type", "Content-Type header must be application/json")
    try:
        msgspec.json.decode(request.body)
    except msgspec.DecodeError as error:
        raise refusal(400, "invalid_json", str(error)) from error
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.ValidationError as error:
        code = "unrecognized_keys" if "unknown field" in str(error) else "invalid_type"
        raise bad_body(issue(code, str(error))) from error


def _only(request: Request, *allowed: str) -> None:
    for name in request.query:
        if name not in allowed:
            found = issue("unrecognized_keys", f'Unrecognized key: "{name}"')
            raise refusal(400, "invalid_query_params", errors=[found])


@ROUTES.add("GET", "/health", "")
def health(_nango: Environment, _: Request, __: tuple[str, ...]) -> Reply:
    return json_reply(200, {"result": "ok"})


@ROUTES.add("GET", "/integrations", "either")
def integrations(nango: Environment, _: Request, __: tuple[str, ...]) -> Reply:
    return json_reply(200, {"data": [_integration(nango)]})


@ROUTES.add("GET", "/integrations/([^/]+)", "key")
def integration(nango: Environment, _: Request, args: tuple[str, ...]) -> Reply:
    if args[0] != nango.provider.name:
        raise refusal(404, "not_found", f'Integration "{args[0]}" does not exist')
    return json_reply(200, {"data": _integration(nango)})


def _integration(nango: Environment) -> Json:
    name, made = nango.provider.name, iso(nango.clock.start_ms)
    return {
        "unique_key": name,
        "provider": name,
        "display_name": name.capitalize(),
        "logo": f"http://127.0.0.1:3003/images/template-logos/{name}.svg",
        "forward_webhooks": True,
        "created_at": made,
        "updated_at": made,
    }


@ROUTES.add("POST", "/connect/sessions", "key")
def new_session(nango: Environment, request: Request, _: tuple[str, ...]) -> Reply:
    _only(request)
    body = _read(request, SessionBody)
    if body.end_user is None and body.tags is None:
        raise bad_body(issue("invalid_type", "Invalid input: expected object, received undefined", "end_user"))
    for at, name in enumerate(body.allowed_integrations or ()):
        if name != nango.provider.name:
            raise bad_body(issue("custom", "Integration does not exist", "allowed_integrations", str(at)))
    session = Session(
        tags=all_tags(body.tags, body.end_user, body.organization),
        end_user=end_user_body(body.end_user, body.organization),
        allowed=body.allowed_integrations,
        expires_ms=nango.clock.now_ms() + SESSION_MS,
    )
    return json_reply(201, {"data": nango.new_session(session)})


@ROUTES.add("POST", "/connect/sessions/reconnect", "key")
def reconnect_session(nango: Environment, request: Request, _: tuple[str, ...]) -> Reply:
    """The connection keeps its id; its tags are replaced by these, and wiped if there are none."""
    body = _read(request, ReconnectBody)
    link = nango.links.get(body.connection_id)
    if link is None or link.key != body.integration_id:
        raise refusal(400, "invalid_body", "ConnectionID or IntegrationId does not exists")
    session = Session(
        tags=all_tags(body.tags, body.end_user, body.organization),
        end_user=end_user_body(body.end_user, body.organization),
        allowed=[link.key],
        expires_ms=nango.clock.now_ms() + SESSION_MS,
        reconnects=link,
    )
    return json_reply(201, {"data": nango.new_session(session)})


@ROUTES.add("GET", "/oauth/connect/([^/]+)", "")
def connect_at_once(nango: Environment, request: Request, args: tuple[str, ...]) -> Reply:
    """Stands in for the consent dance. The real one redirects to the vendor and ends in a page of HTML."""
    session = nango.sessions.get(request.query.get("connect_session_token", ""))
    if session is None or session.expires_ms <= nango.clock.now_ms():
        raise refusal(401, "unknown_connect_session_token", "The connect session token does not match any account.")
    if args[0] != nango.provider.name:
        raise refusal(404, "unknown_provider_config", "Provider does not exists")
    if session.allowed is not None and args[0] not in session.allowed:
        raise refusal(400, "integration_not_allowed", "Integration not allowed by the session")
    again = session.reconnects.connection_id if session.reconnects else None
    link = nango.connect(tags=session.tags, end_user=session.end_user, connection_id=again, key=args[0])
    return json_reply(200, {"connectionId": link.connection_id, "providerConfigKey": link.key})


@ROUTES.add("GET", "/connections", "key")
def list_connections(nango: Environment, request: Request, _: tuple[str, ...]) -> Reply:
    """``created`` here, ``created_at`` on single reads."""
    plain = {"connectionId", "search", "endUserId", "integrationId", "limit", "page"}
    query = dict(parse_qsl(request.raw_query.decode()))
    tags = {name[5:-1]: value for name, value in query.items() if name.startswith("tags[") and name.endswith("]")}
    _only(request, *plain, *(f"tags[{name}]" for name in tags))
    found = [link for link in sorted(nango.links.values(), key=lambda link: -link.number) if _fits(link, query, tags)]
    size, page = int(query.get("limit", "10000")), int(query.get("page", "0"))
    rows: list[Json] = [
        {**nango.summary(link), "created": offset_iso(link.created_ms)}
        for link in found[page * size : (page + 1) * size]
    ]
    return json_reply(200, {"connections": rows})


def _fits(link: Link, query: dict[str, str], tags: dict[str, str]) -> bool:
    if "connectionId" in query and link.connection_id != query["connectionId"]:
        return False
    if "integrationId" in query and link.key not in query["integrationId"].split(","):
        return False
    if "endUserId" in query and link.tags.get("end_user_id") != query["endUserId"]:
        return False
    return all(link.tags.get(name) == value for name, value in tags.items())


@ROUTES.add("GET", "/connections/([^/]+)", "key")
def get_connection(nango: Environment, request: Request, args: tuple[str, ...]) -> Reply:
    """Refreshes when less than 15 minutes are left. 400 and 424 mean "no token now", not "reconnect"."""
    _only(request, "provider_config_key", "refresh_token", "force_refresh")
    query = request.query
    link = _link(nango, args[0], query.get("provider_config_key"))
    nango.refresh(link, forced=query.get("force_refresh") == "true")
    credentials: dict[str, Json] = {
        "type": "OAUTH2",
        "access_token": link.access_token,
        "raw": link.raw,
    }
    if link.tells_expiry:
        credentials["expires_at"] = iso(link.expires_ms)
    if query.get("refresh_token") == "true":
        credentials |= {
            "refresh_token": link.refresh_token,
            "raw": {**link.raw, "refresh_token": link.refresh_token},
        }
    return json_reply(200, nango.body_of(link, credentials=credentials))


@ROUTES.add("PATCH", "/connections/([^/]+)", "key")
def patch_connection(nango: Environment, request: Request, args: tuple[str, ...]) -> Reply:
    """``tags`` replaces them all."""
    _only(request, "provider_config_key")
    body = _read(request, PatchBody)
    link = _link(nango, args[0], request.query.get("provider_config_key"))
    if body.tags is not None:
        link.tags = checked_tags(body.tags)
    if body.end_user is not None:
        link.end_user = end_user_body(body.end_user, None)
    return json_reply(200, {"success": True})


@ROUTES.add("DELETE", "/connections/([^/]+)", "key")
def delete_connection(nango: Environment, request: Request, args: tuple[str, ...]) -> Reply:
    """No webhook in 0.71.4. The grant is revoked at the CRM."""
    key = _config_key(request.query.get("provider_config_key"))
    link = nango.links.get(args[0])
    if link is None or link.key != key:
        raise refusal(400, "unknown_connection")
    nango.disconnect(link)
    return json_reply(200, {"success": True})


def _link(nango: Environment, connection_id: str, key: str | None) -> Link:
    if _config_key(key) != nango.provider.name and all(link.key != key for link in nango.links.values()):
        raise refusal(400, "unknown_provider_config", "Provider does not exists")
    link = nango.links.get(connection_id)
    if link is None or link.key != key:
        raise refusal(404, "not_found", "Failed to find connection")
    return link


def _config_key(key: str | None) -> str:
    if key is None:
        found = issue("invalid_type", "Invalid input: expected string, received undefined", "provider_config_key")
        raise refusal(400, "invalid_query_params", errors=[found])
    return key


def admit(nango: Environment, request: Request, who: Who) -> None:
    """Raises 401 or 429."""
    if who == "":
        return
    if not nango.limit.take():
        error: Json = {"code": "too_many_request", "method": request.method, "path": request.path}
        raise Refusal(json_reply(429, {"error": error}, [(b"retry-after", b"60")]))
    text = "Authentication failed. "
    if not request.headers.get("authorization"):
        message = f"{text}The request is missing the Authorization header."
        raise refusal(401, "missing_auth_header", message, payload={})
    bearer = request.bearer or ""
    if who == "either" and bearer in nango.sessions:
        return
    if not _KEY_FORM.fullmatch(bearer):
        raise refusal(401, "invalid_secret_key_format", f"{text}The secret key has the wrong form.", payload={})
    if bearer != nango.key:
        message = f"{text}The provided authorization header does not match any account."
        raise refusal(401, "unknown_account", message, payload={})
