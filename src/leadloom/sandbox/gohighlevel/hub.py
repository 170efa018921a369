"""One simulated location: its contacts, credentials and limits, handed to every handler."""

from dataclasses import dataclass

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.gohighlevel.limits import Limits
from leadloom.sandbox.gohighlevel.store import Store
from leadloom.sandbox.gohighlevel.tokens import Tokens
from leadloom.sandbox.http import Routes
from leadloom.sandbox.people import Population

DEFAULT_LAG_S = 5.0  # "updates may take a few seconds to appear in search results"


class Hub:
    """Starts the same for the same arguments."""

    def __init__(self, *, contacts: int, seed: int, limits: str, clock: Clock, remembers: bool = False) -> None:
        self.clock = clock
        self.population = Population(count=contacts, seed=seed, now_ms=clock.start_ms)
        self.store = Store(self.population, clock)
        self.store.index_lag_s = 0.0 if limits == "none" else DEFAULT_LAG_S
        self.tokens = Tokens(clock)
        self.limits = Limits(clock, limits)
        self.remembers = remembers
        self.pages: dict[tuple[int, bytes], bytes] = {}
        """Pages given out before, if it remembers: a benchmark measures who reads, not who writes the page."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a route asks for before it is called."""

    scope: str = ""
    is_open: bool = False
    """No token, no version, no limit: the sign-in itself."""
    is_v3: bool = True
    """Whether it is still there in v3 of the API."""


OPEN = Gate(is_open=True)
READ_CONTACTS = Gate("contacts.readonly")
WRITE_CONTACTS = Gate("contacts.write")
ROUTES: Routes[Hub, Gate] = Routes()
