"""Row-level security, and references that cannot leave their account."""

from django.db import migrations

from leadloom.accounts.rls import protect

TABLES = ("leads", "source_contacts", "lead_changes", "messages", "suppressions", "run_contacts")


def same_account(table: str, column: str, target: str, on_delete: str) -> migrations.RunSQL:
    name = f"{table}_{column}_same_account"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ADD CONSTRAINT {name}
            FOREIGN KEY (account_id, {column}) REFERENCES {target} (account_id, id) ON DELETE {on_delete};
        """,
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )


# Source contacts are written by the thousand, and a foreign key looks up every row of them by itself: a sixth of an
# import went there. These triggers look once a statement. Between the look and the commit a lead cannot vanish: whoever
# deletes leads takes the lock that syncs of the account write under (leads/store.py), and accounts and connections are
# locked against deletion as a foreign key would lock them.
REFERENCES = migrations.RunSQL(
    """
    CREATE FUNCTION leadloom_check_source_contacts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM FROM crm_connections c
        WHERE (c.account_id, c.id) IN (SELECT DISTINCT w.account_id, w.connection_id FROM written w) FOR KEY SHARE;
        IF EXISTS (
            SELECT FROM (SELECT DISTINCT w.account_id, w.connection_id FROM written w) w
            WHERE NOT EXISTS (
                SELECT FROM crm_connections c WHERE c.account_id = w.account_id AND c.id = w.connection_id)
        ) THEN
            RAISE foreign_key_violation USING MESSAGE = 'source_contacts_connection_same_account',
                CONSTRAINT = 'source_contacts_connection_same_account';
        END IF;
        IF EXISTS (
            SELECT FROM written w
            WHERE w.lead_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM leads l WHERE l.account_id = w.account_id AND l.id = w.lead_id OFFSET 0)
        ) THEN
            RAISE foreign_key_violation USING MESSAGE = 'source_contacts_lead_same_account',
                CONSTRAINT = 'source_contacts_lead_same_account';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER inserted_in_same_account AFTER INSERT ON source_contacts
        REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION leadloom_check_source_contacts();
    CREATE TRIGGER updated_in_same_account AFTER UPDATE ON source_contacts
        REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION leadloom_check_source_contacts();

    CREATE FUNCTION leadloom_connection_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM source_contacts WHERE account_id = OLD.account_id AND connection_id = OLD.id;
        RETURN NULL;
    END $$;
    CREATE TRIGGER takes_its_source_contacts AFTER DELETE ON crm_connections
        FOR EACH ROW EXECUTE FUNCTION leadloom_connection_deleted();

    CREATE FUNCTION leadloom_lead_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE source_contacts SET lead_id = NULL WHERE account_id = OLD.account_id AND lead_id = OLD.id;
        RETURN NULL;
    END $$;
    CREATE TRIGGER leaves_its_source_contacts AFTER DELETE ON leads
        FOR EACH ROW EXECUTE FUNCTION leadloom_lead_deleted();

    CREATE FUNCTION leadloom_check_leads() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM FROM accounts WHERE id = leadloom_account() FOR KEY SHARE;
        IF NOT FOUND AND leadloom_account() IS NOT NULL THEN
            RAISE foreign_key_violation USING MESSAGE = 'leads_of_an_account', CONSTRAINT = 'leads_of_an_account';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER of_an_account AFTER INSERT ON leads FOR EACH STATEMENT EXECUTE FUNCTION leadloom_check_leads();

    CREATE FUNCTION leadloom_account_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM leads WHERE account_id = OLD.id) THEN
            RAISE foreign_key_violation USING MESSAGE = 'leads_of_an_account', CONSTRAINT = 'leads_of_an_account';
        END IF;
        RETURN OLD;
    END $$;
    CREATE TRIGGER has_no_leads BEFORE DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION leadloom_account_deleted();
    """,
    """
    DROP TRIGGER has_no_leads ON accounts; DROP TRIGGER of_an_account ON leads;
    DROP TRIGGER leaves_its_source_contacts ON leads; DROP TRIGGER takes_its_source_contacts ON crm_connections;
    DROP TRIGGER inserted_in_same_account ON source_contacts; DROP TRIGGER updated_in_same_account ON source_contacts;
    DROP FUNCTION leadloom_account_deleted(); DROP FUNCTION leadloom_check_leads(); DROP FUNCTION leadloom_lead_deleted();
    DROP FUNCTION leadloom_connection_deleted(); DROP FUNCTION leadloom_check_source_contacts();
    """,
)


# The planner's picture of a table that grew from nothing a moment ago is of an empty table. The application may
# not ANALYZE what it does not own, except through this door.
ANALYZE = migrations.RunSQL(
    """
    CREATE FUNCTION leadloom_analyze_leads() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS
        $$ BEGIN
            ANALYZE leads (account_id, id, phone, email, activity_at, archived_at);
            ANALYZE source_contacts (account_id, connection_id, external_id, lead_id, last_run_id, outcome, gone_at);
        END $$;
    """,
    "DROP FUNCTION leadloom_analyze_leads();",
)


class Migration(migrations.Migration):
    dependencies = [("leads", "0001_initial"), ("connections", "0002_walls"), ("accounts", "0002_walls")]

    operations = [
        *[protect(table) for table in TABLES],
        REFERENCES,
        same_account("lead_changes", "lead_id", "leads", "CASCADE"),
        same_account("messages", "lead_id", "leads", "CASCADE"),
        ANALYZE,
    ]
