-- Contacts that were merged away point to the one that remains.
UPDATE source_contacts s
SET merged_into = m.winner, gone_at = coalesce(s.gone_at, now()), reason = 'merged_in_crm', updated_at = now(), is_first_import = false,
    lead_id = coalesce(w.lead_id, s.lead_id)
FROM unnest(%(losers)s::text[], %(winners)s::text[]) AS m (loser, winner)
LEFT JOIN source_contacts w ON w.account_id = %(account)s AND w.connection_id = %(connection)s
                           AND w.external_id = m.winner
WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s
  AND s.external_id = m.loser AND s.merged_into <> m.winner
RETURNING s.external_id
