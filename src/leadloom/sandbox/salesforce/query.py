"""``query`` and ``queryAll``: rows in batches, the rest by locator."""

import re
from collections.abc import Sequence

from leadloom.sandbox.http import Json, Reply, Request, as_json
from leadloom.sandbox.salesforce.finder import Finder
from leadloom.sandbox.salesforce.hub import READ, ROUTES, VERSION, Hub
from leadloom.sandbox.salesforce.problems import malformed, problem
from leadloom.sandbox.salesforce.soql import Query, read_soql
from leadloom.sandbox.salesforce.telling import Plan, plan_of

SMALLEST, LARGEST = 200, 2000
MOST_REMEMBERED = 3_000
_BATCH = re.compile(r"batchSize\s*=\s*(\d+)")


@ROUTES.add("GET", rf"{VERSION}/(query|queryAll)/?", READ)
def run_query(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    version, way = args
    text = request.query.get("q")
    if not text:
        raise malformed("A query string has to be specified")
    size = batch_size(request)
    key = (hub.store.committed().version, f"{way} {version} {size} {text}")
    if hub.remembers and key in hub.pages:
        return Reply(200, hub.pages[key])
    body = answer(hub, read_soql(text), version, size, with_deleted=way == "queryAll")
    told = as_json(body)
    if hub.remembers and body["done"]:
        if len(hub.pages) >= MOST_REMEMBERED:
            hub.pages.clear()
        hub.pages[key] = told
    return Reply(200, told)


def batch_size(request: Request) -> int:
    found = _BATCH.search(request.headers.get("sforce-query-options", ""))
    return min(LARGEST, max(SMALLEST, int(found[1]))) if found else LARGEST


def answer(hub: Hub, query: Query, version: str, size: int, *, with_deleted: bool) -> dict[str, Json]:
    view = hub.store.committed()
    finder = Finder(hub, view, query, with_deleted=with_deleted)
    plan = plan_of(hub, query, version)
    numbers = finder.find()
    if query.is_count:
        return {"totalSize": len(numbers), "done": True, "records": []}
    return _page(hub, plan, numbers, 0, size, None)


@ROUTES.add("GET", rf"{VERSION}/query(?:All)?/(\w+)-(\d+)", READ)
def more(hub: Hub, __: Request, args: tuple[str, ...]) -> Reply:
    """Rows as they are now, of those that were found then."""
    _, name, start = args
    waiting = hub.locators.get(name)
    if int(start) >= len(waiting.numbers):
        raise problem(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return Reply(200, as_json(_page(hub, waiting.plan, waiting.numbers, int(start), waiting.size, name)))


def _page(hub: Hub, plan: Plan, numbers: Sequence[int], start: int, size: int, name: str | None) -> dict[str, Json]:
    view = hub.store.committed()
    rows: list[Json] = []
    end, weight = start, 0
    while end < len(numbers) and weight < size:
        record = view.get(plan.kind, numbers[end])
        end += 1
        if record is not None:
            row = plan.row(record, view)
            rows.append(row)
            weight += plan.weight(row) if plan.children else 1
    body: dict[str, Json] = {"totalSize": len(numbers), "done": end >= len(numbers), "records": rows}
    if end < len(numbers):
        kept = name or hub.locators.keep(plan, numbers, size)
        body["nextRecordsUrl"] = f"/services/data/v{plan.version}/query/{kept}-{end}"
    return body
