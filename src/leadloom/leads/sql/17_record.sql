-- Our record of each contact: what it said, what became of it and why. An outcome given earlier in this run stays,
-- so that the records of a run add up to its counters.
INSERT INTO source_contacts (
    account_id, connection_id, external_id, lead_id, outcome, reason, reason_value, needs_review, match_rule,
    content_hash, modified_at, name, phones, emails, raw, first_run_id, last_run_id, gone_at, merged_into,
    is_first_import
)
SELECT %(account)s, %(connection)s, i.external_id, i.lead_id, i.outcome, i.reason, i.reason_value, i.needs_review,
       i.match_rule, i.content_hash, i.modified_at, i.name, i.phones, i.emails, i.raw, %(run)s, %(run)s, NULL, '',
       %(is_first)s AND i.outcome IN ('created', 'linked')
FROM incoming i
ON CONFLICT (account_id, connection_id, external_id) DO UPDATE
SET lead_id = excluded.lead_id,
    outcome = CASE WHEN source_contacts.last_run_id = excluded.last_run_id AND source_contacts.outcome <> 'gone'
                   THEN source_contacts.outcome ELSE excluded.outcome END,
    reason = excluded.reason, reason_value = excluded.reason_value, needs_review = excluded.needs_review,
    match_rule = excluded.match_rule, content_hash = excluded.content_hash, modified_at = excluded.modified_at,
    name = excluded.name, phones = excluded.phones, emails = excluded.emails, raw = excluded.raw,
    last_run_id = excluded.last_run_id, updated_at = now(), gone_at = NULL, merged_into = '',
    is_first_import = source_contacts.is_first_import AND source_contacts.last_run_id = excluded.last_run_id
