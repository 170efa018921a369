"""What persons refer to: users, organizations, deals, stages, pipelines, activities, and the fields of a person."""

from collections.abc import Sequence

from leadloom.sandbox.clock import DAY_MS, iso
from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.pipedrive.deals import Deal
from leadloom.sandbox.pipedrive.hub import (
    CONTACTS,
    DEALS,
    LIST,
    ONE,
    ROUTES,
    SHORT_LIST,
    USERS,
    V1,
    V1_LIST,
    V1_ONE,
    V2,
    Gate,
    Hub,
)
from leadloom.sandbox.pipedrive.index import Index
from leadloom.sandbox.pipedrive.listing import (
    Question,
    cut,
    listed,
    place,
    places,
    read_id,
    read_ids,
    read_question,
    short_list,
)
from leadloom.sandbox.pipedrive.organizations import COUNTRY, Organization
from leadloom.sandbox.pipedrive.persons import asker
from leadloom.sandbox.pipedrive.problems import invalid, not_found
from leadloom.sandbox.pipedrive.records import CAMPAIGNS, FIRST_ACTIVITY, KEPT_DAYS, activity_of, stamp
from leadloom.sandbox.pipedrive.staff import BY_ID, COMPANY_ID, FIELDS, STAGES, pipelines_json
from leadloom.sandbox.pipedrive.staff import USERS as EVERY_USER

NOT_DELETED, DELETED = ("open", "won", "lost"), "deleted"


def _one(row: Json) -> Reply:
    return json_reply(200, {"success": True, "data": row})


