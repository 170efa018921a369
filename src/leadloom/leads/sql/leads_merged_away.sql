-- When leads turn out to be one person in the CRM, one of them takes over the others' threads and opt-outs: the lead of the
-- contact that remains, else of the first of those merged into it; a live one before an archived one, for somebody who put
-- a duplicate away must not lose the person. Answers the pairs (other lead, lead that stays).
WITH told AS (
    SELECT m.winner, m.loser AS external_id, m.place
    FROM unnest(%(losers)s::text[], %(winners)s::text[]) WITH ORDINALITY AS m (loser, winner, place)
    UNION ALL
    SELECT DISTINCT w.winner, w.winner, 0 FROM unnest(%(winners)s::text[]) AS w (winner)
), held AS (
    SELECT t.winner, s.lead_id, l.archived_at IS NOT NULL AS is_archived, t.place
    FROM told t
    CROSS JOIN LATERAL (
        SELECT s.lead_id FROM source_contacts s
        WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = t.external_id
        LIMIT 1
    ) s
    CROSS JOIN LATERAL (
        SELECT l.archived_at FROM leads l WHERE l.account_id = %(account)s AND l.id = s.lead_id LIMIT 1
    ) l
), chosen AS (
    SELECT lead_id, first_value(lead_id) OVER (PARTITION BY winner ORDER BY is_archived, place) AS stays
    FROM held
)
SELECT DISTINCT lead_id, stays FROM chosen WHERE lead_id <> stays
