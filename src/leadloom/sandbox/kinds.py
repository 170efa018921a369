"""Which CRMs can be simulated: every package here that exposes ``KIND``. Adding one is adding a folder."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from leadloom.sandbox.nango import Provider
from leadloom.sandbox.server import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind[D: Dialect]:
    """One simulated CRM: how it is made, and what opens it from the start."""

    make: Callable[..., D]
    """``make(contacts=, seed=, limits=, now_ms=, remembers=)``; see ``Sandbox`` for what they mean."""
    grants: Callable[[D], Provider]
    """Its sign-in, as Nango uses it. Asked anew after every reset."""
    token: str
    """A credential that works without signing in."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What a customer types beside the credential, where the CRM needs it: ``TokenHelp.asks``."""
    allowed_per_s: Mapping[str, float]
    """Requests a second that it allows with ``limits="real"``, by pool: ``api`` and whatever else it counts apart."""
    pool_of: Callable[[str], str] = lambda _path: "api"
    """Which pool a request counts against, by method and path as the statistics have them."""
    company: str = "company"
    """The property that holds a contact's company, for whoever changes contacts of any CRM."""
    client_id: str
    client_secret: str
    refresh_token: str


def names() -> list[str]:
    """``["hubspot", …]``."""
    here = __name__.rpartition(".")[0]
    packages = (found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)]) if found.ispkg)
    return sorted(name for name in packages if name != "nango" and find_spec(f"{here}.{name}.kind"))


def kind(crm: str) -> Kind[Any]:
    """Raises ValueError, with the names there are, when there is no such simulation."""
    if crm not in names():
        raise ValueError(f"There is no simulated {crm}. There is: {', '.join(names())}.")
    module = import_module(f"{__name__.rpartition('.')[0]}.{crm}.kind")
    found: Kind[Any] = module.KIND
    return found
