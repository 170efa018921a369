"""Bring the database to this version's tables. Runs as the tables' owner, in a process of its own.

``python -m leadloom.site.migrate``, with DATABASE_OWNER_URL (else DATABASE_URL) naming the owner's role. Safe to
run again and from two machines at once: an advisory lock makes the second wait.
"""

import os
from urllib.parse import urlsplit

from leadloom.site import env


def main() -> None:
    app_url = env.secret("DATABASE_URL")
    owner_url = env.secret("DATABASE_OWNER_URL") or app_url
    os.environ.pop("DATABASE_URL_FILE", None)
    os.environ["DATABASE_URL"] = owner_url
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadloom.site.settings")

    import django
    import psycopg
    from django.core.management import call_command

    from leadloom.site.embedded import grant_to_app

    django.setup()
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(43)")
        call_command("migrate", verbosity=0, interactive=False)
        app_role = urlsplit(app_url).username
        if app_role and app_role != urlsplit(owner_url).username:
            grant_to_app(connection, app_role)


if __name__ == "__main__":
    main()
