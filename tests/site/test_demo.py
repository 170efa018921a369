"""The demo: a person who is signed in already, a CRM that answers, data of its own, nothing left behind."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.site.conftest import Started, nothing_runs_for, processes_of

from leadloom.sandbox.kinds import names


@pytest.mark.journey
@pytest.mark.parametrize("crm", names())
def test_once_does_the_main_job_of_each_crm_prints_its_figures_and_leaves_nothing(
    run: Callable[..., subprocess.CompletedProcess[str]], folder: Path, crm: str
) -> None:
    done = run("demo", "--once", "--json", "--crm", crm, "--contacts", "300", "--latency-ms", "20", "--limits", "none")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    parts = ("created", "updated", "unchanged", "linked", "skipped", "failed")
    assert told["seen"] == told["in_crm"] == 300 == sum(told[name] for name in parts)
    assert told["state"] == "done"
    assert 0 < told["first_lead_s"] <= told["complete_s"]
    assert told["requests"] > 0
    assert told["peak_rss_mb"] > 0
    assert list(folder.iterdir()) == []
    assert nothing_runs_for(folder)


@pytest.fixture(scope="module")
def demo() -> Iterator[Started]:
    """One demo for the tests below, started where a real database is set."""
    with tempfile.TemporaryDirectory(prefix="leadloom-demo-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        real = "postgresql://somebody@nowhere/real"
        started = Started(
            "demo", "--port", "0", "--contacts", "50", "--latency-ms", "0", folder=folder, DATABASE_URL=real
        )
        try:
            started.until("The demo is ready")
            started.until(r"/demo\?key=\S+")
            yield started
        finally:
            code = started.end()
            nothing_is_left = nothing_runs_for(folder)
            for process in processes_of(folder):
                process.kill()
        assert code == 0
        assert nothing_is_left


def test_the_printed_address_signs_in_and_the_sandbox_can_be_connected(demo: Started) -> None:
    link = demo.until(r"(http://\S+/demo\?key=\S+)")[1]
    address = link.split("/demo")[0]
    with httpx2.Client(base_url=address, timeout=60, trust_env=False, follow_redirects=True) as browser:
        assert browser.get(link).status_code == 200
        assert browser.get("/api/crm/status").json()["connected"] is False
        connected = browser.post(
            "/api/crm/connect",
            json={"provider": "hubspot", "credentials": {"method": "sandbox"}},
            headers={"X-CSRFToken": browser.cookies["csrftoken"], "Referer": address},
        )
        assert connected.json()["success"] is True
    assert httpx2.get(f"{address}/demo?key=guessed", trust_env=False).status_code == 404


def test_the_demo_never_touches_the_database_that_is_set(demo: Started) -> None:
    folder = demo.folder / "demo" / "postgres"
    assert any(str(folder) in process.cmdline() for process in processes_of(demo.folder))


def test_a_second_demo_in_the_same_folder_is_told_so(demo: Started) -> None:
    second = Started("demo", "--port", "0", folder=demo.folder)
    output, _ = second.process.communicate(timeout=240)
    assert second.process.returncode == 1
    assert "is running" in output
