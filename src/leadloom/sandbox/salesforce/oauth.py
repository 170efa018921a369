"""Sign-in: the consent page that agrees at once, tokens, introspection, revocation, and who the user is."""

from base64 import b64decode
from urllib.parse import urlencode

from leadloom.sandbox.http import Json, Refusal, Reply, Request, json_reply
from leadloom.sandbox.salesforce.hub import IDENTITY, OPEN, ROUTES, Hub
from leadloom.sandbox.salesforce.problems import oauth_problem
from leadloom.sandbox.salesforce.staff import ORG_ID, TIME_ZONE, US
from leadloom.sandbox.salesforce.tokens import CLIENT_ID, CLIENT_SECRET, Grant, Token

IDENTITY_URL = f"https://login.salesforce.com/id/{ORG_ID}/{US.id}"
_DEAD = "expired access/refresh token"


@ROUTES.add("GET", "/services/oauth2/authorize", OPEN)
def authorize(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    query = request.query
    if query.get("client_id") != CLIENT_ID or "redirect_uri" not in query:
        raise oauth_problem("invalid_client_id", "client identifier invalid")
    answer = {"code": hub.tokens.new_code()} | {name: query[name] for name in ("state",) if name in query}
    location = f"{query['redirect_uri']}{'&' if '?' in query['redirect_uri'] else '?'}{urlencode(answer)}"
    return Reply(302, headers=[(b"location", location.encode())])


@ROUTES.add("POST", "/services/oauth2/token", OPEN)
def token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """No reply tells an expiry. A refresh tells a refresh token only where they rotate."""
    form = request.form
    _check_client(request)
    kind = form.get("grant_type")
    if kind == "authorization_code":
        grant = hub.tokens.grant_of(form.get("code", ""))
        if grant is None:
            raise oauth_problem("invalid_grant", "expired authorization code")
        return json_reply(200, _with_refresh(token_body(hub.tokens.issue(grant), here(request)), grant))
    if kind == "client_credentials":
        return json_reply(200, token_body(hub.tokens.issue(Grant(None)), here(request)))
    if kind != "refresh_token":
        raise oauth_problem("unsupported_grant_type", "grant type not supported")
    issued = hub.tokens.refresh(form.get("refresh_token", ""))
    if issued is None:
        raise oauth_problem("invalid_grant", _DEAD)
    body = token_body(issued, here(request))
    return json_reply(200, _with_refresh(body, issued.grant) if hub.tokens.rotates else body)


def here(request: Request) -> str:
    return f"http://{request.headers['host']}"


def token_body(issued: Token, instance_url: str) -> dict[str, Json]:
    return {
        "access_token": issued.value,
        "signature": "c2lnbmF0dXJlIG9mIHRoZSBzYW5kYm94",
        "scope": " ".join(issued.grant.scopes),
        "instance_url": instance_url,
        "id": IDENTITY_URL,
        "token_type": "Bearer",
        "issued_at": str(issued.issued_ms),
    }


def _with_refresh(body: dict[str, Json], grant: Grant) -> dict[str, Json]:
    return {**body, "refresh_token": grant.refresh}


@ROUTES.add("POST", "/services/oauth2/introspect", OPEN)
def introspect(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """The only way to learn when a token ends."""
    form = request.form
    _check_client(request)
    found = hub.tokens.access.get(form.get("token", ""))
    if found is None or not hub.tokens.is_active(found):
        return json_reply(200, {"active": False})
    issued = found.issued_ms // 1000
    expires_ms = found.expires_ms if found.expires_ms is not None else hub.clock.now_ms() + hub.tokens.lifetime_s * 1000
    told: Json = {
        "active": True,
        "scope": " ".join(found.grant.scopes),
        "client_id": CLIENT_ID,
        "username": US.values()["Username"],
        "sub": IDENTITY_URL,
        "token_type": "access_token",
        "exp": expires_ms // 1000,
        "iat": issued,
        "nbf": issued,
    }
    return json_reply(200, told)


@ROUTES.add("POST", "/services/oauth2/revoke", OPEN)
@ROUTES.add("GET", "/services/oauth2/revoke", OPEN)
def revoke(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """A refresh token takes its access tokens along."""
    given = {**request.query, **request.form}
    if not hub.tokens.revoke(given.get("token", "")):
        raise oauth_problem("unsupported_token_type", "this token type is not supported")
    return Reply(200)


@ROUTES.add("GET", "/services/oauth2/userinfo", IDENTITY)
@ROUTES.add("POST", "/services/oauth2/userinfo", IDENTITY)
def userinfo(_: Hub, request: Request, __: tuple[str, ...]) -> Reply:
    rest = f"{here(request)}/services/data/v{{version}}/"
    told: Json = {
        "sub": IDENTITY_URL,
        "user_id": US.id,
        "organization_id": ORG_ID,
        "preferred_username": US.values()["Username"],
        "nickname": US.last,
        "name": US.name,
        "email": US.email,
        "email_verified": True,
        "given_name": US.first,
        "family_name": US.last,
        "zoneinfo": TIME_ZONE,
        "locale": "en_US",
        "language": "en_US",
        "profile": f"{here(request)}/{US.id}",
        "urls": {"rest": rest, "sobjects": f"{rest}sobjects/", "query": f"{rest}query/"},
        "active": True,
        "user_type": "STANDARD",
        "is_salesforce_integration_user": False,
    }
    return json_reply(200, told)


@ROUTES.add("GET", r"/id/(\w+)/(\w+)", IDENTITY)
def identity(_: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    if args != (ORG_ID, US.id):
        raise Refusal(Reply(403, b"Wrong_Org", b"text/html"))
    rest = f"{here(request)}/services/data/v{{version}}/"
    told: Json = {
        "id": IDENTITY_URL,
        "asserted_user": True,
        "user_id": US.id,
        "organization_id": ORG_ID,
        "username": US.values()["Username"],
        "display_name": US.name,
        "email": US.email,
        "active": True,
        "user_type": "STANDARD",
        "timezone": TIME_ZONE,
        "urls": {"rest": rest, "sobjects": f"{rest}sobjects/", "query": f"{rest}query/"},
    }
    return json_reply(200, told)


def _check_client(request: Request) -> None:
    """In the form or as Basic. A fault of the app, not of the customer."""
    form = request.form
    way, _, sent = request.headers.get("authorization", "").partition(" ")
    if way == "Basic":
        name, _, secret = b64decode(sent).decode().partition(":")
        form = {"client_id": name, "client_secret": secret}
    if form.get("client_id") != CLIENT_ID:
        raise oauth_problem("invalid_client_id", "client identifier invalid")
    if form.get("client_secret") != CLIENT_SECRET:
        raise oauth_problem("invalid_client", "invalid client credentials")
