"""Persons of version 2: the list, and one. Deleted ones are in no list; one by one they are told for thirty days."""

from collections.abc import Sequence

from leadloom.sandbox.http import Json, Reply, Request, json_reply
from leadloom.sandbox.pipedrive.hub import CONTACTS, LIST, ONE, ROUTES, V2, Gate, Hub
from leadloom.sandbox.pipedrive.listing import Question, cut, listed, place, places, read_id, read_question
from leadloom.sandbox.pipedrive.problems import invalid, not_found
from leadloom.sandbox.pipedrive.records import CAMPAIGNS, CONTACT_SYNC, EXTRAS, OWNER_ONLY, Record, Wish, row
from leadloom.sandbox.pipedrive.staff import User

MOST_OWN_FIELDS = 15
MOST_REMEMBERED = 1_000  # pages of up to half a megabyte


@ROUTES.add("GET", rf"{V2}/persons", Gate(CONTACTS, LIST))
def list_persons(hub: Hub, request: Request, _: tuple[str, ...]) -> Reply:
    if not hub.remembers:
        return _list(hub, request)
    key = (hub.store.version, hub.store.deals.version, asker(hub, request).id, request.target)
    if key not in hub.pages:
        if len(hub.pages) >= MOST_REMEMBERED:
            hub.pages.clear()
        hub.pages[key] = _list(hub, request).body
    return Reply(200, hub.pages[key])


def _list(hub: Hub, request: Request) -> Reply:
    question, wish, user = read_question(request), read_wish(hub, request), asker(hub, request)
    owner, organization = read_id(request, "owner_id"), read_id(request, "org_id")
    if "filter_id" in request.query:
        raise not_found("Filter")

    def wanted(one: Record) -> bool:
        return (
            sees(user, one)
            and owner in (None, one.values["owner_id"])
            and organization in (None, one.values["org_id"])
        )  # fmt: skip

    found, cursor = cut(question, _places(hub, request, question), hub.store.get, wanted)
    return listed([row(one, wish) for one in found], cursor)


def _places(hub: Hub, request: Request, question: Question) -> Sequence[int]:
    deal = read_id(request, "deal_id")
    ids = question.ids
    if deal is not None:
        known = hub.store.deals.get(deal)
        ids = [known.person_id] if known and known.person_id is not None else []
    deleted = hub.store.deleted() if hub.manners.lists_deleted and (ids is not None or question.low_s) else []
    if ids is None:
        live = places(hub.store.index, question)
        if not deleted:
            return live
        return sorted([*live, *(_place(question, one) for one in deleted if _is_within(question, one))])
    rows = [one for own_id in set(ids) if (one := hub.store.get(own_id)) and (one.deleted_ms is None or deleted)]
    return sorted(_place(question, one) for one in rows if _is_within(question, one))


def _place(question: Question, one: Record) -> int:
    return place(question, one.id, created_ms=one.created_ms, modified_ms=one.modified_ms)


def _is_within(question: Question, one: Record) -> bool:
    second = one.modified_ms // 1000
    low, high = question.low_s, question.high_s
    return (low is None or second >= low) and (high is None or second < high)


@ROUTES.add("GET", rf"{V2}/persons/(\d+)", Gate(CONTACTS, ONE))
def get_person(hub: Hub, request: Request, args: tuple[str, ...]) -> Reply:
    found = hub.store.get(int(args[0]))
    if found is None or not sees(asker(hub, request), found):
        raise not_found("Person")
    return json_reply(200, {"success": True, "data": row(found, read_wish(hub, request))})


def asker(hub: Hub, request: Request) -> User:
    """Whose token it is. It has been admitted before."""
    held = request.headers.get("x-api-token") or request.bearer or ""
    return hub.tokens.access[held].grant.user


def sees(user: User, one: Record) -> bool:
    return user.is_admin or one.values["visible_to"] != OWNER_ONLY or one.values["owner_id"] == user.id


def read_wish(hub: Hub, request: Request) -> Wish:
    """Raises the 400 of a field that cannot be asked for."""
    query = request.query
    extras = [name for name in query.get("include_fields", "").split(",") if name]
    for name in extras:
        if name not in EXTRAS:
            raise invalid("include_fields", f"unsupported value {name}")
    own = [code for code in query.get("custom_fields", "").split(",") if code]
    if len(own) > MOST_OWN_FIELDS:
        raise invalid("custom_fields", f"must not be more than {MOST_OWN_FIELDS}")
    return Wish(
        extras=extras,
        deals=hub.store.deals.counts,
        own_fields=own or None,
        hidden=hidden(hub),
        option_labels=request.asks("include_option_labels"),
        labels=request.asks("include_labels"),
    )


def hidden(hub: Hub) -> list[str]:
    """Fields of products that the company does not use."""
    found: list[str] = []
    if not hub.manners.has_campaigns:
        found += CAMPAIGNS
    if not hub.manners.has_contact_sync:
        found += CONTACT_SYNC
    return found


def told(hub: Hub, one: Record) -> Json:
    return row(one, Wish(hidden=hidden(hub)))
