"""Putting a simulated CRM together and serving it until it is told to stop."""

from leadloom.sandbox.kinds import kind
from leadloom.sandbox.nango import PREFIX, Nango
from leadloom.sandbox.nango.environment import Environment
from leadloom.sandbox.server import Shell, listen, make_server


def make_app(
    crm: str,
    *,
    contacts: int,
    latency_ms: float,
    limits: str,
    seed: int,
    now_ms: int | None,
    remembers: bool = False,
) -> Shell:
    """Raises ValueError when there is no simulation of this CRM."""
    simulated = kind(crm)
    dialect = simulated.make(contacts=contacts, seed=seed, limits=limits, now_ms=now_ms, remembers=remembers)
    nango = Nango(lambda: Environment(simulated.grants(dialect), dialect.clock))
    return Shell(dialect, latency_ms=latency_ms, seed=seed, sides={PREFIX: nango})


def serve(
    crm: str = "hubspot",
    *,
    port: int = 8040,
    contacts: int = 500,
    latency_ms: float = 0,
    limits: str = "real",
    seed: int = 1,
    now_ms: int | None = None,
) -> None:
    """Serves on 127.0.0.1 until interrupted."""
    app = make_app(crm, contacts=contacts, latency_ms=latency_ms, limits=limits, seed=seed, now_ms=now_ms)
    make_server(app).run([listen(port)])
