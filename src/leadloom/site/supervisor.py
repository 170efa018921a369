"""Several processes as one: start them, start one again when it crashes, and end them all together.

Knows nothing of what they do. Ctrl-C reaches this process alone (each child has a process group of its own), which
then asks the children to end, waits, and ends those that do not. When this process is killed the children notice by
their lifeline and end themselves.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from leadloom.site import lifeline
from leadloom.site.complaint import Complaint

CLI = (sys.executable, "-m", "leadloom.site")
POLL_S = 0.2
GRACE_S = 15  # what a child may take to end; a run hands over at its next page, which takes seconds
STEADY_S = 60  # a child that has lived this long is forgiven its earlier crashes
MOST_CRASHES = 5  # in a row, before we give up
HOPELESS = 2  # the exit code of a child that will not do better next time: a setting is wrong


class ChildFailed(Complaint):
    """A child cannot live. The message says which; the child has said why."""


@dataclass(slots=True)
class Child:
    """One process to keep alive: ``leadloom NAME ARGS``."""

    name: str
    args: Sequence[str] = ()
    keep_open: Sequence[int] = ()
    waits: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    crashes: int = 0
    start_again_at: float = 0.0
    _told: int | None = field(default=None, repr=False)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_until_ready(self, timeout_s: float = 240) -> str:
        """What the child says when it is ready. Raises ChildFailed when it ends or says nothing in time."""
        assert self._told is not None
        readable, _, _ = select.select([self._told], [], [], timeout_s)
        line = os.read(self._told, 4096).decode().strip() if readable else ""
        os.close(self._told)
        self._told = None
        if not line:
            raise ChildFailed(f"The {self.name} process did not start.")
        return line


class Supervisor:
    """Children by name. Use ``with supervise(env) as supervisor``."""

    def __init__(self, environ: Mapping[str, str], report: Callable[[str], None]) -> None:
        self._environ = dict(environ)
        self._report = report
        self._children: list[Child] = []
        self._cares: list[Callable[[], None]] = []
        self._stop = threading.Event()
        self.is_watching = False
        self._lifeline, held = os.pipe()  # children hold the first; only we hold the second
        self._pipe = [held, self._lifeline]

    def start(self, name: str, *args: str, keep_open: Sequence[int] = (), waits: bool = False) -> Child:
        """One that waits loads what it can and no more, until ``go_on`` tells it the environment to work in."""
        child = Child(name, args, keep_open, waits)
        self._children.append(child)
        self._launch(child)
        return child

    def child(self, name: str) -> Child:
        return next(child for child in self._children if child.name == name)

    def go_on(self, environ: Mapping[str, str]) -> None:
        """Give this environment to the children that wait for it, and to all that are started from now on."""
        self._environ = dict(environ)
        for child in self._children:
            if child.waits and child.process and child.process.stdin:
                with suppress(BrokenPipeError), child.process.stdin as pipe:  # broken: it has ended, which we notice
                    pipe.write(json.dumps(self._environ).encode())
            child.waits = False

    def look_after(self, care: Callable[[], None]) -> None:
        """Call this several times a second while the children are watched, before any of them is started again: for
        what they need and is no child of ours."""
        self._cares.append(care)

    def stop(self) -> None:
        """Ask ``watch`` to return. May be called from a signal handler."""
        self._stop.set()

    def watch(self) -> None:
        """Keep the children alive until asked to stop. Raises ChildFailed when one cannot be kept alive."""
        self.is_watching = True
        while not self._stop.wait(POLL_S):
            for care in self._cares:
                care()
            for child in self._children:
                if not child.is_running:
                    self._revive(child)

    def end(self) -> None:
        """End all children, the last started first. May be called again."""
        running = [child for child in reversed(self._children) if child.is_running]
        for child in running:
            self._signal(child, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        for child in running:
            assert child.process
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._report(f"The {child.name} process did not end in time and was killed.")
                self._signal(child, signal.SIGKILL)
                child.process.wait()
            if child.process.stdin:
                child.process.stdin.close()
        self._children.clear()
        for descriptor in self._pipe:
            os.close(descriptor)
        self._pipe.clear()

    def _launch(self, child: Child) -> None:
        told, tell = os.pipe()
        child.process = subprocess.Popen(  # noqa: S603
            [*CLI, child.name, *child.args],
            env={
                **self._environ,
                lifeline.LIFELINE: str(self._lifeline),
                lifeline.TELL: str(tell),
                **({lifeline.WAIT: "true"} if child.waits else {}),
            },
            pass_fds=[self._lifeline, tell, *child.keep_open],
            stdin=subprocess.PIPE if child.waits else subprocess.DEVNULL,
            process_group=0,
        )
        os.close(tell)
        if child._told is not None:
            os.close(child._told)
        child._told = told
        child.started_at = time.monotonic()
        child.start_again_at = 0.0

    def _revive(self, child: Child) -> None:
        now = time.monotonic()
        assert child.process
        if not child.start_again_at:
            child.crashes = 1 if now - child.started_at > STEADY_S else child.crashes + 1
            if child.process.returncode == HOPELESS or child.crashes >= MOST_CRASHES:
                raise ChildFailed(f"The {child.name} process ended again and again; Leadloom stops.")
            pause = min(2 ** (child.crashes - 1), 30)
            child.start_again_at = now + pause
            self._report(f"The {child.name} process ended ({_reason(child.process.returncode)}); again in {pause} s.")
        elif now >= child.start_again_at:
            self._launch(child)

    def _signal(self, child: Child, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            assert child.process
            child.process.send_signal(number)


def _reason(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@contextmanager
def supervise(environ: Mapping[str, str], report: Callable[[str], None]) -> Iterator[Supervisor]:
    """Ctrl-C and SIGTERM end the block's ``watch``, or the block itself while it is still starting things."""
    supervisor = Supervisor(environ, report)

    def on_signal(_number: int, _frame: object) -> None:
        if not supervisor.is_watching:
            raise KeyboardInterrupt
        supervisor.stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield supervisor
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave anything behind
        supervisor.end()
        for number, handler in before.items():
            signal.signal(number, handler)
