-- The lead's fields now come from the contact that remains, not from the one that was merged away.
UPDATE leads l
SET crm_id = i.external_id
FROM incoming i
WHERE l.account_id = %(account)s AND l.id = i.lead_id AND cardinality(i.merged_ids) > 0
  AND l.crm_connection_id = %(connection)s AND l.crm_id = ANY (i.merged_ids) AND l.crm_id <> i.external_id
