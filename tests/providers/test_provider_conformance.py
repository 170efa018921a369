"""What every provider promises the engine, whichever CRM it speaks to."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.conformance import (
    NOW,
    Situation,
    crm_with_contacts,
    in_our_words,
    kept,
    situations,
    walk,
    walk_table,
)

from leadloom.contact import JSON, Contact
from leadloom.errors import LeadloomError, RecordRejected, Unreadable
from leadloom.providers.base import OWN_FIELDS, CrmAccount, Feed, Page, Provider, Reply, TablePage
from leadloom.providers.catalogue import UnknownProvider, all_providers, provider

providers = pytest.mark.parametrize("crm", [pytest.param(one, id=one.slug) for one in all_providers()])
told_of = {one.slug: list(situations(one.slug)) for one in all_providers()}
every_situation = pytest.mark.parametrize(
    ("crm", "situation"),
    [pytest.param(one, told, id=f"{one.slug}-{told.name}") for one in all_providers() for told in told_of[one.slug]],
)
feeds = pytest.mark.parametrize(
    ("crm", "feed"),
    [
        pytest.param(one, feed, id=f"{one.slug}-{name}")
        for one in all_providers()
        for name, feed in (("everything", one.everything()), ("changes", one.changes()), ("gone", one.gone()))
        if feed is not None
    ],
)
bookmarked = pytest.mark.parametrize(
    ("crm", "feed"),
    [
        pytest.param(one, feed, id=f"{one.slug}-{name}")
        for one in all_providers()
        for name, feed in (("everything", one.everything()), ("changes", one.changes()))
    ],
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


def test_a_crm_is_found_by_its_slug() -> None:
    assert provider("hubspot") in all_providers()
    with pytest.raises(UnknownProvider, match="hubspot"):
        provider("hubspto")


@providers
def test_a_provider_says_who_it_is(crm: Provider) -> None:
    assert crm.slug.isalnum()
    assert crm.slug.islower()
    assert crm.name
    assert crm.base_url.startswith("https://")
    assert not crm.base_url.endswith("/")
    assert "api" in crm.limits
    assert all("t0ken" not in name and "t0ken" in value for name, value in crm.authorization("t0ken").items())


@providers
def test_a_credential_tells_whose_account_it_opens(crm: Provider) -> None:
    account = crm.read_account(crm_with_contacts(crm.slug, 0).answer(crm.account_request()))
    assert account.external_id
    assert json.loads(json.dumps(dict(account.facts))) == account.facts


@every_situation
def test_a_record_becomes_the_contact_it_describes(crm: Provider, situation: Situation) -> None:
    contact = crm.contact(situation.record, tables=situation.tables, account=situation.account, region=situation.region)
    assert in_our_words(contact, situation.expected) == situation.expected
    assert json.loads(contact.raw) == situation.record


@every_situation
@given(data=st.data())
def test_a_spoilt_record_is_mapped_or_set_aside_with_a_reason(
    crm: Provider, situation: Situation, data: st.DataObject
) -> None:
    record = spoilt(situation.record, data)
    crm.missing([record], situation.tables)
    reason = ""
    try:
        contact = crm.contact(record, tables=situation.tables, account=situation.account, region=situation.region)
        assert_clean(contact)
    except RecordRejected as rejected:
        reason = rejected.reason or "none given"
    assert reason != "none given"


@providers
@settings(max_examples=500)  # of a CRM: its situations share their tables, and spoiling them for each is the same again
@given(data=st.data())
def test_spoilt_names_of_other_records_do_not_stop_a_contact(crm: Provider, data: st.DataObject) -> None:
    situation = data.draw(st.sampled_from(told_of[crm.slug]))
    tables = {name: spoilt(rows, data) for name, rows in situation.tables.items()}
    account = CrmAccount(external_id="1", facts=spoilt(dict(situation.account.facts), data))
    assert_clean(crm.contact(situation.record, tables=tables, account=account, region=situation.region))


@bookmarked
@pytest.mark.parametrize("contacts", [0, 1, 100, 450])
def test_a_pass_ends_and_the_next_one_starts_at_its_bookmark(crm: Provider, feed: Feed, contacts: int) -> None:
    done = walk(feed, crm_with_contacts(crm.slug, contacts))
    assert all(page.next is not None and page.bookmark is None for page in done.pages[:-1])
    assert len(set(done.ids)) == contacts
    assert done.bookmark is not None
    walk(crm.changes(), crm_with_contacts(crm.slug, contacts), bookmark=done.bookmark)


@feeds
def test_a_cursor_asks_the_same_each_time_and_is_not_changed_by_reading(crm: Provider, feed: Feed) -> None:
    source = crm_with_contacts(crm.slug, 450)
    for cursor in walk(feed, source).cursors:
        before = json.dumps(cursor)
        assert feed.request(cursor) == feed.request(kept(cursor))
        reply = source.answer(feed.request(cursor))
        assert feed.read(cursor, reply) == feed.read(cursor, reply)
        assert json.dumps(cursor) == before


@feeds
def test_a_pass_that_stops_anywhere_goes_on_with_exactly_the_rest(crm: Provider, feed: Feed) -> None:
    source = crm_with_contacts(crm.slug, 450)
    whole = walk(feed, source)
    for pages, cursor in enumerate(whole.cursors):
        assert walk(feed, source, start=cursor).pages == whole.pages[pages:]


@feeds
@given(data=st.data())
def test_a_spoilt_reply_is_read_or_refused_as_unreadable(crm: Provider, feed: Feed, data: st.DataObject) -> None:
    source = crm_with_contacts(crm.slug, 3)
    for cursor in walk(feed, source).cursors:
        good = source.answer(feed.request(cursor))
        body = data.draw(st.just(spoilt(json.loads(good.body or b"null"), data)) | anything)
        try:
            page = feed.read(cursor, Reply(good.status, good.headers, msgspec.json.encode(body)))
        except Unreadable:
            continue
        assert isinstance(page, Page)
        assert page.next is None or kept(page.next) == page.next


@feeds
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Sorry</html>", b'{"results": [', b"[]", b"null", b'"ok"', b"{}", b"\xff\xfe", b'{"results": null}'],
)
def test_a_reply_that_is_no_page_is_not_taken_for_the_end(crm: Provider, feed: Feed, body: bytes) -> None:
    for cursor in walk(feed, crm_with_contacts(crm.slug, 3)).cursors:
        with pytest.raises(Unreadable):
            feed.read(cursor, Reply(200, {}, body))


@providers
@given(data=st.data())
def test_a_spoilt_table_is_read_or_refused_as_unreadable(crm: Provider, data: st.DataObject) -> None:
    source = crm_with_contacts(crm.slug, 1)
    page = walk(crm.everything(), source).pages[0]
    for table in (*crm.tables(), *crm.missing(page.records, {})):
        cursor = kept(table.first())
        good = source.answer(table.request(cursor))
        body = data.draw(st.just(spoilt(json.loads(good.body or b"null"), data)) | anything)
        try:
            assert isinstance(table.read(cursor, Reply(200, {}, msgspec.json.encode(body))), TablePage)
        except Unreadable:
            continue


@providers
def test_names_that_contacts_refer_to_are_read_once(crm: Provider) -> None:
    source = crm_with_contacts(crm.slug, 3)
    records = walk(crm.everything(), source).pages[0].records
    tables: dict[str, dict[str, JSON]] = {}
    for table in (*crm.tables(), *crm.missing(records, {})):  # a table may be read in parts
        tables.setdefault(table.name, {}).update(walk_table(table, source)[0])
    assert list(crm.missing(records, tables)) == []


@providers
def test_a_field_that_the_customer_added_has_a_label_and_a_type(crm: Provider) -> None:
    source = crm_with_contacts(crm.slug, 1)
    for table in crm.tables():
        if table.name == OWN_FIELDS:
            rows, _ = walk_table(table, source)
            assert rows
            for row in rows.values():
                assert isinstance(row, dict)
                assert row["label"]
                assert isinstance(row["type"], str)


@providers
@given(
    status=st.integers(300, 599) | st.sampled_from([400, 401, 403, 404, 409, 414, 423, 429, 477, 500, 502, 503]),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "content-type"]), st.text() | st.integers(-5, 10**12).map(str), max_size=2
    ),
    body=st.binary(max_size=40) | anything.map(lambda value: msgspec.json.encode(value)),
)
def test_every_refusal_is_explained_to_the_customer(
    crm: Provider, status: int, headers: dict[str, str], body: bytes
) -> None:
    reply = Reply(status, headers, body)
    error = crm.explain(reply, now=NOW)
    assert isinstance(error, LeadloomError)
    assert crm.name in str(error)
    crm.allowance(reply)
    crm.remaining(reply)


def spoilt(good: Any, data: st.DataObject) -> Any:
    """A copy with one field, anywhere, removed or replaced by anything."""
    copy = json.loads(json.dumps(good))
    places = list(_places(copy))
    if not places:
        return copy
    holder, key = data.draw(st.sampled_from(places))
    if isinstance(holder, dict) and data.draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = data.draw(anything)
    return copy


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every field of a JSON value, as (object or list, key)."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[tuple[Any, Any]] = []
    for key, below in inner:
        found += [(value, key), *_places(below)]
    return found


def assert_clean(contact: Contact) -> None:
    """As the lead store needs it: text without NUL, times with a zone, links that are links."""
    assert contact.external_id.strip() == contact.external_id != ""
    texts = (contact.external_id, contact.name, contact.company, contact.owner, contact.status, contact.stage)
    for text in (*texts, contact.description, contact.owner_email, *contact.emails, *contact.merged_ids):
        assert isinstance(text, str)
        assert "\x00" not in text
        assert text == text.strip()
    assert contact.url == "" or contact.url.startswith("https://")
    for at in (contact.created_at, contact.modified_at, contact.last_activity_at):
        assert at is None or at.tzinfo is not None
    assert all(phone.text and phone.label for phone in contact.phones)
    assert isinstance(json.loads(contact.raw), dict)
