"""Whose CRM account a credential opens: one request, asked before anything of that account is saved or read."""

from collections.abc import Callable

from leadloom.providers.base import CrmAccount, Provider
from leadloom.sync.client import CrmClient
from leadloom.sync.hosts import operator_base_url


def account_behind(crm: Provider, token: Callable[[bool], str], *, base_url: str = "") -> CrmAccount:
    """The portal, org or company. Raises the LeadloomError that says why the credential does not open one.

    ``token(force)`` gives the credential; ``force`` asks for another because the CRM refused it, or raises.
    """
    client = CrmClient(crm, base_url=base_url or operator_base_url(crm), token=token)
    return crm.read_account(client.send(crm.account_request()))
