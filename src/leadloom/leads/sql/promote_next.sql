-- A lead whose primary contact has left this CRM is described from now on by another contact of it that is still
-- there: the one it was merged into, else one of this CRM before those of others, the one changed last. That one's
-- content counts as not read yet, so that its fields flow at the end of a run of its CRM.
WITH heirs AS (
    SELECT left_crm.lead_id, heir.*
    FROM unnest(%(external_ids)s::text[]) AS id
    CROSS JOIN LATERAL (
        SELECT s.external_id, s.lead_id, s.merged_into FROM source_contacts s
        WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = id
        LIMIT 1
    ) left_crm
    CROSS JOIN LATERAL (
        SELECT FROM leads l
        WHERE l.account_id = %(account)s AND l.id = left_crm.lead_id
          AND l.crm_connection_id = %(connection)s AND l.crm_id = left_crm.external_id
        LIMIT 1
    ) described_by_it
    CROSS JOIN LATERAL (
        SELECT o.external_id, o.connection_id, c.provider FROM source_contacts o
        JOIN crm_connections c ON c.account_id = %(account)s AND c.id = o.connection_id AND c.is_active
        WHERE o.account_id = %(account)s AND o.lead_id = left_crm.lead_id AND o.gone_at IS NULL AND o.merged_into = ''
        ORDER BY o.connection_id = %(connection)s AND o.external_id = left_crm.merged_into DESC,
                 o.connection_id = %(connection)s DESC, o.modified_at DESC NULLS LAST, o.external_id, o.connection_id
        LIMIT 1
    ) heir
), promoted AS (
    UPDATE leads l SET crm_source = h.provider, crm_connection_id = h.connection_id, crm_id = h.external_id
    FROM heirs h
    WHERE l.account_id = %(account)s AND l.id = h.lead_id
)
UPDATE source_contacts s SET content_hash = NULL
FROM heirs h
WHERE s.account_id = %(account)s AND s.connection_id = h.connection_id AND s.external_id = h.external_id
RETURNING s.external_id
