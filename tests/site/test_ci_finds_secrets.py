"""What would be worth stealing does not get into the code unseen."""

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from leadloom.accounts.tokens import PREFIX

ROOT = Path(__file__).parents[2]
SCAN = ROOT / ".ci" / "secrets"
# Made at random each time: a literal here would be found by the very search that it tests.
LEAKS = {
    "a token of ours": lambda: PREFIX + secrets.token_urlsafe(32),
    "the texting service's secret": lambda: "whsec_" + secrets.token_hex(24),
    "HubSpot's": lambda: f"pat-na1-{uuid4()}",
    "HubSpot's in Europe": lambda: f"pat-eu1-{uuid4()}",
    "GoHighLevel's": lambda: f"pit-{uuid4()}",
    "Salesforce's": lambda: f"00D{secrets.token_hex(6)}!{secrets.token_hex(40)}",
    "Zoho's": lambda: f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}",
    "a database's password": lambda: f"postgresql://leadloom:{secrets.token_hex(8)}@db.internal/leadloom",
    "a private key": lambda: f"-----BEGIN RSA {'PRIVATE'} KEY-----",
    "a cloud's key": lambda: "AKIA" + secrets.token_hex(8).upper(),
}


def scan(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCAN), str(file)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", LEAKS)
def test_a_secret_in_a_file_is_found_and_not_told(tmp_path: Path, what: str) -> None:
    leaked = LEAKS[what]()
    file = tmp_path / "settings.py"
    file.write_text(f"# harmless\nvalue = '{leaked}'\n")
    found = scan(file)
    assert found.returncode == 1, found.stderr
    assert "settings.py:2" in found.stdout
    assert leaked not in found.stdout + found.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the two looks that ``.ci/run`` takes, and nothing in it."""
    (tmp_path / ".ci").mkdir()
    for name in ("secrets", "secret_shapes.py", "audit"):
        shutil.copy(ROOT / ".ci" / name, tmp_path / ".ci" / name)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


@pytest.mark.parametrize("folder", ["src/leadloom", "tests", "src/leadloom/sandbox", "docs", ".github", "."])
def test_a_secret_in_any_folder_under_version_control_is_found(checkout: Path, folder: str) -> None:
    """In tests and sandboxes by its shape alone, so each shape is tried there."""
    place = checkout / folder
    place.mkdir(parents=True, exist_ok=True)
    for number, what in enumerate(LEAKS):
        (place / f"leak{number}.py").write_text(f"value = '{LEAKS[what]()}'\n")
    assert look_through(checkout).returncode == 0, "not under version control yet"
    subprocess.run(["git", "add", folder], cwd=checkout, check=True)
    found = look_through(checkout)
    assert found.returncode == 1, found.stderr
    assert [what for number, what in enumerate(LEAKS) if f"leak{number}.py:1" not in found.stdout] == []


def look_through(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(checkout / ".ci" / "secrets")], capture_output=True, text=True, check=False)


def test_every_shape_that_is_claimed_is_among_the_leaks() -> None:
    found = importlib.util.spec_from_file_location("secret_shapes", SCAN.parent / "secret_shapes.py")
    assert found
    assert found.loader
    shapes = importlib.util.module_from_spec(found)
    found.loader.exec_module(shapes)
    leaked = [leak() for leak in LEAKS.values()]
    assert [one.pattern for one in shapes.TokensMetHere.denylist if not any(map(one.search, leaked))] == []


@pytest.mark.parametrize(
    ("said", "status", "ends_with"),
    [("Found 1 known vulnerability", 1, 1), ("No known vulnerabilities", 0, 0), ("the lock file is broken", 2, 2)],
)
def test_the_audit_ends_as_what_it_asked_ends(checkout: Path, said: str, status: int, ends_with: int) -> None:
    """All but the answer of osv.dev is real; a hole that is known today may be mended tomorrow."""
    uv = checkout / ".tools" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(f'#!/bin/sh\n[ "$2" = --help ] && exit 0\necho "{said}"\nexit {status}\n')
    uv.chmod(0o755)
    asked = subprocess.run([str(checkout / ".ci" / "audit")], capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (ends_with, f"{said}\n")


def test_a_file_without_secrets_passes(tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text("TOKEN = os.environ['TOKEN']\nurl = 'postgresql://user:password@host/name'\n")
    passed = scan(file)
    assert passed.returncode == 0, passed.stdout + passed.stderr


@pytest.mark.parametrize("failing", [".ci/audit", ".ci/secrets", None])
def test_what_goes_in_is_looked_through_for_secrets_and_known_holes(tmp_path: Path, failing: str | None) -> None:
    """The real ``.ci/run``; what it calls is stood in for, and ends as the test says."""
    for name in (".ci/prepare", ".ci/audit", ".ci/secrets", ".venv/bin/python", "bin/make"):
        called = tmp_path / name
        called.parent.mkdir(exist_ok=True, parents=True)
        called.write_text(f'#!/bin/sh\necho "called {name}"\nexit {int(name == failing)}\n')
        called.chmod(0o755)
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    ran = subprocess.run(
        [str(tmp_path / ".ci" / "run")], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert {"called .ci/audit", "called .ci/secrets"} <= set(ran.stdout.splitlines())
    assert ran.returncode == (1 if failing else 0), ran.stderr
    assert (f"FAILED: {failing}" in ran.stderr) == bool(failing)


def test_what_goes_in_on_github_goes_through_the_same() -> None:
    assert "- run: .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
