"""One reply of ten goes wrong, in each way there is, for every CRM that can be simulated: the end must be the same.

Each way has a CRM of its own, and an account that connects it, refreshes twice while people work there, and at last
refreshes in good weather. Nothing may be missing then, nothing doubled, and nobody may have had to do anything.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from torture.compare import Compared, Held, differences
from torture.house import House, insist, open_house
from torture.report import Verdict, Wish
from torture.source import Source
from torture.weather import WEATHERS, Weather, clear

if TYPE_CHECKING:
    from leadloom.accounts.models import Member
    from leadloom.connections.models import Connection
    from leadloom.sandbox import Sandbox

TELL_OF_DELETIONS = ("hubspot", "zoho", "salesforce", "pipedrive")
"""The others' deletions are seen only by a pass that reads everything, which comes at the end."""
AT_ONCE = 16
DEEDS = 30
PATIENT_S = 600
IMPATIENT_EVERY_S = 4  # how often somebody presses Refresh while a run waits
DAY_S = 25 * 3600

_accounts = count()


@dataclass(slots=True)
class Case:
    crm: str
    name: str
    broken: list[str] = field(default_factory=list)
    compared: Compared = field(default_factory=Compared)
    seconds: float = 0
    faults: int = 0
    requests: int = 0
    reconnects: int = 0
    failed_runs: int = 0


def suffer(wish: Wish) -> Verdict:
    from leadloom.sandbox.kinds import names

    cases = [Case(crm, name) for name, crms in _chosen(wish, names()) for crm in crms]
    verdict = Verdict()
    with tempfile.TemporaryDirectory(prefix="leadloom-torture-") as folder:
        environment = {"LEADLOOM_CONCURRENCY": str(AT_ONCE + 8), "LEADLOOM_DB_POOL": str(AT_ONCE + 16)}
        with open_house(Path(folder), **environment) as house:
            house.add_workers(1, concurrency=AT_ONCE + 8)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for case in pool.map(partial(_endure, house, wish), cases):
                    verdict.broken += [f"{case.crm}, {case.name}: {one}" for one in case.broken]
            deadlocks = house.deadlocks()
    _tell(verdict, cases)
    verdict.tell("deadlocks", str(deadlocks), "0")
    verdict.require(deadlocks == 0, f"{deadlocks} deadlocks")
    return verdict


