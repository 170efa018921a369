-- A run that waits for a person keeps the ids of whom it has not met instead of whom it has; earlier ones are forgotten.
WITH absent AS (
    SELECT s.external_id
    FROM source_contacts s
    WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.gone_at IS NULL
      AND s.external_id NOT LIKE 'without-id-%%'
      AND NOT EXISTS (SELECT FROM run_contacts r WHERE r.account_id = %(account)s AND r.run_id = %(run)s
                      AND r.external_id = s.external_id)
), forgotten AS (
    DELETE FROM run_contacts r
    WHERE r.account_id = %(account)s AND r.run_id IN (
        SELECT n.id FROM sync_runs n
        WHERE n.account_id = %(account)s AND n.connection_id = %(connection)s
          AND (n.id = %(run)s OR n.state IN ('done', 'failed', 'stopped'))
    )
)
INSERT INTO run_contacts (account_id, run_id, external_id)
SELECT %(account)s, %(run)s, a.external_id FROM absent a
