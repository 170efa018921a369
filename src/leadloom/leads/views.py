"""The dashboard, and the page of each lead. Each view checks, calls one service or query, and renders."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leadloom.accounts.http import AccountRequest, account_view, manager_view
from leadloom.connections.cards import Counts, banners_of, cards_of, counts_of
from leadloom.errors import LeadloomError
from leadloom.leads import erase as erasing
from leadloom.leads import services
from leadloom.leads.forms import LeadForm
from leadloom.leads.models import Lead
from leadloom.leads.queries import NotAPlace, Place, threads_page
from leadloom.leads.services import BadPhone, PhoneTaken
from leadloom.leads.story import story_of

LONGEST_SEARCH = 100


@require_GET
@account_view
def dashboard(request: AccountRequest) -> HttpResponse:
    """Connections, and Recent Threads below them."""
    counts = counts_of(request.account)
    cards = cards_of(request.account, counts)
    context = {**_threads(request, counts), "cards": cards, "banners": banners_of(cards)}
    return render(request, "leads/dashboard.html", context)


@require_GET
@account_view
def rows(request: AccountRequest) -> HttpResponse:
    """Recent Threads alone: for a search, for the next page, and for a dashboard that fills live."""
    if not request.headers.get("HX-Request"):
        return redirect(f"/?{request.GET.urlencode()}")
    counts = counts_of(request.account)
    context = _threads(request, counts)
    if not context["page"].leads:
        context["cards"] = cards_of(request.account, counts)  # an empty list says why it is empty
    return render(request, "leads/_threads.html", context)


def _threads(request: AccountRequest, counts: Counts) -> dict[str, Any]:
    search = request.GET.get("search", "").strip()[:LONGEST_SEARCH]
    after = request.GET.get("after", "")
    try:
        page = threads_page(request.account, after=Place.read(after) if after else None, search=search)
    except NotAPlace:
        raise Http404 from None
    return {"page": page, "search": search, "is_older": bool(after), "lead_count": counts.all_leads}


@require_http_methods(["GET", "POST"])
@account_view
def new(request: AccountRequest) -> HttpResponse:
    """Add a lead by hand. A number that somebody has already leads to that lead."""
    form = LeadForm(request.POST or None)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        try:
            lead = services.add_lead(account=request.account, member=request.member, **form.cleaned_data)
        except LeadloomError as error:
            context |= _refused(form, error)
        else:
            messages.success(request, f"{lead.name or 'The lead'} is added. No sync touches it.")
            return redirect("lead", lead.pk)
    return render(request, "leads/new.html", context, status=_status(form))


@require_GET
@account_view
def lead(request: AccountRequest, lead_id: int) -> HttpResponse:
    found = _mine(request, lead_id)
    return render(request, "leads/lead.html", {"lead": found, "story": story_of(found)})


@require_http_methods(["GET", "POST"])
@account_view
def edit(request: AccountRequest, lead_id: int) -> HttpResponse:
    """What is changed here is pinned: no sync overwrites it."""
    found = _mine(request, lead_id)
    held = {"name": found.name, "phone": found.phone or "", "email": found.email, "company": found.company}
    form = LeadForm(request.POST or None, initial=held)
    context: dict[str, Any] = {"form": form, "lead": found}
    if form.is_valid():
        try:
            services.edit_lead(lead=found, member=request.member, **form.cleaned_data)
        except LeadloomError as error:
            context |= _refused(form, error)
        else:
            return redirect("lead", found.pk)
    return render(request, "leads/edit.html", context, status=_status(form))


@require_POST
@account_view
def unpin(request: AccountRequest, lead_id: int) -> HttpResponse:
    services.unpin(lead=_mine(request, lead_id), member=request.member, field=request.POST.get("field", ""))
    return redirect("lead", lead_id)


@require_POST
@account_view
def opt_out(request: AccountRequest, lead_id: int) -> HttpResponse:
    services.opt_out(lead=_mine(request, lead_id), member=request.member)
    messages.success(request, "Opted out. Nobody texts this number, whatever the CRM says.")
    return redirect("lead", lead_id)


@require_http_methods(["GET", "POST"])
@account_view
def opt_in(request: AccountRequest, lead_id: int) -> HttpResponse:
    """Asks first: only the person's own wish undoes an opt-out."""
    found = _mine(request, lead_id)
    context: dict[str, Any] = {"lead": found, "story": story_of(found)}
    if request.method == "POST":
        is_confirmed = request.POST.get("confirmed") == "yes"
        try:
            services.opt_in(lead=found, member=request.member, is_confirmed=is_confirmed)
        except services.NeedsConfirmation as error:
            return render(request, "leads/opt_in.html", {**context, "error": str(error)}, status=422)
        messages.success(request, "Texts are allowed again. It is noted who confirmed that.")
        return redirect("lead", lead_id)
    return render(request, "leads/opt_in.html", context)


@require_POST
@account_view
def archive(request: AccountRequest, lead_id: int) -> HttpResponse:
    return _change(request, lead_id, services.archive, "Archived. No sync brings it back; you can.")


@require_POST
@account_view
def restore(request: AccountRequest, lead_id: int) -> HttpResponse:
    return _change(request, lead_id, services.restore, "Back in Recent Threads.")


@require_http_methods(["GET", "POST"])
@manager_view
def erase(request: AccountRequest, lead_id: int) -> HttpResponse:
    """Asks first, saying what goes for good and what stays."""
    found = _mine(request, lead_id)
    context: dict[str, Any] = {"lead": found}
    if request.method == "POST":
        is_confirmed = request.POST.get("confirmed") == "yes"
        try:
            erasing.erase(lead=found, account=request.account, user=request.user, is_confirmed=is_confirmed)
        except erasing.NeedsConfirmation as error:
            return render(request, "leads/erase.html", {**context, "error": str(error)}, status=422)
        messages.success(request, "Erased. No sync brings this person back.")
        return redirect("dashboard")
    return render(request, "leads/erase.html", context)


def _change(request: AccountRequest, lead_id: int, change: Callable[..., Lead], told: str) -> HttpResponse:
    try:
        change(lead=_mine(request, lead_id), member=request.member)
    except LeadloomError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, told)
    return redirect("lead", lead_id)


def _refused(form: LeadForm, error: LeadloomError) -> dict[str, Any]:
    """Says it at the field it is about; the lead that has the number is shown beside it."""
    form.add_error("phone" if isinstance(error, BadPhone | PhoneTaken) else None, str(error))
    return {"holder": error.lead} if isinstance(error, PhoneTaken) else {}


def _status(form: LeadForm) -> int:
    return 422 if form.is_bound else 200


def _mine(request: AccountRequest, lead_id: int) -> Lead:
    """Not there and another account's look the same: 404."""
    found = Lead.objects.filter(account_id=request.account.pk, pk=lead_id).select_related("created_by__user").first()
    if found is None:
        raise Http404
    return found
