"""Row-level security for the account tables, and the narrow ways to find one's own way in."""

from django.db import migrations

from leadloom.accounts.rls import FUNCTIONS, let_read, protect

MINE = "id IN (SELECT account_id FROM members WHERE user_id = leadloom_user())"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        FUNCTIONS,
        protect("accounts", column="id"),
        protect("members"),
        protect("invitations"),
        protect("api_tokens"),
        protect("audit_log"),
        let_read("members", name="own_memberships", when="user_id = leadloom_user()"),
        let_read("accounts", name="own_accounts", when=MINE),
        let_read("invitations", name="presented", when="token_hash = leadloom_key()"),
        let_read("api_tokens", name="presented", when="token_hash = leadloom_key()"),
        let_read("accounts", name="system_reads", when="leadloom_is_system()"),
    ]
