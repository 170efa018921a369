-- How many contacts we know that had not left before, how many of them this run has not met, and whether it met a record
-- without an id.
SELECT
    count(*),
    count(*) FILTER (WHERE NOT EXISTS (
        SELECT FROM run_contacts r
        WHERE r.account_id = %(account)s AND r.run_id = %(run)s AND r.external_id = s.external_id
    )),
    EXISTS (
        SELECT FROM run_contacts r
        WHERE r.account_id = %(account)s AND r.run_id = %(run)s AND r.external_id LIKE 'without-id-%%'
    )
FROM source_contacts s
WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.gone_at IS NULL
  AND s.external_id NOT LIKE 'without-id-%%'
