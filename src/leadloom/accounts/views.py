"""Pages about the account itself: the team, API tokens, the person's own settings. Coming in is entry.py's."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leadloom.accounts import members, throttle
from leadloom.accounts.activity import activity as read_activity
from leadloom.accounts.entry import TOO_MANY
from leadloom.accounts.forms import (
    AccountForm,
    InviteForm,
    NewPasswordForm,
    PersonForm,
    RoleForm,
    TokenForm,
)
from leadloom.accounts.http import CHOSEN_ACCOUNT, AccountRequest, account_view, manager_view
from leadloom.accounts.models import ApiToken, Invitation, Member
from leadloom.accounts.scope import user_scope
from leadloom.accounts.services import audit
from leadloom.accounts.tokens import issue_token, revoke_token


@never_cache
@require_http_methods(["GET", "POST"])
@manager_view
def team(request: AccountRequest) -> HttpResponse:
    """The members and the open invitations; a POST invites, and shows the link this once."""
    form = InviteForm(request.POST or None)
    link = ""
    if form.is_valid():
        chosen = form.cleaned_data
        try:
            _, secret = members.invite(by=request.member, email=chosen["email"], role=chosen["role"])
        except members.MembershipRefused as error:
            form.add_error(None, str(error))
        else:
            link = request.build_absolute_uri(reverse("invitation", args=[secret]))
    context = {
        "form": InviteForm() if link else form,
        "link": link,
        "invited": form.cleaned_data["email"] if link else "",
        "members": Member.objects.filter(account=request.account).select_related("user").order_by("id"),
        "invitations": Invitation.objects.filter(account=request.account, accepted_at=None).order_by("-id"),
        "now": timezone.now(),
        "roles": RoleForm.base_fields["role"].choices,  # type: ignore[attr-defined]
    }
    return render(request, "accounts/members.html", context)


@require_POST
@manager_view
def change_role(request: AccountRequest, member_id: int) -> HttpResponse:
    member = get_object_or_404(Member, account=request.account, pk=member_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return HttpResponse("Choose owner, admin or member.", status=400)
    try:
        members.change_role(member, role=form.cleaned_data["role"], by=request.member)
    except members.MembershipRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{member.user} is now {member.get_role_display().lower()}.")
    return redirect("members" if _still_manages(request) else "dashboard")


@require_POST
@manager_view
def remove_member(request: AccountRequest, member_id: int) -> HttpResponse:
    member = get_object_or_404(Member, account=request.account, pk=member_id)
    try:
        members.remove(member, by=request.member)
    except members.MembershipRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{member.user} has left the team.")
    return redirect("members" if _still_manages(request) else "dashboard")


@require_POST
@manager_view
def withdraw_invitation(request: AccountRequest, invitation_id: int) -> HttpResponse:
    invitation = get_object_or_404(Invitation, account=request.account, pk=invitation_id, accepted_at=None)
    try:
        members.withdraw(invitation, by=request.member)
    except members.MembershipRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The link no longer works.")
    return redirect("members")


@never_cache
@require_http_methods(["GET", "POST"])
@manager_view
def api_tokens(request: AccountRequest) -> HttpResponse:
    """The living tokens; a POST makes one and shows it this once."""
    form = TokenForm(request.POST or None)
    secret = ""
    if form.is_valid():
        asked = form.cleaned_data
        _, secret = issue_token(
            account=request.account, member=request.member, name=asked["name"], scope=asked["scope"]
        )
        form = TokenForm()
    tokens = ApiToken.objects.filter(account=request.account, revoked_at=None)
    context = {
        "form": form,
        "secret": secret,
        "tokens": tokens.select_related("created_by__user").order_by("-id"),
    }
    return render(request, "accounts/tokens.html", context)


@require_POST
@manager_view
def end_token(request: AccountRequest, token_id: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, account=request.account, pk=token_id)
    revoke_token(token, member=request.member)
    messages.success(request, "The token no longer works.")
    return redirect("tokens")


@require_GET
@manager_view
def activity(request: AccountRequest) -> HttpResponse:
    """The audit log, the newest first."""
    before = request.GET.get("before", "")
    place = int(before) if _is_id(before) else None
    page = read_activity(request.account, before=place)
    return render(request, "accounts/activity.html", {"page": page, "is_older": place is not None})


@require_http_methods(["GET", "POST"])
@account_view
def account(request: AccountRequest) -> HttpResponse:
    """The person's name, which everybody may change, and the account's settings, which managers may."""
    asked = request.POST.get("form") if request.method == "POST" else None
    mine = PersonForm(request.POST if asked == "person" else None, initial={"name": request.member.user.name})
    ours = AccountForm(
        request.POST if asked == "account" else None,
        initial={"name": request.account.name, "region": request.account.region},
        prefix="account",
    )
    if asked == "account" and not request.member.may_manage:
        return render(request, "accounts/not_allowed.html", status=403)
    if mine.is_valid():
        request.member.user.name = mine.cleaned_data["name"].strip()
        request.member.user.save(update_fields=["name"])
    elif ours.is_valid():
        request.account.name = ours.cleaned_data["name"].strip()
        request.account.region = ours.cleaned_data["region"]
        request.account.save(update_fields=["name", "region"])
        audit(request.account, request.member.user, "account.changed", f"region {request.account.region}")
    if mine.is_valid() or ours.is_valid():
        messages.success(request, "Saved.")
        return redirect("account")
    with user_scope(request.user.pk):
        memberships = list(Member.objects.filter(user_id=request.user.pk).select_related("account").order_by("id"))
    context = {"mine": mine, "ours": ours, "memberships": memberships}
    return render(request, "accounts/account.html", context)


@require_POST
@account_view
def switch_account(request: AccountRequest) -> HttpResponse:
    """From now on this session works for another of the person's accounts."""
    wanted = request.POST.get("account", "")
    with user_scope(request.user.pk):
        mine = Member.objects.filter(user_id=request.user.pk)
        if not _is_id(wanted) or not mine.filter(account_id=int(wanted)).exists():
            raise Http404
    request.session[CHOSEN_ACCOUNT] = int(wanted)
    return redirect("dashboard")


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@account_view
def change_password(request: AccountRequest) -> HttpResponse:
    """Asks for the old one. Signs every other session of this person out."""
    if request.method == "POST" and not throttle.take_attempt(throttle.password_limits(request.user.pk)):
        return render(request, "accounts/too_many.html", {"sentence": TOO_MANY}, status=429)
    form = NewPasswordForm(request.member.user, request.POST or None)
    if form.is_valid():
        user = form.save()
        update_session_auth_hash(request, user)
        throttle.forgive(throttle.password_limits(user.pk))
        audit(request.account, user, "password.changed")
        messages.success(request, "Your password is changed, and your other sessions are signed out.")
        return redirect("account")
    return render(request, "accounts/password.html", {"form": form})


def _is_id(text: str) -> bool:
    """Eighteen digits hold every id there will be; Python refuses to read thousands of them."""
    return text.isascii() and text.isdigit() and len(text) < 19


def _still_manages(request: AccountRequest) -> bool:
    """Somebody may have taken their own powers away a moment ago."""
    member = Member.objects.filter(pk=request.member.pk).first()
    return bool(member and member.may_manage)
