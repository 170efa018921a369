"""A setting that cannot be is one sentence that names it, before anything starts."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.site.conftest import CLI, environment, processes_of

from leadloom.site import lifeline

type Run = Callable[..., subprocess.CompletedProcess[str]]

IMPOSSIBLE = [
    ("LEADLOOM_DEBUG", "perhaps", "LEADLOOM_DEBUG must be true or false"),
    ("LEADLOOM_CONCURRENCY", "many", "LEADLOOM_CONCURRENCY must be a whole number"),
    ("LEADLOOM_CONCURRENCY", "0", "LEADLOOM_CONCURRENCY must be at least 1"),
    ("SYNC_SCHEDULE", "hourly", "SYNC_SCHEDULE must be a cron expression"),
    ("LEADLOOM_URL", "leads.example.com", "LEADLOOM_URL must be a full address"),
    ("DATABASE_URL", "mysql://localhost/leadloom", "LEADLOOM_SECRET_KEY is not set"),
    ("LEADLOOM_SECRET_KEY", "short", "needs at least 32 characters"),
    ("NANGO_SECRET_KEY_FILE", "/nowhere/key", "NANGO_SECRET_KEY_FILE names /nowhere/key"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), IMPOSSIBLE)
def test_an_impossible_setting_is_one_sentence(run: Run, folder: Path, name: str, value: str, sentence: str) -> None:
    done = run("up", "--port", "0", **{name: value})
    assert done.returncode == 2
    assert done.stderr.startswith("leadloom: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert processes_of(folder) == []


def test_a_database_that_does_not_answer_is_one_sentence_without_its_password(run: Run) -> None:
    url = "postgresql://leadloom:hunter2-hunter2@127.0.0.1:9/leadloom"
    done = run("check", DATABASE_URL=url, LEADLOOM_SECRET_KEY="k" * 40)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["web", "worker"])
def test_a_process_that_waits_for_its_environment_ends_on_the_spot_when_asked(folder: Path, name: str) -> None:
    """It is importing then, where an exception that a signal raises can be lost: ``leadloom up`` would wait for it."""
    waiting = {**environment(folder), lifeline.WAIT: "true"}
    with subprocess.Popen([*CLI, name], env=waiting, stdin=subprocess.PIPE, cwd=folder) as process:
        time.sleep(0.5)
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM
