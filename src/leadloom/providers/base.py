"""What a provider promises the engine.

A provider does no I/O. It answers pure questions: what to ask next, what a reply says, what a record means.
The engine asks, sends, reads and saves. Cursors are plain JSON, so a pass can stop anywhere and go on anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from leadloom.contact import JSON, Contact
from leadloom.errors import LeadloomError

type Cursor = dict[str, JSON]
"""Where in a pass we are: plain JSON. Equal cursors ask equal requests; no pass may use one twice."""

type Record = dict[str, Any]
"""One decoded vendor record, untrusted: any field may be missing, null or of the wrong type."""

type Tables = Mapping[str, Mapping[str, JSON]]
"""Lookup tables by name, then by the vendor's id: ``tables["owners"]["77"] == {"name": …, "email": …}``."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, relative to the provider's base URL. The engine adds the host and the authorization."""

    method: Literal["GET", "POST"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: JSON = None
    pool: str = "api"
    """Which of the provider's limits this request counts against: a key of ``Provider.limits``."""
    accept: tuple[int, ...] = ()
    """Statuses outside 2xx that are an answer, not an error: 404 when asking whether a contact is still there."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of this question beside the credential's, such as ``if-modified-since``."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Limit:
    """A published limit: ``requests`` per ``per``."""

    requests: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Gone:
    """A contact the CRM says is deleted or archived."""

    external_id: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Contact ``loser`` no longer exists; reading it answers ``winner``."""

    loser: str
    winner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one reply says."""

    records: Sequence[Record] = ()
    gone: Sequence[Gone] = ()
    merged: Sequence[Merge] = ()
    next: Cursor | None = None
    """Where to go on, or None when the pass is complete."""
    bookmark: str | None = None
    """Where the next pass starts; only on the last page of a pass."""
    total: int | None = None
    """How many contacts the vendor says there are in this pass, if it says so: for the progress bar only."""
    rest: Iterator["Page"] | None = field(default=None, compare=False)
    """Further pages of the same reply, when it is a file of more contacts than memory should hold as records. Each says
    where to go on like any other page: a pass that stops in between asks for the file again, and reads on in it."""


class Feed(Protocol):
    """One way through a CRM's contacts: all of them, or those changed since a bookmark."""

    def first(self, *, bookmark: str | None, now: datetime) -> Cursor:
        """The first cursor of a pass. ``now`` is the vendor's clock when the pass starts."""

    def request(self, cursor: Cursor) -> Request:
        """The request this cursor stands for. Equal cursors give equal requests."""

    def read(self, cursor: Cursor, reply: Reply) -> Page:
        """Read a successful or accepted reply. Raises Unreadable when it is not what the vendor documents, NotReady
        when the vendor is still preparing what this cursor asks for: it is asked again."""


@runtime_checkable
class SideBySide(Feed, Protocol):
    """A feed that can be read in several places at once, so that the vendor's limit sets the pace, not its latency.

    Each place is a *lane* with a cursor of its own, asked by ``request`` and read by ``read``. ``join`` makes a lane's
    page a page of the pass. Pages are joined in the order in which they come, whatever that is. The feed is a plain
    feed as well: asked with the cursor of the pass it goes on in the first lane.
    """

    def lanes(self, cursor: Cursor) -> Mapping[str, Cursor]:
        """The lanes that can be asked where the pass stands, and where each of them stands. A name that is still being
        asked for is the same lane; a new lane has a new name. Empty only when the pass is complete."""

    def join(self, cursor: Cursor, lane: str, page: Page) -> Page:
        """The page with ``next`` for the whole pass: where it stands once this page is saved too. ``cursor`` is where
        the pass stands by now; the lane may have been closed, or moved its end, since it was asked."""

    def more(self, cursor: Cursor) -> Cursor | None:
        """Where the pass stands with one more lane, or None when there is too little left for one. Asked for while the
        engine waits for the vendor and could be reading."""


@dataclass(frozen=True, slots=True)
class TablePage:
    """Some rows of a lookup table, and where it goes on."""

    rows: Mapping[str, JSON]
    next: Cursor | None = None


OWN_FIELDS = "fields"
"""The table of the fields that a customer has added to contacts, by the name under which a record holds them:
``tables["fields"]["cf_7"] == {"label": "Shirt size", "type": "enum"}``, the type in the vendor's word."""


