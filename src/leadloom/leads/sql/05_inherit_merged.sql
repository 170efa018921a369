-- A contact that took others in keeps the lead of the first of them we know: thread, history and opt-out stay.
UPDATE incoming i
SET lead_id = former.lead_id, match_rule = 'crm_id'
FROM (
    SELECT DISTINCT ON (n.external_id) n.external_id, s.lead_id
    FROM incoming n
    JOIN source_contacts s ON s.account_id = %(account)s AND s.connection_id = %(connection)s
                          AND s.external_id = ANY (n.merged_ids) AND s.external_id <> n.external_id
    WHERE n.lead_id IS NULL AND s.lead_id IS NOT NULL
    ORDER BY n.external_id, array_position(n.merged_ids, s.external_id::text)
) former
WHERE i.external_id = former.external_id
