"""What surrounds a contact: owners, companies and the links to them, property definitions, the account itself."""

import msgspec

from leadloom.sandbox.clock import iso
from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.hubspot.companies import company_id, company_row, firm_of
from leadloom.sandbox.hubspot.hub import COMPANIES, DATED, READ_COMPANIES, ROUTES, Gate, Hub
from leadloom.sandbox.hubspot.listing import cursor, page_size
from leadloom.sandbox.hubspot.objects import IdBody, IdsBody, live, read_body
from leadloom.sandbox.hubspot.owners import OWNERS, Owner
from leadloom.sandbox.hubspot.problems import invalid, not_found
from leadloom.sandbox.hubspot.properties import ALIASES, BY_OBJECT, shown_of_company
from leadloom.sandbox.hubspot.records import PORTAL, UI_DOMAIN
from leadloom.sandbox.names import FIRMS

OWNERS_PATH = rf"/crm/(?:v3/owners|owners/{DATED})"
PROPERTIES_PATH = rf"/crm/(?:v3/properties|properties/{DATED})"
ASSOCIATIONS_PATH = rf"/crm/(?:v4/associations|associations/{DATED})"
READ_OWNERS = Gate("core", "crm.objects.owners.read")
READ_SCHEMAS = Gate("core", "crm.schemas.contacts.read", "crm.objects.contacts.read")
LINKS_PER_CALL = 1_000


class CompaniesBody(msgspec.Struct):
    inputs: list[IdBody]
    properties: list[str] = []


