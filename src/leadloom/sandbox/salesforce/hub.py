"""One simulated organisation: its records, credentials and limits, handed to every handler."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Routes
from leadloom.sandbox.people import Population
from leadloom.sandbox.salesforce.bulk_jobs import Jobs
from leadloom.sandbox.salesforce.catalogue import FIELDS, OPTIONAL, Field
from leadloom.sandbox.salesforce.limits import Limits
from leadloom.sandbox.salesforce.locators import Locators
from leadloom.sandbox.salesforce.store import Store
from leadloom.sandbox.salesforce.tokens import Tokens
from leadloom.sandbox.salesforce.weather import Weather

if TYPE_CHECKING:
    from leadloom.sandbox.salesforce.columns import Column
    from leadloom.sandbox.salesforce.telling import Plan


class Hub:
    """Starts the same for the same arguments."""

    def __init__(self, *, contacts: int, seed: int, limits: str, clock: Clock, remembers: bool = False) -> None:
        self.clock = clock
        self.population = Population(count=contacts, seed=seed, now_ms=clock.start_ms)
        self.store = Store(self.population, clock)
        self.tokens = Tokens(clock)
        self.limits = Limits(clock, limits)
        self.locators: Locators[Plan] = Locators(clock)
        self.jobs: Jobs[Column] = Jobs(clock)
        self.weather = Weather()
        self.hidden: dict[str, set[str]] = {kind: set(names) for kind, names in OPTIONAL.items()}
        """Fields that the user of the token may not see."""
        self.hidden_objects: set[str] = set()
        self.is_api_enabled = True
        self.changed_ms = clock.start_ms
        """When what there is was last defined otherwise."""
        self.remembers = remembers
        self.pages: dict[tuple[int, str], bytes] = {}
        """Pages given out before, if it remembers: a benchmark measures who reads, not who writes the page."""

    def fields(self, kind: str) -> dict[str, Field]:
        """By lower-case name, without the hidden ones."""
        hidden = self.hidden.get(kind, ())
        return {one.name.lower(): one for one in FIELDS[kind] if one.name not in hidden}


@dataclass(frozen=True, slots=True)
class Gate:
    """What a route asks for before it is called."""

    scope: str = "api"
    is_open: bool = False
    """No token, and not counted: the sign-in itself, and the list of versions."""
    is_counted: bool = True


OPEN = Gate(is_open=True)
READ = Gate()
IDENTITY = Gate("id", is_counted=False)
ROUTES: Routes[Hub, Gate] = Routes()
VERSION = r"/services/data/v(\d\d\.0)"
OLDEST, LATEST = 31, 66
