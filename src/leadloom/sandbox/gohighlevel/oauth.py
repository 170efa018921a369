"""Sign-in: the page where a location is chosen, and the token endpoint, whose refresh tokens are good for one use."""

from urllib.parse import urlencode

from leadloom.sandbox.gohighlevel.hub import OPEN, ROUTES, Gate, Hub
from leadloom.sandbox.gohighlevel.problems import grant_refused, problem
from leadloom.sandbox.gohighlevel.query import check_location
from leadloom.sandbox.gohighlevel.staff import APP, COMPANY, LOCATION, location_json
from leadloom.sandbox.gohighlevel.tokens import CLIENT_ID, CLIENT_SECRET, Grant, Token
from leadloom.sandbox.http import Json, Reply, Request, json_reply

# v3 writes its names in camels; the vendor's own client sends them so.
_CAMELS = {"clientId": "client_id", "clientSecret": "client_secret", "grantType": "grant_type",
           "refreshToken": "refresh_token", "userType": "user_type", "redirectUri": "redirect_uri",
           "companyId": "company_id", "locationId": "location_id"}  # fmt: skip


@ROUTES.add("GET", "(?:/v2)?/oauth/chooselocation", OPEN)
def choose_location(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """At HighLevel a page of the marketplace; here the person has always just chosen the one location."""
    query = request.query
    if query.get("client_id") != CLIENT_ID or "redirect_uri" not in query:
        raise problem(400, "client_id or redirect_uri is missing or unknown")
    answer = {"code": hub.tokens.new_code()} | {name: query[name] for name in ("state",) if name in query}
    location = f"{query['redirect_uri']}{'&' if '?' in query['redirect_uri'] else '?'}{urlencode(answer)}"
    return Reply(302, headers=[(b"location", location.encode())])


@ROUTES.add("POST", "/oauth/token", OPEN)
def token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    form = {_CAMELS.get(name, name): value for name, value in request.form.items()}
    if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
        raise grant_refused("UnAuthorized!", "Invalid client credentials!", 401)
    kind = form.get("grant_type")
    if kind == "refresh_token":
        return json_reply(200, token_body(hub, hub.tokens.renew(form.get("refresh_token", ""))))
    if kind == "authorization_code":
        grant = hub.tokens.codes.pop(form.get("code", ""), None)
        if grant is None:
            raise grant_refused("invalid_grant", "Invalid grant: authorization code is invalid")
        return json_reply(200, token_body(hub, hub.tokens.issue(grant)))
    raise grant_refused("unsupported_grant_type", "Unsupported grant type")


def token_body(hub: Hub, issued: Token) -> dict[str, Json]:
    """Only a location's token names the location."""
    grant = issued.grant
    body: dict[str, Json] = {
        "access_token": issued.value,
        "token_type": "Bearer",
        "expires_in": hub.tokens.lifetime_s,
        "refresh_token": grant.refresh,
        "scope": " ".join(grant.scopes),
        "userType": "Location" if grant.location else "Company",
        "companyId": COMPANY,
        "userId": "uF6carterFinnT4mGv8s",
    }
    return {**body, "locationId": grant.location} if grant.location else body


@ROUTES.add("POST", "/oauth/(?:locationToken|location-token)", Gate("oauth.write"))
def location_token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """An agency's token buys one for a location, without a refresh token of its own."""
    form = {_CAMELS.get(name, name): value for name, value in request.form.items()}
    check_location(form.get("location_id", ""))
    issued = hub.tokens.issue(Grant(None, LOCATION))
    body = token_body(hub, issued)
    return json_reply(200, {name: value for name, value in body.items() if name != "refresh_token"})


@ROUTES.add("GET", "/oauth/(?:installedLocations|installed-locations)", Gate("oauth.readonly"))
def installed_locations(_hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    if request.query.get("companyId") != COMPANY or not request.query.get("appId", "").startswith(APP):
        raise problem(400, "companyId or appId is unknown")
    found: Json = [{"_id": LOCATION, "name": location_json()["name"], "isInstalled": True}]
    return json_reply(200, {"locations": found, "count": 1})
