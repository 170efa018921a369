"""``kill -9`` of worker, web and PostgreSQL at random moments of imports, refreshes and overwrites, while people go on
working in the CRM and in Leadloom. Then everything is let settle, and must be what the CRM says."""

import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx2

from torture.compare import Compared, Held, differences
from torture.house import Child, House, insist, open_house, until
from torture.report import Verdict, Wish
from torture.source import Source
from torture.takeover import Watch

if TYPE_CHECKING:
    from leadloom.accounts.models import Member
    from leadloom.connections.models import Connection, Run

VICTIMS = ("worker", "worker", "web", "postgresql")
ACTIVE_ACCOUNTS = 3  # the youngest; the others rest until the end
LATENCY_MS = 30
PROMISED_S = 30
DEPLOY_S = 5
SETTLING_S = 600
BY_HAND = 6  # leads of each account that no CRM knows
DEPLOYS = 3
WHILE_A_WORKER_STARTS_MS = 5_000  # so that the run is still in its middle then
DEPLOY_LATENCY_MS = 300
ACTIVE = "state IN ('queued', 'running', 'waiting')"


def suffer(wish: Wish) -> Verdict:
    verdict = Verdict()
    contacts = wish.contacts or (3_000 if wish.short else 50_000)
    kills = wish.kills or (3 if wish.short else 200)
    rounds = wish.rounds or (1 if wish.short else max(1, kills // 25))
    deadline = time.monotonic() + 60 * (wish.minutes or 8)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-torture-")))
        town = stack.enter_context(open_town(folder, wish.crm or "hubspot", contacts, Random(wish.seed)))
        for number in range(rounds):
            if number and time.monotonic() > deadline:
                break
            town.round(kills // rounds + (number < kills % rounds), deadline)
            verdict.broken += town.differences()
        verdict.broken += town.last_differences()
        _tell(verdict, town, kills)
        _deploy(verdict, town, times=1 if wish.short else DEPLOYS)
        verdict.tell("differences", f"{len(verdict.broken)}", "0")
    return verdict


def _tell(verdict: Verdict, town: "Town", wanted: int) -> None:
    killed, watch = town.killed, town.watch
    by_victim = ", ".join(f"{count} {victim}" for victim, count in sorted(killed.items()))
    verdict.tell("contacts in the CRM, accounts that read it", f"{town.source.box.count():,}, {len(town.accounts)}")
    verdict.tell("meanwhile at the CRM", ", ".join(f"{count:,} {deed}" for deed, count in town.source.done.items()))
    verdict.tell("rounds; kills", f"{town.rounds}; {killed.total()}: {by_victim}", f"{wanted} kills")
    alone = watch.longest("worker", alone=True)
    taken = sum(one.victim == "worker" for one in watch.takeovers)
    verdict.tell("a killed worker's run is taken over: longest", f"{alone:.1f} s of {taken}", f"<= {PROMISED_S} s")
    verdict.require(alone <= PROMISED_S, f"a killed worker's run was taken over after {alone:.1f} s")
    database = max(watch.longest("postgresql", alone=False), watch.longest("worker", alone=False))
    verdict.tell("the same where PostgreSQL was killed: longest", f"{database:.1f} s")
    verdict.tell("PostgreSQL answers again: longest", f"{town.longest_recovery_s:.1f} s")
    verdict.tell(
        "Refresh pressed through the web: answers", ", ".join(f"{n} x {s}" for s, n in sorted(town.answers.items()))
    )
    verdict.tell("compared: contacts, fields", f"{town.compared.contacts:,}, {town.compared.fields:,}")
    verdict.tell("runs, all of whose counters were checked", f"{town.runs:,}")
    verdict.tell("opt-outs, edits and leads by hand checked", f"{town.checked_by_hand:,}")
    children = [*town.house.workers, *([town.house.web] if town.house.web else [])]
    by_themselves = sum(one.ended_by_itself for one in children)
    verdict.tell("processes that ended with PostgreSQL and were started again", f"{by_themselves}")


@contextmanager
def open_town(folder: Path, crm: str, contacts: int, dice: Random) -> "Iterator[Town]":
    from leadloom.sandbox import Sandbox
    from leadloom.sandbox.kinds import kind

    with Sandbox(crm, contacts=contacts, latency_ms=LATENCY_MS, own_process=True, seed=dice.randrange(1000)) as box:
        sandbox = {
            "LEADLOOM_SANDBOX_URL": box.url,
            "LEADLOOM_SANDBOX_CRM": crm,
            "LEADLOOM_SANDBOX_TOKEN": box.token,
            "LEADLOOM_SANDBOX_TOLD": json.dumps(dict(kind(crm).told)),
            "LEADLOOM_SANDBOX_UNPACED": "true",
        }
        with open_house(folder, **sandbox) as house, house.open_web():
            house.add_workers(2)
            town = Town(house, Source(box, dice), dice)
            try:
                yield town
            finally:
                town.watch.stop()


@dataclass(slots=True)
class Tenant:
    """One account, and what its people did by hand."""

    member: "Member"
    connection: "Connection"
    secret: str
    by_hand: list[tuple[Any, ...]]
    opted_out: set[int] = field(default_factory=set)
    renamed: dict[int, str] = field(default_factory=dict)

    @property
    def account(self) -> int:
        return self.member.account_id


class Town:
    def __init__(self, house: House, source: Source, dice: Random) -> None:
        self.house, self.source, self._dice = house, source, dice
        self.watch = Watch(house.server.admin_url)
        self.accounts: list[Tenant] = []
        self._newcomers = count()
        self.killed: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.compared = Compared()
        self.rounds = self.runs = self.checked_by_hand = 0
        self.longest_recovery_s = 0.0

    # One round

    def round(self, kills: int, deadline: float) -> None:
        """A new account imports and older ones refresh while things are killed; then all is let settle."""
        self.rounds += 1
        self.accounts.append(self.newcomer())
        if len(self.accounts) > 1:
            self._press(self.accounts[-2], "overwrite")
        with self._meanwhile(self._work_at_the_crm), self._meanwhile(self._work_here), self._meanwhile(self._refresh):
            for _ in range(kills):
                time.sleep(self._dice.uniform(0.3, 2.2))
                if time.monotonic() > deadline:
                    break
                self._kill(self._dice.choice(VICTIMS))
        self.settle(self.accounts[-ACTIVE_ACCOUNTS:])

    def _kill(self, victim: str) -> None:
        self.killed[victim] += 1
        if victim == "postgresql":
            self.watch.killed(victim)
            self.longest_recovery_s = max(self.longest_recovery_s, self.house.server.kill())
            return
        child = self._dice.choice(self.house.workers) if victim == "worker" else self.house.web
        assert child
        child.kill()
        if victim == "worker":
            self.watch.killed(victim)

    def settle(self, tenants: list[Tenant]) -> None:
        """Every run ends; time passes; a refresh of each brings what is left."""
        self.await_ends()
        for _ in range(2):  # the first learns that the CRM's clock has moved
            self.source.let_time_pass()
            for tenant in tenants:
                self.house.value(_A_DAY_LATER, tenant.account)
                self._request(tenant)
            self.await_ends()

    def await_ends(self) -> None:
        query = f"SELECT count(*) FROM sync_runs WHERE {ACTIVE}"
        until(lambda: self.house.value(query) == 0, "every run has ended", within_s=SETTLING_S, every_s=0.3)

    # What people do

    def newcomer(self) -> Tenant:
        from leadloom.accounts.scope import account_scope
        from leadloom.accounts.services import open_account
        from leadloom.accounts.tokens import issue_token
        from leadloom.connections.services import connect_to_sandbox
        from leadloom.leads.services import add_lead

        number = next(self._newcomers)
        member = open_account(
            name=f"Torture {number}", email=f"torture{number}@example.com", password="only for this run"
        )
        with account_scope(member.account_id):
            _, secret = issue_token(account=member.account, member=member, name="Torture")
            for i in range(BY_HAND):
                add_lead(
                    account=member.account, member=member, name=f"By Hand {i}", phone=f"+44 7911 12345{i}",
                    email=f"by.hand.{i}@torture.example", company="Nobody's CRM",
                )  # fmt: skip
        connection, _ = insist(
            partial(connect_to_sandbox, account=member.account, member=member, provider=self.source.crm)
        )
        tenant = Tenant(member, connection, secret, [])
        tenant.by_hand = self._by_hand(tenant)
        return tenant

    def _by_hand(self, tenant: Tenant) -> list[tuple[Any, ...]]:
        with self.house.database() as database:
            return database.execute(_BY_HAND, [tenant.account]).fetchall()

    def _request(self, tenant: Tenant) -> "Run":
        from leadloom.accounts.scope import account_scope
        from leadloom.connections.models import Connection
        from leadloom.connections.services import request_run

        def request() -> "Run":
            with account_scope(tenant.account):
                connection = Connection.objects.get(pk=tenant.connection.pk)
                return request_run(connection=connection, trigger="manual")[0]

        return insist(request)

    def _press(self, tenant: Tenant, strategy: str = "append") -> None:
        """Refresh, as a program presses it. Answers may be lost with the web process; runs are not."""
        body = {"connectionId": tenant.connection.pk, "strategy": strategy}
        headers = {"Authorization": f"Bearer {tenant.secret}"}
        try:
            reply = httpx2.post(
                f"{self.house.address}/api/crm/sync", json=body, headers=headers, timeout=10, trust_env=False
            )
            self.answers[str(reply.status_code)] += 1
        except httpx2.HTTPError:
            self.answers["no answer"] += 1

    def _refresh(self) -> None:
        self._press(self._dice.choice(self.accounts[-ACTIVE_ACCOUNTS:]))
        time.sleep(0.5)

    def _work_at_the_crm(self) -> None:
        self.source.work()
        if self._dice.random() < 0.02:
            self.source.change_many_at_once()
        time.sleep(0.05)

    def _work_here(self) -> None:
        """Somebody opts out; somebody's name is corrected by hand."""
        from leadloom.accounts.scope import account_scope
        from leadloom.leads.models import Lead
        from leadloom.leads.services import edit_lead, opt_out

        tenant = self.accounts[-1]

        def act() -> None:
            with account_scope(tenant.account):
                found = Lead.objects.filter(archived_at=None, created_run_id__isnull=False)
                lead = (
                    found.order_by("pk" if self._dice.random() < 0.5 else "-pk").exclude(pk__in=tenant.renamed).first()
                )
                if lead is None:
                    return
                if self._dice.random() < 0.5:
                    opt_out(lead=lead, member=tenant.member)
                    tenant.opted_out.add(lead.pk)
                name = f"Corrected {lead.pk}"
                edit_lead(
                    lead=lead, member=tenant.member, name=name, phone=lead.phone or "", email=lead.email,
                    company=lead.company,
                )  # fmt: skip
                tenant.renamed[lead.pk] = name

        insist(act)
        time.sleep(1)

    @contextmanager
    def _meanwhile(self, act: Any) -> Iterator[None]:
        is_over = threading.Event()
        failed: list[BaseException] = []

        def go_on() -> None:
            from django.db import connection

            try:
                while not is_over.is_set():
                    act()
            except BaseException as error:  # noqa: BLE001 - raised where the block ends
                failed.append(error)
            finally:
                with suppress(Exception):
                    connection.close()

        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join(60)
        if failed:
            raise failed[0]

    # What must be so

    def differences(self) -> list[str]:
        """Of the accounts that are awake."""
        return self.differences_of(self.accounts[-ACTIVE_ACCOUNTS:], None)

    def last_differences(self) -> list[str]:
        """Of all, beside a new import that nothing has disturbed."""
        if len(self.accounts) > ACTIVE_ACCOUNTS:
            self.settle(self.accounts)
        twin = self.newcomer()
        self.await_ends()
        with self.house.database() as database:
            held = Held(database, twin.account)
        return self.differences_of([*self.accounts, twin], held)

    def differences_of(self, tenants: list[Tenant], twin: Held | None) -> list[str]:
        found: list[str] = []
        true = self.source.truth()
        for tenant in tenants:
            with self.house.database() as database:
                held = Held(database, tenant.account)
            found += differences(held, self.source.crm, true, twin=twin, compared=self.compared)
            found += self._by_hand_differences(tenant, held)
            self.runs += len(held.runs)
            found += [
                f"run {run.id} ended as {run.state}: {run.error_detail}" for run in held.runs if run.state != "done"
            ]
        return found

    def _by_hand_differences(self, tenant: Tenant, held: Held) -> Iterator[str]:
        self.checked_by_hand += len(tenant.by_hand) + len(tenant.opted_out) + len(tenant.renamed)
        if tenant.by_hand != self._by_hand(tenant):
            yield f"account {tenant.account}: a lead made by hand was touched"
        for lead_id in tenant.opted_out:
            if not held.leads[lead_id].opted_out:
                yield f"account {tenant.account}: lead {lead_id} was opted out and can be texted"
        for lead_id, name in tenant.renamed.items():
            if held.leads[lead_id].name != name:
                yield f"account {tenant.account}: lead {lead_id} has lost the name that a person gave it"


def _deploy(verdict: Verdict, town: Town, *, times: int) -> None:
    """A new worker is started, then the old one is told to stop in the middle of a run."""
    house, took = town.house, list[float]()
    for worker in list(house.workers):
        house.remove_worker(worker)
    [old] = house.add_workers(1)
    for _ in range(times * 3):
        tenant = town.newcomer()
        seconds, old = _hand_over(town, tenant, old)
        town.await_ends()
        verdict.broken += town.differences_of([tenant], None)
        took += [seconds] if seconds is not None else []
        if len(took) == times:
            break
    longest = max(took, default=0.0)
    verdict.tell(f"a deploy in mid-run hands over: longest of {len(took)}", f"{longest:.1f} s", f"< {DEPLOY_S} s")
    verdict.require(longest < DEPLOY_S, f"a deploy handed its run over after {longest:.1f} s")


def _hand_over(town: Town, tenant: Tenant, old: Child) -> tuple[float | None, Child]:
    """Seconds from SIGTERM to the other worker's hold on the run, None when it was over too soon; and that worker."""
    house, box = town.house, town.source.box
    pages = partial(house.value, "SELECT coalesce(max(pages), 0) FROM sync_runs WHERE account_id = %s", tenant.account)
    until(lambda: pages() >= 2, "the run is under way", every_s=0.02)
    box.set_latency(WHILE_A_WORKER_STARTS_MS)
    [new] = house.add_workers(1)
    before = pages()
    box.set_latency(DEPLOY_LATENCY_MS)
    active = f"SELECT count(*) FROM sync_runs WHERE account_id = %s AND {ACTIVE}"
    until(lambda: pages() > before or not house.value(active, tenant.account), "the run goes on", every_s=0.02)
    held = "SELECT lease_token::text FROM sync_runs WHERE account_id = %s AND state = 'running'"
    token = house.value(held, tenant.account)
    stopping = threading.Thread(target=house.remove_worker, args=[old])
    began = time.monotonic()
    stopping.start()

    def is_taken() -> bool:
        return house.value(held, tenant.account) not in (token, None) or not house.value(active, tenant.account)

    until(is_taken, "the other worker has the run", every_s=0.02)
    seconds = time.monotonic() - began
    stopping.join()
    box.set_latency(LATENCY_MS)
    return (None if token is None else seconds), new


_A_DAY_LATER = "UPDATE crm_connections SET gone_checked_at = NULL WHERE account_id = %s RETURNING 1"
"""The CRM's list of those who left is read once a day."""

_BY_HAND = """
SELECT id, name, phone, email, company, status, lead_type, opted_out, pinned::text, crm_source, crm_id, archived_at,
    activity_at
FROM leads WHERE account_id = %s AND created_by_id IS NOT NULL ORDER BY id
"""
