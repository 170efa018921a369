"""What goes wrong at a CRM: each kind of weather is one thing, done to one reply of ten."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from leadloom.sandbox import Sandbox
from leadloom.sandbox.faults import Kind

SHARE = 0.1
CLOCK_S = 300
LISTS: Mapping[str, tuple[str, ...]] = {
    "hubspot": ("/crm/v3/objects/contacts",),
    "zoho": ("/crm/v8/Contacts", "/crm/v8/Leads"),
    "gohighlevel": ("/contacts/search",),
    "pipedrive": ("/api/v2/persons",),
}
"""Where pages of people are found, for one that comes again. Salesforce's hold 2,000: there is no second one here."""
EVERYTHING: tuple[Kind, ...] = (
    "429",
    "500",
    "502",
    "503",
    "cut_json",
    "invalid_json",
    "html",
    "drop",
    "cut",
    "shuffle",
)


@dataclass(frozen=True, slots=True)
class Weather:
    begin: Callable[[Sandbox, bool], None]
    """Told whether once is enough."""
    clears_when_stopped: bool = False
    """Once a run has noticed and waits or has failed: none can end well as long as it lasts."""
    ends_with_import: bool = False
    """For a CRM that gives out old pages as new ones: of somebody changed since, nothing could tell."""
    most_contacts: int | None = None
    """So many are read one page after the other. Side by side, a page from further on in place of the one asked for
    looks like a stretch without contacts: only counting shows it."""
    only: tuple[str, ...] = ()
    """The CRMs that it meets, if not all."""
    may_fail: bool = False
    """Whether a run may end as failed: a person has to do something."""


def fault(box: Sandbox, is_once: bool, *, kind: Kind, retry_after: int | None = None, seconds: float = 2) -> None:
    if is_once:
        box.fault(kind, times=1, skip=3, retry_after=retry_after, seconds=seconds)
    else:
        box.fault(kind, times=None, probability=SHARE, retry_after=retry_after, seconds=seconds)


def hang(box: Sandbox, is_once: bool) -> None:
    """Longer than we wait for a reply, unless there is no time for that."""
    box.fault("hang", times=1 if is_once else 3, skip=4, seconds=2 if is_once else 35)


def same_page(box: Sandbox, is_once: bool) -> None:
    for path in LISTS[box.crm]:
        box.fault("repeat", times=2 if is_once else None, skip=2, path=path, probability=1 if is_once else SHARE)


def same_page_for_ever(box: Sandbox, is_once: bool) -> None:  # noqa: ARG001 - there is no once of for ever
    for path in LISTS[box.crm]:
        box.fault("repeat", times=None, skip=2, path=path)


def clock(box: Sandbox, is_once: bool, *, seconds: float) -> None:  # noqa: ARG001
    box.skew_date(seconds)


def token_runs_out(box: Sandbox, is_once: bool) -> None:  # noqa: ARG001
    box.expire_token(after_requests=12)


def everything(box: Sandbox, is_once: bool) -> None:  # noqa: ARG001
    for kind in EVERYTHING:
        box.fault(kind, times=None, probability=SHARE / len(EVERYTHING), retry_after=1 if kind == "429" else None)


WEATHERS: Mapping[str, Weather] = {
    "429 with Retry-After": Weather(partial(fault, kind="429", retry_after=1)),
    "429 without Retry-After": Weather(partial(fault, kind="429")),
    "500": Weather(partial(fault, kind="500")),
    "502 with HTML": Weather(partial(fault, kind="502")),
    "no reply in time": Weather(hang),
    "JSON cut short": Weather(partial(fault, kind="cut_json")),
    "invalid JSON": Weather(partial(fault, kind="invalid_json")),
    "HTML with status 200": Weather(partial(fault, kind="html")),
    "connection reset": Weather(partial(fault, kind="drop")),
    "reply cut off": Weather(partial(fault, kind="cut")),
    "slow drip": Weather(partial(fault, kind="slow")),
    "a page out of order": Weather(partial(fault, kind="shuffle")),
    "a page repeated now and then": Weather(same_page, ends_with_import=True, most_contacts=900, only=tuple(LISTS)),
    "a page repeated for ever": Weather(
        same_page_for_ever,
        clears_when_stopped=True,
        ends_with_import=True,
        most_contacts=900,
        only=tuple(LISTS),
        may_fail=True,
    ),
    "clock 5 minutes ahead": Weather(partial(clock, seconds=CLOCK_S)),
    "clock 5 minutes behind": Weather(partial(clock, seconds=-CLOCK_S)),
    "token expires in mid-run": Weather(token_runs_out, may_fail=True),
    "everything at once": Weather(everything),
}


def clear(box: Sandbox) -> None:
    box.clear_faults()
    box.skew_date(0)
