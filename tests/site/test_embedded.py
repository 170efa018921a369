"""What the embedded PostgreSQL makes of the traces of a hard stop."""

import shutil
import subprocess
import time
from pathlib import Path

import psutil

from leadloom.site import embedded


def test_a_killed_server_that_nobody_has_collected_yet_is_not_taken_for_a_living_one(tmp_path: Path) -> None:
    """In a container without an init process it stays uncollected for ever."""
    server = tmp_path / "postgres"
    shutil.copy("/bin/sleep", server)
    with subprocess.Popen([server, "60"]) as process:
        (tmp_path / "postmaster.pid").write_text(f"{process.pid}\n")
        time.sleep(0.1)
        assert embedded._postmaster(tmp_path) == process.pid
        psutil.Process(process.pid).kill()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert embedded._postmaster(tmp_path) is None
