-- Contacts the CRM says are deleted or archived. Their leads stay; the lead page says where they went.
UPDATE source_contacts s
SET gone_at = coalesce(g.at, now()), outcome = 'gone', reason = 'gone_from_crm', last_run_id = %(run)s, updated_at = now(), is_first_import = false
FROM unnest(%(external_ids)s::text[], %(ats)s::timestamptz[]) AS g (external_id, at)
WHERE s.account_id = %(account)s AND s.connection_id = %(connection)s AND s.external_id = g.external_id
  AND s.gone_at IS NULL
RETURNING s.external_id
