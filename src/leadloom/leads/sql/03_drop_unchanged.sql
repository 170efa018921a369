-- Contacts whose content is what we already hold write nothing. Answers how many there were, and how many of
-- them this run has counted before (a page read twice after a crash).
-- LATERAL … LIMIT 1, here and below: one index probe a contact, whatever the planner believes of a table that has
-- grown a thousandfold since it was last analysed.
WITH same AS (
    DELETE FROM incoming i
    USING (
        SELECT n.external_id, s.last_run_id
        FROM incoming n
        CROSS JOIN LATERAL (
            SELECT s.* FROM source_contacts s
            WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = n.external_id
            LIMIT 1
        ) s
        WHERE s.content_hash = n.content_hash AND s.gone_at IS NULL AND s.merged_into = ''
    ) known
    WHERE i.external_id = known.external_id
    RETURNING known.last_run_id IS NOT DISTINCT FROM %(run)s AS is_repeat
)
SELECT count(*) FILTER (WHERE NOT is_repeat), count(*) FILTER (WHERE is_repeat) FROM same
