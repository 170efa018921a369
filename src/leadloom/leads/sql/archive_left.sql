-- The end of an overwrite: leads that this CRM made and whose contact it no longer has are archived, a slice at a
-- time. Leads made by hand stay, and so do leads that another live contact still describes.
WITH left_crm AS (
    SELECT s.external_id, s.lead_id
    FROM source_contacts s
    WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.gone_at IS NULL
      AND NOT EXISTS (SELECT FROM run_contacts r WHERE r.account_id = %(account)s AND r.run_id = %(run)s
                      AND r.external_id = s.external_id)
    LIMIT %(slice)s
), marked AS (
    UPDATE source_contacts s
    SET gone_at = now(), outcome = 'gone', reason = 'gone_from_crm', last_run_id = %(run)s, updated_at = now(), is_first_import = false
    FROM left_crm g
    WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = g.external_id
    RETURNING s.external_id
), archived AS (
    UPDATE leads l
    SET archived_at = now(), archived_reason = 'left_crm'
    FROM left_crm g
    WHERE l.account_id = %(account)s AND l.id = g.lead_id AND l.archived_at IS NULL
      AND l.created_run_id IS NOT NULL AND l.crm_connection_id = %(connection)s AND l.crm_id = g.external_id
      AND NOT EXISTS (SELECT FROM source_contacts o WHERE o.account_id = %(account)s AND o.lead_id = l.id
                      AND o.external_id <> g.external_id AND o.gone_at IS NULL)
    RETURNING l.id
), noted AS (
    INSERT INTO lead_changes (account_id, lead_id, run_id, before, after)
    SELECT %(account)s, a.id, %(run)s, '{"archived": false}', '{"archived": true}' FROM archived a
    RETURNING 1
)
SELECT (SELECT count(*) FROM marked), (SELECT count(*) FROM archived)
