"""One simulated company: its people, credentials and limits, handed to every handler."""

from dataclasses import dataclass, field

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Routes
from leadloom.sandbox.people import Population
from leadloom.sandbox.pipedrive.limits import Limits
from leadloom.sandbox.pipedrive.store import Store
from leadloom.sandbox.pipedrive.tokens import Tokens


@dataclass(slots=True)
class Manners:
    """What differs from one company to the next, or is not known of the vendor."""

    has_campaigns: bool = True
    """Only then are ``marketing_status`` and ``doi_status`` told."""
    has_contact_sync: bool = True
    """Only then are the address, notes, birthday and job title told."""
    lists_deleted: bool = False
    """Whether ``ids`` and ``updated_since`` also find deleted persons: unconfirmed."""
    hides_deleted_data: bool = False
    """Whether recents tell of a deleted person by ``data: null``: unconfirmed."""
    is_unpaid: bool = False


class Hub:
    """Starts the same for the same arguments."""

    def __init__(self, *, contacts: int, seed: int, limits: str, clock: Clock, remembers: bool = False) -> None:
        self.clock = clock
        self.population = Population(count=contacts, seed=seed, now_ms=clock.start_ms)
        self.store = Store(self.population, clock)
        self.tokens = Tokens(clock)
        self.limits = Limits(clock, limits)
        self.manners = Manners()
        self.remembers = remembers
        self.pages: dict[tuple[int, int, int, str], bytes] = {}
        """Lists given out before, if it remembers: a benchmark measures who reads, not who writes the page."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a route asks for before it is called: any one of these scopes, and so many tokens of the day."""

    scopes: tuple[str, ...] = field(default=())
    cost: int = 0
    is_open: bool = False


OPEN = Gate(is_open=True)
ROUTES: Routes[Hub, Gate] = Routes()
V1 = r"(?:/api)?/v1"
V2 = r"/api/v2"
CONTACTS = ("contacts:read", "contacts:full")
DEALS = ("deals:read", "deals:full")
USERS = ("users:read",)
# https://developers.pipedrive.com/docs/api/v1: what a call costs depends on what it does and on the version.
ONE, LIST, SHORT_LIST, WRITE, DELETE = 1, 10, 5, 5, 3
V1_ONE, V1_LIST, V1_MERGE = 2, 20, 40