def _chosen(wish: Wish, crms: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Each weather with whom it meets: every CRM, or in short one of them in turn."""
    for number, name in enumerate((*WEATHERS, AWAY)):
        only = WEATHERS[name].only if name in WEATHERS else ()
        met = [crm for crm in crms if crm in (only or crms) and wish.crm in ("", crm)]
        yield name, [met[number % len(met)]] if met and wish.short else met


def _tell(verdict: Verdict, cases: list[Case]) -> None:
    for case in cases:
        told = [f"{case.faults} of {case.requests} replies", f"{case.seconds:.0f} s"]
        told += [f"{case.failed_runs} runs failed"] * bool(case.failed_runs)
        told += [f"reconnected {case.reconnects} times"] * bool(case.reconnects)
        verdict.tell(f"{case.crm}, {case.name}: {', '.join(told)}", f"{len(case.broken)} differences", "0")
    compared = sum(case.compared.contacts for case in cases), sum(case.compared.fields for case in cases)
    verdict.tell("compared: contacts, fields", f"{compared[0]:,}, {compared[1]:,}")


AWAY = "nobody works for a day in mid-run"
"""Tokens of pages run out meanwhile."""


def _endure(house: House, wish: Wish, case: Case) -> Case:
    from django.db import connections

    from leadloom.sandbox import Sandbox

    began = time.monotonic()
    most = WEATHERS[case.name].most_contacts if case.name in WEATHERS else None
    contacts = min(wish.contacts or (600 if wish.short else 3_000), most or 10**9)
    with Sandbox(case.crm, contacts=contacts, seed=wish.seed, latency_ms=5) as box:
        journey = Journey(house, box, case, Random(f"{wish.seed} {case.name}"))
        try:
            if case.name == AWAY:
                journey.stay_away_for_a_day()
            else:
                journey.through(WEATHERS[case.name], is_once=wish.short)
            case.broken += journey.arrive()
        except Exception as error:  # noqa: BLE001 - one case's trouble must not hide the others'
            case.broken.append(f"{type(error).__name__}: {error}")
        finally:
            stats = box.stats()
            case.faults, case.requests = stats.faults, stats.requests
            journey.leave()
            connections.close_all()
    case.seconds = time.monotonic() - began
    return case


class Journey:
    """One account and one CRM."""

    def __init__(self, house: House, box: "Sandbox", case: Case, dice: Random) -> None:
        self._house, self._box, self._case = house, box, case
        self._source = Source(box, dice)
        self._accounts: list[int] = []
        self._member = self._open_account("it")
        self._token = box.token
        self._connection: Connection | None = None

    def through(self, weather: Weather, *, is_once: bool) -> None:
        weather.begin(self._box, is_once)
        self._connect(self._member)
        self._settle(self._member, weather)
        if weather.ends_with_import:
            clear(self._box)
        for _ in range(2):
            self._work()
            self._source.let_time_pass()
            self._refresh(self._member)
            self._settle(self._member, weather)
        clear(self._box)

    def stay_away_for_a_day(self) -> None:
        """Slow enough that the run is stopped in the middle; a day later it goes on."""
        from leadloom.accounts.scope import account_scope
        from leadloom.connections.models import Connection
        from leadloom.connections.services import pause, resume

        self._box.set_latency(120)
        self._connect(self._member)
        self._wait_for("coalesce(max(pages), 0) >= 3 OR bool_or(state = 'done')")
        with account_scope(self._member.account_id):
            pause(Connection.objects.get(pk=self._connection_id))
        self._work()
        self._box.advance(DAY_S)
        self._box.set_latency(5)
        with account_scope(self._member.account_id):
            resume(Connection.objects.get(pk=self._connection_id))
        self._settle(self._member, Weather(lambda _box, _once: None, may_fail=True))

    def leave(self) -> None:
        """The CRM ends here: the hour's schedule need not look for it."""
        from leadloom.accounts.scope import account_scope
        from leadloom.connections.models import Connection
        from leadloom.connections.services import pause

        for account_id in self._accounts:
            with account_scope(account_id):
                for connection in Connection.objects.filter(account_id=account_id):
                    pause(connection)

    def arrive(self) -> Iterator[str]:
        """Good weather: what is there must be what the CRM says, and what a new import makes of it."""
        good = Weather(lambda _box, _once: None)
        for _ in range(2):  # the first learns where the CRM's clock stands
            self._source.let_time_pass()
            self._look_for_gone()
            self._refresh(self._member)
            self._settle(self._member, good)
        twin = self._open_account("twin")
        self._connect(twin)
        self._settle(twin, good)
        tells = self._case.crm in TELL_OF_DELETIONS
        yield from self._differences(twin, are_deletions_told=tells)
        self._refresh(self._member, strategy="overwrite")
        self._settle(self._member, good)
        yield from self._differences(twin, are_deletions_told=True)

    def _differences(self, twin: "Member", *, are_deletions_told: bool) -> Iterator[str]:
        with self._house.database() as database:
            held, other = Held(database, self._member.account_id), Held(database, twin.account_id)
        true = self._source.truth()
        yield from differences(
            held, self._case.crm, true, twin=other, are_deletions_told=are_deletions_told, compared=self._case.compared
        )

    # Steps

    def _open_account(self, name: str) -> "Member":
        from leadloom.accounts.services import open_account

        email = f"{name}.{next(_accounts)}@example.com"  # a CRM's port comes again
        member = open_account(name=self._case.name[:60], email=email, password="only for this run")
        self._accounts.append(member.account_id)
        return member

    def _connect(self, member: "Member") -> None:
        """Pressed again while the CRM refuses."""
        from leadloom.accounts.scope import account_scope
        from leadloom.connections.models import Connection
        from leadloom.connections.services import connect_with_token
        from leadloom.errors import LeadloomError
        from leadloom.sandbox.kinds import kind

        deadline = time.monotonic() + PATIENT_S
        while True:
            try:
                with account_scope(member.account_id):
                    connection, _ = connect_with_token(
                        account=member.account, member=member, provider=self._case.crm, token=self._token,
                        typed=kind(self._case.crm).told, base_url=self._box.url,
                    )  # fmt: skip
                    settings = {**connection.settings, "is_unpaced": True}  # the pace is another test's matter
                    Connection.objects.filter(pk=connection.pk).update(method="sandbox", settings=settings)
                if member is self._member:
                    self._connection = connection
                return
            except LeadloomError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    @property
    def _connection_id(self) -> int:
        assert self._connection
        return self._connection.pk

    def _refresh(self, member: "Member", *, strategy: str = "append") -> None:
        from leadloom.accounts.scope import account_scope
        from leadloom.connections.models import Connection
        from leadloom.connections.services import request_run

        def request() -> None:
            with account_scope(member.account_id):
                connection = Connection.objects.get(account_id=member.account_id)
                request_run(connection=connection, trigger="manual", strategy=strategy)

        insist(request)

    def _settle(self, member: "Member", weather: Weather) -> None:
        """Until the run has ended, as an impatient customer waits: Refresh is pressed now and then, and what the card
        asks for is done."""
        deadline, pressed_at = time.monotonic() + PATIENT_S, time.monotonic()
        while True:
            state, code, detail = self._last_run(member)
            if state == "done":
                return
            if weather.clears_when_stopped and state in ("waiting", "failed"):
                clear(self._box)
            if state == "failed":
                self._case.failed_runs += 1
                if not weather.may_fail:
                    raise RuntimeError(f"a run failed: {code} {detail}")
                self._mend(member, code)
            if time.monotonic() > deadline:
                raise RuntimeError(f"a run has not ended: {state} {code} {detail}")
            if state == "waiting" and time.monotonic() - pressed_at > IMPATIENT_EVERY_S:
                pressed_at = time.monotonic()
                self._refresh(member)
            time.sleep(0.3)

    def _mend(self, member: "Member", code: str) -> None:
        if code in ("needs_reconnect", "not_allowed"):
            self._case.reconnects += 1
            self._token, _ = self._box.new_token(private=True, lifetime_s=10 * DAY_S)
            self._connect(member)
        else:
            self._refresh(member)

    def _last_run(self, member: "Member") -> tuple[str, str, str]:
        with self._house.database() as database:
            [(state, code, detail)] = database.execute(_LAST_RUN, [member.account_id]).fetchall()
        return str(state), str(code), str(detail)

    def _wait_for(self, what: str) -> None:
        query = f"SELECT ({what}) FROM sync_runs WHERE account_id = %s"
        deadline = time.monotonic() + PATIENT_S
        while not self._house.value(query, self._member.account_id):
            if time.monotonic() > deadline:
                raise RuntimeError(f"it was never so that {what}")
            time.sleep(0.05)

    def _look_for_gone(self) -> None:
        """A day has passed since the CRM's list of those who left was read."""
        query = "UPDATE crm_connections SET gone_checked_at = NULL WHERE account_id = %s RETURNING 1"
        self._house.value(query, self._member.account_id)

    def _work(self) -> None:
        for _ in range(DEEDS):
            self._source.work()
        self._source.change_many_at_once()


_LAST_RUN = "SELECT state, error_code, error_detail FROM sync_runs WHERE account_id = %s ORDER BY id DESC LIMIT 1"
