-- The next live leads that a run made, by their id: archived, unless somebody has made them their own since. Answers the
-- last one's id, and how many were archived and how many stayed.
WITH made AS (
    SELECT l.id, CASE
        WHEN l.contacted_at IS NOT NULL OR l.last_message_at IS NOT NULL
             OR EXISTS (SELECT FROM messages m WHERE m.account_id = %(account)s AND m.lead_id = l.id) THEN 'texted'
        WHEN EXISTS (SELECT FROM lead_changes c
                     WHERE c.account_id = %(account)s AND c.lead_id = l.id
                       AND c.member_id IS NOT NULL AND c.undo_id IS NULL) THEN 'edited_here'
        WHEN EXISTS (SELECT FROM source_contacts s
                     JOIN crm_connections c ON c.account_id = %(account)s AND c.id = s.connection_id AND c.is_active
                     WHERE s.account_id = %(account)s AND s.lead_id = l.id AND s.connection_id <> %(connection)s
                       AND s.gone_at IS NULL) THEN 'another_crm'
        ELSE '' END AS why_kept
    FROM leads l
    WHERE l.account_id = %(account)s AND l.created_run_id = %(run)s AND l.archived_at IS NULL AND l.id > %(after)s
    ORDER BY l.id
    LIMIT %(slice)s
    FOR UPDATE OF l
), archived AS (
    UPDATE leads l
    SET archived_at = now(), archived_reason = 'undone'
    FROM made m
    WHERE l.account_id = %(account)s AND l.id = m.id AND m.why_kept = ''
), noted AS (
    INSERT INTO lead_changes (account_id, lead_id, undo_id, member_id, before, after)
    SELECT %(account)s, m.id, %(undo)s, %(member)s,
           CASE WHEN m.why_kept = '' THEN '{"archived": false}' ELSE '{}' END::jsonb,
           CASE WHEN m.why_kept = '' THEN '{"archived": true}'
                ELSE jsonb_build_object('kept', jsonb_build_object('lead', m.why_kept)) END
    FROM made m
)
SELECT max(m.id), count(*) FILTER (WHERE m.why_kept = ''), count(*) FILTER (WHERE m.why_kept <> '') FROM made m
