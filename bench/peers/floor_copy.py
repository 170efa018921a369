"""The least that writing can cost: COPY of rows prepared beforehand, into a table with the indexes that matching needs.

``floor_copy.py FOLDER DSN SCHEMA``: the folder holds the very lines that Leadloom stages, one file a save.
"""

import sys
from pathlib import Path

import psycopg
from psycopg import sql

folder, dsn, schema = sys.argv[1:]

TABLE = """
CREATE TABLE contacts (
    name text, email text, company text, crm_url text, crm_owner text, crm_owner_email text, crm_status text,
    crm_stage text, crm_description text, phones jsonb, emails jsonb, merged_ids text[], opted_out boolean, phone text,
    crm_last_activity_at timestamptz, external_id text PRIMARY KEY, reason text, reason_value text, ordinal int,
    content_hash bytea, lead_type text, activity_at timestamptz, modified_at timestamptz, raw json);
CREATE INDEX ON contacts (phone); CREATE INDEX ON contacts (email); CREATE INDEX ON contacts (activity_at);
"""

with psycopg.connect(dsn) as db:
    db.execute(sql.SQL("CREATE SCHEMA {0}; SET search_path TO {0}").format(sql.Identifier(schema)))
    db.execute(TABLE)
    db.commit()
    for file in sorted(Path(folder).iterdir()):
        with db.cursor() as cursor, cursor.copy("COPY contacts FROM STDIN") as copy:
            copy.write(file.read_bytes())
        db.commit()
