"""The keys that sign sessions and seal credentials.

In production ``LEADLOOM_SECRET_KEY`` holds them, comma-separated, newest first. On a laptop, where nothing is set
and the database is embedded, one is made once and kept beside the data, readable by its owner alone.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from leadloom.site import env

LEAST_LENGTH = 32  # characters; shorter keys can be guessed


def secret_keys(data_dir: Path) -> list[str]:
    """All keys, the sealing one first. Raises SettingError when production has none or one is too short."""
    given = [key.strip() for key in env.secret("LEADLOOM_SECRET_KEY").split(",") if key.strip()]
    if not given and env.secret("DATABASE_URL") and not env.boolean("LEADLOOM_EMBEDDED", False):
        raise env.SettingError(
            "LEADLOOM_SECRET_KEY is not set. Make one with: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    try:
        keys = given or [_kept_key(data_dir / "secret.key")]
    except OSError as error:
        raise env.SettingError(
            f"The data folder {data_dir} cannot be used ({error.strerror}). Choose another with LEADLOOM_DATA_DIR."
        ) from error
    if any(len(key) < LEAST_LENGTH for key in keys):
        raise env.SettingError(f"LEADLOOM_SECRET_KEY: each key needs at least {LEAST_LENGTH} characters")
    return keys


def _kept_key(path: Path) -> str:
    """The key in this file, made on first use. Two starts at once agree on one: only the first creates the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    if not path.exists():
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            os.link(fresh, path)  # atomic, and refuses when another start was faster
        fresh.unlink()
    return path.read_text().strip()
