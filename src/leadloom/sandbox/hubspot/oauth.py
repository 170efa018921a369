"""Sign-in: the consent page that agrees at once, the token endpoint, introspection, revocation."""

from urllib.parse import urlencode

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.hubspot.hub import DATED, OPEN, ROUTES, Hub
from leadloom.sandbox.hubspot.problems import invalid, problem
from leadloom.sandbox.hubspot.records import PORTAL
from leadloom.sandbox.hubspot.tokens import CLIENT_ID, CLIENT_SECRET, Grant, Token, oauth_refusal

USER_ID = 53871490
APP_ID = 1204467
TOKEN_PATH = rf"/oauth/(v1|v3|{DATED})/token"


@ROUTES.add("GET", "/oauth/authorize", OPEN)
def authorize(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """At HubSpot a page on app.hubspot.com; here the person has always just agreed."""
    query = request.query
    if query.get("client_id") != CLIENT_ID or "redirect_uri" not in query:
        raise invalid("client_id or redirect_uri is missing or unknown")
    answer = {"code": hub.tokens.new_code()} | {name: query[name] for name in ("state",) if name in query}
    location = f"{query['redirect_uri']}{'&' if '?' in query['redirect_uri'] else '?'}{urlencode(answer)}"
    return Reply(302, headers=[(b"location", location.encode())])


@ROUTES.add("POST", TOKEN_PATH, OPEN)
def token(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    form = request.form
    _check_client(form)
    kind = form.get("grant_type")
    if kind == "refresh_token":
        issued = hub.tokens.refresh(form.get("refresh_token", ""))
    elif kind == "authorization_code":
        grant = hub.tokens.codes.pop(form.get("code", ""), None)
        if grant is None:
            raise oauth_refusal("BAD_AUTH_CODE", "invalid_grant", "missing or unknown auth code")
        issued = hub.tokens.issue(grant)
    else:
        raise oauth_refusal("BAD_GRANT_TYPE", "unsupported_grant_type", "missing or unknown grant_type")
    return json_reply(200, token_body(hub, issued, old=args[0] == "v1"))


def token_body(hub: Hub, issued: Token, *, old: bool = False) -> dict[str, Json]:
    """The legacy endpoint tells four fields only."""
    body: dict[str, Json] = {
        "token_type": "bearer",
        "refresh_token": issued.grant.refresh,
        "access_token": issued.value,
        "expires_in": hub.tokens.lifetime_s,
    }
    if not old:
        body |= {
            "hub_id": PORTAL,
            "user_id": USER_ID,
            "scopes": list(issued.grant.scopes),
            "token_use": "access_token",
        }
    return body


@ROUTES.add("POST", rf"{TOKEN_PATH}/introspect", OPEN)
def introspect(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    _check_client(request.form)
    value = _token_of(request.form)
    found = hub.tokens.access.get(value)
    grant = hub.tokens.grants.get(value)
    if found is not None:
        return json_reply(200, _access_facts(hub, found))
    if grant is not None and not grant.revoked:
        return json_reply(200, {**_facts(grant), "token": value, "token_use": "refresh_token", "active": True})
    return json_reply(200, {"active": False})


@ROUTES.add("POST", rf"{TOKEN_PATH}/revoke", OPEN)
def revoke(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Access tokens already issued live on until they run out."""
    _check_client(request.form)
    hub.tokens.revoke(_token_of(request.form))
    return Reply(200)


@ROUTES.add("GET", "/oauth/v1/access-tokens/([^/]+)", OPEN)
def legacy_access_token(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    found = hub.tokens.access.get(args[0])
    if found is None or found.grant.refresh is None:
        raise problem(404, "OBJECT_NOT_FOUND", "access token not found")
    facts = _access_facts(hub, found)
    return json_reply(200, {name: value for name, value in facts.items() if name not in {"active", "token_use"}})


@ROUTES.add("GET", "/oauth/v1/refresh-tokens/([^/]+)", OPEN)
def legacy_refresh_token(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    grant = hub.tokens.grants.get(args[0])
    if grant is None or grant.revoked:
        raise problem(404, "OBJECT_NOT_FOUND", "refresh token not found")
    return json_reply(200, {**_facts(grant), "token": args[0]})


@ROUTES.add("DELETE", "/oauth/v1/refresh-tokens/([^/]+)", OPEN)
def legacy_revoke(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    hub.tokens.revoke(args[0])
    return Reply(204)


@ROUTES.add("DELETE", rf"/appinstalls/(?:v3|{DATED})/external-install", OPEN)
def uninstall(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    hub.tokens.admit(request.bearer, ())
    grant = hub.tokens.access[request.bearer or ""].grant
    grant.uninstalled = True
    for value in [one.value for one in hub.tokens.access.values() if one.grant is grant]:
        del hub.tokens.access[value]
    return Reply(204)


def _check_client(form: dict[str, str]) -> None:
    """A fault of the app, not of the customer: never a reason to call somebody disconnected."""
    if form.get("client_id") != CLIENT_ID:
        raise oauth_refusal("BAD_CLIENT_ID", "invalid_client", "missing or unknown client id")
    if form.get("client_secret") != CLIENT_SECRET:
        raise oauth_refusal("BAD_CLIENT_SECRET", "invalid_client", "missing or invalid client secret")


def _token_of(form: dict[str, str]) -> str:
    """The guide and the specification name the field differently."""
    return form.get("token") or form.get("access_token") or form.get("refresh_token") or ""


def _facts(grant: Grant) -> dict[str, Json]:
    return {
        "hub_id": PORTAL,
        "hub_domain": "sandbox.example.com",
        "scopes": list(grant.scopes),
        "client_id": CLIENT_ID,
        "app_id": APP_ID,
        "user": "admin@sales.example.com",
        "user_id": USER_ID,
        "token_type": "refresh",
    }


def _access_facts(hub: Hub, found: Token) -> dict[str, Json]:
    left = None if found.expires_ms is None else max(0, (found.expires_ms - hub.clock.now_ms()) // 1000)
    return {
        **_facts(found.grant),
        "token": found.value,
        "token_type": "access",
        "token_use": "access_token",
        "expires_in": left,
        "active": left is None or left > 0,
        "is_private_distribution": False,
        "signed_access_token": {"hubId": PORTAL, "userId": USER_ID, "appId": APP_ID},
    }
