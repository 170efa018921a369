"""What the README tells people to type is what is checked before a change goes in."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commands(file: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / file).read_text(), re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_the_ci_runs_the_readmes_test_command_and_fails_with_it(tmp_path: Path) -> None:
    """Beside a README whose test command is known: nothing of the real suite runs."""
    for name in (".ci", "Makefile"):
        assert (ROOT / name).exists()
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text((ROOT / ".ci" / "run").read_text())
    (tmp_path / ".ci" / "run").chmod(0o755)
    (tmp_path / ".ci" / "prepare").write_text("#!/bin/sh\n")
    (tmp_path / ".ci" / "prepare").chmod(0o755)
    (tmp_path / "README.md").write_text("```sh\nmake test WITH=this\n```\n")
    (tmp_path / "Makefile").write_text("style types imports:\n\t@true\ntest:\n\t@echo ran $(WITH); exit 3\n")
    done = subprocess.run([".ci/run"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert "ran this" in done.stdout
    assert done.returncode == 1
    assert "make test WITH=this" in done.stderr


def test_the_readme_gives_the_test_command_once() -> None:
    assert commands("README.md").count("make test") == 1


def test_every_make_command_of_the_readme_exists() -> None:
    targets = {command.split()[1] for command in commands("README.md") if command.startswith("make ")}
    assert targets >= {"demo", "test", "up"}
    for target in sorted(targets):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr


def test_ci_files_can_be_run() -> None:
    for name in ("run", "prepare", "chromium"):
        assert os.access(ROOT / ".ci" / name, os.X_OK), name
