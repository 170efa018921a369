"""The tables are what the models say, and whoever still runs the version before can live with them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from threading import Event

import psycopg
import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.migrations import Migration
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from tests.migrations import troubles

from leadloom.site.embedded import MIGRATION
from leadloom.site.migrate import between_others
from leadloom.site.turns import take_turn

# Made before anybody ran Leadloom: no code older than these is anywhere. What comes after must be survived.
NOBODY_RAN = {"accounts": 4, "connections": 3, "leads": 4, "sync": 2, "texter": 3}
INDEX = models.Index(fields=["name"], name="leads_by_name")


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_the_version_before_survives_every_migration() -> None:
    """One that it would not survive says in ``SURVIVED`` why it does all the same, or waits for the next release."""
    bad = []
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        is_ours = migration.__module__.startswith("leadloom.")
        if is_ours and int(name[:4]) > NOBODY_RAN.get(app, 0) and not is_first(migration) and not survived(migration):
            bad += [f"{app}.{name}: {op.describe()}: {why}" for op in migration.operations for why in troubles(op)]
    assert bad == []


def is_first(migration: Migration) -> bool:
    return migration.initial is True


def survived(migration: Migration) -> str:
    reason: str = getattr(import_module(migration.__module__), "SURVIVED", "")
    return reason


@pytest.mark.parametrize(
    "operation",
    [
        ops.RemoveField("lead", "name"),
        ops.RenameField("lead", "name", "full_name"),
        ops.DeleteModel("Lead"),
        ops.RenameModel("Lead", "Person"),
        ops.AlterModelTable("lead", "people"),
        ops.AddField("lead", "nickname", models.TextField(default="")),
        ops.AlterField("lead", "email", models.TextField()),
        ops.AddConstraint("lead", models.CheckConstraint(condition=models.Q(name__gt=""), name="leads_have_names")),
        ops.AddIndex("lead", INDEX),
        ops.RunSQL("ALTER TABLE leads ALTER COLUMN email SET NOT NULL"),
        ops.RunSQL("DROP FUNCTION leadloom_start_runs(bigint[], bigint[], text)"),
        ops.RunSQL("ALTER TABLE leads RENAME COLUMN name TO full_name"),
        ops.SeparateDatabaseAndState(database_operations=[ops.RemoveField("lead", "name")]),
    ],
    ids=lambda operation: operation.describe()[:60],
)
def test_what_old_code_would_not_survive_is_found(operation: Operation) -> None:
    assert list(troubles(operation))


@pytest.mark.parametrize(
    "operation",
    [
        ops.AddField("lead", "nickname", models.TextField(default="", db_default="")),
        ops.AddField("lead", "seen_at", models.DateTimeField(null=True)),
        ops.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))]),
        ops.RemoveIndex("lead", "leads_by_name"),
        AddIndexConcurrently("lead", INDEX),
        ops.RunSQL("CREATE TABLE notes (id bigint)"),
    ],
    ids=lambda operation: operation.describe()[:60],
)
def test_what_old_code_does_survive_is_let_through(operation: Operation) -> None:
    assert list(troubles(operation)) == []


@pytest.mark.usefixtures("committed")
def test_an_index_is_built_while_another_machine_waits_for_its_turn_to_migrate(owner_url: str) -> None:
    with (
        psycopg.connect(owner_url, autocommit=True) as first,
        psycopg.connect(owner_url, autocommit=True) as second,
        psycopg.connect(owner_url, autocommit=True) as builder,
        ThreadPoolExecutor(1) as waiting,
    ):
        take_turn(first, MIGRATION)
        other = waiting.submit(take_turn, second, MIGRATION)
        with suppress(TimeoutError):
            other.result(0.3)
        builder.execute("SET lock_timeout = '5s'")
        builder.execute("CREATE INDEX CONCURRENTLY leads_by_company ON leads (company)")
        builder.execute("DROP INDEX leads_by_company")
        assert not other.done()
        first.close()
        other.result(60)


@pytest.mark.usefixtures("committed")
def test_a_migration_that_waits_for_a_table_does_not_hold_up_who_uses_it(owner_url: str) -> None:
    """Some transaction takes long: what changes the table waits for it, and nobody may have to wait for that."""
    tried, is_over = Event(), Event()

    def change() -> None:
        tried.set()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE leads IN SHARE ROW EXCLUSIVE MODE")

    def migrate() -> None:
        try:
            between_others(change, queue_s=0.2)
            is_over.set()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other, psycopg.connect(owner_url) as long:
        long.execute("LOCK TABLE leads IN ROW EXCLUSIVE MODE")
        migrating = other.submit(migrate)
        assert tried.wait(60)
        with psycopg.connect(owner_url, autocommit=True) as reader:
            reader.execute("SET lock_timeout = '30s'")
            reader.execute("UPDATE leads SET name = name")
        assert not is_over.is_set()
        long.rollback()
        migrating.result(60)
    assert is_over.is_set()
