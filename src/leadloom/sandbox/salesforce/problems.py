"""Salesforce's refusals: an array of ``{"message", "errorCode", "fields"}``; of the sign-in an object."""

from collections.abc import Sequence

import msgspec

from leadloom.sandbox.http import Json, Refusal, Request, json_reply


def problem(status: int, code: str, message: str, *, fields: Sequence[str] | None = None) -> Refusal:
    told: dict[str, Json] = {"message": message, "errorCode": code}
    if fields is not None:
        told["fields"] = list(fields)
    return Refusal(json_reply(status, [told]))


def read_json[Body](request: Request, kind: type[Body]) -> Body:
    """Raises the 400 of a body that is not what it should be."""
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.DecodeError as error:
        raise problem(400, "JSON_PARSER_ERROR", str(error)) from error


def not_found() -> Refusal:
    return problem(404, "NOT_FOUND", "The requested resource does not exist")


def session_over() -> Refusal:
    return problem(401, "INVALID_SESSION_ID", "Session expired or invalid")


def malformed(message: str) -> Refusal:
    return problem(400, "MALFORMED_QUERY", message)


def no_such_object(name: str, *, status: int = 400, marked: str = "") -> Refusal:
    """``marked``: the statement with a mark below the place, in front."""
    text = (
        f"{marked}sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to "
        "append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate "
        "names."
    )
    return problem(status, "INVALID_TYPE", text)


def no_such_field(name: str, kind: str, *, marked: str = "") -> Refusal:
    """Also of a field that is hidden from the user: nobody can tell these apart."""
    text = (
        f"{marked}No such column '{name}' on entity '{kind}'. If you are attempting to use a custom field, be sure to "
        "append the '__c' after the custom field name. Please reference your WSDL or the describe call for the "
        "appropriate names."
    )
    return problem(400, "INVALID_FIELD", text)


def oauth_problem(error: str, description: str, *, status: int = 400) -> Refusal:
    return Refusal(json_reply(status, {"error": error, "error_description": description}))
