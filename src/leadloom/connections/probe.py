"""Whose CRM account a credential opens: one request, asked before anything of that account is saved or read."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from leadloom.contact import JSON
from leadloom.errors import BadRequest
from leadloom.providers.base import CrmAccount, Provider
from leadloom.sync.client import CrmClient
from leadloom.sync.hosts import host_of

NOTHING_TOLD: Mapping[str, JSON] = {}


def account_behind(
    crm: Provider, token: Callable[[bool], str], *, told: Mapping[str, JSON] = NOTHING_TOLD, base_url: str = ""
) -> CrmAccount:
    """The portal, org or company, its facts with what was ``told`` among them. Raises the LeadloomError that says why
    the credential does not open one.

    ``token(force)`` gives the credential; ``force`` asks for another because the CRM refused it, or raises.
    ``told``: what the sign-in told beside the token, or the customer typed.
    """
    try:
        theirs = crm.for_account(CrmAccount(external_id="", facts=told))
    except ValueError as error:
        raise BadRequest(f"{crm.name} cannot be connected like this: {error}") from error
    client = CrmClient(theirs, base_url=base_url or host_of(crm, told), token=token)
    found = theirs.read_account(client.send(theirs.account_request()))
    return replace(found, facts={**told, **found.facts})


def told_by(crm: Provider, config: Mapping[str, Any]) -> dict[str, JSON]:
    """What Nango's ``connection_config`` tells this provider; the rest of it is nobody's business."""
    return {name: config[name] for name in crm.told_by_sign_in if isinstance(config.get(name), str)}
