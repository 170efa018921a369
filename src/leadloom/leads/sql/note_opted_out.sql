-- A do-not-text flag holds for the contact's lead and for whoever has the number, even archived: a lead that is restored
-- must not be texted either.
WITH flagged AS (
    UPDATE leads l
    SET opted_out = true
    WHERE l.account_id = %(account)s AND NOT l.opted_out
      AND l.id = ANY (ARRAY(
          SELECT i.lead_id FROM incoming i WHERE i.opted_out AND i.lead_id IS NOT NULL
          UNION
          SELECT o.id FROM incoming i
          JOIN leads o ON o.account_id = %(account)s AND o.phone = i.phone AND o.archived_at IS NULL
          WHERE i.opted_out
          UNION
          SELECT o.id FROM incoming i
          JOIN leads o ON o.account_id = %(account)s AND o.phone = i.phone AND o.archived_at IS NOT NULL
          WHERE i.opted_out))
    RETURNING l.id
)
INSERT INTO lead_changes (account_id, lead_id, run_id, before, after)
SELECT %(account)s, id, %(run)s, '{"opted_out": false}', '{"opted_out": true}' FROM flagged
