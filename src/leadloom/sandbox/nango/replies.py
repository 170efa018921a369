"""The shapes of Nango's refusals and times."""

from leadloom.sandbox.clock import iso
from leadloom.sandbox.http import Json, Refusal, json_reply


def refusal(status: int, code: str, message: str | None = None, **more: Json) -> Refusal:
    error: dict[str, Json] = {"code": code} if message is None else {"message": message, "code": code}
    return Refusal(json_reply(status, {"error": {**error, **more}}))


def offset_iso(ms: int) -> str:
    """Reads tell times with an offset, imports with a ``Z``: parse both."""
    return f"{iso(ms)[:-1]}+00:00"


def issue(code: str, message: str, *path: str) -> Json:
    return {"code": code, "message": message, "path": list(path)}


def bad_body(*issues: Json) -> Refusal:
    return refusal(400, "invalid_body", errors=list(issues))
