-- Contacts we know by their CRM id keep the lead they have. One already counted in this run is not counted again.
UPDATE incoming i
SET is_known = true,
    lead_id = s.lead_id,
    match_rule = CASE WHEN s.lead_id IS NULL THEN '' ELSE 'crm_id' END,
    is_counted = s.last_run_id IS DISTINCT FROM %(run)s
FROM source_contacts s
WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = i.external_id
