"""Which host a connection's requests go to. Customers never choose it; the operator may, by setting or command line."""

from leadloom.connections.models import Connection
from leadloom.providers.base import Provider
from leadloom.site import env


def operator_base_url(provider: Provider) -> str:
    """``CRM_HUBSPOT_BASE_URL``, for proxies and tests, or the vendor's own host."""
    return env.text(f"CRM_{provider.slug.upper()}_BASE_URL") or provider.base_url


def base_url_of(connection: Connection, provider: Provider) -> str:
    return connection.base_url or operator_base_url(provider)