@ROUTES.add("GET", rf"{OWNERS_PATH}/?", READ_OWNERS)
def list_owners(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """People who left come only with ``archived=true``, and then alone."""
    query = request.query
    limit = page_size(query.get("limit", "100"), 500)
    start = cursor(query.get("after"))
    email = query.get("email", "").lower()
    archived = request.asks("archived")
    found = [one for one in _owners(archived, email) if one.id >= start]
    body: dict[str, Json] = {"results": [one.as_json(hub.clock.start_ms) for one in found[:limit]]}
    if len(found) > limit:
        after = str(found[limit].id)
        body["paging"] = {"next": {"after": after, "link": f"https://api.hubapi.com{request.path}?after={after}"}}
    return json_reply(200, body)


@ROUTES.add("GET", rf"{OWNERS_PATH}/(\d+)", READ_OWNERS)
def get_owner(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    archived = request.asks("archived")
    by_user = request.query.get("idProperty") == "userId"
    for one in _owners(archived, ""):
        if args[0] == str(one.id // 7 if by_user else one.id):
            return json_reply(200, one.as_json(hub.clock.start_ms))
    raise not_found("owner", args[0])


def _owners(archived: bool, email: str) -> list[Owner]:
    return [one for one in OWNERS if one.archived == archived and (not email or one.email == email)]


@ROUTES.add("GET", rf"{PROPERTIES_PATH}/([\w-]+)", READ_SCHEMAS)
def list_properties(_hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    """All in one reply: there is no paging."""
    known = BY_OBJECT[_object(args[0])]
    return json_reply(200, {"results": [one.as_json(at) for at, one in enumerate(known.values())]})


@ROUTES.add("GET", rf"{PROPERTIES_PATH}/([\w-]+)/([\w-]+)", READ_SCHEMAS)
def get_property(_hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    found = BY_OBJECT[_object(args[0])].get(args[1])
    if found is None:
        raise not_found("property", args[1])
    return json_reply(200, found.as_json(0))


def _object(name: str) -> str:
    name = ALIASES.get(name, name)
    if name not in BY_OBJECT:
        raise invalid(f"Unable to infer object type from: {name}")
    return name


@ROUTES.add("POST", rf"{COMPANIES}/batch/read", READ_COMPANIES)
def batch_read_companies(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    body = read_body(request, CompaniesBody)
    if len(body.inputs) > 100:
        raise invalid("The number of inputs exceeds the limit of 100.")
    names = shown_of_company(set(body.properties))
    found = [(one.id, firm_of(int(one.id)) if one.id.isdecimal() else None) for one in body.inputs]
    missing: list[Json] = [asked for asked, firm in found if firm is None]
    now = iso(hub.clock.now_ms())
    reply: dict[str, Json] = {
        "completedAt": now,
        "status": "COMPLETE",
        "startedAt": now,
        "results": [_company(hub, firm, names) for _, firm in found if firm is not None],
    }
    if missing:
        message = "Could not get some COMPANY objects, they may be deleted or not exist. Check that ids are valid."
        context: dict[str, Json] = {"ids": missing}
        reply["errors"] = [{"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": context}]
        reply["numErrors"] = 1
    return json_reply(207 if missing else 200, reply)


@ROUTES.add("GET", COMPANIES, READ_COMPANIES)
def list_companies(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    limit = page_size(request.query.get("limit"), 100)
    start = cursor(request.query.get("after"))
    names = _company_names(request)
    if request.asks("archived"):
        return json_reply(200, {"results": []})
    found = [firm for firm in range(len(FIRMS)) if company_id(firm) >= start]
    body: dict[str, Json] = {"results": [_company(hub, firm, names) for firm in found[:limit]]}
    if len(found) > limit:
        after = str(company_id(found[limit - 1]) + 1)
        body["paging"] = {"next": {"after": after, "link": f"https://api.hubapi.com{request.path}?after={after}"}}
    return json_reply(200, body)


@ROUTES.add("GET", rf"{COMPANIES}/(\d+)", READ_COMPANIES)
def get_company(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    firm = firm_of(int(args[0]))
    if firm is None:
        raise not_found("company", args[0])
    return json_reply(200, _company(hub, firm, _company_names(request)))


def _company_names(request: Request) -> tuple[str, ...]:
    return shown_of_company({name for name in request.query.get("properties", "").split(",") if name})


def _company(hub: Hub, firm: int, names: tuple[str, ...]) -> dict[str, Json]:
    return company_row(firm, names, epoch_ms=hub.clock.start_ms, portal=PORTAL)


@ROUTES.add(
    "POST",
    rf"{ASSOCIATIONS_PATH}/(?:contacts?|0-1)/(?:companies|company|0-2)/batch/read",
    Gate("associations", "crm.objects.contacts.read"),
)
def companies_of_contacts(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Contacts without a company are missing from ``results``. Type 1 is the primary company, 279 any."""
    body = read_body(request, IdsBody)
    if len(body.inputs) > LINKS_PER_CALL:
        raise invalid(f"The number of inputs exceeds the limit of {LINKS_PER_CALL}.")
    results: list[Json] = []
    for one in body.inputs:
        record = hub.store.get(int(one.id)) if one.id.isdecimal() else None
        if record is not None and record.archived_ms is None and record.companies:
            results.append({"from": {"id": one.id}, "to": _links(record.companies)})
    now = iso(hub.clock.now_ms())
    return json_reply(200, {"completedAt": now, "status": "COMPLETE", "startedAt": now, "results": results})


@ROUTES.add(
    "GET",
    rf"/crm/(?:v4/objects|objects/{DATED})/(?:contacts?|0-1)/(\d+)/associations/(?:companies|company|0-2)",
    Gate("associations", "crm.objects.contacts.read"),
)
def companies_of_contact(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    return json_reply(200, {"results": _links(live(hub, args[0]).companies)})


def _links(companies: tuple[int, ...]) -> list[Json]:
    primary: Json = {"category": "HUBSPOT_DEFINED", "typeId": 1, "label": "Primary"}
    plain: Json = {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}
    return [
        {"toObjectId": company, "associationTypes": [plain] if at else [plain, primary]}
        for at, company in enumerate(companies)
    ]


@ROUTES.add("GET", rf"/account-info/(?:v3|{DATED})/details", Gate("core"))
def account_details(_hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    return json_reply(
        200,
        {
            "portalId": PORTAL,
            "accountType": "STANDARD",
            "timeZone": "US/Eastern",
            "companyCurrency": "USD",
            "additionalCurrencies": [],
            "utcOffset": "-04:00",
            "utcOffsetMilliseconds": -14_400_000,
            "uiDomain": UI_DOMAIN,
            "dataHostingLocation": "na1",
        },
    )
