"""The main job as a person does it, in Chromium: connect a CRM, watch leads come in, refresh, and work with a lead."""

import re
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from tests.factories import make_connection, make_lead, make_member
from tests.journeys.conftest import Worker
from tests.web import session_of, web_process

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run, State
from leadloom.leads.models import Lead, Suppression
from leadloom.live.notify import announce
from leadloom.sandbox import Sandbox

pytestmark = pytest.mark.browser


@pytest.fixture
def dana(committed: None) -> Member:
    return make_member("dana@example.org", "Dana's")


@pytest.fixture
def visit(chromium: Browser, site: str, alice: Member) -> Iterator[BrowserContext]:
    yield from visit_as(chromium, site, alice)


def visit_as(
    chromium: Browser, site: str, member: Member, *, javascript: bool = True, width: int = 1280
) -> Iterator[BrowserContext]:
    context = chromium.new_context(
        base_url=site, viewport={"width": width, "height": 900}, java_script_enabled=javascript
    )
    context.set_default_timeout(15_000)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session_of(member), "url": site}])
    yield context
    context.close()


@pytest.fixture(scope="module")
def crm() -> Iterator[Sandbox]:
    with Sandbox(contacts=400, latency_ms=40) as box:
        yield box


@pytest.fixture(scope="module")
def demo_site(crm: Sandbox) -> Iterator[str]:
    """A site that offers a sandbox to connect to."""
    with web_process(LEADLOOM_SANDBOX_URL=crm.url) as web:
        yield web.address


