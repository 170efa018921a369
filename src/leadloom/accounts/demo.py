"""The demo's own person and account, signed in by a key that ``leadloom demo`` makes for one run."""

import hmac

from django.conf import settings
from django.db import connection, transaction

from leadloom.accounts.models import Member, User
from leadloom.accounts.scope import user_scope
from leadloom.accounts.services import open_account_for

DEMO_EMAIL = "demo@leadloom.example"
DEMO_LOCK = 45  # advisory: two demo requests at once must not make two accounts


def is_demo_key(key: str) -> bool:
    """False always where no demo runs."""
    return bool(settings.DEMO_KEY) and hmac.compare_digest(key.encode(), settings.DEMO_KEY.encode())


def ensure_demo_member() -> Member:
    """The demo's owner, made on first use. Has no password: the key is the only way in."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [DEMO_LOCK])
        user = User.objects.filter(email=DEMO_EMAIL).first()
        if user is None:
            user = User.objects.create_user(DEMO_EMAIL, None, name="Dana Demo")
        with user_scope(user.pk):
            member = Member.objects.select_related("account", "user").filter(user_id=user.pk).first()
        return member or open_account_for(user, name="Demo")
