"""GoHighLevel's error bodies: ``{"statusCode","message","error","traceId"}``; of a 422 the message is a list."""

from itertools import count
from uuid import UUID

from leadloom.sandbox.http import Json, Refusal, json_reply

_traces = count(1)
_WORDS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}


def trace_id() -> str:
    return str(UUID(int=0x6E0C3A51_40F7_4B52_9C1D_000000000000 + next(_traces)))


def problem(status: int, message: Json) -> Refusal:
    body: dict[str, Json] = {"statusCode": status, "message": message}
    if status in _WORDS:
        body["error"] = _WORDS[status]
    return Refusal(json_reply(status, {**body, "traceId": trace_id()}))


def unprocessable(*messages: str) -> Refusal:
    return problem(422, list(messages))


def unknown_field(name: str) -> Refusal:
    """Seen in 2026, word for word."""
    return problem(400, f"Invalid field {name}")


def no_contact(wanted: str) -> Refusal:
    return problem(400, f"Contact with id {wanted} not found")


def grant_refused(error: str, description: str, status: int = 400) -> Refusal:
    """The token endpoint's own shape."""
    return Refusal(json_reply(status, {"error": error, "error_description": description}))
