-- A lead whose describing contact is there no more (deleted or merged away, or its CRM disconnected) is described from
-- now on by the first other contact of it that is met. Answers whether there was one: then its fields are to flow.
WITH first_met AS (
    SELECT DISTINCT ON (i.lead_id) i.lead_id, i.external_id
    FROM incoming i
    CROSS JOIN LATERAL (
        SELECT l.crm_connection_id, l.crm_id FROM leads l
        WHERE l.account_id = %(account)s AND l.id = i.lead_id AND l.crm_id <> ''
        LIMIT 1
    ) l
    WHERE i.outcome IS NULL AND i.lead_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM incoming p
                      WHERE p.lead_id = i.lead_id AND p.external_id = l.crm_id AND p.content_hash IS NOT NULL
                        AND l.crm_connection_id = %(connection)s)
      AND NOT EXISTS (
          SELECT FROM source_contacts s
          JOIN crm_connections c ON c.account_id = %(account)s AND c.id = s.connection_id AND c.is_active
          WHERE s.account_id = %(account)s AND s.connection_id = l.crm_connection_id AND s.external_id = l.crm_id
            AND s.lead_id = i.lead_id AND s.gone_at IS NULL AND s.merged_into = ''
          OFFSET 0)
    ORDER BY i.lead_id, (i.phone IS NULL), i.ordinal
), described AS (
    UPDATE leads l
    SET crm_source = %(provider)s, crm_connection_id = %(connection)s, crm_id = f.external_id
    FROM first_met f
    WHERE l.account_id = %(account)s AND l.id = f.lead_id
)
UPDATE incoming i
SET is_known = true
FROM first_met f
WHERE i.external_id = f.external_id
RETURNING 1
