from django.db import migrations


class Migration(migrations.Migration):
    """Many runs with one statement. Each is written in the scope of its own account, so the walls stand."""

    dependencies = [("sync", "0001_initial"), ("connections", "0002_walls")]

    operations = [
        migrations.RunSQL(
            """
            CREATE FUNCTION leadloom_start_runs(accounts bigint[], connections bigint[], kind text)
            RETURNS TABLE (of_account bigint, of_connection bigint, run bigint, is_joined boolean)
            LANGUAGE plpgsql AS $$
            DECLARE
                scope_before text := coalesce(current_setting('leadloom.account_id', true), '');
            BEGIN
                FOR i IN 1 .. coalesce(array_length(connections, 1), 0) LOOP
                    of_account := accounts[i];
                    of_connection := connections[i];
                    PERFORM set_config('leadloom.account_id', of_account::text, true);
                    INSERT INTO sync_runs (
                        account_id, connection_id, trigger, strategy, state, is_first, feed, seen, created, updated,
                        unchanged, linked, skipped, failed, gone, pages, requests, waited_s, retries, error_code,
                        error, error_detail
                    )
                    SELECT c.account_id, c.id, kind, 'append', 'queued', c.bookmark IS NULL, '', 0, 0, 0,
                        0, 0, 0, 0, 0, 0, 0, 0, 0, '',
                        '', ''
                    FROM crm_connections c
                    WHERE c.account_id = of_account AND c.id = of_connection AND c.is_active AND c.state <> 'paused'
                    ON CONFLICT (connection_id) WHERE state IN ('queued', 'running', 'waiting') DO NOTHING
                    RETURNING id INTO run;
                    is_joined := run IS NULL;
                    IF is_joined THEN
                        SELECT r.id INTO run FROM sync_runs r
                        WHERE r.account_id = of_account AND r.connection_id = of_connection
                          AND r.state IN ('queued', 'running', 'waiting');
                    END IF;
                    RETURN NEXT;
                END LOOP;
                PERFORM set_config('leadloom.account_id', scope_before, true);
            END $$;
            """,
            "DROP FUNCTION leadloom_start_runs(bigint[], bigint[], text);",
        )
    ]
