-- What cannot become a lead, each with its reason: records we could not map, people who were erased here, contacts nobody
-- could reach, and contacts whose lead somebody archived here on purpose.
UPDATE incoming i
SET outcome = CASE WHEN i.content_hash IS NULL AND i.reason <> 'erased' THEN 'failed' ELSE 'skipped' END,
    reason = CASE
        WHEN i.reason <> '' THEN i.reason
        WHEN EXISTS (SELECT FROM leads l WHERE l.account_id = %(account)s AND l.id = i.lead_id
                     AND l.archived_reason IN ('by_hand', 'undone')) THEN 'archived_here'
        WHEN i.phones = '[]' THEN 'no_phone_or_email'
        ELSE 'phone_unreadable' END,
    reason_value = CASE WHEN i.reason_value <> '' THEN i.reason_value
                        ELSE coalesce(left(i.phones -> 0 ->> 'text', 300), '') END
WHERE i.content_hash IS NULL
   OR (i.lead_id IS NULL AND i.phone IS NULL AND i.email = '')
   OR EXISTS (SELECT FROM leads l WHERE l.account_id = %(account)s AND l.id = i.lead_id
              AND l.archived_at IS NOT NULL AND l.archived_reason IN ('by_hand', 'undone'))
