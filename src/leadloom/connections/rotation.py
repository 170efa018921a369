"""Sealing everything again with the newest key, so that an old one can be taken out of LEADLOOM_SECRET_KEY.

Account by account, each its own transaction: safe to stop and to run again. What no key opens is left as it is and
counted; whoever owns it is asked for it again when it is needed.
"""

from dataclasses import dataclass

import structlog

from leadloom.accounts.models import Account
from leadloom.accounts.scope import account_scope, system_scope
from leadloom.connections.models import Connection
from leadloom.connections.secrets import CannotOpen, is_sealed_with_newest, open_sealed, seal
from leadloom.connections.vault import context_of
from leadloom.texter.models import TexterSettings

log = structlog.get_logger()


@dataclass(slots=True)
class Resealed:
    sealed: int = 0
    """Now under the newest key."""
    current: int = 0
    """Were so already."""
    lost: int = 0
    """Opened by no configured key."""


def reseal_all() -> Resealed:
    """Every stored secret of every account, under the newest key."""
    told = Resealed()
    with system_scope():
        account_ids = list(Account.objects.order_by("pk").values_list("pk", flat=True))
    for account_id in account_ids:
        with account_scope(account_id):
            _reseal_connections(account_id, told)
            _reseal_texter(account_id, told)
    log.info("secrets.resealed", sealed=told.sealed, current=told.current, lost=told.lost)
    return told


def _reseal_connections(account_id: int, told: Resealed) -> None:
    sealed = Connection.objects.select_for_update().filter(account_id=account_id, sealed_credentials__isnull=False)
    for connection in sealed:
        fresh = _reseal(connection.sealed_credentials, context_of(connection), told)
        if fresh:
            connection.sealed_credentials = fresh
            connection.save(update_fields=["sealed_credentials"])


def _reseal_texter(account_id: int, told: Resealed) -> None:
    settings = TexterSettings.objects.select_for_update().filter(account_id=account_id).first()
    if settings is None:
        return
    for name in ("sealed_secret", "sealed_old_secret"):
        fresh = _reseal(getattr(settings, name), settings.seal_context, told)
        if fresh:
            setattr(settings, name, fresh)
            settings.save(update_fields=[name])


def _reseal(sealed: bytes | memoryview | None, context: str, told: Resealed) -> bytes | None:
    if sealed is None:
        return None
    old = bytes(sealed)
    if is_sealed_with_newest(old):
        told.current += 1
        return None
    try:
        fresh = seal(open_sealed(old, context), context)
    except CannotOpen:
        told.lost += 1
        log.warning("secrets.cannot_open", what=context.split(":")[0])
        return None
    told.sealed += 1
    return fresh
