"""The worker process: Procrastinate's worker over all queues, and a thread that rings for runs nobody works on.

Jobs are plain functions in threads. Told to stop, it lets runs hand over at their next page, gives back those whose CRM
takes longer than that, and then ends; killed, it leaves leases that run out, and another worker goes on within half a
minute.
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
from psycopg_pool import PoolTimeout

log = structlog.get_logger("leadloom.worker")

RESCUE_S = 5.0
HEARTBEAT_S = 5.0
SILENT_S = 15.0  # a worker not heard of for so long is counted as dead
LEAVE_S = 2.5  # pages of a CRM that answers are done by then; what still waits for one is given to the next worker
BEGIN_AGAIN_S = 2.0
QUEUE_S = 15.0  # how long the queue's own connections are tried for before the database counts as away
STOP_S = 12.0  # then we end whatever happens, before the supervisor would: every run can be taken over
TURN_S = 0.0002  # of the interpreter: threads that talk to CRM and database must not wait long for the one that maps
SPARE_THREADS = 4  # beside the jobs: Procrastinate's own blocking calls


def run_worker(concurrency: int) -> None:
    """Work until SIGTERM or SIGINT. Django is set up already. Raises DatabaseTrouble."""
    from leadloom.site.database import await_migrations
    from leadloom.sync.stopping import event

    sys.setswitchinterval(TURN_S)
    _load_ahead()
    await_migrations()
    rescue = threading.Thread(target=_rescue_until_stopped, name="rescue", daemon=True)
    asyncio.run(_work(concurrency, on_start=rescue.start))
    while not event.is_set():
        time.sleep(BEGIN_AGAIN_S)
        _begin_again(concurrency)


def _begin_again(concurrency: int) -> None:
    """Procrastinate ends when it cannot tell that it lives. We go on: the database comes back, or we are stopped."""
    from procrastinate.exceptions import ProcrastinateException

    log.warning("worker.begins_again")
    try:
        asyncio.run(_work(concurrency, on_start=lambda: None))
    except (ProcrastinateException, PoolTimeout) as error:
        log.warning("worker.database_away", error=type(error).__name__)


async def _work(concurrency: int, *, on_start: Callable[[], None]) -> None:
    """Until we are told to stop, or the database has been away for too long. Raises ProcrastinateException where it
    cannot begin at all."""
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.utils import connector_params
    from procrastinate.exceptions import ConnectorException
    from procrastinate.psycopg_connector import PsycopgConnector

    from leadloom.site.lifeline import tell

    loop = asyncio.get_running_loop()
    # asyncio's own pool has as many threads as the machine has cores plus four; more jobs than that would queue unseen.
    loop.set_default_executor(ThreadPoolExecutor(concurrency + SPARE_THREADS, thread_name_prefix="job"))
    with app.replace_connector(PsycopgConnector(kwargs=connector_params(), timeout=QUEUE_S)):
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
            except ConnectorException as error:
                log.warning("worker.database_away", error=type(error).__name__)


def _begin_to_stop(working: "asyncio.Task[None]") -> None:
    """Runs hand over at their next page; Procrastinate waits for its jobs; a deadline bounds both."""
    from leadloom.sync.stopping import event

    if event.is_set():
        return
    event.set()
    threading.Thread(target=_end_anyway, name="deadline", daemon=True).start()
    working.cancel()


def _end_anyway() -> None:
    time.sleep(LEAVE_S)
    threading.Thread(target=_give_back, name="giving-back", daemon=True).start()
    time.sleep(STOP_S - LEAVE_S)
    log.warning("worker.did_not_stop_in_time")
    os._exit(1)


def _give_back() -> None:
    """Hand over the runs whose thread is busy waiting: a CRM may drip for minutes, and threads cannot be stopped."""
    from django.db import connections

    from leadloom.connections.models import Trigger
    from leadloom.sync.doorbell import ring_for_many
    from leadloom.sync.lease import give_back_all

    try:
        if runs := give_back_all():
            ring_for_many(runs, trigger=Trigger.CONNECT, most=1)
            log.info("worker.gave_back", runs=len(runs))
    finally:
        connections.close_all()


def _give_connections_back(call_job: Callable[[], Any], context: Any, worker: Any) -> Any:  # noqa: ARG001
    """A thread that has no job holds no database connection."""
    from django.db import close_old_connections

    close_old_connections()
    try:
        return call_job()
    finally:
        close_old_connections()


def _rescue_until_stopped() -> None:
    """Ring every few seconds for runs and undos that wait for nobody. A database that is away is not the end of it."""
    from django.db import Error, close_old_connections

    from leadloom.leads.undo import ring_for_idle
    from leadloom.sync.due import ring_waiting_runs
    from leadloom.sync.stopping import event

    while not event.wait(RESCUE_S):
        close_old_connections()
        try:
            ring_waiting_runs()
            ring_for_idle()
        except Error as error:
            log.warning("worker.rescue_failed", error=type(error).__name__)
        finally:
            close_old_connections()


def _load_ahead() -> None:
    """Import now what the first job would import, so that the first lead does not wait for it."""
    from importlib import import_module

    for module in ("leadloom.sync.rounds", "leadloom.providers.catalogue", "leadloom.providers.phones", "httpx2"):
        import_module(module)
