"""How templates show what many pages show: CRM marks, phone numbers, times, amounts."""

from datetime import UTC, datetime, timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from leadloom.providers.catalogue import UnknownProvider, provider
from leadloom.providers.phones import readable

register = template.Library()

TINTS = {
    "hubspot": "#c8501f",
    "salesforce": "#0b6fa8",
    "pipedrive": "#26724a",
    "zoho": "#a5302f",
    "gohighlevel": "#3a5fb0",
}
OTHER_TINTS = ("#5b5f97", "#7a5c1e", "#2f6f73", "#8a3b62", "#4b6b2a")

STEPS = ((60, "s", 1), (3600, "min", 60), (86_400, "h", 3600))
LONG_AGO = timedelta(days=14)


@register.filter
def crm_name(slug: str) -> str:
    """``HubSpot``; the slug itself for a CRM that is no longer known."""
    try:
        return provider(slug).name
    except UnknownProvider:
        return slug


@register.simple_tag
def crm_mark(slug: str, size: str = "") -> SafeString:
    """The CRM's initials on its colour. Drawn here: a CRM needs no picture to be added."""
    name = crm_name(slug)
    tint = TINTS.get(slug) or OTHER_TINTS[sum(slug.encode()) % len(OTHER_TINTS)]
    return format_html(
        '<svg class="crm-mark{}" viewBox="0 0 36 36" role="img" aria-label="{}"><title>{}</title>'
        '<rect width="36" height="36" fill="{}"/><text x="18" y="24" text-anchor="middle" fill="#fff" font-size="16" '
        'font-weight="700">{}</text></svg>',
        f" crm-mark-{size}" if size else "",
        name,
        name,
        tint,
        initials(name),
    )


def initials(name: str) -> str:
    """``HS`` for HubSpot, ``ZC`` for Zoho CRM, ``SA`` for Salesforce."""
    capitals = [letter for letter in name if letter.isupper()]
    return ("".join(capitals[:2]) if len(capitals) > 1 else name[:2]).upper()


@register.filter
def web_link(address: str) -> str:
    """The address where it is one of the web's; nothing for ``javascript:`` and the like, whoever wrote it."""
    return address if address.lower().startswith(("https://", "http://")) else ""


@register.filter
def phone(e164: str | None) -> str:
    """``+1 415-555-0123``."""
    return readable(e164) if e164 else ""


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """``12 min ago`` or ``in 18 s``; the browser keeps it true. Long ago: the date."""
    if at is None:
        return ""
    since = datetime.now(UTC) - at
    text = _away(since) if abs(since) < LONG_AGO else f"{at:%-d %b %Y}"
    return format_html('<time datetime="{}" data-ago>{}</time>', at.isoformat(timespec="seconds"), text)


def _away(since: timedelta) -> str:
    seconds = int(abs(since.total_seconds()))
    if since >= timedelta() and seconds < 5:
        return "just now"
    unit, size = next(((unit, size) for limit, unit, size in STEPS if seconds < limit), ("d", 86_400))
    return f"{seconds // size} {unit} ago" if since >= timedelta() else f"in {seconds // size} {unit}"


@register.filter
def moment(at: datetime | None, style: str = "") -> SafeString | str:
    """A date and time, in the reader's own zone where the browser can tell. ``moment:"clock"``: the time alone."""
    if at is None:
        return ""
    text = f"{at:%H:%M} UTC" if style == "clock" else f"{at:%-d %b %Y, %H:%M} UTC"
    return format_html('<time datetime="{}" data-local="{}">{}</time>', at.isoformat(timespec="seconds"), style, text)


@register.filter
def lasted(span: timedelta | float | None) -> str:
    """``0.8 s``, ``12 s``, ``3 min 4 s``, ``2 h 5 min``."""
    if span is None:
        return ""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
