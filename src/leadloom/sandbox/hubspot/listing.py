"""``GET /crm/v3/objects/contacts``: every contact by ascending id, 100 a page.

The cursor is the last id plus one and never expires. There is no total. Live and archived contacts are never mixed.
"""

from bisect import bisect_left
from urllib.parse import quote

from leadloom.sandbox.http import Reply, Request
from leadloom.sandbox.hubspot.hub import CONTACTS, READ_CONTACTS, ROUTES, Hub
from leadloom.sandbox.hubspot.problems import invalid, problem
from leadloom.sandbox.hubspot.properties import shown

MAX_PAGE = 100
DEFAULT_PAGE = 10
MOST_REMEMBERED = 2_500  # pages, about 100 kB each
LONGEST_URL = 8_000  # the wall is not documented, that there is one is


@ROUTES.add("GET", CONTACTS, READ_CONTACTS)
def list_contacts(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    if len(request.raw_query) > LONGEST_URL:
        raise problem(414, None, "URI Too Long")
    if not hub.remembers:
        return Reply(200, _page(hub, request))
    asked = (hub.store.now.version, request.headers.get("host", ""), request.raw_query)
    if asked not in hub.pages:
        if len(hub.pages) >= MOST_REMEMBERED:
            hub.pages.clear()
        hub.pages[asked] = _page(hub, request)
    return Reply(200, hub.pages[asked])


def _page(hub: Hub, request: Request) -> bytes:
    query = request.query
    limit = page_size(query.get("limit"), MAX_PAGE)
    start = cursor(query.get("after"))
    names = shown(query.get("properties", ""))
    companies = "compan" in query.get("associations", "")
    if request.asks("archived"):
        rows, after = _archived_page(hub, start, limit, names, companies)
    else:
        rows, after = _live_page(hub, start, limit, names, companies)
    paging = "" if after is None else _next(request, query, after)
    return f'{{"results":[{",".join(rows)}]{paging}}}'.encode()


def page_size(text: str | None, most: int) -> int:
    if text is None:
        return DEFAULT_PAGE
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise invalid(f"Invalid value for limit: {text}. It must be a number from 1 to {most}.")
    return int(text)


def cursor(text: str | None) -> int:
    if text is None or text == "":
        return 0
    if not text.isdecimal():
        raise invalid(f"Invalid value for after: {text}")
    return int(text)


def _live_page(
    hub: Hub, start: int, limit: int, names: tuple[str, ...], companies: bool
) -> tuple[list[str], int | None]:
    """Untouched contacts and changed ones in one order. One more than asked for is looked at, never rendered."""
    view, ids, renderer = hub.store.now, hub.store.ids, hub.renderer
    places = view.untouched(ids.first_from(start), limit + 1)
    at = bisect_left(view.live, start)
    touched = view.live[at : at + limit + 1]
    if not touched:
        page = places[:limit]
        rows = renderer.born_rows(page, names, companies=companies)
        more = len(places) > limit
        return rows, ids.of(page[-1]) + 1 if more else None
    born = {ids.of(place): place for place in places}
    order = sorted([*born, *touched])
    rows = []
    for own_id in order[:limit]:
        place = born.get(own_id)
        if place is None:
            rows.append(renderer.row_text(view.records[own_id], names, companies=companies))
        else:
            rows += renderer.born_rows([place], names, companies=companies)
    return rows, order[limit - 1] + 1 if len(order) > limit else None


def _archived_page(
    hub: Hub, start: int, limit: int, names: tuple[str, ...], companies: bool
) -> tuple[list[str], int | None]:
    view = hub.store.now
    at = bisect_left(view.archived, start)
    found = view.archived[at : at + limit]
    rows = [hub.renderer.row_text(view.records[own_id], names, companies=companies) for own_id in found]
    return rows, found[-1] + 1 if len(view.archived) > at + limit else None


def _next(request: Request, query: dict[str, str], after: int) -> str:
    """The link leads back here with the same question."""
    same = "".join(f"&{name}={quote(value)}" for name, value in query.items() if name != "after")
    host = request.headers.get("host", "api.hubapi.com")
    return f',"paging":{{"next":{{"after":"{after}","link":"http://{host}{request.path}?after={after}{same}"}}}}'
