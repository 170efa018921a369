"""One simulated organisation: its people, credentials and limits, handed to every handler."""

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Routes
from leadloom.sandbox.people import Population
from leadloom.sandbox.zoho.exports import Exports
from leadloom.sandbox.zoho.limits import Limits
from leadloom.sandbox.zoho.records import Teller
from leadloom.sandbox.zoho.store import Store
from leadloom.sandbox.zoho.tokens import Tokens

REACH = 100_000  # records that page tokens lead to


class Hub:
    """Starts the same for the same arguments."""

    def __init__(self, *, contacts: int, seed: int, limits: str, clock: Clock, remembers: bool = False) -> None:
        self.clock = clock
        self.population = Population(count=contacts, seed=seed, now_ms=clock.start_ms)
        self.store = Store(self.population, clock)
        self.teller = Teller()
        self.tokens = Tokens(clock)
        self.limits = Limits(clock, limits)
        self.reach = REACH
        self.exports = Exports(lambda: clock.now_ms() / 1000)
        self.remembers = remembers
        self.pages: dict[tuple[int, str, str], bytes] = {}
        """Lists given out before, if it remembers: a benchmark measures who reads, not who writes the page."""


class Gate:
    """What a route asks for before it is called: any one of these scopes, and so many credits."""

    def __init__(self, *scopes: str, credits: int = 1, is_open: bool = False) -> None:
        self.scopes = scopes
        self.credits = credits
        self.is_open = is_open


OPEN = Gate(is_open=True)
ROUTES: Routes[Hub, Gate] = Routes()
API = r"/crm/v8"
EVERY_MODULE = "ZohoCRM.modules.ALL"
READ_PEOPLE = Gate(
    EVERY_MODULE, "ZohoCRM.modules.READ", "ZohoCRM.modules.contacts.READ", "ZohoCRM.modules.leads.READ",
    "ZohoCRM.modules.contacts.ALL", "ZohoCRM.modules.leads.ALL",
)  # fmt: skip
WRITE_PEOPLE = Gate(EVERY_MODULE, "ZohoCRM.modules.contacts.ALL", "ZohoCRM.modules.leads.ALL")
