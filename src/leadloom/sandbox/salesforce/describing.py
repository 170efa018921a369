"""What there is: versions, objects, fields, limits."""

from email.utils import formatdate, parsedate_to_datetime
from hashlib import sha256

from leadloom.sandbox.http import Json, Reply, Request, as_json, json_reply
from leadloom.sandbox.salesforce.catalogue import FIELDS, KINDS, UNDELETED, Field, Option, prefix_of
from leadloom.sandbox.salesforce.hub import LATEST, OLDEST, OPEN, READ, ROUTES, VERSION, Hub
from leadloom.sandbox.salesforce.problems import not_found

_SEASONS = ("Spring", "Summer", "Winter")
_XSD = {
    "boolean": "xsd:boolean", "double": "xsd:double", "int": "xsd:int", "currency": "xsd:double", "date": "xsd:date",
    "datetime": "xsd:dateTime", "id": "tns:ID", "reference": "tns:ID", "address": "urn:address",
}  # fmt: skip


@ROUTES.add("GET", "/services/data/?", OPEN)
def versions(_: Hub, __: Request, ___: tuple[str, ...]) -> Reply:
    """Three a year: 31.0 is Summer '14, 66.0 is Spring '26."""
    found: list[Json] = []
    for number in range(OLDEST, LATEST + 1):
        years, season = divmod(number - 30, 3)
        label = f"{_SEASONS[season]} '{14 + years + (season == 2)}"
        found.append({"label": label, "url": f"/services/data/v{number}.0", "version": f"{number}.0"})
    return json_reply(200, found)


@ROUTES.add("GET", rf"{VERSION}/?", READ)
def resources(_: Hub, __: Request, args: tuple[str, ...]) -> Reply:
    base = f"/services/data/v{args[0]}"
    names = ("sobjects", "query", "queryAll", "limits", "jobs", "composite")
    return json_reply(200, {name: f"{base}/{name}" for name in names})


@ROUTES.add("GET", rf"{VERSION}/limits/?", READ)
def limits(hub: Hub, _: Request, __: tuple[str, ...]) -> Reply:
    def full(most: int) -> Json:
        return {"Max": most, "Remaining": most}

    told: dict[str, Json] = {
        "DailyApiRequests": {"Max": hub.limits.most, "Remaining": hub.limits.most - hub.limits.used},
        "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000 - len(hub.jobs.all())},
        "DailyBulkV2QueryFileStorageMB": full(976_562),
        "DailyBulkApiBatches": full(15_000),
        "DailyDeliveredPlatformEvents": full(10_000),
        "DailyStreamingApiEvents": full(10_000),
        "PermissionSets": {"Max": 1500, "Remaining": 1499, "CreateCustom": {"Max": 1000, "Remaining": 999}},
    }
    return json_reply(200, told)


@ROUTES.add("GET", rf"{VERSION}/sobjects/?", READ)
def describe_all(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    found: list[Json] = [_object(kind, args[0]) for kind in FIELDS if kind not in hub.hidden_objects]
    return json_reply(200, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": found})


@ROUTES.add("GET", rf"{VERSION}/sobjects/(\w+)/describe/?", READ)
def describe(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    """Without the fields that the user may not see."""
    kind = visible(hub, args[1])
    since = request.headers.get("if-modified-since", "")
    if since and hub.changed_ms // 1000 <= parsedate_to_datetime(since).timestamp():
        return Reply(304)
    told: dict[str, Json] = {
        **_object(kind, args[0]),
        "fields": [_field(one) for one in hub.fields(kind).values()],
        "recordTypeInfos": [_MASTER],
        "childRelationships": [],
    }
    body = as_json(told)
    changed = formatdate(hub.changed_ms // 1000, usegmt=True).encode()
    headers = [(b"etag", f'"{sha256(body).hexdigest()[:8]}"'.encode()), (b"last-modified", changed)]
    return Reply(200, body, headers=headers)


@ROUTES.add("GET", rf"{VERSION}/sobjects/(\w+)/?", READ)
def basics(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    kind = visible(hub, args[1])
    return json_reply(200, {"objectDescribe": _object(kind, args[0]), "recentItems": []})


def visible(hub: Hub, name: str) -> str:
    """An object that the user may see. Raises the 404."""
    kind = KINDS.get(name.lower())
    if kind is None or kind in hub.hidden_objects:
        raise not_found()
    return kind


_MASTER: Json = {
    "active": True,
    "available": True,
    "defaultRecordTypeMapping": True,
    "master": True,
    "name": "Master",
    "recordTypeId": "012000000000000AAA",
}


def _object(kind: str, version: str) -> dict[str, Json]:
    base = f"/services/data/v{version}/sobjects/{kind}"
    can_change = kind not in UNDELETED
    return {
        "name": kind,
        "label": kind,
        "labelPlural": f"{kind}s",
        "keyPrefix": prefix_of(kind),
        "custom": False,
        "createable": can_change,
        "updateable": can_change,
        "deletable": can_change,
        "undeletable": can_change,
        "mergeable": kind in ("Account", "Contact", "Lead"),
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "layoutable": True,
        "urls": {"sobject": base, "describe": f"{base}/describe", "rowTemplate": f"{base}/{{ID}}"},
    }


def _field(one: Field) -> Json:
    return {
        "name": one.name,
        "label": one.title,
        "type": one.type,
        "soapType": _XSD.get(one.type, "xsd:string"),
        "length": 0 if one.type in ("boolean", "date", "datetime", "double", "int", "currency") else one.length,
        "nillable": not (one.is_required or one.type in ("boolean", "id")),
        "custom": one.is_custom,
        "calculated": False,
        "filterable": one.type != "address" and one.length <= 255,
        "sortable": one.type != "address" and one.length <= 255,
        "groupable": one.type not in ("address", "datetime", "double"),
        "createable": not one.is_read_only,
        "updateable": not one.is_read_only,
        "permissionable": not (one.is_read_only or one.is_required),
        "relationshipName": one.relationship,
        "referenceTo": list(one.leads_to),
        "compoundFieldName": _compound(one.name),
        "picklistValues": [_option(option) for option in one.options],
        "restrictedPicklist": False,
        "unique": one.type == "id",
        "externalId": False,
        "defaultedOnCreate": one.type == "boolean",
    }


def _compound(name: str) -> str | None:
    if name in ("FirstName", "LastName", "Salutation"):
        return "Name"
    front = "Mailing" if name.startswith("Mailing") else ""
    rest = name.removeprefix(front)
    return f"{front}Address" if rest in ("Street", "City", "State", "PostalCode", "Country", "CountryCode") else None


def _option(one: Option) -> Json:
    return {"active": True, "defaultValue": one.is_default, "label": one.label, "validFor": None, "value": one.value}
