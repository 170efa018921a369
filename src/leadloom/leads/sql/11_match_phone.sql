-- Contacts without a lead yet: the live lead with their number. When their e-mail points to another lead, the
-- number decides and a person is asked to look.
UPDATE incoming i
SET lead_id = m.lead_id, match_rule = 'phone',
    needs_review = m.disagrees,
    reason = CASE WHEN m.disagrees THEN 'phone_and_email_disagree' ELSE i.reason END,
    reason_value = CASE WHEN m.disagrees THEN left(i.email, 300) ELSE i.reason_value END
FROM (
    SELECT n.external_id, l.id AS lead_id,
           n.email <> '' AND l.email <> n.email AND EXISTS (
               SELECT FROM leads o WHERE o.account_id = %(account)s AND o.email = n.email AND o.email <> ''
               AND o.archived_at IS NULL AND o.id <> l.id) AS disagrees
    FROM incoming n
    CROSS JOIN LATERAL (
        SELECT l.id, l.email FROM leads l
        WHERE l.account_id = %(account)s AND l.phone = n.phone AND l.archived_at IS NULL
        LIMIT 1
    ) l
    WHERE n.lead_id IS NULL AND n.outcome IS NULL AND n.phone IS NOT NULL
) m
WHERE i.external_id = m.external_id
