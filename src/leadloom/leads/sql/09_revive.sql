-- A lead that was archived because its contact had left the CRM comes back with it, unless its number was given
-- to another lead meanwhile.
UPDATE leads l
SET archived_at = NULL, archived_reason = ''
FROM incoming i
WHERE l.account_id = %(account)s AND l.id = i.lead_id AND i.outcome IS NULL
  AND l.archived_at IS NOT NULL AND l.archived_reason = 'left_crm'
  AND NOT EXISTS (SELECT FROM leads o WHERE o.account_id = %(account)s AND o.phone = l.phone AND o.archived_at IS NULL)
