-- Contacts still without a lead: the one live lead with their e-mail whose number does not contradict theirs.
-- Several such leads: nobody guesses, the contact waits for a person. When contacts of this page bring a lead without a
-- number one each, the first is that lead; the others are other people.
WITH candidates AS (
    SELECT i.external_id, l.lead_id, l.leads,
           i.phone IS NULL OR i.phone = first_value(i.phone) OVER (
               PARTITION BY l.lead_id, i.phone IS NULL ORDER BY i.ordinal
           ) AS is_first
    FROM incoming i
    CROSS JOIN LATERAL (
        SELECT min(found.id) AS lead_id, count(*) AS leads FROM (
            SELECT l.id FROM leads l
            WHERE l.account_id = %(account)s AND l.email = i.email AND l.email <> '' AND l.archived_at IS NULL
              AND (l.phone IS NULL OR i.phone IS NULL)
            LIMIT 2
        ) found
    ) l
    WHERE i.lead_id IS NULL AND i.outcome IS NULL AND i.email <> '' AND l.leads > 0
)
UPDATE incoming i
SET lead_id = CASE WHEN c.leads = 1 THEN c.lead_id END,
    match_rule = CASE WHEN c.leads = 1 THEN 'email' ELSE '' END,
    outcome = CASE WHEN c.leads > 1 THEN 'skipped' END,
    needs_review = c.leads > 1,
    reason = CASE WHEN c.leads > 1 THEN 'ambiguous_email' ELSE i.reason END,
    reason_value = CASE WHEN c.leads > 1 THEN left(i.email, 300) ELSE i.reason_value END
FROM candidates c
WHERE i.external_id = c.external_id AND (c.leads > 1 OR c.is_first)
