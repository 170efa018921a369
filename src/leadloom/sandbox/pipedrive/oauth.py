"""Sign-in: the consent page that agrees at once, the token endpoint, revocation.

The client shows itself by Basic authorization, or, discouraged, in the form.
"""

from base64 import b64decode
from binascii import Error
from urllib.parse import urlencode

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.pipedrive.hub import OPEN, ROUTES, Hub
from leadloom.sandbox.pipedrive.problems import grant_refused, problem
from leadloom.sandbox.pipedrive.tokens import CLIENT_ID, CLIENT_SECRET


@ROUTES.add("GET", "/oauth/authorize", OPEN)
def authorize(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    query = request.query
    if query.get("client_id") != CLIENT_ID or "redirect_uri" not in query:
        raise problem(400, "client_id or redirect_uri is missing or unknown")
    answer = {"code": hub.tokens.new_code(query["redirect_uri"])}
    answer |= {name: query[name] for name in ("state",) if name in query}
    location = f"{query['redirect_uri']}{'&' if '?' in query['redirect_uri'] else '?'}{urlencode(answer)}"
    return Reply(302, headers=[(b"location", location.encode())])


@ROUTES.add("POST", "/oauth/token", OPEN)
def token(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """The refresh token of the reply is the one there was. The API is where the token is."""
    form = _form_of_client(request)
    match form.get("grant_type"):
        case "authorization_code":
            issued = hub.tokens.spend(form.get("code", ""), form.get("redirect_uri", ""))
        case "refresh_token":
            issued = hub.tokens.refresh(form.get("refresh_token", ""))
        case _:
            raise grant_refused(400, "unsupported_grant_type", "Unsupported grant type")
    body: Json = {
        "access_token": issued.value,
        "token_type": "bearer",
        "refresh_token": issued.grant.refresh,
        "scope": ",".join(issued.grant.scopes),
        "expires_in": hub.tokens.lifetime_s,
        "api_domain": f"http://{request.headers['host']}",
    }
    return json_reply(200, body)


@ROUTES.add("POST", "/oauth/revoke", OPEN)
def revoke(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """With a refresh token the app is uninstalled. An unknown token is no error."""
    hub.tokens.revoke(_form_of_client(request).get("token", ""))
    return json_reply(200, {"success": True})


def _form_of_client(request: Request) -> dict[str, str]:
    """Raises the 401 of a client that is not ours."""
    form = request.form
    kind, _, held = request.headers.get("authorization", "").partition(" ")
    shown = (form.get("client_id", ""), form.get("client_secret", ""))
    if kind.lower() == "basic":
        try:
            own_id, _, secret = b64decode(held, validate=True).decode().partition(":")
        except (Error, UnicodeDecodeError) as error:
            raise grant_refused(401, "invalid_client", "Invalid client: cannot retrieve client credentials") from error
        shown = (own_id, secret)
    if shown != (CLIENT_ID, CLIENT_SECRET):
        raise grant_refused(401, "invalid_client", "Invalid client: client is invalid")
    return form
