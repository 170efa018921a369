"""Keep all middleware of a request in its thread.

Under ASGI Django asks each middleware from the event loop and lets each hop to the request's thread and back, twice.
Next to something that is not asynchronous they are called plainly, one from another: so the innermost is not.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_only_middleware


@sync_only_middleware
def one_hop(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    def answer(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    return answer
