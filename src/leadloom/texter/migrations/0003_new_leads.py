from django.db import migrations


class Migration(migrations.Migration):
    """Which accounts have new leads, in one statement; each is looked at in its own scope, so the walls stand."""

    dependencies = [("texter", "0002_walls")]

    operations = [
        migrations.RunSQL(
            """
            CREATE FUNCTION leadloom_accounts_with_new_leads(recent interval) RETURNS SETOF bigint
            LANGUAGE plpgsql AS $$
            DECLARE
                scope_before text := coalesce(current_setting('leadloom.account_id', true), '');
                texter record;
                newest record;
            BEGIN
                FOR texter IN SELECT account_id, collected_to FROM texter_settings WHERE is_on ORDER BY account_id LOOP
                    PERFORM set_config('leadloom.account_id', texter.account_id::text, true);
                    SELECT id, created_at INTO newest FROM leads
                    WHERE account_id = texter.account_id ORDER BY id DESC LIMIT 1;
                    IF newest.id > texter.collected_to OR newest.created_at > clock_timestamp() - recent THEN
                        RETURN NEXT texter.account_id;
                    END IF;
                END LOOP;
                PERFORM set_config('leadloom.account_id', scope_before, true);
            END $$;
            """,
            "DROP FUNCTION leadloom_accounts_with_new_leads(interval);",
        )
    ]
