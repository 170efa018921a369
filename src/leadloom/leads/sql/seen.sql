-- Ids met by a run that reads everything to see who left.
INSERT INTO run_contacts (account_id, run_id, external_id)
SELECT %(account)s, %(run)s, unnest(%(external_ids)s::text[])
ON CONFLICT DO NOTHING
