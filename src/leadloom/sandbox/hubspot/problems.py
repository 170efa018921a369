"""HubSpot's error bodies, word for word where a real one is known."""

from itertools import count
from uuid import UUID

from leadloom.sandbox.http import Json, Refusal, json_reply

_correlations = count(1)


def correlation_id() -> str:
    return str(UUID(int=0x019CD9FE_D093_7D4F_99BC_000000000000 + next(_correlations)))


def problem(
    status: int, category: str | None, message: str, *, headers: list[tuple[bytes, bytes]] | None = None, **more: Json
) -> Refusal:
    """``{"status":"error","message","correlationId","category",…}``; every field but ``message`` is optional there."""
    body: dict[str, Json] = {"status": "error", "message": message, "correlationId": correlation_id(), **more}
    if category:
        body["category"] = category
    return Refusal(json_reply(status, body, headers))


def invalid(message: str, **more: Json) -> Refusal:
    return problem(400, "VALIDATION_ERROR", message, headers=None, **more)


def not_found(kind: str, wanted: str) -> Refusal:
    return problem(404, "OBJECT_NOT_FOUND", f"Object not found.  objectId are usually numeric. {kind} {wanted}")


def unknown_property(name: str) -> Refusal:
    message = f'Property "{name}" does not exist'
    context: Json = {"propertyName": [name]}
    error: Json = {"message": message, "code": "PROPERTY_DOESNT_EXIST", "context": context}
    listing = f'[{{"isValid":false,"message":"{message}","error":"PROPERTY_DOESNT_EXIST","name":"{name}"}}]'
    return invalid(f"Property values were not valid: {listing}", errors=[error])


def rate_limited(policy: str) -> Refusal:
    """Seen in the 429 of ``TEN_SECONDLY_ROLLING``; ``Retry-After`` is not documented and not sent."""
    word = policy.lower()
    return problem(
        429,
        None,
        f"You have reached your {word} limit.",
        errorType="RATE_LIMIT",
        policyName=policy,
        groupName="publicapi:crm:sandbox",
    )
