"""Errors named by what we do next. Each carries two sentences: one for the customer, one for us.

``str(error)`` is the customer's sentence: what happened and what to do, without ids, tokens or bodies.
``error.detail`` is ours: statuses and correlation ids, never a secret, a name or an address.
``error.code`` is stable and appears in the API and in run history.
"""

from datetime import timedelta


class LeadloomError(Exception):
    """The root of every error that a customer may read."""

    code = "error"

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class NeedsReconnect(LeadloomError):
    """The grant is dead: ask the customer to connect again. Data stays; a catch-up run follows the reconnect."""

    code = "needs_reconnect"


class WrongAccount(NeedsReconnect):
    """A reconnect came back from another portal, org or company than the one this connection reads."""

    code = "wrong_account"


class TokenExpired(LeadloomError):
    """The access token ran out: fetch a fresh one and repeat the request once. Refused again, it is NeedsReconnect."""

    code = "token_expired"


class NotAllowed(LeadloomError):
    """The grant lives but may not do this: name the missing scopes."""

    code = "not_allowed"

    def __init__(self, message: str, *, scopes: tuple[str, ...] = (), detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.scopes = scopes


class TryLater(LeadloomError):
    """Nothing is wrong with the request: repeat it after ``after``. Rate limits, quotas and outages."""

    code = "try_later"

    def __init__(self, message: str, *, after: timedelta, code: str = "try_later", detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.after = after
        self.code = code
        """``rate_limited``, ``quota``, ``vendor_down`` or ``try_later``."""


class Unreachable(TryLater):
    """No connection could be made from here. Somebody on another machine may have one."""

    def __init__(self, message: str, *, after: timedelta, detail: str = "") -> None:
        super().__init__(message, after=after, code="vendor_down", detail=detail)


class NotReady(TryLater):
    """The vendor is still preparing the answer, such as an export: ask the very same again after ``after``. No failure,
    however often it comes."""

    def __init__(self, message: str, *, after: timedelta, detail: str = "") -> None:
        super().__init__(message, after=after, code="preparing", detail=detail)


class Unreadable(LeadloomError):
    """The reply is not what the vendor documents. Retried a few times, then the run stops with its cursor kept."""

    code = "unreadable"


class RecordRejected(LeadloomError):
    """One record cannot become a contact: set it aside with a reason and go on."""

    code = "record_rejected"

    def __init__(self, message: str, *, reason: str, value: str = "", detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.reason = reason
        self.value = value


class SyncStopped(LeadloomError):
    """This run must not write any more: it was cancelled, or another worker has taken it over."""

    code = "stopped"


class BadRequest(LeadloomError):
    """The vendor refused the request itself: our fault, kept apart from the customer's faults and from outages."""

    code = "our_fault"
