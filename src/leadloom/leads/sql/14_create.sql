-- New leads: one for each number not seen before, else (%(by_email)s) one for each e-mail without a number. The
-- first contact in the vendor's order makes the lead; another worker's lead with the same number wins silently
-- and is matched in the next step.
INSERT INTO leads (
    account_id, name, phone, email, company, status, lead_type, opted_out, pinned, crm_source, crm_connection_id,
    crm_id, crm_url, crm_owner, crm_owner_email, crm_status, crm_stage, crm_description, crm_last_activity_at,
    last_crm_sync_at, activity_at, last_message, last_message_direction, created_run_id, archived_reason
)
SELECT %(account)s, i.name, i.phone, i.email, i.company, 'new', i.lead_type,
       i.opted_out OR EXISTS (SELECT FROM suppressions x WHERE x.account_id = %(account)s AND x.phone = i.phone),
       '[]', %(provider)s, %(connection)s, i.external_id, i.crm_url, i.crm_owner, i.crm_owner_email, i.crm_status,
       i.crm_stage, i.crm_description, i.crm_last_activity_at, now(), i.activity_at, '', '', %(run)s, ''
FROM (
    SELECT DISTINCT ON (coalesce(n.phone, n.email)) n.*
    FROM incoming n
    WHERE n.lead_id IS NULL AND n.outcome IS NULL
      AND CASE WHEN %(by_email)s THEN n.phone IS NULL ELSE n.phone IS NOT NULL END
    ORDER BY coalesce(n.phone, n.email), n.ordinal
) i
ORDER BY i.ordinal DESC
ON CONFLICT (account_id, phone) WHERE archived_at IS NULL DO NOTHING
RETURNING id, crm_id
