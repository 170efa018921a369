-- A contact that took others in keeps the lead of the first of them we know: thread, history and opt-out stay.
-- It is known by its former id, so its own values flow to the lead at once.
UPDATE incoming i
SET lead_id = former.lead_id, match_rule = 'crm_id', is_known = true
FROM (
    SELECT n.external_id, s.lead_id
    FROM incoming n
    CROSS JOIN LATERAL (
        SELECT known.lead_id
        FROM unnest(n.merged_ids) WITH ORDINALITY AS m (id, place)
        CROSS JOIN LATERAL (
            SELECT s.lead_id FROM source_contacts s
            WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = m.id
            LIMIT 1
        ) known
        WHERE known.lead_id IS NOT NULL AND m.id <> n.external_id
        ORDER BY m.place
        LIMIT 1
    ) s
    WHERE n.lead_id IS NULL
) former
WHERE i.external_id = former.external_id
