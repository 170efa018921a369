"""Pipedrive's error bodies, of the gateway in front and of version 2 behind it."""

from leadloom.sandbox.http import Json, Refusal, Reply, json_reply

_INFO = "Please check developers.pipedrive.com for more information about Pipedrive API."
_PAGE = b"""<!DOCTYPE html>
<html lang="en-US"><head><title>Access denied | pipedrive.com used Cloudflare to restrict access</title></head>
<body><h1>Error 1015</h1><h2>You are being rate limited</h2></body></html>"""


def problem(status: int, message: str) -> Refusal:
    """What the gateway says: sign-in, scopes, limits."""
    body: Json = {"success": False, "error": message, "errorCode": status, "error_info": _INFO}
    return Refusal(json_reply(status, body))


def refused(status: int, code: str, message: str) -> Refusal:
    """What version 2 says of a question."""
    body: dict[str, Json] = {"success": False, "error": message, "error_info": _INFO, "code": code}
    return Refusal(json_reply(status, {**body, "data": None, "additional_data": None}))


def invalid(name: str, what: str) -> Refusal:
    return refused(400, "ERR_SCHEMA_VALIDATION_FAILED", f"Validation failed: {name}: {what}")


def not_found(what: str) -> Refusal:
    return refused(404, "ERR_NOT_FOUND", f"{what} not found")


def shut_out() -> Refusal:
    """What stands in front of the API answers whoever goes on asking after a 429: a page, no JSON."""
    return Refusal(Reply(403, _PAGE, b"text/html; charset=UTF-8"))


def grant_refused(status: int, error: str, message: str) -> Refusal:
    """Of the token endpoint, where ``success`` is a word."""
    return Refusal(json_reply(status, {"success": "false", "message": message, "error": error}))
