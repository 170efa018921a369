"""Users, field definitions, modules and the organisation."""

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.zoho.catalogue import FIELDS, LEADS, MODULES
from leadloom.sandbox.zoho.hub import API, ROUTES, Gate, Hub
from leadloom.sandbox.zoho.listing import NOTHING
from leadloom.sandbox.zoho.problems import invalid, invalid_module, required
from leadloom.sandbox.zoho.staff import COMPANY, ORG_ID, TIME_ZONE, USERS, ZGID

_TYPES = {
    "AllUsers": {"active", "inactive", "deleted"},
    "ActiveUsers": {"active"},
    "DeactiveUsers": {"inactive"},
    "DeletedUsers": {"deleted"},
}
READ_USERS = Gate("ZohoCRM.users.READ", "ZohoCRM.users.ALL")
READ_FIELDS = Gate("ZohoCRM.settings.fields.READ", "ZohoCRM.settings.fields.ALL", "ZohoCRM.settings.ALL")
READ_MODULES = Gate("ZohoCRM.settings.modules.READ", "ZohoCRM.settings.modules.ALL", "ZohoCRM.settings.ALL")


@ROUTES.add("GET", rf"{API}/users", READ_USERS)
def list_users(_: Hub, request: Request, __: tuple[str, ...]) -> Reply:
    states = _TYPES.get(request.query.get("type", "AllUsers"))
    if states is None:
        raise invalid("type is unknown")
    size, page = int(request.query.get("per_page", "200")), int(request.query.get("page", "1"))
    found = [one for one in USERS if one.status in states]
    rows: list[Json] = [one.as_json() for one in found[(page - 1) * size : page * size]]
    if not rows:
        return NOTHING
    info: Json = {"per_page": size, "count": len(rows), "page": page, "more_records": len(found) > page * size}
    return json_reply(200, {"users": rows, "info": info})


@ROUTES.add("GET", rf"{API}/settings/fields", READ_FIELDS)
def list_fields(_: Hub, request: Request, __: tuple[str, ...]) -> Reply:
    module = request.query.get("module")
    if module is None:
        raise required("module")
    if module not in FIELDS:
        raise invalid_module(module)
    return json_reply(200, {"fields": [one.as_json(number) for number, one in enumerate(FIELDS[module])]})


@ROUTES.add("GET", rf"{API}/settings/modules", READ_MODULES)
def list_modules(_: Hub, __: Request, ___: tuple[str, ...]) -> Reply:
    rows: list[Json] = [
        {
            "id": str(4876876000000002175 + number),
            "api_name": module,
            "module_name": module,
            "singular_label": "Lead" if module == LEADS else "Contact",
            "plural_label": module,
            "generated_type": "default",
            "api_supported": True,
            "creatable": True,
            "editable": True,
            "deletable": True,
            "viewable": True,
            "visible": True,
            "show_as_tab": True,
        }
        for number, module in enumerate(MODULES)
    ]
    return json_reply(200, {"modules": rows})


@ROUTES.add("GET", rf"{API}/org", Gate("ZohoCRM.org.READ", "ZohoCRM.org.ALL"))
def get_org(_: Hub, __: Request, ___: tuple[str, ...]) -> Reply:
    org: Json = {
        "id": str(ORG_ID),
        "zgid": ZGID,
        "company_name": COMPANY,
        "domain_name": "org20081234567",
        "time_zone": TIME_ZONE,
        "country_code": "KE",
        "iso_code": "KES",
    }
    return json_reply(200, {"org": [org]})
