"""Pages over HTTP at a million leads in one account and ten thousand in each of a thousand: p50 and p95.

Leads are made by set-based SQL as a first import leaves them, and one run lies over them that changed a thousand. The
web process is the real one, asked by a browser's cookie, one request at a time.
"""

import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import batched
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2
import psycopg

from bench.house import House, open_house
from bench.report import Row, Wish

if TYPE_CHECKING:
    from leadloom.accounts.models import Member

TIMES = 100
NAMES = (
    "maria", "john", "michael", "anna", "peter", "laura", "kevin", "susan",
    "igor", "chen", "fatima", "lars", "olga", "pedro", "yuki", "noor",
)  # fmt: skip
FAMILIES = (
    "schmidt", "smith", "garcia", "nowak", "rossi", "kumar", "tanaka", "jensen",
    "dubois", "novak", "silva", "weber", "lopez", "wang", "ali", "berg",
)  # fmt: skip

FILL = """
WITH made AS (
    INSERT INTO leads (account_id, name, phone, email, company, status, lead_type, opted_out, pinned, crm_source,
        crm_connection_id, crm_id, crm_url, crm_owner, crm_owner_email, crm_status, crm_stage, crm_description,
        last_crm_sync_at, activity_at, last_message, last_message_direction, created_run_id, archived_reason)
    SELECT a.account, initcap(n.first || ' ' || n.last), '+1' || (2000000000 + g * 37 %% 7999999999)::text,
        n.first || '.' || n.last || g || '@example' || g %% 50 || '.com', 'Company ' || g %% 5000, 'new', 'old',
        g %% 97 = 0, '[]', 'hubspot', a.connection, g::text, 'https://app.hubspot.com/contacts/1/record/0-1/' || g,
        'Owner ' || g %% 20, 'owner' || g %% 20 || '@example.com', 'Open', 'Customer',
        repeat('A note. ', (g %% 30)::int), now(), now() - g * interval '1 minute', '', '', a.run, ''
    FROM generate_series(1, %(leads)s) g
    CROSS JOIN LATERAL (
        SELECT (%(firsts)s::text[])[1 + g %% 16] AS first, (%(lasts)s::text[])[1 + (g / 16) %% 16] AS last) n
    CROSS JOIN unnest(%(accounts)s::bigint[], %(connections)s::bigint[], %(runs)s::bigint[])
        AS a (account, connection, run)
    RETURNING id, account_id, crm_connection_id, crm_id, name, phone, email, created_run_id
)
INSERT INTO source_contacts (account_id, connection_id, external_id, lead_id, outcome, reason, reason_value,
    needs_review, match_rule, content_hash, name, phones, emails, raw, first_run_id, last_run_id, merged_into,
    is_first_import)
SELECT account_id, crm_connection_id, crm_id, id, CASE WHEN id %% 300 = 0 THEN 'linked' ELSE 'created' END, '', '',
    false, 'new', '\\x00', name, jsonb_build_array(jsonb_build_object('text', phone, 'label', 'phone', 'e164', phone)),
    jsonb_build_array(email), json_build_object('id', crm_id, 'filler', repeat('x', 700)), created_run_id,
    created_run_id, '', true
FROM made
"""
CHANGE = """
UPDATE source_contacts SET last_run_id = %(run)s, outcome = 'updated', is_first_import = false
WHERE account_id = %(account)s AND external_id::bigint %% %(every)s = 0
"""


def measure(wish: Wish) -> list[Row]:
    large = wish.leads or 1_000_000
    accounts, each = wish.accounts or 100, wish.leads_each or 10_000
    rows = []
    for leads, where in (
        ([large], f"{large:,} leads in one account"),
        ([each] * accounts, f"{each:,} leads in each of {accounts:,} accounts"),
    ):
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # a house can be opened once a process
            rows += alone.submit(_pages, leads, where).result()
    return rows


