"""What an operator does from the command line. They act on the server itself, so no sign-in is asked.

Finds accounts and connections across all accounts in the system scope, which only reads ids and names of accounts;
everything else happens inside the account's own scope, through the same services as the pages.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from leadloom.accounts.models import Account, Member, Role
from leadloom.accounts.scope import account_scope, system_scope
from leadloom.connections import services
from leadloom.connections.models import Connection, Run, Strategy, Trigger
from leadloom.site.complaint import Complaint
from leadloom.site.health import workers_alive


class Unknown(Complaint):
    """There is no such thing, or more than one. The message says which there are."""


def find_account(name_or_id: str) -> Account:
    """By id or by name; by neither if there is but one. Raises Unknown."""
    with system_scope():
        accounts = list(Account.objects.order_by("pk"))
    chosen = [one for one in accounts if not name_or_id or name_or_id in (str(one.pk), one.name)]
    if len(chosen) == 1:
        return chosen[0]
    if not accounts:
        raise Unknown("There is no account yet. Start Leadloom and open the address it prints.")
    known = ", ".join(f"{one.pk} ({one.name})" for one in accounts[:20])
    raise Unknown(f"Say which account with --account, by name or id. There are: {known}.")


def find_connection(connection_id: int) -> Connection:
    """Raises Unknown."""
    with system_scope():
        found = Connection.objects.filter(pk=connection_id).first()
    if found is None:
        raise Unknown(f"There is no connection {connection_id}. See: leadloom connections")
    if not found.is_active:
        raise Unknown(f"Connection {connection_id} is disconnected. Connect the CRM again to read it.")
    return found


def connect(
    *, account: Account, provider: str, token: str, base_url: str, typed: Mapping[str, str]
) -> tuple[Connection, Run]:
    """As its owner. Raises what the CRM says of the token."""
    with account_scope(account.pk):
        owner = Member.objects.filter(account=account, role=Role.OWNER).order_by("pk").first()
        return services.connect_with_token(
            account=account, member=owner, provider=provider, token=token, typed=typed, base_url=base_url
        )


def sync(connection: Connection, *, strategy: Strategy, wait_s: float) -> Run:
    """Start a run, or join the one under way, and wait for its end. Without a worker the work is done here."""
    from leadloom.sync.wait import wait_for
    from leadloom.sync.work import work_on

    with account_scope(connection.account_id):
        run, _ = services.request_run(connection=connection, trigger=Trigger.MANUAL, strategy=strategy)
    if not wait_s:
        return run
    if not workers_alive():
        return work_on(run.pk, run.account_id, budget=timedelta(seconds=wait_s))
    return wait_for(run.pk, run.account_id, wait_s)


def connections() -> list[dict[str, Any]]:
    with system_scope():
        names = dict(Account.objects.values_list("pk", "name"))
        found = list(Connection.objects.order_by("account_id", "pk"))
    return [
        {
            "id": one.pk,
            "account": one.account_id,
            "account_name": names.get(one.account_id, ""),
            "provider": one.provider,
            "crm_account": one.external_account_name or one.external_account_id,
            "method": one.method,
            "state": one.state,
            "reason": one.reason,
            "last_synced_at": _iso(one.last_synced_at),
            "next_due_at": _iso(one.next_due_at),
        }
        for one in found
    ]


def runs(*, connection_id: int | None, most: int) -> list[dict[str, Any]]:
    """The newest first."""
    with system_scope():
        found = Run.objects.order_by("-pk")
        if connection_id is not None:
            found = found.filter(connection_id=connection_id)
        return [describe(run) for run in found[:most]]


def describe(run: Run) -> dict[str, Any]:
    return {
        "id": run.pk,
        "account": run.account_id,
        "connection": run.connection_id,
        "trigger": run.trigger,
        "strategy": run.strategy,
        "state": run.state,
        **run.counters,
        "requests": run.requests,
        "created_at": _iso(run.created_at),
        "finished_at": _iso(run.finished_at),
        "resume_at": _iso(run.resume_at),
        "error_code": run.error_code,
        "error": run.error,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
