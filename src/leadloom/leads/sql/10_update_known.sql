-- Contacts we know, where they are their lead's primary contact: their fields flow.
-- Blank values of the CRM clear crm_* fields and, unless %(is_overwrite)s, never erase name, phone, e-mail, company.
-- Fields pinned by hand stay. A number that belongs to another live lead is not taken from it, and one that two leads
-- of this page claim goes to the first.
WITH known AS (
    SELECT i.*, taken.id AS taken_id,
           first_value(i.lead_id) OVER (
               PARTITION BY i.phone, taken.id IS NULL AND NOT l.pinned ? 'phone' ORDER BY i.ordinal
           ) AS first_claim
    FROM incoming i
    CROSS JOIN LATERAL (
        SELECT l.id, l.pinned FROM leads l
        WHERE l.account_id = %(account)s AND l.id = i.lead_id
          AND l.crm_connection_id = %(connection)s AND l.crm_id = i.external_id
        LIMIT 1
    ) l
    LEFT JOIN LATERAL (
        SELECT o.id FROM leads o
        WHERE o.account_id = %(account)s AND o.phone = i.phone AND o.archived_at IS NULL AND o.id <> l.id
        LIMIT 1
    ) taken ON true
    WHERE i.outcome IS NULL AND i.is_known
), flowing AS (
    SELECT l.id AS lead_id, i.external_id,
           l.name AS old_name, l.phone AS old_phone, l.email AS old_email, l.company AS old_company,
           CASE WHEN l.pinned ? 'name' OR (i.name = '' AND NOT %(is_overwrite)s) THEN l.name ELSE i.name END AS new_name,
           CASE WHEN l.pinned ? 'phone' OR i.phone IS NULL OR i.taken_id IS NOT NULL OR i.first_claim <> l.id
                THEN l.phone
                ELSE i.phone END AS new_phone,
           CASE WHEN l.pinned ? 'email' OR (i.email = '' AND NOT %(is_overwrite)s) THEN l.email ELSE i.email END AS new_email,
           CASE WHEN l.pinned ? 'company' OR (i.company = '' AND NOT %(is_overwrite)s) THEN l.company
                ELSE i.company END AS new_company,
           l.crm_url AS old_url, l.crm_owner AS old_owner, l.crm_owner_email AS old_owner_email,
           l.crm_status AS old_status, l.crm_stage AS old_stage, l.crm_description AS old_description,
           l.crm_last_activity_at AS old_activity, l.opted_out AS old_opted_out,
           i.crm_url, i.crm_owner, i.crm_owner_email, i.crm_status, i.crm_stage, i.crm_description,
           i.crm_last_activity_at,
           l.opted_out OR i.opted_out OR EXISTS (
               SELECT FROM suppressions x WHERE x.account_id = %(account)s AND x.phone = i.phone
           ) AS new_opted_out,
           i.phone IS NOT NULL AND (i.taken_id IS NOT NULL OR i.first_claim <> l.id) AND NOT l.pinned ? 'phone'
               AS phone_was_taken
    FROM known i
    CROSS JOIN LATERAL (SELECT * FROM leads l WHERE l.account_id = %(account)s AND l.id = i.lead_id LIMIT 1) l
), written AS (
    UPDATE leads l
    SET name = f.new_name, phone = f.new_phone, email = f.new_email, company = f.new_company,
        crm_url = f.crm_url, crm_owner = f.crm_owner, crm_owner_email = f.crm_owner_email,
        crm_status = f.crm_status, crm_stage = f.crm_stage, crm_description = f.crm_description,
        crm_last_activity_at = f.crm_last_activity_at, opted_out = f.new_opted_out, last_crm_sync_at = now()
    FROM flowing f
    WHERE l.account_id = %(account)s AND l.id = f.lead_id
      AND (f.old_name, f.old_phone, f.old_email, f.old_company, f.old_url, f.old_owner, f.old_owner_email,
           f.old_status, f.old_stage, f.old_description, f.old_activity, f.old_opted_out)
          IS DISTINCT FROM
          (f.new_name, f.new_phone, f.new_email, f.new_company, f.crm_url, f.crm_owner, f.crm_owner_email,
           f.crm_status, f.crm_stage, f.crm_description, f.crm_last_activity_at, f.new_opted_out)
    RETURNING f.external_id, f.lead_id,
           jsonb_build_object('name', old_name, 'phone', old_phone, 'email', old_email, 'company', old_company,
               'crm_url', old_url, 'crm_owner', old_owner, 'crm_owner_email', old_owner_email,
               'crm_status', old_status, 'crm_stage', old_stage, 'crm_description', old_description,
               'crm_last_activity_at', old_activity, 'opted_out', old_opted_out) AS before,
           jsonb_build_object('name', new_name, 'phone', new_phone, 'email', new_email, 'company', new_company,
               'crm_url', f.crm_url, 'crm_owner', f.crm_owner, 'crm_owner_email', f.crm_owner_email,
               'crm_status', f.crm_status, 'crm_stage', f.crm_stage, 'crm_description', f.crm_description,
               'crm_last_activity_at', f.crm_last_activity_at, 'opted_out', new_opted_out) AS after
), noted AS (
    INSERT INTO lead_changes (account_id, lead_id, run_id, before, after)
    SELECT %(account)s, d.lead_id, %(run)s, diff.before, diff.after
    FROM written d
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(b.key, b.value) AS before, jsonb_object_agg(b.key, d.after -> b.key) AS after
        FROM jsonb_each(d.before) b WHERE b.value IS DISTINCT FROM d.after -> b.key
    ) diff
    RETURNING 1
)
UPDATE incoming i
SET outcome = CASE WHEN i.match_rule IN ('phone', 'email') THEN 'linked'
                   WHEN f.external_id IN (SELECT external_id FROM written) THEN 'updated' ELSE 'unchanged' END,
    needs_review = i.needs_review OR f.phone_was_taken,
    reason = CASE WHEN f.phone_was_taken THEN 'phone_taken' ELSE i.reason END,
    reason_value = CASE WHEN f.phone_was_taken THEN i.phone ELSE i.reason_value END
FROM flowing f
WHERE i.external_id = f.external_id
