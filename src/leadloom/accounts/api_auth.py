"""The way into the JSON API: a session with CSRF, or an API token as Bearer; and the scope around an operation.

``auth=session_or_token`` puts ``request.account``, ``request.member`` (None for a program) and ``request.token``
(None for a person) in place. ``@in_account`` beneath the route puts all of the operation, serialising included,
inside ``account_scope``. Leave ``@in_account`` off where an operation waits for something that others must first see
committed, and open ``account_scope(request.account.pk)`` around its parts instead.
"""

from collections.abc import Callable
from functools import wraps
from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from ninja.decorators import decorate_view
from ninja.errors import HttpError
from ninja.security import APIKeyCookie, HttpBearer

from leadloom.accounts.http import find_member
from leadloom.accounts.models import Account, ApiToken, Member, Scope, User
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import find_token, note_use

BEARER = "bearer "
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class ApiRequest(HttpRequest):
    """A request that session_or_token has let in."""

    account: Account
    member: Member | None
    token: ApiToken | None


class SessionAuth(APIKeyCookie):
    """A signed-in member. The base class refuses the request without a CSRF token."""

    def __init__(self) -> None:
        self.param_name = settings.SESSION_COOKIE_NAME
        super().__init__(csrf=True)

    def __call__(self, request: HttpRequest) -> Member | None:
        # Whoever sends a token means it: a wrong one is refused, not replaced by a cookie.
        return None if _bears_token(request) else cast("Member | None", super().__call__(request))

    def authenticate(self, request: HttpRequest, key: str | None) -> Member | None:
        return _identify(request).member if key else None


class TokenAuth(HttpBearer):
    """A program with an API token. One that may only read gets 403 for every method that could change something."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:  # noqa: ARG002 - read once, below
        found = _identify(request).token
        if found and found.scope != Scope.FULL and request.method not in SAFE_METHODS:
            raise HttpError(403, "This token may only read. Make one that may change things too.")
        return found


session_or_token = [TokenAuth(), SessionAuth()]


def in_account[F: Callable[..., object]](operation: F) -> F:
    """Runs the operation, and what serialises its result, inside the caller's account scope.

    An answer of 400 or above undoes what the operation wrote, because by then the framework has turned exceptions
    into answers. Do not return a streaming response from such an operation: it would be read after the scope closed.
    """
    return decorate_view(_within_scope)(operation)


def require_manager(request: ApiRequest) -> None:
    """Owners, admins and API tokens may go on, members get 403. Only managers make tokens; TokenAuth knows what for."""
    if request.member and not request.member.may_manage:
        raise HttpError(403, "Only owners and admins may do this.")


def acting_member(request: ApiRequest) -> Member | None:
    """Who acts: the person, or whoever made the token. None if they have left."""
    return request.member or (request.token.created_by if request.token else None)


def acting_user(request: ApiRequest) -> User | None:
    """The same one, for the audit log."""
    person = acting_member(request)
    return person.user if person else None


class _Undo(Exception):
    def __init__(self, response: HttpResponseBase) -> None:
        self.response = response


def _within_scope(run: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    @wraps(run)
    def within(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        caller = _identify(request)
        if not (caller.member or caller.token):
            return run(request, **arguments)  # which refuses: its auth finds nobody either
        try:
            with account_scope(caller.account.pk):
                response = run(request, **arguments)
                if response.streaming:
                    raise RuntimeError("a streaming response would be read after the account's scope has closed")
                if response.status_code >= 400:
                    raise _Undo(response)
                return response
        except _Undo as undone:
            return undone.response

    return within


def _identify(request: HttpRequest) -> ApiRequest:
    """Fills in account, member and token, once a request. Says nothing about CSRF: SessionAuth does."""
    caller = cast(ApiRequest, request)
    if hasattr(caller, "token"):
        return caller
    caller.member = caller.token = None
    if _bears_token(request):
        token = find_token(request.headers["Authorization"][len(BEARER) :].strip())
        if token:
            with account_scope(token.account_id):
                caller.account = Account.objects.get(pk=token.account_id)
                note_use(token)
            caller.token = token
        return caller
    member = find_member(request)
    if member:
        caller.account, caller.member = member.account, member
    return caller


def _bears_token(request: HttpRequest) -> bool:
    return request.headers.get("Authorization", "").lower().startswith(BEARER)
