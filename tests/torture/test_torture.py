"""A short form of ``make torture``, on a database of its own: a few kills, each fault once and a small crowd."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.journey


@pytest.mark.parametrize("torture", ["crash", "faults --contacts 300", "concurrency"])
def test_every_promise_is_kept_through(torture: str) -> None:
    asked = [sys.executable, "-m", "torture", *torture.split(), "--short"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    assert "0 promises broken" in done.stdout
