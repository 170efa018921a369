"""Zoho's error bodies: ``{"code", "details", "message", "status": "error"}``."""

from leadloom.sandbox.http import Json, Refusal, json_reply


def problem(status: int, code: str, message: str, **details: Json) -> Refusal:
    return Refusal(json_reply(status, {"code": code, "details": details, "message": message, "status": "error"}))


def required(name: str) -> Refusal:
    return problem(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", param_name=name)


def invalid(message: str, **details: Json) -> Refusal:
    return problem(400, "INVALID_DATA", message, **details)


def invalid_module(name: str) -> Refusal:
    return problem(400, "INVALID_MODULE", "the module name given seems to be invalid", module=name)


def too_many() -> Refusal:
    """For too many calls at once and for credits used up alike, and without a word on when to come back."""
    return problem(429, "TOO_MANY_REQUESTS", "You have exceeded the permitted number of requests.")


def done(own_id: int, message: str, **more: Json) -> Json:
    """One element of the answer to a write."""
    return {"code": "SUCCESS", "details": {"id": str(own_id), **more}, "message": message, "status": "success"}
