"""How the JSON API speaks: camelCase, strict JSON in, and one shape for every error, whoever raises it.

``{"success": false, "error": {"code": "needs_reconnect", "message": "A sentence for the customer."}}``
"""

from collections.abc import Callable
from inspect import iscoroutinefunction
from math import ceil
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.decorators import sync_and_async_middleware
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from leadloom.errors import (
    BadRequest,
    LeadloomError,
    NeedsReconnect,
    NotAllowed,
    RecordRejected,
    SyncStopped,
    TokenExpired,
    TryLater,
    Unreadable,
)
from leadloom.providers.catalogue import UnknownProvider
from leadloom.site.errors import AGAIN_S, is_away

log = structlog.get_logger()

PREFIX = "/api/"
OF_THE_BODY = ("Content-Type", "Content-Length")

STATUSES: tuple[tuple[type[LeadloomError], int], ...] = (
    (NeedsReconnect, 409),
    (TokenExpired, 409),
    (SyncStopped, 409),
    (NotAllowed, 403),
    (TryLater, 503),
    (Unreadable, 502),
    (RecordRejected, 422),
    (BadRequest, 400),
)
CODE_STATUSES = {"paused": 409, "not_connected": 409}  # errors of the services, which know nothing of this file
CODES = {
    400: "bad_request",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "invalid",
    503: "database_away",
}
SENTENCES = {
    400: "The request could not be read.",
    401: "Sign in, or send an API token as Authorization: Bearer.",
    403: "This is not allowed.",
    404: "There is nothing here.",
    405: "This address does not take that method.",
    413: "The request is too large.",
    500: "Something went wrong on our side. Try again; if it happens again, tell us.",
    503: "Our database cannot be reached just now. Try again in a few seconds.",
}


class Wire(Schema):
    """The base of everything sent and received: snake_case here, camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ErrorOut(Wire):
    code: str
    message: str


class Failure(Wire):
    success: bool = False
    error: ErrorOut


class ApiError(Exception):
    """An answer other than success that has no error of its own in leadloom.errors."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class StrictParser(Parser):
    """No lone surrogates, NaN or NUL, which a database cannot keep, and no depth that exhausts the stack."""

    def parse_body(self, request: HttpRequest) -> Any:
        body = request.body
        if b"\\u0000" in body or b"\0" in body:
            raise ValueError("NUL")
        return msgspec.json.decode(body)


def failure(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"success": False, "error": {"code": code, "message": message}}, status=status)


def _api_error(_request: HttpRequest, error: "ApiError | type[ApiError]") -> JsonResponse:
    assert isinstance(error, ApiError)
    return failure(error.status, error.code, str(error))


def explain_errors(api: NinjaAPI) -> None:
    """Give every error an operation can raise its status and the one shape."""
    api.add_exception_handler(LeadloomError, _leadloom_error)
    api.add_exception_handler(UnknownProvider, lambda _, error: failure(422, "unknown_provider", str(error)))
    api.add_exception_handler(ApiError, _api_error)
    api.add_exception_handler(RequestDataTooBig, lambda _, __: failure(413, "too_large", SENTENCES[413]))
    api.add_exception_handler(Http404, lambda _, __: failure(404, "not_found", SENTENCES[404]))
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(Exception, _our_fault)


@sync_and_async_middleware
def json_errors(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: what fails beside an operation (no such address, wrong method, too large) has the shape too."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            return _shaped(request, await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _shaped(request, get_response(request))

    return answer


def _shaped(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    status = response.status_code
    if status < 400 or not request.path.startswith(PREFIX):
        return response
    if response.headers.get("Content-Type", "").startswith("application/json"):
        return response
    code = CODES.get(status, "our_fault" if status >= 500 else "error")
    told = failure(status, code, SENTENCES.get(status, SENTENCES[500 if status >= 500 else 400]))
    for name, value in response.headers.items():  # Allow, and what forbids framing and the like
        if name not in OF_THE_BODY:
            told.headers.setdefault(name, value)
    return told


def _leadloom_error(request: HttpRequest, error: Any) -> HttpResponse:
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), CODE_STATUSES.get(error.code, 400))
    log.info("api.refused", path=request.path, status=status, code=error.code, detail=error.detail)
    told = failure(status, error.code, str(error))
    if isinstance(error, TryLater):
        told.headers["Retry-After"] = str(max(1, ceil(error.after.total_seconds())))
    return told


def _invalid(_: HttpRequest, error: Any) -> HttpResponse:
    """Names the first field that is wrong, and never repeats what was sent: it may be a credential."""
    first = error.errors[0] if error.errors else {}
    place = ".".join(str(part) for part in first.get("loc", ())[1:] if part not in ("body", "asked"))
    told = str(first.get("msg", "The request is not as documented.")).removeprefix("Value error, ").rstrip(".")
    return failure(422, "invalid", f"{place}: {told}." if place else f"{told}.")


def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    status = error.status_code
    if status == 403 and "CSRF" in error.message:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return failure(401, CODES[401], SENTENCES[401])
        return failure(403, "csrf", "The X-CSRFToken header is missing or wrong. Reload the page and try again.")
    if status in (400, 401):
        return failure(status, CODES[status], SENTENCES[status])
    return failure(status, CODES.get(status, "error"), error.message)


def _our_fault(request: HttpRequest, error: Any) -> HttpResponse:
    if is_away(error):
        log.warning("api.database_away", path=request.path, error=type(error).__name__)
        told = failure(503, CODES[503], SENTENCES[503])
        told.headers["Retry-After"] = str(AGAIN_S)
        return told
    log.error("api.bug", path=request.path, error=type(error).__name__, exc_info=error)
    return failure(500, "our_fault", SENTENCES[500])
