-- Tie each new lead to the contact that made it.
UPDATE incoming i
SET lead_id = made.id, outcome = 'created', match_rule = 'new'
FROM unnest(%(lead_ids)s::bigint[], %(external_ids)s::text[]) AS made (id, external_id)
WHERE i.external_id = made.external_id
