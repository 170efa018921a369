"""One simulated portal: its contacts, credentials and limits, handed to every handler."""

from leadloom.sandbox.clock import Clock
from leadloom.sandbox.http import Routes
from leadloom.sandbox.hubspot.limits import Bucket, Limits
from leadloom.sandbox.hubspot.records import Renderer
from leadloom.sandbox.hubspot.store import Store
from leadloom.sandbox.hubspot.tokens import Tokens
from leadloom.sandbox.people import Population

DEFAULT_LAG_S = 5.0  # "a few moments"; advice seen is 10 s after a create and 60 s after an update


class Hub:
    """Starts the same for the same arguments."""

    def __init__(self, *, contacts: int, seed: int, limits: str, clock: Clock, remembers: bool = False) -> None:
        self.clock = clock
        self.population = Population(count=contacts, seed=seed, now_ms=clock.start_ms)
        self.store = Store(self.population, clock)
        self.store.index_lag_s = 0.0 if limits == "none" else DEFAULT_LAG_S
        self.renderer = Renderer(self.population, self.store.ids)
        self.tokens = Tokens(clock)
        self.limits = Limits(clock, limits)
        self.remembers = remembers
        self.pages: dict[tuple[int, str, bytes], bytes] = {}
        """Lists given out before, if it remembers: a benchmark measures who reads, not who writes the page."""


class Gate:
    """What a route asks for before it is called: any one of these scopes, and room in this bucket."""

    def __init__(self, bucket: Bucket, *scopes: str) -> None:
        self.bucket: Bucket = bucket
        self.scopes = scopes


OPEN = Gate("open")
ROUTES: Routes[Hub, Gate] = Routes()

DATED = r"20\d\d-0[39]"
CONTACTS = rf"/crm/(?:v3/objects|objects/{DATED})/(?:contacts|contact|0-1)"
COMPANIES = rf"/crm/(?:v3/objects|objects/{DATED})/(?:companies|company|0-2)"
READ_CONTACTS = Gate("core", "crm.objects.contacts.read")
WRITE_CONTACTS = Gate("core", "crm.objects.contacts.write")
READ_COMPANIES = Gate("core", "crm.objects.companies.read")
