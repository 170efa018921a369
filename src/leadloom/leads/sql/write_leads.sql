-- Leads as they are given, all but their messages and what belongs to texting them. Their rows are locked.
UPDATE leads l
SET name = n.name, phone = n.phone, email = n.email, company = n.company, opted_out = n.opted_out, pinned = n.pinned,
    crm_source = n.crm_source, crm_connection_id = n.crm_connection_id, crm_id = n.crm_id, crm_url = n.crm_url,
    crm_owner = n.crm_owner, crm_owner_email = n.crm_owner_email, crm_status = n.crm_status, crm_stage = n.crm_stage,
    crm_description = n.crm_description, crm_last_activity_at = n.crm_last_activity_at,
    archived_at = n.archived_at, archived_reason = n.archived_reason
FROM jsonb_populate_recordset(NULL::leads, %(leads)s) n
WHERE l.account_id = %(account)s AND l.id = n.id
