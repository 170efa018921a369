"""Typed readers for settings in the environment. Each fails loudly, naming the variable and what it accepts."""

import os
from pathlib import Path


class SettingError(Exception):
    """A setting is missing or has a value it cannot have. The message says which and how to mend it."""


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def secret(name: str, default: str = "") -> str:
    """The value of ``NAME``, or the content of the file that ``NAME_FILE`` names."""
    path = text(f"{name}_FILE")
    if not path:
        return text(name, default)
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise SettingError(f"{name}_FILE names {path}, which cannot be read: {error.strerror}") from error


def boolean(name: str, default: bool) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("false", "0", "no", "off"):
        return False
    raise SettingError(f"{name} must be true or false, not {value!r}")


def integer(name: str, default: int, *, least: int = 0) -> int:
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise SettingError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise SettingError(f"{name} must be at least {least}, not {number}")
    return number


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def data_dir() -> Path:
    """Where Leadloom keeps what is its own: the embedded database, its key, collected static files."""
    return Path(text("LEADLOOM_DATA_DIR") or Path.home() / ".local" / "share" / "leadloom").expanduser()
