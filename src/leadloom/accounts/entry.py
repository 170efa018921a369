"""How people come in: signing in and out, signing up, first start, the demo, invitations. No account is open yet."""

from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from leadloom.accounts import demo, members, setup, throttle
from leadloom.accounts.forms import NewPersonForm, SignInForm, SignUpForm
from leadloom.accounts.http import CHOSEN_ACCOUNT
from leadloom.accounts.models import Invitation, Member, User
from leadloom.accounts.services import EmailTaken, open_account
from leadloom.errors import LeadloomError

TOO_MANY = "Too many attempts. Wait a quarter of an hour, then try again."
BACKEND = "django.contrib.auth.backends.ModelBackend"


@method_decorator(sensitive_post_parameters("password"), name="dispatch")
class SignIn(LoginView):
    """Django's sign-in: it gives the session a new key and follows ``next`` only within this site."""

    authentication_form = SignInForm
    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        limits = throttle.sign_in_limits(request, request.POST.get("username", ""))
        if not throttle.take_attempt(limits):
            return _too_many(request)
        response = super().post(request, *args, **kwargs)
        if request.user.is_authenticated:
            throttle.forgive(limits)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(open_signup=settings.OPEN_SIGNUP, needs_setup=setup.needs_setup(), **kwargs)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """An account of one's own, where the operator lets anybody open one."""
    if request.user.is_authenticated:
        return redirect("dashboard")
    if not settings.OPEN_SIGNUP or setup.needs_setup():
        context = {"needs_setup": setup.needs_setup()}
        return render(request, "accounts/sign_up_closed.html", context, status=403)
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and not throttle.take_attempt(throttle.sign_up_limits(request)):
        return _too_many(request)
    if form.is_valid():
        try:
            member = open_account(**_opening(form))
        except EmailTaken as error:
            form.add_error("email", str(error))
        else:
            return _welcome(request, member)
    return render(request, "accounts/sign_up.html", {"form": form})


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """The first person of a new installation. Closed for good once there is one."""
    if not setup.needs_setup():
        return redirect("sign-in")
    if not setup.is_setup_code(request.GET.get("code", "")):
        return render(request, "accounts/setup_refused.html", status=403)
    form = SignUpForm(request.POST or None)
    if form.is_valid():
        try:
            member = setup.set_up(**_opening(form))
        except setup.AlreadySetUp:
            return redirect("sign-in")
        return _welcome(request, member)
    return render(request, "accounts/setup.html", {"form": form})


@never_cache
@require_GET
def enter_demo(request: HttpRequest) -> HttpResponse:
    """Signs the demo's person in, by the key that the demo printed. Does not exist where no demo runs."""
    if not demo.is_demo_key(request.GET.get("key", "")):
        raise Http404
    return _welcome(request, demo.ensure_demo_member())


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Joins a team: the person signed in, or a new one with the e-mail that was invited."""
    invited = members.find_invitation(secret)
    if invited is None:
        return render(request, "accounts/invitation_gone.html", status=404)
    if request.user.is_authenticated:
        return _join_signed_in(request, request.user, invited)
    if User.objects.filter(email=invited.email).exists():
        return render(request, "accounts/invitation_sign_in.html", {"invitation": invited})
    return _join_new(request, invited)


def _join_signed_in(request: HttpRequest, user: User, invited: Invitation) -> HttpResponse:
    context: dict[str, object] = {"invitation": invited, "form": None}
    if request.method == "POST":
        try:
            return _welcome(request, members.accept_as(user, invited))
        except LeadloomError as error:
            context["error"] = str(error)
    return render(request, "accounts/invitation.html", context)


def _join_new(request: HttpRequest, invited: Invitation) -> HttpResponse:
    form = NewPersonForm(request.POST or None)
    form.email = invited.email
    context: dict[str, object] = {"invitation": invited, "form": form}
    if form.is_valid():
        chosen = form.cleaned_data
        try:
            member = members.accept_as_new(invited, name=chosen["name"], password=chosen["password"])
        except LeadloomError as error:
            context["error"] = str(error)
        else:
            return _welcome(request, member)
    return render(request, "accounts/invitation.html", context)


def _welcome(request: HttpRequest, member: Member) -> HttpResponse:
    """Signed in, with a new session key, looking at this account."""
    if request.user != member.user:
        login(request, member.user, backend=BACKEND)
    request.session[CHOSEN_ACCOUNT] = member.account_id
    return redirect("dashboard")


def _opening(form: SignUpForm) -> dict[str, str]:
    chosen = form.cleaned_data
    return {
        "name": chosen["account_name"],
        "email": chosen["email"],
        "password": chosen["password"],
        "user_name": chosen["name"],
    }


def _too_many(request: HttpRequest) -> HttpResponse:
    response = render(request, "accounts/too_many.html", {"sentence": TOO_MANY}, status=429)
    response["Retry-After"] = str(int(throttle.WINDOW.total_seconds()))
    return response
