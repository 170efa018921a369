-- The end of a sweep: contacts that it has not met are marked as gone, a slice at a time.
UPDATE source_contacts s
SET gone_at = now(), outcome = 'gone', reason = 'gone_from_crm', last_run_id = %(run)s, updated_at = now(),
    is_first_import = false
WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s
  AND s.external_id = ANY (ARRAY(
      SELECT a.external_id
      FROM source_contacts a
      WHERE a.account_id = %(account)s AND a.connection_id = %(connection)s AND a.gone_at IS NULL
        AND NOT EXISTS (SELECT FROM run_contacts r WHERE r.account_id = %(account)s AND r.run_id = %(run)s
                        AND r.external_id = a.external_id)
      LIMIT %(slice)s
  ))
RETURNING s.external_id
