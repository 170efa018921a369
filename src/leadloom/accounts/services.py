"""Opening an account, and the audit log. Members and invitations: members.py. API tokens: tokens.py."""

import secrets

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, connection, transaction

from leadloom.accounts.models import Account, AuditEntry, Member, Role, User
from leadloom.accounts.scope import account_scope
from leadloom.errors import LeadloomError


class EmailTaken(LeadloomError):
    """Somebody signs in with this e-mail already."""

    code = "email_taken"


def open_account(*, name: str, email: str, password: str, user_name: str = "") -> Member:
    """A new account with its first person, who owns it. All of it or nothing; raises EmailTaken."""
    with transaction.atomic():
        user = create_user(email=email, password=password, name=user_name)
        return open_account_for(user, name=name)


def open_account_for(user: User, *, name: str) -> Member:
    """A new account owned by somebody who signs in already."""
    account_id = _next_account_id()
    with account_scope(account_id):
        account = Account.objects.create(id=account_id, name=name.strip())
        member = Member.objects.create(account=account, user=user, role=Role.OWNER)
        audit(account, user, "account.opened")
    return member


def create_user(*, email: str, password: str, name: str = "") -> User:
    """Raises EmailTaken, in any spelling of upper and lower case."""
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, name=name.strip())
    except IntegrityError as error:
        raise EmailTaken("This e-mail address signs in already. Sign in with it instead.") from error


def replace_password(email: str) -> str | None:
    """A fresh random password for somebody who forgot theirs, for the operator's command line. None: nobody has it.

    Ends the person's sessions. There is no web page for this: Leadloom sends no e-mail to prove who asks.
    """
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        return None
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    return password


def audit(account: Account, user: AbstractBaseUser | None, action: str, target: str = "") -> None:
    """Note who did what. ``target`` is a kind and an id such as ``member 7``: no name, address or secret."""
    AuditEntry.objects.create(account=account, user_id=user.pk if user else None, action=action, target=target[:100])


def _next_account_id() -> int:
    """Taken before the row exists: its wall lets nobody insert an account outside that account's scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('accounts', 'id'))")
        return int(cursor.fetchone()[0])
