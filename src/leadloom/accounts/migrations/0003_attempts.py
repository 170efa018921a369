"""Counts attempts to sign in, across processes. It knows people only as keyed hashes, so it stands outside the walls."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_walls")]

    operations = [
        migrations.RunSQL(
            """
            CREATE TABLE sign_in_attempts (
                key_hash text PRIMARY KEY,
                attempts integer NOT NULL,
                since timestamptz NOT NULL
            );
            CREATE INDEX sign_in_attempts_since ON sign_in_attempts (since);
            """,
            "DROP TABLE sign_in_attempts;",
        )
    ]