@ROUTES.add("GET", rf"{V1}/users", Gate(USERS, V1_LIST))
def list_users(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """All of them, those who left too, in one reply."""
    you = asker(hub, request)
    rows: list[Json] = [one.as_json(you=you) for one in EVERY_USER]
    return json_reply(200, {"success": True, "data": rows, "additional_data": {"company_id": COMPANY_ID}})


@ROUTES.add("GET", rf"{V1}/users/me", Gate(("base", *USERS), V1_ONE))
def get_me(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    return _one(asker(hub, request).me())


@ROUTES.add("GET", rf"{V1}/users/(\d+)", Gate(USERS, V1_ONE))
def get_user(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    found = BY_ID.get(int(args[0]))
    if found is None:
        raise not_found("User")
    return _one(found.as_json(you=asker(hub, request)))


@ROUTES.add("GET", rf"{V2}/personFields", Gate((*CONTACTS, "contact-fields:full"), LIST))
def list_person_fields(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    fields = [one for one in FIELDS if hub.manners.has_campaigns or one.code not in CAMPAIGNS]
    return short_list(request, [one.as_json() for one in fields])


@ROUTES.add("GET", rf"{V2}/stages", Gate(DEALS, SHORT_LIST))
def list_stages(_: Hub, request: Request, __: tuple[str, ...]) -> Reply:
    pipeline = read_id(request, "pipeline_id")
    return short_list(request, [one.as_json() for one in STAGES if pipeline in (None, one.pipeline_id)])


@ROUTES.add("GET", rf"{V2}/pipelines", Gate(DEALS, SHORT_LIST))
def list_pipelines(_: Hub, request: Request, __: tuple[str, ...]) -> Reply:
    return short_list(request, pipelines_json())


@ROUTES.add("GET", rf"{V2}/organizations", Gate(CONTACTS, LIST))
def list_organizations(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """There are so few that their index is made anew for every list."""
    question, known = read_question(request), hub.store.organizations.by_id
    chosen = known.values() if question.ids is None else [known[one] for one in set(question.ids) if one in known]
    index = Index((one.id, one.created_ms, one.modified_ms) for one in chosen)
    found, cursor = cut(question, places(index, question), known.get, lambda one: one.deleted_ms is None)
    return listed([_organization(one) for one in found], cursor)


@ROUTES.add("GET", rf"{V2}/organizations/(\d+)", Gate(CONTACTS, ONE))
def get_organization(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    found = hub.store.organizations.by_id.get(int(args[0]))
    if found is None:
        raise not_found("Organization")
    return _one(_organization(found))


def _organization(one: Organization) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "owner_id": one.owner_id,
        "add_time": stamp(one.created_ms),
        "update_time": stamp(one.modified_ms),
        "is_deleted": one.deleted_ms is not None,
        "visible_to": 3,
        "label_ids": [],
        "address": {"value": f"1 Main Street, {COUNTRY}", "country": COUNTRY} if one.has_address else None,
        "website": None,
        "linkedin": None,
        "industry": None,
        "annual_revenue": None,
        "employee_count": None,
        "custom_fields": {},
    }


@ROUTES.add("GET", rf"{V2}/deals", Gate(DEALS, LIST))
def list_deals(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Several statuses may be named; without any, all but the deleted are meant."""
    question = read_question(request)
    statuses = request.query["status"].split(",") if "status" in request.query else list(NOT_DELETED)
    if not {*statuses} <= {*NOT_DELETED, DELETED}:
        raise invalid("status", "unsupported value")
    names = ("owner_id", "person_id", "org_id", "pipeline_id", "stage_id")
    asked = {name: value for name in names if (value := read_id(request, name)) is not None}

    def wanted(one: Deal) -> bool:
        if (DELETED if one.deleted_ms is not None else one.status) not in statuses:
            return False
        held = one.row() if asked else {}
        return all(held[name] == value for name, value in asked.items())

    found, cursor = cut(question, _deal_places(hub, question, statuses, asked), hub.store.deals.get, wanted)
    return listed([one.row() for one in found], cursor)


def _deal_places(hub: Hub, question: Question, statuses: list[str], asked: dict[str, int]) -> Sequence[int]:
    """Of all the deals that may be wanted."""
    deals = hub.store.deals
    oldest = hub.clock.now_ms() - KEPT_DAYS * DAY_MS
    deleted = [one for one in deals.deleted() if (one.deleted_ms or 0) > oldest] if DELETED in statuses else []
    if question.ids is not None:
        known = (deals.get(own_id) for own_id in set(question.ids))
        rows = [one for one in known if one is not None and (one.deleted_ms is None or one in deleted)]
    elif "person_id" in asked:
        rows = [*deals.of_person(asked["person_id"]), *deleted]
    else:
        rows = deleted
    low, high = question.low_s, question.high_s
    few = sorted(
        place(question, one.id, created_ms=one.created_ms, modified_ms=one.modified_ms)
        for one in rows
        if (low is None or one.modified_ms // 1000 >= low) and (high is None or one.modified_ms // 1000 < high)
    )
    if question.ids is not None or "person_id" in asked or statuses == [DELETED]:
        return few
    live = places(deals.index, question)
    return sorted([*live, *few]) if few else live


@ROUTES.add("GET", rf"{V2}/deals/(\d+)", Gate(DEALS, ONE))
def get_deal(hub: Hub, _: Request, args: tuple[str, ...]) -> Reply:
    """Its ``custom_fields`` may be null here, where a list says ``{}``: seen in real replies."""
    found = hub.store.deals.get(int(args[0]))
    if found is None:
        raise not_found("Deal")
    return _one({**found.row(), "custom_fields": None})


@ROUTES.add("GET", rf"{V2}/activities", Gate(("activities:read",), LIST))
def list_activities(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    """Only by ``ids``: each person has been written to once at most."""
    rows: list[Json] = []
    for own_id in sorted(set(read_ids(request.query.get("ids", "")))):
        person = hub.store.get(own_id - FIRST_ACTIVITY)
        if person is not None and person.spoke_ms is not None:
            day, time = iso(person.spoke_ms)[:10], iso(person.spoke_ms)[11:16]
            rows.append(
                {
                    "id": activity_of(person.id),
                    "subject": "E-mail",
                    "type": "email",
                    "owner_id": person.values["owner_id"],
                    "person_id": person.id,
                    "participants": [{"person_id": person.id, "primary": True}],
                    "done": True,
                    "due_date": day,
                    "due_time": time,
                    "add_time": stamp(person.spoke_ms),
                    "update_time": stamp(person.spoke_ms),
                    "is_deleted": False,
                }
            )
    return listed(rows, None)
