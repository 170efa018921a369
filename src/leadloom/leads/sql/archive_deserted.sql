-- The end of an overwrite: leads that this CRM made and for which no contact stands any more are archived, a slice at a
-- time, whenever their contact left. Leads made by hand stay, and so do leads that a person restored.
WITH deserted AS (
    SELECT l.id
    FROM source_contacts s
    JOIN leads l ON l.account_id = %(account)s AND l.id = s.lead_id
    WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.gone_at IS NOT NULL
      AND l.archived_at IS NULL AND l.created_run_id IS NOT NULL
      AND l.crm_connection_id = %(connection)s AND l.crm_id = s.external_id
      AND NOT EXISTS (SELECT FROM source_contacts o
                      WHERE o.account_id = %(account)s AND o.lead_id = l.id AND o.gone_at IS NULL)
      AND NOT EXISTS (SELECT FROM lead_changes c
                      WHERE c.account_id = %(account)s AND c.lead_id = l.id AND c.member_id IS NOT NULL
                        AND (c.after ? 'archived_at' OR c.after ? 'archived'))
    LIMIT %(slice)s
), archived AS (
    UPDATE leads l
    SET archived_at = now(), archived_reason = 'left_crm'
    WHERE l.account_id = %(account)s AND l.id = ANY (ARRAY(SELECT d.id FROM deserted d))
    RETURNING l.id
)
INSERT INTO lead_changes (account_id, lead_id, run_id, before, after)
SELECT %(account)s, a.id, %(run)s, '{"archived": false}', '{"archived": true}' FROM archived a
RETURNING lead_id
