-- Contacts the CRM says are deleted or archived. Their leads stay; the lead page says where they went.
UPDATE source_contacts s
SET gone_at = coalesce((%(ats)s::timestamptz[])[array_position(%(external_ids)s::text[], s.external_id::text)], now()),
    outcome = 'gone', reason = 'gone_from_crm', last_run_id = %(run)s, updated_at = now(), is_first_import = false
WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s
  AND s.external_id = ANY (%(external_ids)s::text[]) AND s.gone_at IS NULL
RETURNING s.external_id
