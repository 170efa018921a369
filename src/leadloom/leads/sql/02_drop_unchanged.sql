-- Contacts whose content is what we already hold write nothing. Answers how many there were, and how many of
-- them this run has counted before (a page read twice after a crash).
WITH same AS (
    DELETE FROM incoming i
    USING source_contacts s
    WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = i.external_id
      AND s.content_hash = i.content_hash AND s.gone_at IS NULL AND s.merged_into = ''
    RETURNING s.last_run_id IS NOT DISTINCT FROM %(run)s AS is_repeat
)
SELECT count(*) FILTER (WHERE NOT is_repeat), count(*) FILTER (WHERE is_repeat) FROM same
