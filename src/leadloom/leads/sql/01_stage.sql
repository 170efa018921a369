-- The page as the CRM told it, one row a contact. Filled by COPY; emptied by the commit.
CREATE TEMPORARY TABLE IF NOT EXISTS staged (
    ordinal int NOT NULL,               -- the vendor's order: the first of two alike goes first
    external_id text NOT NULL,
    content_hash bytea,                 -- null: the record could not be mapped
    name text NOT NULL,
    phone text,                         -- E.164
    email text NOT NULL,
    company text NOT NULL,
    crm_url text NOT NULL,
    crm_owner text NOT NULL,
    crm_owner_email text NOT NULL,
    crm_status text NOT NULL,
    crm_stage text NOT NULL,
    crm_description text NOT NULL,
    crm_last_activity_at timestamptz,
    opted_out boolean NOT NULL,
    lead_type text NOT NULL,
    activity_at timestamptz NOT NULL,
    modified_at timestamptz,
    phones jsonb NOT NULL,
    emails jsonb NOT NULL,
    raw json NOT NULL,
    merged_ids text[] NOT NULL,
    reason text NOT NULL,
    reason_value text NOT NULL
) ON COMMIT DELETE ROWS;

-- Those of the page that need a closer look, and what the steps below work out about them.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    LIKE staged INCLUDING ALL,
    lead_id bigint,
    outcome text,                       -- null until decided
    needs_review boolean NOT NULL DEFAULT false,
    match_rule text NOT NULL DEFAULT '',
    is_known boolean NOT NULL DEFAULT false,
    is_counted boolean NOT NULL DEFAULT true
) ON COMMIT DELETE ROWS
