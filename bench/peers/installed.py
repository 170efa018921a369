"""The peers' own interpreters: each in an environment of its own, made once, outside the project's dependencies."""

import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools"
DLT = ("dlt[postgres]==1.31.0",)
SINGER = ("meltanolabs-target-postgres==0.8.1", "singer-sdk==0.54.9")


class NotInstalled(Exception):
    """A peer cannot be had here; the message says why."""


def environment(name: str, packages: tuple[str, ...]) -> Path:
    """The folder with the programs of these packages. Installs them the first time. Raises NotInstalled."""
    folder = TOOLS / "peers" / name
    programs = folder / "bin"
    told = folder / "installed.txt"
    if told.exists() and told.read_text() == "\n".join(packages):
        return programs
    uv = shutil.which("uv") or str(TOOLS / "bin" / "uv")
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(programs / "python"), *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NotInstalled(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "uv failed")
    told.write_text("\n".join(packages))
    return programs