def _pages(leads: list[int], where: str) -> list[Row]:
    """Fill a house and ask its pages as a member of the first account."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-")))
        house = stack.enter_context(open_house(folder, contacts=0, latency_ms=0, has_worker=False))
        from tests.web import web_process

        web = stack.enter_context(web_process(LEADLOOM_LOG_LEVEL="error"))
        members, runs = zip(*(_open_account(house) for _ in leads), strict=True)
        _fill(house, runs, leads[0])
        asked = Asked(web.address, members[0], first_run=runs[0][2], run=runs[0][3])
        return [Row(where, "p50        p95"), *asked.rows(leads[0])]


def _fill(house: House, runs: Sequence[tuple[int, int, int, int]], leads: int) -> None:
    with psycopg.connect(house.admin_url, autocommit=True) as db:
        for some in batched(runs, 100):
            accounts, connections, first_runs, _ = (list(ids) for ids in zip(*some, strict=True))
            ids = {"accounts": accounts, "connections": connections, "runs": first_runs}
            db.execute(FILL, {"leads": leads, "firsts": list(NAMES), "lasts": list(FAMILIES), **ids})
        account, _, _, run = runs[0]
        db.execute(CHANGE, {"run": run, "account": account, "every": max(1, leads // 1000)})
        for statement in ("VACUUM ANALYZE leads", "VACUUM ANALYZE source_contacts", "CHECKPOINT"):
            db.execute(statement)


def _open_account(house: House) -> "tuple[Member, tuple[int, int, int, int]]":
    """An account whose first import and one refresh have ended: ids of account, connection and both runs."""
    from leadloom.accounts.scope import account_scope
    from leadloom.connections.models import Connection, Run

    member = house.newcomer().member
    account = member.account
    with account_scope(account.pk):
        connection = Connection.objects.create(
            account=account, provider="hubspot", method="token", state="live", external_account_id=f"{account.pk}",
            external_account_name="Bench",
        )  # fmt: skip
        done = {"account": account, "connection": connection, "state": "done"}
        first = Run.objects.create(**done, trigger="connect", is_first=True)
        later = Run.objects.create(**done, trigger="cron")
    return member, (account.pk, connection.pk, first.pk, later.pk)


class Asked:
    """A signed-in browser's way to ask the web process."""

    def __init__(self, address: str, member: "Member", *, first_run: int, run: int) -> None:
        from django.conf import settings
        from tests.web import session_of

        self.first_run, self.run = first_run, run
        self._http = httpx2.Client(
            base_url=address, timeout=120, cookies={settings.SESSION_COOKIE_NAME: session_of(member)}
        )

    def rows(self, leads: int) -> Iterator[Row]:
        dice = random.Random(1)
        deep = self._deep_place(leads)

        def person() -> str:
            return f"{dice.choice(NAMES)}.{dice.choice(FAMILIES)}{dice.randrange(1, leads)}"

        def number() -> str:
            return f"{2000000000 + dice.randrange(1, leads) * 37 % 7999999999}"[-7:]

        some_lead = self._a_lead()
        pages: dict[str, Callable[[], str]] = {
            "dashboard": lambda: "/",
            "Recent Threads, first page": lambda: "/threads/rows",
            "Recent Threads, deep page": lambda: f"/threads/rows?after={deep}",
            "search: a first name": lambda: f"/threads/rows?search={dice.choice(NAMES)}",
            "search: a full name": lambda: f"/threads/rows?search={dice.choice(NAMES)}%20{dice.choice(FAMILIES)}",
            "search: one person's e-mail": lambda: f"/threads/rows?search={quote(person())}",
            "search: seven digits of a number": lambda: f"/threads/rows?search={number()}",
            "search: nobody": lambda: f"/threads/rows?search=zz{dice.randrange(10**6)}",
            "run history": lambda: "/runs",
            "run: first import": lambda: f"/runs/{self.first_run}",
            "run records: first import": lambda: f"/api/runs/{self.first_run}/records?limit=50",
            "run records: linked": lambda: f"/api/runs/{self.first_run}/records?outcome=linked&limit=50",
            "run records: skipped": lambda: f"/api/runs/{self.first_run}/records?outcome=skipped&limit=50",
            "run records: updated by a refresh": lambda: f"/api/runs/{self.run}/records?outcome=updated&limit=50",
            "run records: deep": lambda: f"/api/runs/{self.first_run}/records?after={leads // 2}&limit=50",
            "lead page": lambda: some_lead,
            "AI Texter": lambda: "/texter/",
            "API: threads": lambda: "/api/threads",
        }
        for name, path in pages.items():
            yield self._row(name, path)

    def _row(self, name: str, path: Callable[[], str]) -> Row:
        taken = []
        for _ in range(TIMES):
            asked = path()
            began = time.perf_counter()
            reply = self._http.get(asked, headers={"HX-Request": "true"} if "/rows" in asked else {})
            taken.append((time.perf_counter() - began) * 1000)
            if reply.status_code != 200:
                raise SystemExit(f"{asked} answered {reply.status_code}")
            if sum(taken) > 20_000:
                break
        p50, p95 = statistics.median(taken), sorted(taken)[int(len(taken) * 0.95)]
        return Row(f"  {name}", f"{p50:7.1f} ms {p95:7.1f} ms", "p95 <= 100 ms")

    def _a_lead(self) -> str:
        found = re.search(r'href="(/leads/\d+)"', self._http.get("/").text)
        if found is None:
            raise SystemExit("the dashboard shows no lead")
        return found[1]

    def _deep_place(self, leads: int) -> str:
        """The place half-way down."""
        from leadloom.leads.queries import Place

        return str(Place(datetime.now(UTC) - timedelta(minutes=leads // 2), 1))
