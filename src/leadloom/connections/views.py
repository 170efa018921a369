"""Pages and buttons of connections. Each view checks, calls one service or query, and renders.

Every button is a form that works without JavaScript; htmx asks for the same addresses and gets the fragment.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leadloom.accounts.http import AccountRequest, account_view, find_member, manager_view
from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections import services
from leadloom.connections.cards import banners_of, cards_of
from leadloom.connections.history import full_read_of, history, lasted
from leadloom.connections.left_out import causes_of, left_out, records_page
from leadloom.connections.models import Connection, Method, Run, State, Trigger
from leadloom.connections.own_fields import own_fields_of
from leadloom.connections.proof import proof_of
from leadloom.errors import LeadloomError
from leadloom.leads.accounted import parts_of
from leadloom.leads.models import Outcome
from leadloom.leads.reasons import REASONS
from leadloom.leads.records import ABSENT, reasons_of
from leadloom.leads.undone import standing_of
from leadloom.providers.base import Provider
from leadloom.providers.catalogue import UnknownProvider, all_providers
from leadloom.providers.catalogue import provider as provider_of
from leadloom.site.templatetags.look import crm_name
from leadloom.sync.sentences import sentence

MOST_DIGITS = 19  # of an id that PostgreSQL can hold
TYPED = "typed-"  # before the names of what a CRM asks for beside a token
MOST_TYPED = 200
MOST_RUNS = 20  # ids a refresh line may ask about


@sensitive_post_parameters("token")
@require_http_methods(["GET", "POST"])
@never_cache
def connect(request: HttpRequest) -> HttpResponseBase:
    """Choose a CRM and a way to sign in to it; ``?reconnect=`` renews a connection that lost its grant."""
    member = find_member(request)
    if request.method == "GET" or member is None or not member.may_manage:
        return _choose(request)
    try:
        connection = _connect(request, member)
    except LeadloomError as error:
        return _choose(request, str(error))
    return _connected(request, connection)


@manager_view
def _choose(request: AccountRequest, error: str = "") -> HttpResponse:
    known = _reconnecting(request, request.account.pk)
    sandbox = settings.SANDBOX_CRM if _offers_sandbox(known) else ""
    context: dict[str, Any] = {
        "providers": sorted(
            (crm for crm in all_providers() if known is None or crm.slug == known.provider),
            key=lambda crm: (crm.slug != sandbox, crm.name),  # in a demo its CRM comes first, and is open
        ),
        "sandbox": sandbox,
        "has_nango": bool(settings.NANGO_SECRET_KEY),
        "known": known,
        "chosen": request.POST.get("provider") or request.GET.get("provider", ""),
        "error": error,
    }
    template = "connections/_connect.html" if _is_fragment(request) else "connections/connect.html"
    return render(request, template, context, status=422 if error else 200)


def _offers_sandbox(known: Connection | None) -> bool:
    return bool(settings.SANDBOX_URL) and (known is None or known.method == Method.SANDBOX)


def _connect(request: HttpRequest, member: Member) -> Connection:
    """In no scope: the CRM is asked whose account this opens, and no transaction stays open meanwhile."""
    crm = _provider(request.POST.get("provider", ""))
    if request.POST.get("method") == Method.SANDBOX:
        return services.connect_to_sandbox(account=member.account, member=member, provider=crm.slug)[0]
    with account_scope(member.account_id):
        known = _reconnecting(request, member.account_id)
    return services.connect_with_token(
        account=member.account,
        member=member,
        provider=crm.slug,
        token=request.POST.get("token", ""),
        typed=_typed(request),
        reconnect=known,
    )[0]


def _typed(request: HttpRequest) -> dict[str, str]:
    sent = ((name, str(value)) for name, value in request.POST.items() if name.startswith(TYPED))
    return {name.removeprefix(TYPED): value[:MOST_TYPED] for name, value in sent}


def _reconnecting(request: HttpRequest, account_id: int) -> Connection | None:
    asked = request.POST.get("reconnect") or request.GET.get("reconnect") or ""
    return _connection_of(account_id, int(asked)) if _is_id(asked) else None


def _provider(slug: str) -> Provider:
    try:
        return provider_of(slug)
    except UnknownProvider:
        raise Http404 from None


def _connected(request: HttpRequest, connection: Connection) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        messages.success(request, f"Connected to {crm_name(connection.provider)}. The newest contacts come first.")
        return redirect("dashboard")
    response = HttpResponse(status=204)
    response["HX-Trigger"] = "close-dialog"
    response["HX-Location"] = '{"path": "/", "target": "#main", "select": "#main > *", "swap": "innerHTML"}'
    return response


@require_GET
@account_view
def cards(request: AccountRequest) -> HttpResponse:
    """The connection cards alone, for a dashboard that is open."""
    shown = cards_of(request.account)
    return render(request, "connections/_cards.html", {"cards": shown, "banners": banners_of(shown)})


@require_POST
@account_view
def refresh_all(request: AccountRequest) -> HttpResponse:
    """Reads every connection again, or joins the runs under way."""
    active = Connection.objects.filter(account_id=request.account.pk, is_active=True).order_by("pk")
    return _refreshed(request, list(active.defer("tables")))


@require_POST
@account_view
def refresh(request: AccountRequest, connection_id: int) -> HttpResponse:
    return _refreshed(request, [_mine(request, connection_id, is_active=True)])


def _refreshed(request: AccountRequest, connections: Sequence[Connection]) -> HttpResponse:
    runs, notes = [], []
    for connection in connections:
        name = crm_name(connection.provider)
        if connection.state == State.NEEDS_RECONNECT:
            notes.append(f"{name} needs a new sign-in before it can be read.")
            continue
        try:
            run, _ = services.request_run(connection=connection, trigger=Trigger.MANUAL, member=request.member)
        except services.Paused:
            notes.append(f"{name} is paused: resume it to read it again.")
        else:
            runs.append(run)
    if not connections:
        notes.append("No CRM is connected yet. Connect one first.")
    if _is_fragment(request):
        context = _refresh_line([run.pk for run in runs], notes, request)
        return render(request, "connections/_refresh_line.html", context)
    for note in notes:
        messages.warning(request, note)
    for run in runs:
        messages.info(request, f"Reading {crm_name(run.connection.provider)}. Reload the page to see how far it is.")
    return redirect("dashboard")


@require_GET
@account_view
def refreshing(request: AccountRequest) -> HttpResponse:
    """How the runs of a refresh stand: asked again when one of them ends."""
    asked = [int(pk) for pk in request.GET.get("runs", "").split(",") if _is_id(pk)]
    return render(request, "connections/_refresh_line.html", _refresh_line(asked[:MOST_RUNS], [], request))


def _refresh_line(run_ids: Sequence[int], notes: Sequence[str], request: AccountRequest) -> dict[str, Any]:
    runs = list(
        Run.objects.filter(account_id=request.account.pk, pk__in=run_ids).select_related("connection").defer("cursor")
    )
    ended = [
        {"run": run, "sentence": sentence(run, reasons_of(run)), "lasted": lasted(run)}
        for run in runs
        if not run.is_active
    ]
    return {
        "going": [run for run in runs if run.is_active],
        "ended": ended,
        "notes": notes,
        "run_ids": ",".join(str(run.pk) for run in runs),
    }


@require_POST
@manager_view
def pause(request: AccountRequest, connection_id: int) -> HttpResponse:
    services.pause(_mine(request, connection_id, is_active=True), request.member)
    return _back(request)


@require_POST
@manager_view
def resume(request: AccountRequest, connection_id: int) -> HttpResponse:
    services.resume(_mine(request, connection_id, is_active=True), request.member)
    return _back(request)


@require_POST
@manager_view
def absent(request: AccountRequest, connection_id: int) -> HttpResponse:
    """Somebody says whether those whom the last pass over everybody did not meet have left the CRM."""
    connection = _mine(request, connection_id, is_active=True)
    has_left = request.POST.get("have_left") == "yes"
    if has_left and connection.state == State.NEEDS_RECONNECT:
        messages.warning(request, f"{crm_name(connection.provider)} needs a new sign-in before it can be read.")
        return _back(request)
    try:
        if not has_left:
            services.keep_absent(connection, request.member)
            messages.success(request, "They stay as they are.")
            return _back(request)
        run = services.mark_absent(connection, request.member)
    except (services.NothingHeld, services.RunUnderWay, services.Paused) as error:
        messages.warning(request, str(error))
        return _back(request)
    messages.info(request, "Everybody is read once more. Whoever is still not there is marked as gone.")
    return redirect("run", run.pk)


@require_POST
@manager_view
def release(request: AccountRequest, connection_id: int) -> HttpResponse:
    """The leads of the first import may go to AI Texter."""
    connection = _mine(request, connection_id)
    services.release_import(connection, request.member)
    messages.success(request, f"The first import of {crm_name(connection.provider)} is released to AI Texter.")
    return _back(request)


@require_http_methods(["GET", "POST"])
@manager_view
def disconnect(request: AccountRequest, connection_id: int) -> HttpResponse:
    """Asks first, saying what stays and what ends."""
    connection = _mine(request, connection_id)
    if request.method == "POST":
        services.disconnect(connection, request.member)
        messages.success(request, f"Disconnected from {crm_name(connection.provider)}. Your leads are kept.")
        return redirect("dashboard")
    card = next((card for card in cards_of(request.account) if card.connection.pk == connection.pk), None)
    return render(request, "connections/disconnect.html", {"connection": connection, "card": card})


@require_GET
@account_view
def not_imported(request: AccountRequest, connection_id: int) -> HttpResponse:
    """Everybody this connection left out, by cause, each cause with what mends it."""
    connection = _mine(request, connection_id)
    causes = causes_of(connection)
    reason = request.GET.get("reason", "")
    page = left_out(connection, reason=reason if reason in REASONS else "", after=request.GET.get("after", ""))
    context = {"connection": connection, "causes": causes, "reason": reason, "page": page}
    return render(request, "connections/not_imported.html", context)


@require_GET
@account_view
def count(request: AccountRequest, connection_id: int) -> HttpResponse:
    """How many contacts the CRM says it has, against those we account for; and who makes the difference."""
    connection = _mine(request, connection_id)
    context = {
        "connection": connection,
        "proof": proof_of(connection),
        "parts": parts_of(connection.account_id, connection.pk),
        "full_read": full_read_of(connection),
        "now": datetime.now(UTC),
    }
    return render(request, "connections/count.html", context)


@require_GET
@account_view
def own_fields(request: AccountRequest, connection_id: int) -> HttpResponse:
    """What this customer has added to contacts in the CRM."""
    connection = _mine(request, connection_id)
    context = {"connection": connection, "fields": own_fields_of(connection)}
    return render(request, "connections/own_fields.html", context)


@require_GET
@account_view
def runs(request: AccountRequest) -> HttpResponse:
    before = request.GET.get("before", "")
    asked = request.GET.get("connection", "")
    connection = _mine(request, int(asked)) if _is_id(asked) else None
    page = history(request.account, before=int(before) if _is_id(before) else None, connection=connection)
    context = {"page": page, "connection": connection, "is_older": bool(before)}
    return render(request, "connections/runs.html", context)


@require_GET
@account_view
def run(request: AccountRequest, run_id: int) -> HttpResponse:
    """What a run came to: its figures, and its contacts by outcome with the reason for each."""
    found = Run.objects.filter(account_id=request.account.pk, pk=run_id).select_related(
        "connection", "requested_by__user"
    )
    one = found.first()
    if one is None:
        raise Http404
    is_held = one.connection.is_active and one.connection.held_run_id == one.pk
    outcome = request.GET.get("outcome") or _first_outcome(one, is_held)
    known = (*Outcome.values, ABSENT)
    page = records_page(one, outcome=outcome if outcome in known else "", after=request.GET.get("after", ""))
    context = {
        "run": one,
        "connection": one.connection,
        "lasted": lasted(one),
        "sentence": "" if one.is_active else sentence(one, reasons_of(one)),
        "tabs": [(name, label, count) for name, label, count in _tabs(one, is_held) if count or name == outcome],
        "outcome": outcome,
        "is_held": is_held,
        "confirming": services.confirming(one.connection) if is_held else None,
        "undoing": standing_of(one),
        "page": page,
        "now": datetime.now(UTC),
    }
    return render(request, "connections/run.html", context)


LISTED = (
    (ABSENT, "Not found"),
    ("skipped", "Skipped"),
    ("failed", "Not readable"),
    ("created", "New"),
    ("updated", "Changed"),
    ("linked", "Linked"),
    ("gone", "Gone"),
)


def _tabs(run: Run, is_held: bool) -> list[tuple[str, str, int]]:
    """Who was absent is known while somebody must decide about them, and not after."""
    counts = run.counters | {ABSENT: run.absent if is_held else 0}
    return [(name, label, counts[name]) for name, label in LISTED]


def _first_outcome(run: Run, is_held: bool) -> str:
    """The tab that opens: what needs attention, else what happened."""
    return next((name for name, _, count in _tabs(run, is_held) if count), "created")


def _mine(request: AccountRequest, connection_id: int, **fields: Any) -> Connection:
    return _connection_of(request.account.pk, connection_id, **fields)


def _connection_of(account_id: int, connection_id: int, **fields: Any) -> Connection:
    """Not there and another account's look the same: 404."""
    found = Connection.objects.filter(account_id=account_id, pk=connection_id, **fields).first()
    if found is None:
        raise Http404
    return found


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < MOST_DIGITS


def _is_fragment(request: HttpRequest) -> bool:
    return bool(request.headers.get("HX-Request")) and not request.headers.get("HX-Boosted")


def _back(request: HttpRequest) -> HttpResponse:
    """After a button on a card: the cards for htmx, the dashboard for a plain form."""
    if not _is_fragment(request):
        return redirect("dashboard")
    response = HttpResponse(status=204)
    response["HX-Trigger"] = "cards-changed"
    return response
