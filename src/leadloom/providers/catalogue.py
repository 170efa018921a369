"""Which CRMs there are: every module in ``crms/`` that exposes ``provider``. Adding one is adding a file."""

import pkgutil
from functools import cache
from importlib import import_module

from leadloom.providers import crms
from leadloom.providers.base import Provider


class UnknownProvider(LookupError):
    """No CRM has this slug. The message lists those that have one."""


@cache
def all_providers() -> tuple[Provider, ...]:
    """Every provider, by name."""
    modules = (import_module(f"{crms.__name__}.{found.name}") for found in pkgutil.iter_modules(crms.__path__))
    return tuple(sorted((module.provider for module in modules), key=lambda provider: provider.name))


def provider(slug: str) -> Provider:
    """The provider with this slug. Raises UnknownProvider."""
    for found in all_providers():
        if found.slug == slug:
            return found
    known = ", ".join(found.slug for found in all_providers())
    raise UnknownProvider(f"There is no CRM called {slug!r}. Known: {known}.")
