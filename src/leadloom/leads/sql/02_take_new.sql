-- The common case of a first import, in one statement: people met nowhere before, neither in this page nor among
-- source contacts and leads, become leads and are recorded. The others go into ``incoming`` for the steps below: those
-- entangled with somebody of this page (store.py), and those who share an id, a number or an e-mail with anybody we know.
-- Answers how many were taken.
-- OFFSET 0: one index probe a contact, whatever the planner believes of a table that has grown a thousandfold since it
-- was last analysed.
WITH made AS (
    INSERT INTO leads (
        account_id, name, phone, email, company, status, lead_type, opted_out, pinned, crm_source, crm_connection_id,
        crm_id, crm_url, crm_owner, crm_owner_email, crm_status, crm_stage, crm_description, crm_last_activity_at,
        last_crm_sync_at, activity_at, last_message, last_message_direction, created_run_id, archived_reason
    )
    SELECT %(account)s, i.name, i.phone, i.email, i.company, 'new', i.lead_type,
           i.opted_out OR EXISTS (
               SELECT FROM suppressions x WHERE x.account_id = %(account)s AND x.phone = i.phone OFFSET 0
           ),
           '[]', %(provider)s, %(connection)s, i.external_id, i.crm_url, i.crm_owner, i.crm_owner_email, i.crm_status,
           i.crm_stage, i.crm_description, i.crm_last_activity_at, now(), i.activity_at, '', '', %(run)s, ''
    FROM staged i
    WHERE i.external_id <> ALL (%(entangled)s::text[])
      AND NOT EXISTS (
          SELECT FROM source_contacts s
          WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = i.external_id
          OFFSET 0)
      AND (i.phone IS NULL OR NOT EXISTS (
          SELECT FROM leads l WHERE l.account_id = %(account)s AND l.phone = i.phone AND l.archived_at IS NULL
          OFFSET 0))
      AND (i.phone IS NULL OR NOT EXISTS (
          SELECT FROM leads l WHERE l.account_id = %(account)s AND l.phone = i.phone AND l.archived_at IS NOT NULL
          OFFSET 0))
      AND (i.email = '' OR NOT EXISTS (
          SELECT FROM leads l
          WHERE l.account_id = %(account)s AND l.email = i.email AND l.email <> '' AND l.archived_at IS NULL
          OFFSET 0))
    ORDER BY i.ordinal DESC
    RETURNING id, crm_id
), recorded AS (
    INSERT INTO source_contacts (
        account_id, connection_id, external_id, lead_id, outcome, reason, reason_value, needs_review, match_rule,
        content_hash, modified_at, name, phones, emails, raw, first_run_id, last_run_id, gone_at, merged_into,
        is_first_import
    )
    SELECT %(account)s, %(connection)s, i.external_id, made.id, 'created', '', '', false, 'new',
           i.content_hash, i.modified_at, i.name, i.phones, i.emails, i.raw, %(run)s, %(run)s, NULL, '', %(is_first)s
    FROM made JOIN staged i ON i.external_id = made.crm_id
), others AS (
    INSERT INTO incoming
    SELECT i.* FROM staged i
    WHERE NOT EXISTS (SELECT FROM made WHERE made.crm_id = i.external_id)
)
SELECT count(*) FROM made
