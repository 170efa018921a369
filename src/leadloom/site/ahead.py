"""What a process imports before it knows its settings. Libraries take most of a start; the database starts meanwhile.

Nothing here may look at Django's settings. What is missing here is merely imported later.
"""

from importlib import import_module

BOTH = ("psycopg", "psycopg_pool", "django.db.models", "django.http", "django.forms", "structlog", "procrastinate")
WEB = ("uvicorn", "pydantic", "httpx2", "msgspec", "prometheus_client", "cryptography.fernet")
WORKER = ("httpx2", "rphonenumbers", "croniter")


def load_web() -> None:
    _load(*BOTH, *WEB)


def load_worker() -> None:
    _load(*BOTH, *WORKER)


def _load(*modules: str) -> None:
    for module in modules:
        import_module(module)
