"""Which host a connection's requests go to. The vendor's own, by what is known of the account; the operator may say
another, by setting or command line. Customers never choose it: what they type passes the provider's check, and should
a provider check badly, what comes out must still be a name of the public web under https."""

import re
from collections.abc import Mapping

from leadloom.connections.models import Connection
from leadloom.contact import JSON
from leadloom.errors import BadRequest
from leadloom.providers.base import Provider
from leadloom.site import env

# A name under a top-level domain: no number in any spelling, no port, no name and password before it.
WEB_NAME = re.compile(r"https://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+([a-z]{2,63})(?:/[\w./-]*)?", re.IGNORECASE)
# Top-level names that lead inward: RFC 6761, RFC 6762, ICANN's choice for private use, and what routers hand out.
INNER = frozenset({"internal", "local", "localhost", "localdomain", "lan", "intranet", "arpa"})


def host_of(provider: Provider, facts: Mapping[str, JSON]) -> str:
    """``CRM_HUBSPOT_BASE_URL``, for proxies and tests, or the vendor's host for this account. Raises BadRequest."""
    said = env.text(f"CRM_{provider.slug.upper()}_BASE_URL")
    if said:
        return said
    try:
        address = provider.host(facts)
    except ValueError as error:
        raise BadRequest(f"This is no address of {provider.name}: {error}") from error
    name = WEB_NAME.fullmatch(address)
    if name is None or name[1].lower() in INNER:
        raise BadRequest(f"This is no address of {provider.name}: it is not a name of the public web")
    return address


def base_url_of(connection: Connection, provider: Provider) -> str:
    return connection.base_url or host_of(provider, connection.facts)
