"""Open streams would hold up the end of the server, which waits for every answer: tell them when it is asked to stop.

ASGI has no word for this. Its lifespan ends only after all answers have, so we listen for the signals themselves, in
front of the server's own handlers.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def when_the_server_stops(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Calls ``callback`` in the loop at the first signal to stop. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _first(loop, callback, before))


def _first(
    loop: asyncio.AbstractEventLoop, callback: Callable[[], None], then: Callable[[int, FrameType | None], object]
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)
        then(number, frame)

    return handle
