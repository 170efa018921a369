"""``leadloom up`` starts everything and ends everything, however it goes."""

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.site.conftest import CLI, Started, environment, nothing_runs_for, processes_of

type Start = Callable[..., Started]
type Run = Callable[..., subprocess.CompletedProcess[str]]

ENDED = (0, 130)
"""In good order: 130, as shells have it, when Ctrl-C comes so early that it still seems to be starting."""


def get(address: str, path: str) -> httpx2.Response:
    return httpx2.get(f"{address}{path}", timeout=20, trust_env=False, follow_redirects=False)


def set_up(started: Started, email: str) -> str:
    """Sign up as the first person, at the link that is printed. Answers the link."""
    link = started.until(r"(http://\S+/setup\?code=\w+)")[1]
    with httpx2.Client(timeout=20, trust_env=False) as browser:
        browser.get(link).raise_for_status()
        reply = browser.post(
            link,
            data={
                "account_name": "Acme", "name": "Alice", "email": email, "password": "correct horse battery",
                "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            },
            headers={"Referer": link},
        )  # fmt: skip
    assert reply.status_code == 302, reply.text
    return link


@pytest.mark.long
def test_it_starts_serves_revives_a_crashed_worker_and_leaves_nothing_behind_after_ctrl_c(
    start: Start, folder: Path
) -> None:
    up = start("up", "--port", "0")
    address = up.address()
    assert get(address, "/healthz").text == "ok"
    assert get(address, "/readyz").json() == {"ready": True, "database": "ok", "migrations": "ok", "worker": "ok"}
    assert get(address, "/").status_code == 302
    assert any("postgres" in process.name() for process in processes_of(folder))

    crashed = up.child("worker")
    crashed.kill()
    up.until(r"The worker process ended \(signal SIGKILL\); again in 1 s\.")
    assert comes_true(lambda: has_other_worker(up, crashed.pid))
    assert get(address, "/healthz").text == "ok"

    assert up.end(signal.SIGINT) in ENDED
    assert nothing_runs_for(folder, within_s=2)
    assert "Traceback" not in up.output


@pytest.mark.long
def test_a_killed_postgresql_is_started_again_and_everything_goes_on(start: Start, folder: Path) -> None:
    up = start("up", "--port", "0")
    address = up.address()
    set_up(up, "alice@example.com")
    postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    up.until(r"PostgreSQL had ended and was started again\.")
    assert comes_true(lambda: get(address, "/readyz").json().get("ready") is True, within_s=60)
    assert get(address, "/setup").status_code != 200, "the owner is still there"

    assert up.end(signal.SIGINT) in ENDED
    assert nothing_runs_for(folder, within_s=2)


@pytest.mark.long
def test_what_was_saved_survives_a_kill_of_everything_and_children_end_with_a_killed_parent(
    start: Start, folder: Path
) -> None:
    first = start("up", "--port", "0")
    first.address()
    set_up(first, "alice@example.com")
    for process in processes_of(folder):
        process.kill()
    first.process.wait(10)
    assert nothing_runs_for(folder)

    second = start("up", "--port", "0")
    second.until("Press Ctrl-C")
    assert "signed up yet" not in second.output
    second.process.kill()
    second.process.wait(10)
    assert nothing_runs_for(folder)


def comes_true(is_so: Callable[[], bool], *, within_s: float = 30) -> bool:
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def has_other_worker(up: Started, pid: int) -> bool:
    try:
        return up.child("worker").pid != pid
    except StopIteration:
        return False


@pytest.mark.long
def test_two_first_starts_at_once_share_the_database_and_the_first_to_leave_stops_nothing(
    start: Start, folder: Path
) -> None:
    first, second = start("up", "--port", "0"), start("up", "--port", "0")
    first.address()
    address = second.address()
    assert first.end() in ENDED
    assert get(address, "/readyz").json()["database"] == "ok"
    assert second.end() in ENDED
    assert nothing_runs_for(folder, within_s=2)


def test_a_port_in_use_is_one_sentence(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("up", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr == (
        f"leadloom: Port {port} on 127.0.0.1 is in use. Is Leadloom running already? "
        "Choose another with --port, or --port 0.\n"
    )


def test_a_wrong_setting_is_one_sentence_and_ends_what_was_loading_already(run: Run, folder: Path) -> None:
    done = run("up", "--port", "0", SYNC_SCHEDULE="hourly")
    assert done.returncode == 2
    assert done.stderr.startswith("leadloom: SYNC_SCHEDULE must be a cron expression")
    assert len(done.stderr.strip().splitlines()) == 1
    assert nothing_runs_for(folder, within_s=2)


@pytest.fixture
def plain_user() -> Iterator[str]:
    """Somebody who is not root and owns nothing here."""
    if os.geteuid() != 0:
        pytest.skip(f"these tests already run as {getpass.getuser()}, who is not root")
    if not shutil.which("runuser") or not shutil.which("useradd"):
        pytest.skip("runuser and useradd are needed to become another user")
    name = "leadloom-plain"
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", name], check=True)
    if not _may_run_python(name):
        pytest.skip(f"{name} may not read this checkout or its Python")
    yield name
    subprocess.run(["userdel", name], check=False, capture_output=True)


def _may_run_python(user: str) -> bool:
    command = ["runuser", "-u", user, "--", sys.executable, "-c", "import leadloom.site.cli"]
    return subprocess.run(command, cwd="/", capture_output=True).returncode == 0


@pytest.mark.long
def test_it_runs_as_somebody_who_is_not_root(plain_user: str, folder: Path) -> None:
    shutil.chown(folder, plain_user)
    up = Started("up", "--port", "0", folder=folder, prefix=("runuser", "-u", plain_user, "--"), HOME=str(folder))
    assert get(up.address(), "/readyz").json()["ready"] is True
    assert {process.username() for process in processes_of(folder) if "postgres" in process.name()} == {plain_user}
    for leadloom in psutil.Process(up.process.pid).children():
        leadloom.terminate()  # not runuser itself: two seconds later it would kill what it started
    up.process.communicate(timeout=30)
    assert nothing_runs_for(folder)


def test_a_folder_that_cannot_be_written_is_one_sentence(folder: Path) -> None:
    file = folder / "file"
    file.write_text("not a folder")
    done = subprocess.run(
        [*CLI, "up", "--port", "0"], env=environment(file / "data"), capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("leadloom: ")
    assert done.stderr.count("\n") == 1
    assert "LEADLOOM_DATA_DIR" in done.stderr
