"""What every template may know."""

from django.conf import settings
from django.http import HttpRequest


def product(request: HttpRequest) -> dict[str, object]:
    return {
        "is_demo": bool(settings.SANDBOX_URL),
        "has_nango": bool(settings.NANGO_SECRET_KEY),
        "account": getattr(request, "account", None),
        "member": getattr(request, "member", None),
    }