class TableFeed(Protocol):
    """A small table of names, such as owners or stage labels."""

    @property
    def name(self) -> str: ...

    def first(self) -> Cursor: ...

    def request(self, cursor: Cursor) -> Request: ...

    def read(self, cursor: Cursor, reply: Reply) -> TablePage: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CrmAccount:
    """The portal, org or company that a credential opens."""

    external_id: str
    name: str = ""
    facts: Mapping[str, JSON] = field(default_factory=dict)
    """What mapping needs later: UI domain, time zone, default region. Plain JSON, no secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Something a customer types beside a token, because the token does not tell it: a location's id, a host."""

    name: str
    """Under which the answer is found in the account's facts."""
    label: str
    placeholder: str
    where: str
    """One sentence: where in the CRM to find it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHelp:
    """What the connect dialog says about a private token or API key."""

    label: str
    placeholder: str
    where: str
    """One sentence: where in the CRM to find it."""
    scopes: tuple[str, ...] = ()
    asks: tuple[Asked, ...] = ()


class Provider(Protocol):
    """One CRM. A file in ``providers/crms`` exposes one instance of this as ``provider``."""

    @property
    def slug(self) -> str:
        """``hubspot``: used in URLs, settings and rows. Never changes."""

    @property
    def name(self) -> str:
        """``HubSpot``."""

    @property
    def base_url(self) -> str:
        """The vendor's usual host. No slash at the end."""

    @property
    def told_by_sign_in(self) -> Sequence[str]:
        """The entries of Nango's ``connection_config`` that ``host`` and ``for_account`` need: kept as facts."""

    def host(self, facts: Mapping[str, JSON]) -> str:
        """The base URL for one customer, by what the sign-in told and the account's facts: its instance, domain or
        data centre; ``base_url`` when they tell nothing. Raises ValueError for a host that is not the vendor's own:
        facts may have been typed by a customer."""

    @property
    def limits(self) -> Mapping[str, Limit]:
        """Published limits by pool; ``api`` always exists."""

    @property
    def token_help(self) -> TokenHelp | None:
        """What to say about pasting a token, or None when only OAuth works."""

    @property
    def nango_key(self) -> str:
        """The provider's usual key at Nango."""

    def authorization(self, token: str) -> Mapping[str, str]:
        """The headers that carry a credential."""

    def account_request(self) -> Request:
        """A cheap request that proves a credential and tells whose account it opens."""

    def read_account(self, reply: Reply) -> CrmAccount: ...

    def for_account(self, account: CrmAccount) -> "Provider":
        """This CRM as one customer set it up, by the account's facts. Raises ValueError for facts it cannot obey.
        Before the account is known its id is empty, and the facts are what the sign-in told or the customer typed."""

    def everything(self, *, exact: bool = False) -> Feed:
        """All contacts, newest first. ``exact``: each of them, without relying on the changes read afterwards for those
        that a lagging index lacks; for a pass that archives whom it does not meet."""

    def changes(self) -> Feed:
        """Contacts changed since a bookmark."""

    def gone(self) -> Feed | None:
        """Contacts deleted or archived, when the vendor lists them apart from changes."""

    def tables(self) -> Sequence[TableFeed]:
        """Small tables worth reading whole: owners, labels, the customer's own fields (``OWN_FIELDS``)."""

    def missing(self, records: Sequence[Record], tables: Tables) -> Sequence[TableFeed]:
        """Rows that these records refer to and ``tables`` lack, such as names of associated companies."""

    def contact(self, record: Record, *, tables: Tables, account: CrmAccount, region: str) -> Contact:
        """Map one record. ``region`` (``US``) reads numbers without a country code. Raises RecordRejected."""

    def explain(self, reply: Reply, *, now: datetime) -> LeadloomError:
        """Name the error of a reply whose status is not 2xx, with a sentence for the customer."""

    def allowance(self, reply: Reply) -> Limit | None:
        """The limit a reply's own headers announce for pool ``api``, if any."""

    def remaining(self, reply: Reply) -> int | None:
        """How many requests the vendor says are left in the current interval, if it says so."""


@runtime_checkable
class Counting(Protocol):
    """A provider whose CRM tells how many contacts it has. Optional: for one that does not, nobody is counted."""

    def count(self) -> Sequence[Request]:
        """One or two cheap requests whose numbers add up to the contacts that ``everything`` reads: those deleted,
        merged away or converted are not among them."""

    def read_count(self, reply: Reply) -> int | None:
        """The number in one reply. None when it proves nothing, such as one at which the CRM stops counting. Raises
        Unreadable when there is none."""
