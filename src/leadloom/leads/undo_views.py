"""Pages of undoing a run: asking first, and what came of it."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leadloom.accounts.http import AccountRequest, account_view, manager_view
from leadloom.connections.models import Run
from leadloom.errors import LeadloomError
from leadloom.leads.models import Undo
from leadloom.leads.undo import take_back, undo_run
from leadloom.leads.undone import KINDS, outlook_of, reversed_page, standing_of

MOST_DIGITS = 19  # of an id that PostgreSQL can hold


@require_http_methods(["GET", "POST"])
@manager_view
def undo(request: AccountRequest, run_id: int) -> HttpResponse:
    """Asks first, saying what would be archived and set back, and what stays."""
    run = Run.objects.filter(account_id=request.account.pk, pk=run_id).select_related("connection").first()
    if run is None:
        raise Http404
    if request.method == "POST":
        try:
            begun = undo_run(run=run, account=request.account, user=request.user, member=request.member)
        except LeadloomError as error:
            messages.warning(request, str(error))
            return redirect("run", run.pk)
        return redirect("undo", begun.pk)
    context = {"run": run, "standing": standing_of(run), "outlook": outlook_of(run)}
    return render(request, "leads/undo_ask.html", context)


@require_GET
@account_view
def undone(request: AccountRequest, undo_id: int) -> HttpResponse:
    """How far an undo is, and what became of each lead, with the reason where something stayed."""
    one = _mine(request, undo_id)
    tabs = [(kind, label, count) for kind, label in KINDS.items() if (count := getattr(one, kind))]
    asked = request.GET.get("outcome", "")
    kind = asked if asked in KINDS else next((kind for kind, _, _ in tabs), "kept")
    after = request.GET.get("after", "")
    is_place = after.isascii() and after.isdigit() and len(after) < MOST_DIGITS
    context = {
        "undo": one,
        "run": one.run,
        "standing": standing_of(one.run),
        "tabs": tabs,
        "outcome": kind,
        "page": reversed_page(one, kind=kind, after=int(after) if is_place else None),
    }
    return render(request, "leads/undo.html", context)


@require_POST
@manager_view
def take_back_undo(request: AccountRequest, undo_id: int) -> HttpResponse:
    """What the undo archived and set back is as it was after the run again."""
    one = _mine(request, undo_id)
    try:
        back = take_back(undo=one, account=request.account, user=request.user, member=request.member)
    except LeadloomError as error:
        messages.warning(request, str(error))
        return redirect("undo", one.pk)
    return redirect("undo", back.pk)


def _mine(request: AccountRequest, undo_id: int) -> Undo:
    found = Undo.objects.filter(account_id=request.account.pk, pk=undo_id)
    one = found.select_related("run__connection", "member__user", "takes_back").first()
    if one is None:
        raise Http404
    return one
