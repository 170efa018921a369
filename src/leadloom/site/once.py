"""``leadloom demo --once``: the main job from end to end without a browser, and how long it took.

Real web process, real worker, real HTTP on both sides, in a folder that is thrown away. The clock starts when the
connect request is sent and the first lead counts when Recent Threads, asked over HTTP, has a row.
"""

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import typer

from leadloom.site.database import load_django
from leadloom.site.demo import LOOPBACK, CrmWish, prepare_environment, start_sandbox
from leadloom.site.supervisor import Child, supervise
from leadloom.site.up import report, web_and_worker
from leadloom.site.web import address_of, listen

LONGEST_S = 3600
LOOK_S = 0.01  # how often we look for the first lead
WATCH_S = 0.1  # and, after it, for the end of the run
OUTCOMES = ("created", "updated", "unchanged", "linked", "skipped", "failed")


@dataclass(frozen=True, slots=True)
class Figures:
    """What is printed, in this order."""

    first_lead_s: float | None
    complete_s: float
    seen: int
    created: int
    updated: int
    unchanged: int
    linked: int
    skipped: int
    failed: int
    requests: int
    contacts_per_s: float
    peak_rss_mb: float | None
    state: str
    in_crm: int

    @property
    def is_all_accounted_for(self) -> bool:
        """Every contact of the CRM was seen, and something became of each."""
        parts = self.created + self.updated + self.unchanged + self.linked + self.skipped + self.failed
        return self.state == "done" and self.seen == parts == self.in_crm


def run_once(wish: CrmWish, *, as_json: bool) -> int:
    """Print the figures; the exit code is 1 when a contact is unaccounted for."""
    wish.check()
    with (
        tempfile.TemporaryDirectory(prefix="leadloom-once-") as folder,
        listen(LOOPBACK, 0) as web,
        listen(LOOPBACK, 0) as crm,
    ):
        prepare_environment(Path(folder), wish, web=web, crm=crm)
        with supervise(os.environ, report) as supervisor:
            start_sandbox(supervisor, wish, crm)
            with web_and_worker(supervisor, web.fileno()):
                figures = _do_the_job(wish, address_of(web), address_of(crm), worker=supervisor.child("worker"))
    typer.echo(json.dumps(asdict(figures)) if as_json else _as_text(figures))
    if not figures.is_all_accounted_for:
        report(f"Not all is accounted for: {figures.seen} of {figures.in_crm} contacts seen, run {figures.state}.")
    return 0 if figures.is_all_accounted_for else 1


def _do_the_job(wish: CrmWish, address: str, crm_address: str, *, worker: Child) -> Figures:
    in_crm = _contacts_in(crm_address)
    headers = {"Authorization": f"Bearer {_new_token()}"}
    with httpx2.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
        _ask(client.get("/api/threads"))  # as a browser that has the dashboard open
        started = time.monotonic()
        connected = _ask(
            client.post("/api/crm/connect", json={"provider": wish.crm, "credentials": {"method": "sandbox"}})
        )
        first_lead_s = _until_first_lead(client, started, connected["runId"])
        run = _until_ended(client, started, connected["runId"])
        complete_s = time.monotonic() - started
    return Figures(
        first_lead_s=first_lead_s,
        complete_s=round(complete_s, 3),
        seen=run["seen"],
        **{outcome: run[outcome] for outcome in OUTCOMES},
        requests=run["requests"],
        contacts_per_s=round(run["seen"] / complete_s, 1),
        peak_rss_mb=_peak_rss_mb(worker),
        state=run["state"],
        in_crm=in_crm,
    )


def _contacts_in(crm_address: str) -> int:
    """Also waits until the simulated CRM answers."""
    reply = httpx2.get(f"{crm_address}/_control/truth?limit=1", timeout=120, trust_env=False)
    return int(_ask(reply)["total"])


def _new_token() -> str:
    load_django()
    from leadloom.accounts.demo import ensure_demo_member
    from leadloom.accounts.scope import account_scope
    from leadloom.accounts.tokens import issue_token

    member = ensure_demo_member()
    with account_scope(member.account_id):
        _, secret = issue_token(account=member.account, member=member, name="once")
    return secret


def _until_first_lead(client: httpx2.Client, started: float, run_id: int) -> float | None:
    """Seconds until Recent Threads has a row; None when the run ends without one."""
    looked_at_run = started
    while time.monotonic() - started < LONGEST_S:
        if _ask(client.get("/api/threads", params={"limit": 1}))["threads"]:
            return round(time.monotonic() - started, 3)
        if time.monotonic() - looked_at_run > 1:
            looked_at_run = time.monotonic()
            if not _is_active(_run(client, run_id)):
                return None
        time.sleep(LOOK_S)
    return None


def _until_ended(client: httpx2.Client, started: float, run_id: int) -> dict[str, Any]:
    while True:
        run = _run(client, run_id)
        if not _is_active(run) or time.monotonic() - started > LONGEST_S:
            return run
        time.sleep(WATCH_S)


def _run(client: httpx2.Client, run_id: int) -> dict[str, Any]:
    run: dict[str, Any] = _ask(client.get(f"/api/runs/{run_id}"))["run"]
    return run


def _is_active(run: dict[str, Any]) -> bool:
    return run["state"] in ("queued", "running", "waiting")


def _ask(reply: httpx2.Response) -> dict[str, Any]:
    reply.raise_for_status()
    answer: dict[str, Any] = reply.json()
    return answer


def _peak_rss_mb(worker: Child) -> float | None:
    """The most memory the worker process ever held; where the system does not tell, what it holds now."""
    if worker.process is None or worker.process.poll() is not None:
        return None
    status = Path(f"/proc/{worker.process.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    held: int = psutil.Process(worker.process.pid).memory_info().rss
    return round(held / 1024**2, 1)


def _as_text(figures: Figures) -> str:
    return "\n".join(f"{name:15} {value}" for name, value in asdict(figures).items())
