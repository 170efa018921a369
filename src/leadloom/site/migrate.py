"""Bring the database to this version's tables. Runs as the tables' owner, in a process of its own.

``python -m leadloom.site.migrate``, with DATABASE_OWNER_URL (else DATABASE_URL) naming the owner's role. Safe to
run again and from two machines at once: an advisory lock makes the second wait. Leadloom may go on meanwhile: a
statement that must wait for a table gives up soon and is tried again, since everybody else would queue behind it.
"""

import os
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from leadloom.site import env

QUEUE_S = 3  # so long may others wait behind us for a table
REST_S = 2
LONGEST_S = 600


def main() -> None:
    app_url = env.secret("DATABASE_URL")
    owner_url = env.secret("DATABASE_OWNER_URL") or app_url
    os.environ.pop("DATABASE_URL_FILE", None)
    os.environ["DATABASE_URL"] = owner_url
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadloom.site.settings")

    import django
    import psycopg
    from django.core.management import call_command

    from leadloom.site.embedded import MIGRATION, grant_to_app
    from leadloom.site.turns import take_turn

    django.setup()
    with psycopg.connect(owner_url, autocommit=True) as connection:
        take_turn(connection, MIGRATION)
        between_others(lambda: call_command("migrate", verbosity=0, interactive=False))
        app_role = urlsplit(app_url).username
        if app_role and app_role != urlsplit(owner_url).username:
            grant_to_app(connection, app_role)


def between_others(migrate: Callable[[], object], *, queue_s: float = QUEUE_S, longest_s: float = LONGEST_S) -> None:
    """Migrate as soon as no long transaction is in the way. Each migration is done whole or not at all, so what could
    not be done is begun again where it stands. Raises OperationalError after ``longest_s``."""
    from django.db import OperationalError, connection
    from psycopg.errors import LockNotAvailable

    deadline = time.monotonic() + longest_s
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{int(queue_s * 1000)}ms"])
            migrate()
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable) or time.monotonic() > deadline:
                raise
            time.sleep(REST_S)
        else:
            return


if __name__ == "__main__":
    main()
