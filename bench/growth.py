"""How tables grow: what a contact takes on disk and costs to insert, find and vacuum, in one table and in partitions.

Rows come from a real import, copied to many accounts of a table with the product's own columns and indexes. CPU is that
of the one PostgreSQL backend that works, as the kernel counts it; times are of the same backend and noisier. What
follows from the figures for a billion contacts is worked out in docs/scale.md.
"""

import os
import random
import re
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.house import House, open_house
from bench.report import Row, Wish

TABLES = ("leads", "source_contacts")
PAGE = 100
PAGES = 300
PLANS = 200
LOOKS = 30
SAMPLE_LEAST = 2_000
TICKERS = 16
TICK_S = 5

type Database = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Both tables once more, under a prefix, in this many partitions; 1 is a plain table."""

    partitions: int

    def table(self, name: str) -> str:
        return f"growth_{self.partitions}_{name}"

    def __str__(self) -> str:
        return "one table" if self.partitions == 1 else f"{self.partitions} partitions"


@dataclass(slots=True)
class Spent:
    cpu_s: float = 0.0
    wal_bytes: int = 0


class Meter:
    """What the backend of one connection spends."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pid = database.info.backend_pid

    def __enter__(self) -> Spent:
        self._spent = Spent()
        self._wal = self._wal_bytes()
        self._cpu = self._cpu_s()
        return self._spent

    def __exit__(self, *_: object) -> None:
        self._spent.cpu_s = self._cpu_s() - self._cpu
        self._spent.wal_bytes = self._wal_bytes() - self._wal

    def _cpu_s(self) -> float:
        return int(Path(f"/proc/{self._pid}/schedstat").read_text().split()[0]) / 1e9

    def _wal_bytes(self) -> int:
        return int(_one(self._database, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"))


def measure(wish: Wish) -> list[Row]:
    contacts, accounts = wish.contacts or 1_000_000, wish.accounts or 1_000
    each = max(1, contacts // accounts)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadloom-bench-", dir="/tmp")))
        house = stack.enter_context(open_house(folder, contacts=max(each, SAMPLE_LEAST), latency_ms=0))
        house.connect()
        url = os.environ["DATABASE_OWNER_URL"].replace("leadloom_owner@", "postgres@")
        database = stack.enter_context(psycopg.connect(url, autocommit=True))
        rows = _all_bytes(database)
        for partitions in (1, 64, 1024):
            layout = Layout(partitions)
            _create(database, layout)
            # Very many partitions are of interest for their plans alone, which ask for no rows.
            _fill(database, layout, accounts, each if partitions < 1024 else 1)
            rows += _facts(database, url, layout, accounts, each)
        rows += _moving(database, accounts) + _keys(database)
        rows += _notifying(database, url)
        return [*rows, *_swapping(house, database)]


def _all_bytes(database: Database) -> list[Row]:
    """After a real import: what everything but the two large tables adds to a contact."""
    many = int(_one(database, "SELECT count(*) FROM source_contacts"))
    parts = database.execute(
        """
        SELECT relname, pg_total_relation_size(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC LIMIT 4
        """
    ).fetchall()
    told = ", ".join(f"{name} {size / many:,.0f}" for name, size in parts)
    return [Row("an imported contact takes, bytes by table with indexes", told)]


def _create(database: Database, layout: Layout) -> None:
    for name in TABLES:
        table = layout.table(name)
        if layout.partitions == 1:
            _run(database, f"CREATE TABLE {table} (LIKE {name} INCLUDING ALL)")
            continue
        _run(database, f"CREATE TABLE {table} (LIKE {name} INCLUDING DEFAULTS) PARTITION BY HASH (account_id)")
        for number in range(layout.partitions):
            bounds = f"MODULUS {layout.partitions}, REMAINDER {number}"
            _run(database, f"CREATE TABLE {table}_{number} PARTITION OF {table} FOR VALUES WITH ({bounds})")
        for definition in _indexes_with_account(database, name):
            _run(database, re.sub(r"INDEX \S+ ON \S+", f"INDEX ON {table}", definition))


def _indexes_with_account(database: Database, name: str) -> list[str]:
    """A unique index without the account's id cannot be kept over partitions."""
    found = database.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s", [name]
    ).fetchall()
    return [text for (text,) in found if "UNIQUE" not in text or "account_id" in text]


def _fill(database: Database, layout: Layout, accounts: int, each: int) -> None:
    for account in range(1, accounts + 1):
        _insert(database, layout, account, f"LIMIT {each}", first=account * 1_000_000)
    for name in TABLES:
        _run(database, f"VACUUM ANALYZE {layout.table(name)}")


def _insert(database: Database, layout: Layout, account: int, limit: str, *, first: int, prefix: str = "") -> None:
    """Some of the imported rows once more, for this account. Leads get ids from ``first`` on."""
    for name, changed in (
        (
            "leads",
            {"account_id": f"{account}", "id": f"{first} + row_number() OVER ()", "phone": f"'{prefix}' || phone"},
        ),
        ("source_contacts", {"account_id": f"{account}", "external_id": f"'{prefix}' || external_id"}),
    ):
        columns = [name for (name,) in database.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [name])]  # fmt: skip
        values = ", ".join(changed.get(column, column) for column in columns)
        _run(
            database,
            f"INSERT INTO {layout.table(name)} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE "
            f"SELECT {values} FROM {name} {limit}",
        )


def _facts(database: Database, url: str, layout: Layout, accounts: int, each: int) -> list[Row]:
    rows = []
    dice = random.Random(1)
    if layout.partitions < 1024:
        rows += _sizes(database, layout, accounts * each)
        rows.append(_inserting(database, layout, accounts, dice))
        rows += [_finding(database, layout, what, text, accounts, dice) for what, text in QUERIES]
        rows.append(_vacuuming(database, layout))
    with psycopg.connect(url, autocommit=True) as fresh:
        rows.append(_planning(fresh, layout, accounts, dice))
    return rows


def _sizes(database: Database, layout: Layout, contacts: int) -> list[Row]:
    rows = []
    for name in TABLES:
        table = layout.table(name)
        is_part = f"oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = '{table}'::regclass)"
        parts = f"(SELECT oid AS relid FROM pg_class WHERE relkind = 'r' AND (oid = '{table}'::regclass OR {is_part}))"
        heap = int(_one(database, f"SELECT sum(pg_table_size(relid)) FROM {parts} AS part"))
        index = int(_one(database, f"SELECT sum(pg_indexes_size(relid)) FROM {parts} AS part"))
        told = f"{heap / contacts:,.0f} + indexes {index / contacts:,.0f} bytes"
        rows.append(Row(f"{layout}: a row of {name}", told))
    return rows


def _inserting(database: Database, layout: Layout, accounts: int, dice: random.Random) -> Row:
    with Meter(database) as spent:
        for number in range(PAGES):
            account, first = dice.randint(1, accounts), 10**12 + number * PAGE
            with database.transaction():
                _insert(database, layout, account, f"LIMIT {PAGE}", first=first, prefix=f"n{number}")
    many = PAGE * PAGES
    told = f"{spent.cpu_s * 1e6 / many:.0f} µs, {spent.wal_bytes / many:,.0f} bytes of WAL"
    return Row(f"{layout}: a contact inserted into any account", told)


QUERIES = (
    (
        "50 latest leads",
        "SELECT * FROM {leads} WHERE {account} AND archived_at IS NULL ORDER BY activity_at DESC, id DESC LIMIT 50",
    ),
    (
        "100 contacts by their ids",
        "SELECT content_hash FROM {source_contacts} WHERE {account} AND connection_id = 1 AND external_id = "
        "ANY (ARRAY(SELECT external_id FROM source_contacts LIMIT 100))",
    ),
)


def _finding(database: Database, layout: Layout, what: str, text: str, accounts: int, dice: random.Random) -> Row:
    blocks, taken = [], []
    for _ in range(LOOKS):
        query = _query(layout, text, f"account_id = {dice.randint(1, accounts)}")
        [plan] = _one(database, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}")
        blocks.append(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
        taken.append(plan["Execution Time"])
    return Row(f"{layout}: {what}", f"{_middle(blocks):.0f} blocks, {_middle(taken):.2f} ms")


def _query(layout: Layout, text: str, account: str) -> str:
    return text.format(account=account, **{name: layout.table(name) for name in TABLES})


def _planning(fresh: Database, layout: Layout, accounts: int, dice: random.Random) -> Row:
    """The first plan of a connection reads the catalogue. In scope alone, the account is known only when it runs."""
    text = QUERIES[0][1]
    _run(fresh, "SELECT set_config('leadloom.account_id', '7', false)")
    with Meter(fresh) as first:
        _run(fresh, f"EXPLAIN {_query(layout, text, 'account_id = 7')}")
    told = [f"first {first.cpu_s * 1e3:.1f} ms"]
    for said, account in (("named", "account_id = {}"), ("by scope alone", "account_id = (SELECT leadloom_account())")):
        _run(fresh, f"EXPLAIN {_query(layout, text, account.format(1))}")
        with Meter(fresh) as spent:
            for _ in range(PLANS):
                _run(fresh, f"EXPLAIN {_query(layout, text, account.format(dice.randint(1, accounts)))}")
        told.append(f"{said} {spent.cpu_s / PLANS * 1e3:.2f} ms")
    return Row(f"{layout}: a plan, CPU, account", ", ".join(told))


def _vacuuming(database: Database, layout: Layout) -> Row:
    """After one contact in fifty was changed."""
    table = layout.table("source_contacts")
    _run(database, f"UPDATE {table} SET updated_at = now() WHERE hashtext(external_id) % 50 = 0")
    with Meter(database) as spent:
        _run(database, f"VACUUM (ANALYZE, PARALLEL 0) {table}")
    part = "" if layout.partitions == 1 else f", {spent.cpu_s / layout.partitions * 1e3:.0f} ms a partition"
    return Row(f"{layout}: VACUUM ANALYZE after 2 % changed", f"{spent.cpu_s:.2f} s CPU{part}")


def _moving(database: Database, accounts: int) -> list[Row]:
    """From one table to partitions, while the application goes on."""
    plain, parts = Layout(1).table("source_contacts"), Layout(64).table("source_contacts")
    alone = "growth_alone"
    _run(database, f"CREATE TABLE {alone} (LIKE {plain} INCLUDING ALL)")
    some = max(1, accounts // 10)
    with Meter(database) as spent:
        _run(database, f"INSERT INTO {alone} SELECT * FROM {plain} WHERE account_id <= {some}")
    moved = int(_one(database, f"SELECT count(*) FROM {alone}"))
    _run(database, f"TRUNCATE {alone}")
    _run(database, f"INSERT INTO {alone} SELECT * FROM {parts}_0")
    many = int(_one(database, f"SELECT count(*) FROM {alone}"))
    _run(database, f"ALTER TABLE {parts} DETACH PARTITION {parts}_0")
    bounds = f"ATTACH PARTITION {alone} FOR VALUES WITH (MODULUS 64, REMAINDER 0)"
    with Meter(database) as attached:
        _run(database, f"ALTER TABLE {parts} {bounds}")
    _run(database, f"ALTER TABLE {parts} DETACH PARTITION {alone}")
    check = f"CHECK (satisfies_hash_partition('{parts}'::regclass::oid, 64, 0, account_id))"
    _run(database, f"ALTER TABLE {alone} ADD CONSTRAINT mine {check}")
    with Meter(database) as checked:
        _run(database, f"ALTER TABLE {parts} {bounds}")
    ranges = "growth_ranges"
    _run(database, f"CREATE TABLE {ranges} (LIKE {plain} INCLUDING DEFAULTS) PARTITION BY RANGE (account_id)")
    _run(database, f"ALTER TABLE {plain} ADD CONSTRAINT old CHECK (account_id < 1000000000) NOT VALID")
    with Meter(database) as validated:
        _run(database, f"ALTER TABLE {plain} VALIDATE CONSTRAINT old")
    with Meter(database) as whole:
        _run(database, f"ALTER TABLE {ranges} ATTACH PARTITION {plain} FOR VALUES FROM (MINVALUE) TO (1000000000)")
    return [
        Row("a contact copied to another table", f"{spent.cpu_s * 1e6 / max(moved, 1):.0f} µs CPU"),
        Row(f"a partition of {many:,} attached", f"{attached.cpu_s * 1e3:.0f} ms CPU, {_ms(checked)} with a check"),
        Row("the old table attached as a range", f"{_ms(whole)}, its check validated before in {_ms(validated)}"),
    ]


def _keys(database: Database) -> list[Row]:
    """What the schema must have for any of this: the account in every table, key and reference."""
    without = database.execute(
        """
        SELECT relname FROM pg_class AS t WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND relname !~ '^(growth|django|procrastinate|auth)_' AND relname <> 'accounts'
            AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = t.oid AND attname = 'account_id')
        ORDER BY 1
        """
    ).fetchall()
    keys = database.execute(
        """
        SELECT conrelid::regclass::text || CASE contype WHEN 'f' THEN ' -> ' || confrelid::regclass::text
            ELSE ' (' || (SELECT string_agg(attname, ', ') FROM pg_attribute WHERE attrelid = conrelid
                          AND attnum = ANY (conkey)) || ')' END, contype
        FROM pg_constraint AS c
        WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f')
            AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'account_id')
            AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'account_id'
                            AND attnum = ANY (conkey))
            AND conrelid::regclass::text !~ '^growth_'
        ORDER BY 1
        """
    ).fetchall()
    unique = [text for text, kind in keys if kind != "f" and not text.endswith("(id)")]
    return [
        Row("tables without account_id", ", ".join(name for (name,) in without)),
        Row("primary keys of id alone", str(sum(kind == "p" for _, kind in keys)), "0 before partitions"),
        Row("other unique keys without account_id", ", ".join(unique) or "none", "directory tables only"),
        Row("references without account_id", ", ".join(text for text, kind in keys if kind == "f") or "none"),
    ]


def _notifying(database: Database, url: str) -> list[Row]:
    """Commits that notify take turns for as long as each is written to disk; others are written together."""
    _run(database, "CREATE TABLE growth_ticks AS SELECT id, 0 AS ticks FROM generate_series(1, 16) AS id")
    return [
        Row(f"commits a second of {TICKERS} connections, {what}", f"{_commits_a_second(url, extra):,.0f}")
        for what, extra in (("silent", ""), ("each notifying", "; SELECT pg_notify('growth', '1')"))
    ]


def _commits_a_second(url: str, extra: str) -> float:
    end = time.monotonic() + TICK_S

    def tick(number: int) -> int:
        done = 0
        with psycopg.connect(url) as own:
            while time.monotonic() < end:
                _run(own, f"UPDATE growth_ticks SET ticks = ticks + 1 WHERE id = {number}{extra}")
                own.commit()
                done += 1
        return done

    with ThreadPoolExecutor(TICKERS) as pool:
        return sum(pool.map(tick, range(1, TICKERS + 1))) / TICK_S


def _swapping(house: House, database: Database) -> list[Row]:
    """The step of docs/scale.md that puts partitions behind the table's name, taken under a worker that goes on."""
    beyond = int(_one(database, "SELECT max(account_id) + 1000 FROM source_contacts"))
    _run(database, f"ALTER TABLE source_contacts ADD CONSTRAINT old CHECK (account_id < {beyond}) NOT VALID")
    _run(database, "ALTER TABLE source_contacts VALIDATE CONSTRAINT old")
    indexes = _texts(
        database,
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'source_contacts'::regclass "
        "AND NOT indisprimary",
    )
    triggers = _texts(
        database, "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'source_contacts'::regclass"
    )
    policies = _texts(
        database,
        "SELECT format('CREATE POLICY %I ON source_contacts FOR %s USING (%s)', policyname, cmd, qual) "
        "|| coalesce(format(' WITH CHECK (%s)', with_check), '') FROM pg_policies WHERE tablename = 'source_contacts'",
    )
    began = time.monotonic()
    with database.transaction():
        _run(database, "SET LOCAL ROLE leadloom_owner")
        _run(database, "SET LOCAL lock_timeout = '2s'")
        _run(database, "ALTER TABLE source_contacts RENAME TO source_contacts_old")
        _run(
            database,
            "CREATE TABLE source_contacts (LIKE source_contacts_old INCLUDING DEFAULTS, "
            "PRIMARY KEY (account_id, connection_id, external_id)) PARTITION BY RANGE (account_id)",
        )
        for text in indexes:
            _run(database, re.sub(r"INDEX \S+ ON \S+", "INDEX ON source_contacts", text))
        for text in triggers + policies:
            _run(database, text)
        _run(database, "ALTER TABLE source_contacts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        _run(
            database,
            "ALTER TABLE source_contacts ATTACH PARTITION source_contacts_old "
            f"FOR VALUES FROM (MINVALUE) TO ({beyond})",
        )
        _run(
            database,
            f"CREATE TABLE source_contacts_new PARTITION OF source_contacts FOR VALUES FROM ({beyond}) TO (MAXVALUE)",
        )
    took_ms = (time.monotonic() - began) * 1000
    house.settle()
    house.change(100)
    told = house.refresh().told
    [changed] = database.execute("SELECT updated FROM sync_runs ORDER BY id DESC LIMIT 1").fetchone() or (0,)
    return [
        Row("source_contacts partitioned under the worker", f"{took_ms:.0f} ms; next pass {told}, {changed} updated")
    ]


def _texts(database: Database, query: str) -> list[str]:
    return [text for (text,) in database.execute(query.encode())]


def _ms(spent: Spent) -> str:
    return f"{spent.cpu_s * 1e3:.0f} ms CPU"


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _run(database: Database, text: str) -> None:
    database.execute(text.encode())


def _one(database: Database, text: str) -> Any:
    [(value,)] = database.execute(text.encode()).fetchall()
    return value
