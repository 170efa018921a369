-- Contacts we know by their CRM id keep the lead they have. One already counted in this run is not counted again; one that
-- this run had marked as gone, and that is back, has not been counted.
UPDATE incoming i
SET is_known = true,
    lead_id = known.lead_id,
    match_rule = CASE WHEN known.lead_id IS NULL THEN '' ELSE 'crm_id' END,
    is_counted = known.last_run_id IS DISTINCT FROM %(run)s OR known.outcome = 'gone'
FROM (
    SELECT n.external_id, s.lead_id, s.last_run_id, s.outcome
    FROM incoming n
    CROSS JOIN LATERAL (
        SELECT s.lead_id, s.last_run_id, s.outcome FROM source_contacts s
        WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = n.external_id
        LIMIT 1
    ) s
) known
WHERE i.external_id = known.external_id
RETURNING 1
