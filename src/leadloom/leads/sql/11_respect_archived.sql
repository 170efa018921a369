-- A number whose lead somebody archived here on purpose does not come back as a new lead.
UPDATE incoming i
SET lead_id = l.id, outcome = 'skipped', reason = 'archived_here', match_rule = 'phone'
FROM leads l
WHERE i.lead_id IS NULL AND i.outcome IS NULL
  AND l.account_id = %(account)s AND l.phone = i.phone
  AND l.archived_at IS NOT NULL AND l.archived_reason = 'by_hand'
