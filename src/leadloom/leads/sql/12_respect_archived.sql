-- A number whose lead somebody archived here on purpose does not come back as a new lead.
UPDATE incoming i
SET lead_id = m.lead_id, outcome = 'skipped', reason = 'archived_here', match_rule = 'phone'
FROM (
    SELECT n.external_id, l.id AS lead_id
    FROM incoming n
    CROSS JOIN LATERAL (
        SELECT l.id FROM leads l
        WHERE l.account_id = %(account)s AND l.phone = n.phone
          AND l.archived_at IS NOT NULL AND l.archived_reason IN ('by_hand', 'undone')
        LIMIT 1
    ) l
    WHERE n.lead_id IS NULL AND n.outcome IS NULL AND n.phone IS NOT NULL
) m
WHERE i.external_id = m.external_id
