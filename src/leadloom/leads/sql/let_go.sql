-- A contact whose lead cannot come back, since its number is another lead's by now, is matched anew: it is that one's.
UPDATE incoming i
SET lead_id = NULL, match_rule = '', is_known = false
FROM leads l
WHERE l.account_id = %(account)s AND l.id = i.lead_id AND i.outcome IS NULL AND l.archived_at IS NOT NULL
