-- A lead that was archived because its contact had left the CRM comes back with it, unless its number was given
-- to another lead meanwhile.
UPDATE leads l
SET archived_at = NULL, archived_reason = ''
FROM (
    SELECT DISTINCT ON (coalesce(a.phone, a.id::text)) a.id
    FROM incoming i
    CROSS JOIN LATERAL (
        SELECT a.id, a.phone FROM leads a
        WHERE a.account_id = %(account)s AND a.id = i.lead_id AND a.archived_reason = 'left_crm'
          AND a.archived_at IS NOT NULL
        LIMIT 1
    ) a
    WHERE i.outcome IS NULL
      AND NOT EXISTS (SELECT FROM leads o
                      WHERE o.account_id = %(account)s AND o.phone = a.phone AND o.archived_at IS NULL)
    ORDER BY coalesce(a.phone, a.id::text), i.ordinal
) back
WHERE l.account_id = %(account)s AND l.id = back.id
