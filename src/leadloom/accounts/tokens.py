"""Secrets that people copy once: API tokens and invitation links. Only their SHA-256 is ever stored.

They are 256 random bits, so a plain hash is enough: nothing can be guessed. Passwords are Django's business.
"""

import hashlib
import secrets
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from leadloom.accounts.models import Account, ApiToken, Member, Scope
from leadloom.accounts.scope import account_scope, key_scope
from leadloom.accounts.services import audit

PREFIX = "ll_"  # lets people and secret scanners recognise one of ours
SHOWN = 9  # characters of a token that stay readable in the list
USE_NOTED_EVERY = timedelta(minutes=1)  # a busy program must not turn every read into a write


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def issue_token(*, account: Account, member: Member, name: str, scope: Scope = Scope.FULL) -> tuple[ApiToken, str]:
    """A new token and its secret, which cannot be shown again. Called inside the account's scope."""
    secret = PREFIX + new_secret()
    token = ApiToken.objects.create(
        account=account,
        created_by=member,
        name=name.strip(),
        prefix=secret[:SHOWN],
        token_hash=hash_secret(secret),
        scope=scope,
    )
    audit(account, member.user, "token.issued", f"token {token.pk} to {scope}")
    return token, secret


def find_token(secret: str) -> ApiToken | None:
    """The living token with this secret. Needs no scope and opens none: the caller does, with its account."""
    if not secret.startswith(PREFIX):
        return None
    key_hash = hash_secret(secret)
    with key_scope(key_hash):
        return ApiToken.objects.filter(token_hash=key_hash, revoked_at=None).first()


def note_use(token: ApiToken) -> None:
    """Remember when the token was last used, to the minute."""
    now = timezone.now()
    if token.last_used_at and token.last_used_at > now - USE_NOTED_EVERY:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    with account_scope(token.account_id):
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def revoke_token(token: ApiToken, *, member: Member) -> None:
    """Ends it at once; the row stays for the record. Called inside the account's scope."""
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit(member.account, member.user, "token.revoked", f"token {token.pk}")
