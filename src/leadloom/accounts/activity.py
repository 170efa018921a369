"""Reading the audit log: who did what, the newest first, in words. Called inside the account's scope.

The log keeps ids alone; names of members are looked up when it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from leadloom.accounts.models import Account, AuditEntry

PAGE = 50

WORDS = {
    "account.opened": "opened the account",
    "account.changed": "changed the account's settings",
    "connection.absent_kept": "left many absent contacts as they were",
    "connection.absent_marked": "said that many absent contacts have left",
    "connection.connected": "connected a CRM",
    "connection.disconnected": "disconnected a CRM",
    "connection.import_released": "released a first import to AI Texter",
    "connection.paused": "paused a connection",
    "connection.resumed": "resumed a connection",
    "invitation.withdrawn": "withdrew an invitation",
    "lead.added": "added a lead by hand",
    "lead.archived": "archived a lead",
    "lead.erased": "erased a person",
    "lead.opted_in": "allowed texts to a lead again",
    "lead.opted_out": "opted a lead out",
    "lead.restored": "restored a lead",
    "member.invited": "invited somebody",
    "member.joined": "joined the team",
    "member.removed": "removed a member",
    "member.role_changed": "changed a member's role",
    "password.changed": "changed their password",
    "records.exported": "exported a run's contacts",
    "run.overwrite_asked": "asked for an overwrite",
    "run.undone": "undid a run",
    "texter.address_changed": "changed the address of AI Texter",
    "texter.off": "switched AI Texter off",
    "texter.on": "switched AI Texter on",
    "texter.secret_changed": "changed the secret of AI Texter",
    "texter.test_asked": "tested AI Texter",
    "texter.tried_again": "had a lead handed over again",
    "token.issued": "made an API token",
    "token.revoked": "revoked an API token",
    "undo.taken_back": "took back an undo",
}
"""Every action that is noted, as what somebody did."""

PAGES = {"lead": "lead", "run": "run", "undo": "undo", "delivery": "texter-delivery"}
"""Kinds of targets that have a page of their own, by its name."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of the log."""

    entry: AuditEntry

    @property
    def words(self) -> str:
        return WORDS.get(self.entry.action, self.entry.action)

    @property
    def page(self) -> str:
        """The name of the target's page, if it has one."""
        kind, _, rest = self.entry.target.partition(" ")
        return PAGES.get(kind, "") if rest.isdigit() and self.entry.action != "lead.erased" else ""

    @property
    def target_id(self) -> int:
        """Of a target that has a page."""
        return int(self.entry.target.partition(" ")[2])


@dataclass(frozen=True, slots=True)
class ActivityPage:
    deeds: Sequence[Deed]
    next: int | None
    """The entry to go on before."""


def activity(account: Account, *, before: int | None = None, limit: int = PAGE) -> ActivityPage:
    """The newest first."""
    found = AuditEntry.objects.filter(account_id=account.pk).select_related("user")
    if before is not None:
        found = found.filter(pk__lt=before)
    some = list(found.order_by("-pk")[: limit + 1])
    page = some[:limit]
    return ActivityPage([Deed(entry) for entry in page], page[-1].pk if len(some) > limit else None)
