"""How a child process learns that its parent is gone, however it went: the other end of a pipe closes.

A signal would not do: nobody sends one after ``kill -9``. Works on every Unix, and needs no polling.
"""

import json
import os
import signal
import sys
import threading
import time

LIFELINE = "LEADLOOM_LIFELINE"  # the number of the pipe's reading end, in the child's environment
TELL = "LEADLOOM_TELL"  # the number of a pipe on which the child says that it is ready
WAIT = "LEADLOOM_WAIT"  # set where the parent has not told the environment yet
LAST_WORDS_S = 15  # how long a child may take to end in good order


_held = threading.Event()


def has_parent() -> bool:
    """Is this process a child of ``leadloom up`` or the like?"""
    return _held.is_set()


def hold() -> None:
    """End this process in good order when its parent is gone. Does nothing without a parent that asked for it."""
    number = os.environ.pop(LIFELINE, "")
    if number:
        _held.set()
        threading.Thread(target=_watch, args=(int(number),), name="lifeline", daemon=True).start()


def _watch(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_WORDS_S)
    os._exit(1)


def is_environment_awaited() -> bool:
    """Has the parent yet to tell what environment to work in?"""
    return bool(os.environ.get(WAIT))


def await_environment() -> None:
    """Return once the parent has told on standard input what environment to work in; at once if it did so already.

    Ends this process when the parent has nothing to tell any more.
    """
    if not os.environ.pop(WAIT, ""):
        return
    told = sys.stdin.buffer.read()
    if not told:
        sys.exit(1)
    os.environ |= json.loads(told)


def tell(line: str) -> None:
    """Say one line to the parent, if it listens. Only the first one is heard."""
    number = os.environ.pop(TELL, "")
    if number:
        with os.fdopen(int(number), "w") as pipe:
            pipe.write(line + "\n")