@pytest.fixture
def worker(alice: Member, crm: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setenv("LEADLOOM_SANDBOX_URL", crm.url)
    worker = Worker()
    yield worker
    worker.kill()


@pytest.fixture(params=[1280, 390], ids=["desk", "phone"])
def demo(request: pytest.FixtureRequest, chromium: Browser, demo_site: str, alice: Member) -> Iterator[Page]:
    for context in visit_as(chromium, demo_site, alice, width=request.param):
        yield context.new_page()


@pytest.fixture(params=[True, False], ids=["javascript", "plain forms"])
def either(request: pytest.FixtureRequest, chromium: Browser, demo_site: str, alice: Member) -> Iterator[Page]:
    for context in visit_as(chromium, demo_site, alice, javascript=request.param):
        yield context.new_page()


def test_connecting_fills_recent_threads_before_ones_eyes_and_a_refresh_ends_with_a_sentence(
    demo: Page, worker: Worker, crm: Sandbox
) -> None:
    demo.goto("/")
    demo.get_by_role("link", name="Connect CRM").first.click()
    demo.get_by_role("dialog").get_by_role("button", name="Connect the sandbox").click()
    expect(demo.get_by_role("dialog")).to_be_hidden()
    expect(demo.locator("#threads-rows tr").first).to_be_visible(timeout=30_000)
    expect(demo.locator("[data-state=live]")).to_be_visible(timeout=60_000)
    expect(demo.locator("#threads-rows tr")).to_have_count(50)

    crm.create(firstname="Ottoline", lastname="Quill", phone=f"+1415555{crm.count():04}")
    crm.advance(60)
    demo.get_by_role("button", name="Refresh CRM").click()
    expect(demo.locator("#refresh-line")).to_contain_text("1 new", timeout=60_000)
    expect(demo.locator("#threads-rows")).to_contain_text("Ottoline Quill")


def test_connecting_and_refreshing_work_without_javascript_too(either: Page, alice: Member) -> None:
    either.goto("/")
    either.get_by_role("link", name="Connect CRM").first.click()
    either.get_by_role("button", name="Connect the sandbox").click()
    expect(either.locator("[data-state=connecting]")).to_be_visible()
    either.goto("/")
    either.get_by_role("button", name="Refresh CRM").click()
    expect(either.locator("body")).to_contain_text("Reading HubSpot")
    with account_scope(alice.account_id):
        assert Run.objects.count() == 1  # the refresh joined the run under way


def test_a_refused_token_is_explained_where_it_was_typed_and_not_sent_back(either: Page, alice: Member) -> None:
    either.goto("/")
    either.get_by_role("link", name="Connect CRM").first.click()
    secret = "pat-na1-ünreadable"
    form = either.locator("form", has=either.locator("#token-hubspot"))
    form.get_by_label("Access token").fill(secret)
    with either.expect_response(lambda response: response.request.method == "POST") as answer:
        form.get_by_role("button", name="Connect with this token").click()
    expect(either.get_by_role("alert").filter(has_text="token")).to_be_visible()
    assert secret not in answer.value.text()
    with account_scope(alice.account_id):
        assert not Connection.objects.exists()


def test_search_finds_by_name_number_and_e_mail(visit: BrowserContext, alice: Member) -> None:
    make_lead(alice.account, name="Wanda Wirth", phone="+493012345678", email="wanda@example.de")
    make_lead(alice.account, name="Somebody Else", phone="+14155550123", email="else@example.com")
    page = visit.new_page()
    page.goto("/")
    expect(page.locator("#threads-rows tr")).to_have_count(2)
    for wanted in ("wirth", "030 1234", "+49 30", "wanda@"):
        page.get_by_role("searchbox").fill(wanted)
        expect(page.locator("#threads-rows tr")).to_have_count(1)
        expect(page.locator("#threads-rows")).to_contain_text("Wanda Wirth")
    page.get_by_role("searchbox").fill("nobody at all")
    expect(page.locator("#threads")).to_contain_text("Nobody found")


def test_older_goes_through_everybody_once(visit: BrowserContext, alice: Member) -> None:
    for _ in range(120):
        make_lead(alice.account)
    page = visit.new_page()
    page.goto("/")
    names: list[str] = []
    while True:
        names += page.locator("#threads-rows .name").all_inner_texts()
        older = page.get_by_role("link", name="Older")
        if not older.count():
            break
        older.click()
        page.wait_for_url(re.compile("after="))
        page.wait_for_load_state()
    assert len(names) == len(set(names)) == 120


def test_what_the_crm_says_is_shown_as_text_whatever_it_contains(visit: BrowserContext, alice: Member) -> None:
    markup = '<img src=x onerror=alert(1)><b>Bobby</b> & "Tables" {{ lead }}'
    lead = make_lead(
        alice.account, name=markup, company=markup, crm_owner=markup, crm_status=markup, crm_stage=markup,
        crm_description=markup, last_message=markup, crm_source="hubspot",
    )  # fmt: skip
    page = visit.new_page()
    page.on("dialog", lambda dialog: pytest.fail("a script of the CRM's ran"))
    for path in ("/", f"/leads/{lead.pk}", f"/leads/{lead.pk}/edit", "/?search=<b>Bobby"):
        page.goto(path)
        assert "Bobby" in page.content()
        assert not page.locator("main img, main b:text-is('Bobby')").count()


def test_a_lead_that_somebody_adds_appears_on_the_open_dashboards_of_the_account_alone(
    visit: BrowserContext, chromium: Browser, site: str, alice: Member, dana: Member
) -> None:
    make_lead(alice.account)
    page = visit.new_page()
    with page.expect_response(re.compile("/threads/rows")):  # the stream is open, and what was missed is read
        page.goto("/")
    made = make_lead(alice.account, name="Fresh Face")
    with account_scope(alice.account_id):
        announce(alice.account_id, {"kind": "lead", "lead": made.pk})
    expect(page.locator("#threads-rows")).to_contain_text("Fresh Face")
    for context in visit_as(chromium, site, dana):
        other = context.new_page()
        other.goto("/")
        expect(other.locator("main")).not_to_contain_text("Fresh Face")


def test_an_edit_is_pinned_an_opt_out_remembered_and_an_archived_lead_gone_from_the_list(
    either: Page, alice: Member
) -> None:
    lead = make_lead(alice.account, name="Wnada", phone="+14155550199")
    either.goto(f"/leads/{lead.pk}")
    either.get_by_role("link", name="Edit").click()
    either.get_by_label("Name").fill("Wanda")
    either.get_by_role("button", name=re.compile("Save")).click()
    expect(either.get_by_role("heading", level=1)).to_have_text("Wanda")
    either.get_by_role("button", name="Opt out").click()
    expect(either.locator("main")).to_contain_text("Opted out")
    either.get_by_role("button", name="Archive").click()
    expect(either.get_by_role("button", name="Restore")).to_be_visible()
    either.goto("/")
    expect(either.locator("main")).not_to_contain_text("Wanda")
    with account_scope(alice.account_id):
        kept = Lead.objects.get(pk=lead.pk)
        assert (kept.name, kept.pinned, kept.opted_out) == ("Wanda", ["name"], True)
        assert Suppression.objects.filter(phone="+14155550199").exists()


def test_adding_a_number_twice_leads_to_the_person_who_has_it(either: Page, alice: Member) -> None:
    make_lead(alice.account, name="Wanda Wirth", phone="+14155550199")
    either.goto("/leads/new")
    either.get_by_label("Name").fill("Somebody")
    either.get_by_label("Phone").fill("(415) 555-0199")
    either.get_by_role("button", name=re.compile("Add|Save")).click()
    expect(either.locator("main")).to_contain_text("Wanda Wirth")
    with account_scope(alice.account_id):
        assert Lead.objects.count() == 1


def test_a_connection_that_lost_its_sign_in_says_so_and_asks_for_a_new_one(
    visit: BrowserContext, alice: Member
) -> None:
    make_connection(alice.account, state=State.NEEDS_RECONNECT, reason="HubSpot no longer accepts this token.")
    page = visit.new_page()
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("needs a new sign-in")
    page.get_by_role("link", name="Reconnect HubSpot").click()
    expect(page.get_by_role("dialog")).to_contain_text("Your leads are kept")


def test_disconnecting_asks_first_and_keeps_the_leads(either: Page, alice: Member) -> None:
    connection = make_connection(alice.account)
    make_lead(alice.account, name="Wanda Wirth")
    either.goto("/")
    either.get_by_label("More for HubSpot").click()
    either.get_by_role("link", name="Disconnect…").click()
    with account_scope(alice.account_id):
        assert Connection.objects.get(pk=connection.pk).is_active
    either.locator("main").get_by_role("button", name=re.compile("Disconnect")).click()
    expect(either.locator("main")).to_contain_text("Wanda Wirth")
    with account_scope(alice.account_id):
        assert not Connection.objects.get(pk=connection.pk).is_active


def test_a_menu_stays_open_when_cards_asked_for_before_arrive_after_it_was_opened(
    visit: BrowserContext, alice: Member
) -> None:
    connection = make_connection(alice.account)
    page = visit.new_page()
    held: list[Route] = []
    page.route("**/connections/cards*", lambda route: held.append(route), times=1)
    page.goto("/")
    deadline = time.monotonic() + 10
    while not held and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    page.get_by_label("More for HubSpot").click()
    with page.expect_response("**/connections/cards*"):
        held[0].continue_()
    page.wait_for_timeout(200)
    expect(page.get_by_role("link", name="Disconnect…")).to_be_visible()
    with account_scope(alice.account_id):
        Connection.objects.filter(pk=connection.pk).update(external_account_name="Renamed Ltd")
    page.keyboard.press("Escape")
    expect(page.locator("#connections")).to_contain_text("Renamed Ltd")


def test_the_dialog_opens_and_closes_by_keyboard_and_gives_the_focus_back(visit: BrowserContext, alice: Member) -> None:
    make_lead(alice.account)
    page = visit.new_page()
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    opener = page.get_by_role("link", name="Connect CRM").first
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(opener).to_be_focused()
