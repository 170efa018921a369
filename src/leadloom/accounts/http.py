"""The way into every page: who is asking, for which account, and the scope around all of the answer.

A view decorated here runs inside ``account_scope``, rendering included, so its queries see one account's rows
and an exception undoes everything it wrote. Middleware could not: it only ever sees finished responses.
The JSON API has its own door in api_auth.py.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, cast
from urllib.parse import urlencode, urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.template.response import SimpleTemplateResponse
from django.urls import reverse
from django.utils.cache import patch_cache_control

from leadloom.accounts.models import Account, Member, User
from leadloom.accounts.scope import account_scope, user_scope

CHOSEN_ACCOUNT = "account_id"  # session key, for people with several memberships


class AccountRequest(HttpRequest):
    """A request of a signed-in member, seen from inside their account's scope."""

    account: Account
    member: Member
    user: User


type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
type AccountView[**P] = Callable[Concatenate[AccountRequest, P], HttpResponseBase]


def account_view[**P](view: AccountView[P]) -> View[P]:
    """For members alone: finds the membership, then runs and renders the view inside the account's scope."""

    @wraps(view)
    def scoped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        member = find_member(request)
        if member is None:
            return _turn_away(request)
        asked = cast(AccountRequest, request)
        asked.member, asked.account = member, member.account
        with account_scope(member.account_id):
            response = view(asked, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                response.render()  # lazily it would render after the scope has closed, and see nothing
            if not response.has_header("Cache-Control"):
                patch_cache_control(response, private=True)
            return response

    return scoped


def manager_view[**P](view: AccountView[P]) -> View[P]:
    """For owners and admins alone; other members get a page saying so, with status 403."""

    @account_view
    @wraps(view)
    def checked(request: AccountRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.member.may_manage:
            return render(request, "accounts/not_allowed.html", status=403)
        return view(request, *args, **kwargs)

    return checked


def find_member(request: HttpRequest) -> Member | None:
    """The membership this session works as: the account chosen last, else the first; None for strangers.

    Looked up on every request, so that somebody who was removed is out at once. Needs no scope, opens none.
    """
    if not request.user.is_authenticated:
        return None
    with user_scope(request.user.pk):
        mine = list(Member.objects.select_related("account", "user").filter(user_id=request.user.pk).order_by("id"))
    chosen = request.session.get(CHOSEN_ACCOUNT)
    return next((member for member in mine if member.account_id == chosen), mine[0] if mine else None)


def _turn_away(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:  # signed in, but a member nowhere (any more)
        return render(request, "accounts/no_account.html", status=403)
    sign_in = reverse("sign-in")
    if request.headers.get("HX-Request"):
        # 401 so that nothing is swapped in; htmx follows HX-Redirect whatever the status.
        back = urlencode({"next": _page_of(request)})
        return HttpResponse(status=401, headers={"HX-Redirect": f"{sign_in}?{back}"})
    if request.accepts("application/json") and not request.accepts("text/html"):
        return JsonResponse({"error": "sign_in", "message": "Sign in first."}, status=401)
    back = request.get_full_path() if request.method in ("GET", "HEAD") else "/"
    return redirect(f"{sign_in}?{urlencode({'next': back})}")


def _page_of(request: HttpRequest) -> str:
    """The page that a fragment was asked for. The header is the browser's word, and may be no address at all."""
    try:
        return urlsplit(request.headers.get("HX-Current-URL", "")).path or "/"
    except ValueError:
        return "/"
