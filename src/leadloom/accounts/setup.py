"""First start: a one-time page makes the first person, for whoever can read what the server prints.

The code comes from the secret key, so that ``leadloom up`` can print it without storing anything. It stops working
when the first user exists, however that user came to be.
"""

import hmac
from urllib.parse import urlencode

from django.db import connection, transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac

from leadloom.accounts.models import Member, User
from leadloom.accounts.services import open_account
from leadloom.errors import LeadloomError

FIRST_USER_LOCK = 44  # advisory; 42 and 43 guard the database's creation and its migrations


class AlreadySetUp(LeadloomError):
    """Somebody was first."""

    code = "already_set_up"


def setup_code() -> str:
    return salted_hmac("leadloom.setup", "first start", algorithm="sha256").hexdigest()[:32]


def setup_path() -> str | None:
    """The address to print at start, without the host; None once somebody exists."""
    if not needs_setup():
        return None
    return f"{reverse('setup')}?{urlencode({'code': setup_code()})}"


def is_setup_code(code: str) -> bool:
    return hmac.compare_digest(code.encode(), setup_code().encode())


def needs_setup() -> bool:
    return not User.objects.exists()


def set_up(*, name: str, email: str, password: str, user_name: str = "") -> Member:
    """The first account and its owner. Of two requests at once one wins; the other raises AlreadySetUp."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FIRST_USER_LOCK])
        if not needs_setup():
            raise AlreadySetUp("Leadloom is set up already. Sign in instead.")
        return open_account(name=name, email=email, password=password, user_name=user_name)
