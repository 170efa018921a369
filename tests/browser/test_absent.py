"""Many contacts were not there: somebody is asked on the dashboard, looks at them, and says so, in Chromium."""

from collections.abc import Iterator
from itertools import islice

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser.test_dashboard import visit_as
from tests.browser.walk import pages

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run
from leadloom.connections.services import connect_with_token, request_run
from leadloom.leads.models import SourceContact
from leadloom.sandbox import Sandbox
from leadloom.sync.work import work_on

pytestmark = pytest.mark.browser

HIDDEN = 60
NAME_SIZE = """() => {  // at once: cards may be replaced at any moment
  const { width, height } = document.querySelector(".connection-name").getBoundingClientRect();
  return [width, height];
}"""


@pytest.fixture
def held(alice: Member) -> Run:
    """A sweep of a CRM that has lost half of its contacts. Nobody reads it any more: what a page asks for waits."""
    with Sandbox(contacts=2 * HIDDEN, seed=7) as box:
        with account_scope(alice.account_id):
            connection, run = connect_with_token(
                account=alice.account, member=alice, provider="hubspot", token=box.token, base_url=box.url
            )
        work_on(run.pk, alice.account_id)
        for one in list(islice(box.contacts(), HIDDEN)):
            box.gdpr_delete(one.id)
        with account_scope(alice.account_id):
            sweep, _ = request_run(connection=Connection.objects.get(pk=connection.pk), trigger="sweep")
        return work_on(sweep.pk, alice.account_id)


def gone(alice: Member) -> int:
    with account_scope(alice.account_id):
        return SourceContact.objects.exclude(gone_at=None).count()


@pytest.fixture(params=[(True, 1280), (True, 390), (False, 1280)], ids=["desk", "phone", "plain forms"])
def page(request: pytest.FixtureRequest, chromium: Browser, site: str, alice: Member) -> Iterator[Page]:
    javascript, width = request.param
    for context in visit_as(chromium, site, alice, javascript=javascript, width=width):
        yield context.new_page()


def test_somebody_is_asked_looks_at_them_and_says_that_they_have_left(page: Page, held: Run, alice: Member) -> None:
    assert held.absent == HIDDEN
    page.goto("/")
    width, height = page.evaluate(NAME_SIZE)
    assert width > height, "the question must not squeeze the card"
    page.get_by_role("link", name="Have they left?").click()
    expect(page.get_by_text(f"Have {HIDDEN} contacts left HubSpot?")).to_be_visible()
    expect(page.get_by_role("navigation", name="Outcomes").get_by_text("Not found")).to_be_visible()
    assert page.locator("tbody tr").count() == 50
    page.get_by_role("button", name="They have left").click()
    expect(page.get_by_text("Whoever is still not there is marked as gone").first).to_be_visible()
    with account_scope(alice.account_id):
        assert Run.objects.get(is_confirmed=True).requested_by_id == alice.pk
    page.goto("/")
    expect(page.get_by_role("link", name="Have they left?")).to_have_count(0)


def test_leaving_them_ends_the_question(page: Page, held: Run, alice: Member) -> None:
    page.goto(f"/runs/{held.pk}")
    page.get_by_role("button", name="Leave them").click()
    expect(page.get_by_text("They stay as they are").first).to_be_visible()
    expect(page.get_by_role("link", name="Have they left?")).to_have_count(0)
    assert gone(alice) == 0


@pytest.mark.parametrize("width", ["desk", "phone"], indirect=True)
def test_the_question_and_the_count_can_be_used_by_everybody(signed_in: BrowserContext, held: Run) -> None:
    starts = ("/", f"/runs/{held.pk}", f"/connections/{held.connection_id}/count")
    found = pages(signed_in, *starts, at_most=len(starts))
    wrong = [f"{path}: {said}" for path, _, complaints in found for said in complaints]
    assert not wrong, "\n".join(wrong)
