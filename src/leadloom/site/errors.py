"""What somebody sees when a page fails: our mistake is a 500, a database that is away for a moment is a 503."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

AGAIN_S = 5


def is_away(error: BaseException | None) -> bool:
    """Whether the database could not be reached, broke off, or was too busy with others: worth trying again."""
    return isinstance(error, OperationalError | InterfaceError)


def page_failed(_request: HttpRequest) -> HttpResponse:
    """Django's ``handler500``. It asks no database: none may be there."""
    if not is_away(sys.exception()):
        return render(None, "500.html", status=500)
    response = render(None, "503.html", status=503)
    response["Retry-After"] = str(AGAIN_S)
    return response
