-- Contacts that joined a lead which was there before. A lead without a CRM contact takes this one as its primary;
-- what a person typed stays and is pinned. A lead that has a primary contact only gets its
-- blanks filled, by each of them in turn, and never what a person has blanked. Any of them can opt it out.
WITH joiners AS (
    SELECT i.*, row_number() OVER (PARTITION BY i.lead_id ORDER BY i.phone IS NULL, i.ordinal) AS place
    FROM incoming i
    WHERE i.lead_id IS NOT NULL AND i.outcome IS NULL
), bring AS (
    SELECT lead_id, bool_or(opted_out) AS opted_out,
           coalesce((array_agg(name ORDER BY place) FILTER (WHERE name <> ''))[1], '') AS name,
           (array_agg(phone ORDER BY place) FILTER (WHERE phone IS NOT NULL))[1] AS phone,
           min(ordinal) FILTER (WHERE phone IS NOT NULL) AS phone_ordinal,
           coalesce((array_agg(email ORDER BY place) FILTER (WHERE email <> ''))[1], '') AS email,
           coalesce((array_agg(company ORDER BY place) FILTER (WHERE company <> ''))[1], '') AS company
    FROM joiners
    GROUP BY lead_id
), joined AS (
    SELECT l.crm_id = '' AS becomes_primary,
           l.name AS old_name, l.phone AS old_phone, l.email AS old_email, l.company AS old_company,
           l.opted_out AS old_opted_out, l.pinned AS old_pinned, l.created_run_id IS NULL AS is_by_hand,
           l.pinned ? 'phone' AS is_phone_pinned,
           b.name AS its_name, b.email AS its_email, b.company AS its_company,
           CASE WHEN i.lead_id = first_value(i.lead_id) OVER (
                         PARTITION BY b.phone, l.phone IS NULL AND NOT l.pinned ? 'phone' ORDER BY b.phone_ordinal)
                THEN b.phone END AS its_phone,  -- two leads that lack a number are not given the same one
           b.opted_out AS is_opted_out, i.*
    FROM joiners i
    JOIN bring b ON b.lead_id = i.lead_id
    CROSS JOIN LATERAL (SELECT * FROM leads l WHERE l.account_id = %(account)s AND l.id = i.lead_id LIMIT 1) l
    WHERE i.place = 1
), given AS (
    SELECT *, CASE WHEN old_phone IS NULL AND NOT is_phone_pinned AND NOT EXISTS (
                  SELECT FROM leads o
                  WHERE o.account_id = %(account)s AND o.phone = its_phone AND o.archived_at IS NULL
              ) THEN its_phone ELSE old_phone END AS new_phone
    FROM joined
), written AS (
    UPDATE leads l
    SET name = CASE WHEN l.name = '' AND NOT l.pinned ? 'name' THEN j.its_name ELSE l.name END,
        phone = j.new_phone,
        email = CASE WHEN l.email = '' AND NOT l.pinned ? 'email' THEN j.its_email ELSE l.email END,
        company = CASE WHEN l.company = '' AND NOT l.pinned ? 'company' THEN j.its_company ELSE l.company END,
        opted_out = l.opted_out OR j.is_opted_out
                    OR EXISTS (SELECT FROM suppressions x
                               WHERE x.account_id = %(account)s AND x.phone = j.new_phone),
        pinned = CASE WHEN j.becomes_primary AND j.is_by_hand THEN (
                    SELECT coalesce(jsonb_agg(DISTINCT field), '[]') FROM (
                        SELECT jsonb_array_elements_text(l.pinned) AS field
                        UNION ALL SELECT 'name' WHERE l.name <> ''
                        UNION ALL SELECT 'phone' WHERE l.phone IS NOT NULL
                        UNION ALL SELECT 'email' WHERE l.email <> ''
                        UNION ALL SELECT 'company' WHERE l.company <> ''
                    ) kept) ELSE l.pinned END,
        crm_source = CASE WHEN j.becomes_primary THEN %(provider)s ELSE l.crm_source END,
        crm_connection_id = CASE WHEN j.becomes_primary THEN %(connection)s ELSE l.crm_connection_id END,
        crm_id = CASE WHEN j.becomes_primary THEN j.external_id ELSE l.crm_id END,
        crm_url = CASE WHEN j.becomes_primary THEN j.crm_url ELSE l.crm_url END,
        crm_owner = CASE WHEN j.becomes_primary THEN j.crm_owner ELSE l.crm_owner END,
        crm_owner_email = CASE WHEN j.becomes_primary THEN j.crm_owner_email ELSE l.crm_owner_email END,
        crm_status = CASE WHEN j.becomes_primary THEN j.crm_status ELSE l.crm_status END,
        crm_stage = CASE WHEN j.becomes_primary THEN j.crm_stage ELSE l.crm_stage END,
        crm_description = CASE WHEN j.becomes_primary THEN j.crm_description ELSE l.crm_description END,
        crm_last_activity_at = CASE WHEN j.becomes_primary THEN j.crm_last_activity_at
                                    ELSE l.crm_last_activity_at END,
        last_crm_sync_at = now()
    FROM given j
    WHERE l.account_id = %(account)s AND l.id = j.lead_id
    RETURNING l.id AS lead_id,
           jsonb_build_object('name', j.old_name, 'phone', j.old_phone, 'email', j.old_email,
               'company', j.old_company, 'opted_out', j.old_opted_out, 'pinned', j.old_pinned,
               'crm_id', CASE WHEN j.becomes_primary THEN '' ELSE l.crm_id END) AS before,
           jsonb_build_object('name', l.name, 'phone', l.phone, 'email', l.email,
               'company', l.company, 'opted_out', l.opted_out, 'pinned', l.pinned,
               'crm_id', l.crm_id) AS after
), noted AS (
    INSERT INTO lead_changes (account_id, lead_id, run_id, before, after)
    SELECT %(account)s, d.lead_id, %(run)s, diff.before, diff.after
    FROM written d
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(b.key, b.value) AS before, jsonb_object_agg(b.key, d.after -> b.key) AS after
        FROM jsonb_each(d.before) b WHERE b.value IS DISTINCT FROM d.after -> b.key
    ) diff
    WHERE diff.before IS NOT NULL
    RETURNING 1
)
UPDATE incoming i
SET outcome = 'linked',
    reason = CASE WHEN i.reason <> '' THEN i.reason
                  WHEN i.external_id IN (SELECT external_id FROM joined WHERE becomes_primary) THEN ''
                  ELSE 'shares_a_lead' END
WHERE i.lead_id IS NOT NULL AND i.outcome IS NULL
