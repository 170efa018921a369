"""The dashboard's cards, the run history and the buttons: what people read, and what a stranger never does."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.factories import make_connection, make_lead, make_member, make_run

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.cards import counts_of, tell
from leadloom.connections.history import fold
from leadloom.connections.models import Connection, Run, State
from leadloom.leads.models import SourceContact
from leadloom.site import kept

pytestmark = pytest.mark.django_db

HTMX = {"HTTP_HX_REQUEST": "true"}
MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def alice() -> Member:
    return make_member()


@pytest.fixture
def hubspot(alice: Member) -> Connection:
    return make_connection(alice.account)


def browser_of(member: Member) -> Client:
    client = Client()
    client.force_login(member.user)
    return client


def left_out(hubspot: Connection, external_id: str, **fields: object) -> SourceContact:
    run = make_run(hubspot, state="done", seen=1, skipped=1)
    values: dict[str, object] = {"outcome": "skipped", "reason": "no_phone_or_email", "last_run": run, "name": "Nina"}
    with account_scope(hubspot.account_id):
        return SourceContact.objects.create(
            account=hubspot.account, connection=hubspot, external_id=external_id, **values | fields
        )


@pytest.mark.parametrize("state", State.values)
def test_every_state_has_one_word_one_sentence_and_one_button(state: str) -> None:
    told = tell(Connection(provider="hubspot", state=state))
    assert told.word
    assert told.tone in ("ok", "info", "warn", "bad", "quiet")
    assert told.sentence.endswith(".")
    assert told.button in ("refresh", "resume", "reconnect", "again", "progress")


@pytest.mark.parametrize("state", State.values)
def test_the_dashboard_shows_a_connection_in_every_state(alice: Member, state: str) -> None:
    make_connection(alice.account, state=state)
    assert tell(Connection(provider="hubspot", state=state)).word in browser_of(alice).get("/").content.decode()


def test_without_a_crm_the_dashboard_invites_to_connect_one(alice: Member) -> None:
    page = browser_of(alice).get("/").content.decode()
    buttons = re.findall(r"</svg>\s*(Connect CRM|Refresh CRM|AI Texter)", page)
    assert buttons == ["Connect CRM", "Refresh CRM", "AI Texter"]
    assert "Bring your CRM’s people in" in page


def test_the_dashboard_asks_the_database_as_often_for_many_leads_and_connections_as_for_few(alice: Member) -> None:
    make_connection(alice.account)
    make_lead(alice.account)
    browser = browser_of(alice)
    with CaptureQueriesContext(database) as few:
        browser.get("/")
    for number in range(5):
        make_connection(alice.account, external_account_id=str(number))
    for _ in range(20):
        make_lead(alice.account)
    with CaptureQueriesContext(database) as many:
        browser.get("/")
    assert len(many) == len(few)


def test_refresh_starts_a_run_and_a_second_refresh_joins_it(alice: Member, hubspot: Connection) -> None:
    browser = browser_of(alice)
    for _ in range(2):
        line = browser.post("/connections/refresh", **HTMX).content.decode()  # type: ignore[arg-type]
        assert "Reading HubSpot" in line
    with account_scope(alice.account_id):
        assert Run.objects.count() == 1


def test_a_refresh_ends_with_a_sentence(alice: Member, hubspot: Connection) -> None:
    run = make_run(hubspot, state="done", seen=8, created=2, updated=5, skipped=1)
    left_out(hubspot, "1", last_run=run)
    line = browser_of(alice).get(f"/connections/refreshing?runs={run.pk}").content.decode()
    assert "2 new, 5 changed, 1 skipped: no phone or e-mail" in line


@pytest.mark.parametrize(
    ("state", "why"), [(State.PAUSED, "is paused"), (State.NEEDS_RECONNECT, "needs a new sign-in")]
)
def test_a_refresh_says_why_a_connection_cannot_be_read(alice: Member, state: State, why: str) -> None:
    make_connection(alice.account, state=state)
    assert why in browser_of(alice).post("/connections/refresh", **HTMX).content.decode()  # type: ignore[arg-type]
    with account_scope(alice.account_id):
        assert not Run.objects.exists()


@pytest.mark.parametrize("path", ["pause", "disconnect", "release", "resume"])
def test_members_who_do_not_manage_change_no_connection(alice: Member, hubspot: Connection, path: str) -> None:
    bob = make_member("bob@example.com", role="member", account=alice.account)
    assert browser_of(bob).post(f"/connections/{hubspot.pk}/{path}").status_code == 403
    with account_scope(alice.account_id):
        hubspot.refresh_from_db()
    assert (hubspot.state, hubspot.released_at) == (State.LIVE, None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/connections/{c}/refresh"),
        ("post", "/connections/{c}/pause"),
        ("post", "/connections/{c}/resume"),
        ("post", "/connections/{c}/disconnect"),
        ("get", "/connections/{c}/disconnect"),
        ("post", "/connections/{c}/release"),
        ("get", "/connections/{c}/not-imported"),
        ("get", "/connections/{c}/fields"),
        ("get", "/connect?reconnect={c}"),
        ("get", "/runs?connection={c}"),
        ("get", "/runs/{r}"),
        ("get", "/leads/{l}"),
        ("get", "/leads/{l}/edit"),
        ("post", "/leads/{l}/edit"),
        ("post", "/leads/{l}/unpin"),
        ("post", "/leads/{l}/opt-out"),
        ("post", "/leads/{l}/opt-in"),
        ("post", "/leads/{l}/archive"),
        ("post", "/leads/{l}/restore"),
    ],
)
def test_charlie_finds_nothing_of_acmes(alice: Member, hubspot: Connection, method: str, path: str) -> None:
    run, lead = make_run(hubspot), make_lead(alice.account)
    charlie = browser_of(make_member("charlie@example.com", "Other"))
    address = path.format(c=hubspot.pk, r=run.pk, l=lead.pk)
    assert getattr(charlie, method)(address).status_code == 404


def test_a_refresh_line_tells_nothing_of_another_accounts_runs(alice: Member, hubspot: Connection) -> None:
    run = make_run(hubspot, state="done", seen=3, created=3)
    charlie = browser_of(make_member("charlie@example.com", "Other"))
    assert "3 new" not in charlie.get(f"/connections/refreshing?runs={run.pk}").content.decode()


def test_no_page_holds_inline_scripts_or_styles_and_what_the_crm_says_is_text(
    alice: Member, hubspot: Connection
) -> None:
    lead = make_lead(alice.account, name=MARKUP, crm_description=MARKUP, crm_owner=MARKUP, crm_source="hubspot")
    source = left_out(hubspot, "1", name=MARKUP, reason="phone_unreadable", reason_value=MARKUP, lead=lead)
    with account_scope(alice.account_id):
        Connection.objects.update(external_account_name=MARKUP, reason=MARKUP, state=State.STUCK)
    browser = browser_of(alice)
    pages = [
        "/", f"/?search={MARKUP}", "/connect", "/runs", f"/runs/{source.last_run_id}", f"/leads/{lead.pk}",
        f"/leads/{lead.pk}/edit", f"/leads/{lead.pk}/opt-in", "/leads/new", f"/connections/{hubspot.pk}/not-imported",
        f"/connections/{hubspot.pk}/disconnect", f"/connect?reconnect={hubspot.pk}", "/nothing/here",
    ]  # fmt: skip
    for page in pages:
        html = browser.get(page).content.decode()
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", html), page
        assert MARKUP not in html, page


def test_everybody_left_out_is_listed_by_cause_with_what_mends_it(alice: Member, hubspot: Connection) -> None:
    left_out(hubspot, "1", name="Nina")
    left_out(hubspot, "2", name="Omar", reason="phone_unreadable", reason_value="call me")
    page = browser_of(alice).get(f"/connections/{hubspot.pk}/not-imported").content.decode()
    for told in ("Nina", "Omar", "“call me”", "Add one in the CRM", "Correct the number"):
        assert told in page
    one = browser_of(alice).get(f"/connections/{hubspot.pk}/not-imported?reason=phone_unreadable").content.decode()
    assert "Omar" in one
    assert "Nina" not in one


def test_the_customer_s_own_fields_are_listed_as_last_read(alice: Member, hubspot: Connection) -> None:
    page = f"/connections/{hubspot.pk}/fields"
    assert "first refresh" in browser_of(alice).get(page).content.decode()
    with account_scope(alice.account_id):
        hubspot.tables = {"fields": {"shirt": {"label": f"Shirt size {MARKUP}", "type": "enumeration"}}}
        hubspot.tables_read_at = datetime.now(UTC)
        hubspot.save()
    shown = browser_of(alice).get(page).content.decode()
    assert "Shirt size" in shown
    assert "enumeration" in shown
    assert MARKUP not in shown
    told = browser_of(alice).get("/api/crm/fields", {"connectionId": hubspot.pk}).json()
    assert told["fields"] == [{"name": "shirt", "label": f"Shirt size {MARKUP}", "type": "enumeration"}]
    stranger = make_member("charlie@example.com")
    assert browser_of(stranger).get("/api/crm/fields", {"connectionId": hubspot.pk}).status_code == 404


def test_checks_that_found_nothing_are_one_line(hubspot: Connection) -> None:
    def check(**fields: object) -> Run:
        told = {"trigger": "cron", "state": "done", "requests": 2, "absent": 0}
        return Run(connection=hubspot, **told | fields)

    runs = [check(), check(), check(updated=1), check(), check(trigger="manual"), check(state="failed"), check()]
    assert [len(line.runs) for line in fold(runs)] == [2, 1, 1, 1, 1, 1]


def test_a_run_that_cannot_be_and_odd_pages_are_refused_not_broken(alice: Member, hubspot: Connection) -> None:
    browser = browser_of(alice)
    run = make_run(hubspot)
    assert browser.get("/?after=nonsense").status_code == 404
    assert browser.get("/runs?before=99999999999999999999&connection=x").status_code == 200
    assert browser.get("/connections/refreshing?runs=1,x,99999999999999999999,²").status_code == 200
    assert browser.get(f"/runs/{run.pk}?outcome=none&after=%00").status_code == 200
    assert browser.get("/leads/99999999999999999999").status_code == 404


def test_a_waiting_run_says_when_it_goes_on(alice: Member, hubspot: Connection) -> None:
    with account_scope(alice.account_id):
        Connection.objects.update(state=State.WAITING_QUOTA)
    make_run(hubspot, state="waiting", resume_at=datetime.now(UTC) + timedelta(minutes=43))
    page = browser_of(alice).get("/").content.decode()
    assert "Waiting" in page
    assert "in 42 min" in page


def test_disconnecting_asks_first_and_keeps_leads(alice: Member, hubspot: Connection) -> None:
    make_lead(alice.account, name="Wanda Wirth")
    browser = browser_of(alice)
    assert "What stays" in browser.get(f"/connections/{hubspot.pk}/disconnect").content.decode()
    browser.post(f"/connections/{hubspot.pk}/disconnect")
    with account_scope(alice.account_id):
        hubspot.refresh_from_db()
    assert not hubspot.is_active
    assert "Wanda Wirth" in browser.get("/").content.decode()


def test_figures_are_right_as_soon_as_a_pass_has_completed_however_long_counting_takes(
    alice: Member, hubspot: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "QUICK_S", 0.0)  # as if every count were slow,
    monkeypatch.setattr(kept, "SHARE", 1_000_000)  # and kept for hours
    with account_scope(alice.account_id):
        assert counts_of(alice.account).all_leads == 0
    make_lead(alice.account, crm_connection=hubspot)
    with account_scope(alice.account_id):
        Connection.objects.update(last_synced_at=datetime.now(UTC))
        assert counts_of(alice.account).all_leads == 1
