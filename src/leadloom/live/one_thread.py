"""Django gives each request a thread for as long as it lasts, which for a stream is minutes: streams share one instead.

The thread opens streams, one after another, and runs nothing while they are open.
"""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext

STREAM = "/live"

type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[Any]]
type Send = Callable[[Any], Awaitable[None]]
type Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def share_a_thread(application: Application) -> Application:
    thread = ThreadPoolExecutor(1, thread_name_prefix="streams")

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != STREAM:
            return await application(scope, receive, send)
        async with ThreadSensitiveContext(executor=thread):
            return await application(scope, receive, send)

    return answer
