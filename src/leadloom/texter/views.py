"""The AI Texter page. Members may look; owners and admins may change. Each change is a plain form post."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from leadloom.accounts.http import AccountRequest, account_view, manager_view
from leadloom.connections.models import Connection
from leadloom.site.outbound import BadAddress
from leadloom.texter import queries, services
from leadloom.texter.gate import LISTED, REASONS
from leadloom.texter.models import Delivery, DeliveryState, Event


@require_safe
@account_view
def page(request: AccountRequest) -> HttpResponse:
    return _page(request)


@require_POST
@manager_view
def switch(request: AccountRequest) -> HttpResponse:
    try:
        if request.POST.get("to") == "on":
            services.turn_on(member=request.member, with_missed="with_missed" in request.POST)
            messages.success(request, "AI Texter is on. New leads are handed over from now on.")
        else:
            services.turn_off(member=request.member)
            messages.success(request, "AI Texter is off. Nothing more is sent.")
    except services.NotReady as error:
        messages.error(request, str(error))
    return redirect("texter")


@require_POST
@manager_view
def address(request: AccountRequest) -> HttpResponse:
    typed = request.POST.get("address", "")
    try:
        secret = services.set_address(member=request.member, address=typed)
    except BadAddress as error:
        return _page(request, address=typed, address_error=str(error), status=422)
    if secret:
        return _show_secret(request, secret)
    messages.success(request, "The address is saved. Send a test to see whether it answers.")
    return redirect("texter")


@require_POST
@manager_view
def secret(request: AccountRequest) -> HttpResponse:
    """A new signing secret, shown in this answer and never again."""
    return _show_secret(request, services.rotate_secret(member=request.member))


@require_POST
@manager_view
def test(request: AccountRequest) -> HttpResponse:
    try:
        sent = services.send_test(member=request.member)
    except services.NotReady as error:
        messages.error(request, str(error))
        return redirect("texter")
    return redirect(f"{reverse('texter')}?test={sent.pk}#test")


@require_POST
@manager_view
def release(request: AccountRequest, connection_id: int) -> HttpResponse:
    connection = get_object_or_404(Connection, account=request.account, pk=connection_id)
    services.release(member=request.member, connection=connection)
    messages.success(request, "The first import is released. Its leads are handed over while AI Texter is on.")
    return redirect("texter")


@require_safe
@account_view
def delivery(request: AccountRequest, delivery_id: int) -> HttpResponse:
    """One delivery with its attempts; as a fragment for the page that waits for a test's result."""
    found = get_object_or_404(Delivery.objects.select_related("lead"), account=request.account, pk=delivery_id)
    if request.headers.get("HX-Request"):
        return render(request, "texter/_test.html", {"test": found, "attempt": _last_attempt(found)})
    return render(request, "texter/delivery.html", {"delivery": found, "attempts": found.log.order_by("-id")})


@require_POST
@manager_view
def again(request: AccountRequest, delivery_id: int) -> HttpResponse:
    found = get_object_or_404(Delivery, account=request.account, pk=delivery_id)
    if services.try_again(member=request.member, delivery=found):
        messages.success(request, "It is tried again now.")
    else:
        messages.info(request, "It was sent in the meantime, or is being sent at this moment.")
    return redirect("texter")


def _page(
    request: AccountRequest, *, address: str | None = None, address_error: str = "", status: int = 200
) -> HttpResponse:
    settings = services.settings_of(request.account.pk)
    tally = queries.tally(request.account.pk)
    counts = tally.by_reason
    reason = request.GET.get("reason", "")
    held = queries.held_leads(request.account.pk, reason=reason, before=_number(request, "before"))
    log = queries.log(request.account.pk, before=_number(request, "log"))
    waiting_count, waiting = queries.waiting(request.account.pk)
    test = _asked_test(request)
    context = {
        "texter": settings,
        "now": timezone.now(),
        "address": settings.url if address is None else address,
        "address_error": address_error,
        "is_set_up": bool(settings.url and settings.sealed_secret),
        "may_manage": request.member.may_manage,
        "counts": counts,
        "held_count": sum(counts[code] for code in LISTED),
        "reasons": [(REASONS[code], counts[code]) for code in LISTED],
        "reason": reason if reason in LISTED else "",
        "held": held[: queries.PAGE],
        "held_next": held[queries.PAGE - 1].id if len(held) > queries.PAGE else None,
        "is_later_page": "before" in request.GET,
        "imports": tally.imports,
        "ended": queries.ended(request.account.pk),
        "waiting": waiting,
        "waiting_count": waiting_count,
        "log": log[: queries.PAGE],
        "log_next": log[queries.PAGE - 1].pk if len(log) > queries.PAGE else None,
        "is_later_log": "log" in request.GET,
        "test": test,
        "attempt": _last_attempt(test) if test else None,
    }
    return render(request, "texter/page.html", context, status=status)


@never_cache
def _show_secret(request: HttpRequest, secret: str) -> HttpResponse:
    return render(request, "texter/secret.html", {"secret": secret})


def _asked_test(request: AccountRequest) -> Delivery | None:
    number = _number(request, "test")
    if number is None:
        return None
    return Delivery.objects.filter(account=request.account, pk=number, event=Event.TEST).first()


def _last_attempt(delivery: Delivery) -> object:
    return None if delivery.state == DeliveryState.QUEUED else delivery.log.order_by("-id").first()


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
