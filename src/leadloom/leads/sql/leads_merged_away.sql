-- When two leads turn out to be one person in the CRM, the lead of the contact that remains takes over the other's
-- thread and opt-out. Answers the pairs (other lead, lead that stays).
SELECT DISTINCT s.lead_id, w.lead_id
FROM unnest(%(losers)s::text[], %(winners)s::text[]) AS m (loser, winner)
JOIN source_contacts s ON s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = m.loser
JOIN source_contacts w ON w.account_id = %(account)s AND w.connection_id = %(connection)s AND w.external_id = m.winner
WHERE s.lead_id IS NOT NULL AND w.lead_id IS NOT NULL AND s.lead_id <> w.lead_id
