-- Contacts that were merged away point to the one that remains.
-- No join, but = ANY and array_position, here and in mark_gone: one index probe a contact, whatever the planner believes.
UPDATE source_contacts s
SET merged_into = (%(winners)s::text[])[array_position(%(losers)s::text[], s.external_id::text)],
    gone_at = coalesce(s.gone_at, now()), reason = 'merged_in_crm', updated_at = now(), is_first_import = false,
    lead_id = coalesce((
        SELECT w.lead_id FROM source_contacts w
        WHERE w.account_id = %(account)s AND w.connection_id = %(connection)s
          AND w.external_id = (%(winners)s::text[])[array_position(%(losers)s::text[], s.external_id::text)]
        LIMIT 1
    ), s.lead_id)
WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s
  AND s.external_id = ANY (%(losers)s::text[])
  AND s.merged_into <> (%(winners)s::text[])[array_position(%(losers)s::text[], s.external_id::text)]
RETURNING s.external_id
