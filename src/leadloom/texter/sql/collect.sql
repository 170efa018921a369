-- Put every lead that may be handed over into the outbox, once. A delivery that was held comes back if its lead may be
-- texted after all (it keeps its webhook id, so a receiver that met it before knows it). Safe to run twice and at once.
INSERT INTO texter_deliveries (account_id, lead_id, event, webhook_id, state, reason, attempts, last_error)
SELECT l.account_id, l.id, 'lead.created', 'msg_' || replace(gen_random_uuid()::text, '-', ''), 'queued', '', 0, ''
FROM {LEADS}
WHERE l.account_id = %(account)s
    AND l.id > %(after)s
    AND l.archived_at IS NULL
    AND l.phone IS NOT NULL
    AND NOT l.opted_out
    AND NOT EXISTS (
        SELECT FROM texter_deliveries d
        WHERE d.account_id = l.account_id AND d.lead_id = l.id AND d.state <> 'held'
    )
    AND {REASON} = ''
ORDER BY l.id
ON CONFLICT (account_id, lead_id) DO UPDATE
    SET state = 'queued', reason = '', next_attempt_at = now(), ended_at = NULL
    WHERE texter_deliveries.state = 'held'
