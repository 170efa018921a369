"""What the embedded PostgreSQL makes of the traces of a hard stop."""

import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db.utils import IntegrityError
from tests.factories import make_lead, make_member

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


@pytest.mark.django_db
def test_the_servers_log_keeps_nothing_personal_of_a_statement_that_failed() -> None:
    log = settings.DATA_DIR / "postgres" / "log"
    if not log.exists():
        pytest.skip("the tests run on a server of somebody's own")
    acme = make_member().account
    lead = make_lead(acme, phone="+14155550142", name="Ann")
    with pytest.raises(IntegrityError, match="leads_one_live_phone"):
        make_lead(acme, phone=lead.phone, name="Zenobia Quillfeather")
    written = log.read_text()
    assert "leads_one_live_phone" in written
    assert "Quillfeather" not in written
    assert "4155550142" not in written
