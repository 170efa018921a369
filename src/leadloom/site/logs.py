"""Logs: structlog and the standard library through one door, JSON for machines and lines for people at a terminal.

Code logs ids, codes and counts. Should somebody forget, the last wall here takes out what looks personal or secret.
"""

import logging
import re
import sys
import time
from collections.abc import Iterable
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string
from django.utils.decorators import sync_and_async_middleware
from structlog.typing import EventDict, Processor, WrappedLogger

from leadloom.site import env

log = structlog.get_logger("leadloom.request")

SLOW_S = 1.0  # a request that takes longer is worth a line even if all went well

NEVER = frozenset(
    {
        "name", "first_name", "last_name", "full_name",
        "phone", "phones", "mobile", "email", "emails", "to_address",
        "body", "text", "description", "note", "notes",
        "token", "access_token", "refresh_token", "api_token",
        "password", "secret", "secret_key", "authorization", "cookie", "credentials", "headers",
        "raw", "record", "query_string",
    }
)  # fmt: skip
"""Keys whose values never belong in a log."""

REMOVED = "[removed]"

_SHAPES = [
    # What PostgreSQL adds to an error: the row that would not fit, the key that is taken, the line that was copied.
    (re.compile(r"\b(DETAIL|CONTEXT|LINE \d+): .*?(?=\n\n(?:The above|During handling)|\Z)", re.S), rf"\1: {REMOVED}"),
    (re.compile(r"\b(Bearer|Basic)\s+\S+", re.I), rf"\1 {REMOVED}"),
    # The headers that open CRMs, as they are sent or printed.
    (re.compile(r"((?:authorization|x-api-token)['\"]?\s*[:=,]\s*['\"]?)[^'\"\n,})]+", re.I), rf"\1{REMOVED}"),
    (re.compile(r"\b(?:ll|sk|whsec|eyJ)_?[\w.-]{20,}"), REMOVED),  # our tokens, Nango's and texting keys, JWTs
    (re.compile(r"\b(?:pat-[a-z0-9]+|pit)-[\w-]{8,}"), REMOVED),  # HubSpot's private apps, GoHighLevel's
    (re.compile(r"\b00D\w{12,15}![\w.]{20,}"), REMOVED),  # Salesforce
    (re.compile(r"\b1000\.[0-9a-f]{32}\.[0-9a-f]{32}"), REMOVED),  # Zoho CRM
    (re.compile(r"(/invitations/)[^/\s?\"']+"), rf"\1{REMOVED}"),
    (re.compile(r"([?&](?:key|code|token|secret|state|access_token)=)[^&\s\"']+", re.I), rf"\1{REMOVED}"),
    (re.compile(r"(\w+://[^/\s:@]*):[^/\s@]+@"), rf"\1:{REMOVED}@"),  # a password in an address
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), REMOVED),  # e-mail addresses
    (re.compile(r"(?<![\w-])\+\d[\d ().-]{6,}\d"), REMOVED),  # phone numbers with a country code
]


def configure() -> None:
    """Take over the logging of the whole process. Safe to call again."""
    level = env.text("LEADLOOM_LOG_LEVEL", "info").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise env.SettingError(f"LEADLOOM_LOG_LEVEL must be debug, info, warning or error, not {level.lower()!r}")
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.UnicodeDecoder(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering()],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("procrastinate", "uvicorn", "uvicorn.error", "asyncio", "httpx2", "httpcore2", "hpack", "psycopg"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # More than this and it would log what templates show and, under LEADLOOM_DEBUG, what queries ask for.
    logging.getLogger("django").setLevel(max(logging.INFO, root.level))
    logging.getLogger("uvicorn.access").disabled = True  # it would log query strings
    logging.getLogger("django.request").setLevel(logging.ERROR)  # it would log what strangers type; see request_log
    logging.captureWarnings(True)


def _rendering() -> Iterable[Processor]:
    style = env.text("LEADLOOM_LOG_FORMAT", "auto").lower()
    if style not in ("auto", "json", "console"):
        raise env.SettingError(f"LEADLOOM_LOG_FORMAT must be auto, json or console, not {style!r}")
    if style == "json" or (style == "auto" and not sys.stderr.isatty()):
        return [structlog.processors.format_exc_info, take_out_secrets, structlog.processors.JSONRenderer()]
    return [
        structlog.processors.format_exc_info,
        take_out_secrets,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


def take_out_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The last wall: values of keys that must never be logged, and whatever has the shape of something personal."""
    return {key: REMOVED if key.lower() in NEVER and value else _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        for shape, replacement in _SHAPES:
            value = shape.sub(replacement, value)
        return value
    if isinstance(value, dict):
        return {key: REMOVED if str(key).lower() in NEVER and inner else _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, BaseException):
        return _clean(f"{type(value).__name__}: {value}")
    return value


@sync_and_async_middleware
def request_log(get_response: Any) -> Any:
    """One line for each request that changed something, failed or was slow. Names the view, never the address."""
    if iscoroutinefunction(get_response):

        async def ask_async(request: HttpRequest) -> HttpResponse:
            started = _begin()
            response: HttpResponse = await get_response(request)
            return _end(request, response, started)

        return ask_async

    def ask(request: HttpRequest) -> HttpResponse:
        started = _begin()
        return _end(request, get_response(request), started)

    return ask


def _begin() -> float:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request=get_random_string(8))
    return time.monotonic()


def _end(request: HttpRequest, response: HttpResponse, started: float) -> HttpResponse:
    took = time.monotonic() - started
    is_worth_it = request.method not in ("GET", "HEAD") or response.status_code >= 500 or took > SLOW_S
    match = request.resolver_match
    log.log(
        logging.INFO if is_worth_it else logging.DEBUG,
        "request",
        method=request.method,
        view=match.view_name if match else None,
        status=response.status_code,
        ms=round(took * 1000),
    )
    return response
