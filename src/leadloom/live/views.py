"""The event stream of a dashboard. Membership is checked first; then it carries counters and ids, and no database.

A stream ends by itself after some minutes: the browser comes back, and membership is checked anew.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from leadloom.accounts.http import find_member
from leadloom.live.ending import when_the_server_stops
from leadloom.live.hub import Hub

HEARTBEAT_S = 15  # proxies close connections that say nothing
LONGEST_S = 600
RETRY_MS = 2000

_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


@require_GET
async def live(request: HttpRequest) -> HttpResponseBase:
    account_id = await sync_to_async(_account_of)(request)
    if account_id is None:
        return HttpResponse(status=401)
    response = StreamingHttpResponse(_stream(account_id), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # nginx would hold events back
    return response


def _account_of(request: HttpRequest) -> int | None:
    """Whose dashboard this is. Gives the database connection back: the stream lives on for minutes."""
    try:
        member = find_member(request)
        return member.account_id if member else None
    finally:
        connection.close()


def hub() -> Hub:
    """This event loop's one hub."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs.clear()  # loops of servers that have ended
        _hubs[loop] = Hub(settings.DATABASE_URL)
        when_the_server_stops(loop, _hubs[loop].stop)
    return _hubs[loop]


async def _stream(account_id: int) -> AsyncIterator[bytes]:
    end = time.monotonic() + LONGEST_S
    async with hub().mailbox(account_id) as box:
        yield f"retry: {RETRY_MS}\nevent: ready\ndata: {{}}\n\n".encode()
        while not box.is_closed and time.monotonic() < end:
            words = await box.take(HEARTBEAT_S)
            if words:
                yield "".join(f"data: {json.dumps(word)}\n\n" for word in words).encode()
                await hub().rest()
            elif not box.is_closed:
                yield b": still here\n\n"
