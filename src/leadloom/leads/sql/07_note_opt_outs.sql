-- A do-not-text flag of the CRM becomes a suppression of the number, which outlives the lead.
INSERT INTO suppressions (account_id, phone, reason, source)
SELECT DISTINCT %(account)s, i.phone, 'crm_flag', %(provider)s
FROM incoming i
WHERE i.opted_out AND i.phone IS NOT NULL
ON CONFLICT (account_id, phone) DO NOTHING
