"""Sign-in at the accounts server: the consent page that agrees at once, tokens, revocation.

A refusal is status 200 with ``{"error": …}``.
"""

from urllib.parse import urlencode

from leadloom.sandbox.http import Json, Refusal, Reply, Request, json_reply
from leadloom.sandbox.zoho.hub import OPEN, ROUTES, Hub
from leadloom.sandbox.zoho.tokens import CLIENT_ID, CLIENT_SECRET, Token, TooManyRefreshes

API_DOMAIN = "https://www.zohoapis.com"
ACCOUNTS = "https://accounts.zoho.com"


@ROUTES.add("GET", "/oauth/v2/auth", OPEN)
def authorize(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    query = request.query
    if query.get("client_id") != CLIENT_ID or "redirect_uri" not in query:
        raise _refusal("invalid_client")
    answer = {"code": hub.tokens.new_code(), "location": "us", "accounts-server": ACCOUNTS}
    answer |= {name: query[name] for name in ("state",) if name in query}
    location = f"{query['redirect_uri']}{'&' if '?' in query['redirect_uri'] else '?'}{urlencode(answer)}"
    return Reply(302, headers=[(b"location", location.encode())])


@ROUTES.add("POST", "/oauth/v2/token", OPEN)
def token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """By form or by query. A refresh tells no refresh token: it stays the same. The API is where the token is."""
    given = {**request.query, **request.form}
    if given.get("client_id") != CLIENT_ID:
        raise _refusal("invalid_client")
    if given.get("client_secret") != CLIENT_SECRET:
        raise _refusal("invalid_client_secret")
    match given.get("grant_type"):
        case "authorization_code":
            grant = hub.tokens.codes.pop(given.get("code", ""), None)
            issued = hub.tokens.issue(grant) if grant else None
        case "refresh_token":
            issued = _refreshed(hub, given.get("refresh_token", ""))
        case _:
            raise _refusal("unsupported_grant_type")
    if issued is None:
        raise _refusal("invalid_code")
    body: dict[str, Json] = {
        "access_token": issued.value,
        "api_domain": f"http://{request.headers['host']}",
        "token_type": "Bearer",
        "expires_in": hub.tokens.lifetime_s,
    }
    if given["grant_type"] == "authorization_code":
        body["refresh_token"] = issued.grant.refresh
    return json_reply(200, body)


def _refreshed(hub: Hub, refresh: str) -> Token | None:
    try:
        return hub.tokens.refresh(refresh)
    except TooManyRefreshes:
        told: Json = {
            "error_description": "You have made too many requests continuously. Please try again after some time.",
            "error": "Access Denied",
            "status": "failure",
        }
        raise Refusal(json_reply(400, told)) from None


@ROUTES.add("POST", "/oauth/v2/token/revoke", OPEN)
def revoke(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    given = {**request.query, **request.form}
    if not hub.tokens.revoke(given.get("token", "")):
        return json_reply(400, {"error": "invalid_code"})
    return json_reply(200, {"status": "success"})


def _refusal(error: str) -> Refusal:
    return Refusal(json_reply(200, {"error": error}))
