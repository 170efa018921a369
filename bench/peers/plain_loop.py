"""What an average application does: page by page, contact by contact, look for the lead, insert or update, commit.

``plain_loop.py URL TOKEN DSN SCHEMA PROPERTIES``. It takes numbers as they are written and knows a lead by its id at
the CRM, then by number, then by e-mail: no E.164, no reasons, no history, no counters.
"""

import sys

import httpx2
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

url, token, dsn, schema, properties = sys.argv[1:]

FIND = """
SELECT id FROM leads WHERE crm_id = %(crm_id)s
UNION ALL SELECT id FROM leads WHERE phone = %(phone)s AND phone <> ''
UNION ALL SELECT id FROM leads WHERE email = %(email)s AND email <> ''
LIMIT 1
"""
INSERT = """
INSERT INTO leads (crm_id, name, phone, email, company, status, stage, raw)
VALUES (%(crm_id)s, %(name)s, %(phone)s, %(email)s, %(company)s, %(status)s, %(stage)s, %(raw)s)
"""
UPDATE = """
UPDATE leads SET crm_id = %(crm_id)s, name = %(name)s, phone = %(phone)s, email = %(email)s, company = %(company)s,
    status = %(status)s, stage = %(stage)s, raw = %(raw)s, updated_at = now() WHERE id = %(id)s
"""
TABLE = """
CREATE TABLE IF NOT EXISTS leads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, crm_id text UNIQUE, name text, phone text, email text,
    company text, status text, stage text, raw jsonb, updated_at timestamptz DEFAULT now());
CREATE INDEX IF NOT EXISTS leads_phone ON leads (phone);
CREATE INDEX IF NOT EXISTS leads_email ON leads (email);
"""


def main() -> None:
    http = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})
    with psycopg.connect(dsn) as db:
        db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {0}; SET search_path TO {0}").format(sql.Identifier(schema)))
        db.execute(TABLE)
        db.commit()
        after = ""
        while True:
            query = {"limit": "100", "properties": properties, "archived": "false"}
            page = http.get("/crm/v3/objects/contacts", params=query | ({"after": after} if after else {})).json()
            for record in page["results"]:
                save(db, record)
            db.commit()
            after = page.get("paging", {}).get("next", {}).get("after", "")
            if not after:
                return


def save(db: psycopg.Connection, record: dict) -> None:  # type: ignore[type-arg]
    values = record["properties"]
    name = f"{values.get('firstname') or ''} {values.get('lastname') or ''}".strip()
    row = {
        "crm_id": record["id"],
        "name": name,
        "phone": values.get("mobilephone") or values.get("phone") or "",
        "email": (values.get("email") or "").lower(),
        "company": values.get("company"),
        "status": values.get("hs_lead_status"),
        "stage": values.get("lifecyclestage"),
        "raw": Jsonb(record),
    }
    found = db.execute(FIND, row).fetchone()
    if found:
        db.execute(UPDATE, {**row, "id": found[0]})
    else:
        db.execute(INSERT, row)


main()
