"""The worker process: Procrastinate's worker over all queues, and a thread that rings for runs nobody works on.

Jobs are plain functions in threads. Told to stop, it lets runs hand over at their next page and then ends; killed, it
leaves leases that run out, and another worker goes on within half a minute.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

log = structlog.get_logger("leadloom.worker")

RESCUE_S = 5.0
HEARTBEAT_S = 5.0
SILENT_S = 15.0  # a worker not heard of for so long is counted as dead
STOP_S = 12.0  # then we end whatever happens, before the supervisor would: every run can be taken over
TURN_S = 0.0002  # of the interpreter: threads that talk to CRM and database must not wait long for the one that maps
SPARE_THREADS = 4  # beside the jobs: Procrastinate's own blocking calls


def run_worker(concurrency: int) -> None:
    """Work until SIGTERM or SIGINT. Django is set up already. Raises DatabaseTrouble."""
    from leadloom.site.database import await_migrations

    sys.setswitchinterval(TURN_S)
    _load_ahead()
    await_migrations()
    rescue = threading.Thread(target=_rescue_until_stopped, name="rescue", daemon=True)
    asyncio.run(_work(concurrency, on_start=rescue.start))


async def _work(concurrency: int, *, on_start: Callable[[], None]) -> None:
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.django_connector import DjangoConnector

    from leadloom.site.lifeline import tell

    loop = asyncio.get_running_loop()
    # asyncio's own pool has as many threads as the machine has cores plus four; more jobs than that would queue unseen.
    loop.set_default_executor(ThreadPoolExecutor(concurrency + SPARE_THREADS, thread_name_prefix="job"))
    assert isinstance(app.connector, DjangoConnector)
    with app.replace_connector(app.connector.get_worker_connector()):
        async with app.open_async():
            working = asyncio.create_task(
                app.run_worker_async(
                    name=f"leadloom-{os.getpid()}",
                    concurrency=concurrency,
                    update_heartbeat_interval=HEARTBEAT_S,
                    stalled_worker_timeout=SILENT_S,
                    install_signal_handlers=False,
                    task_middleware=[_give_connections_back],
                )
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, _begin_to_stop, working)
            on_start()
            log.info("worker.ready", concurrency=concurrency)
            tell("ready")
            try:
                await working
            except asyncio.CancelledError:
                log.info("worker.stopped")


def _begin_to_stop(working: "asyncio.Task[None]") -> None:
    """Runs hand over at their next page; Procrastinate waits for its jobs; a deadline bounds both."""
    from leadloom.sync.stopping import event

    if event.is_set():
        return
    event.set()
    threading.Thread(target=_end_anyway, name="deadline", daemon=True).start()
    working.cancel()


def _end_anyway() -> None:
    time.sleep(STOP_S)
    log.warning("worker.did_not_stop_in_time")
    os._exit(1)


def _give_connections_back(call_job: Callable[[], Any], context: Any, worker: Any) -> Any:  # noqa: ARG001
    """A thread that has no job holds no database connection."""
    from django.db import close_old_connections

    close_old_connections()
    try:
        return call_job()
    finally:
        close_old_connections()


def _rescue_until_stopped() -> None:
    """Ring every few seconds for runs that wait for nobody. Trouble with the database is not the end of it."""
    from django.db import Error, close_old_connections

    from leadloom.sync.due import ring_waiting_runs
    from leadloom.sync.stopping import event

    while not event.wait(RESCUE_S):
        close_old_connections()
        try:
            ring_waiting_runs()
        except Error as error:
            log.warning("worker.rescue_failed", error=type(error).__name__)
        finally:
            close_old_connections()


def _load_ahead() -> None:
    """Import now what the first job would import, so that the first lead does not wait for it."""
    from importlib import import_module

    for module in ("leadloom.sync.rounds", "leadloom.providers.catalogue", "leadloom.providers.phones", "httpx2"):
        import_module(module)
