"""docs/adding-a-crm.md tells the truth: what it builds is found by its file and passes what every provider must."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-crm.md"
FILES = {
    "provider": "crms/acme.py",
    "fake": "fakes/acme.py",
    "fixture": "fixtures/acme/contact_with_a_mobile.json",
}

SIXTH = """
from pathlib import Path

import tests.providers.conformance as conformance
import tests.providers.fakes as fakes

from leadloom.providers import crms

here = Path(__file__).parent
crms.__path__.append(str(here / "crms"))
fakes.__path__.append(str(here / "fakes"))
conformance.FIXTURES = here / "fixtures"
"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder with the page's files in it."""
    blocks = re.findall(r"^```(?:python|json) (\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for part, path in FILES.items():
        text = "\n\n".join(code for name, code in blocks if name == part)
        assert text, f"the page has no {part}"
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "sixth.py").write_text(SIXTH)
    return tmp_path


@pytest.mark.long
def test_the_crm_of_the_page_passes_the_conformance_suite(built: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "sixth", "-p", "no:cacheprovider", "-q", "-k", "acme",
            "tests/providers/test_provider_conformance.py",
        ],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(built), str(ROOT), *sys.path])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    [passed] = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 20
    assert "skipped" not in done.stdout


@pytest.mark.long
def test_the_code_of_the_page_has_the_types_that_the_engine_expects(built: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(built / "crms" / "acme.py")],
        cwd=ROOT, capture_output=True, text=True, check=False,  # where it keeps what it knows of our own modules
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
