"""The real web process, looked at with headless Chromium."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from tests.factories import make_member
from tests.web import session_of, web_process

from leadloom.accounts.models import Member

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
WIDTHS = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    with web_process() as web:
        yield web.address


@pytest.fixture(scope="module")  # no longer: Playwright's event loop would be in the way of tests with their own
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium; name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def alice(committed: None) -> Member:
    return make_member()


@pytest.fixture(params=["desk", "phone"])
def width(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def signed_in(chromium: Browser, site: str, alice: Member, width: str) -> Iterator[BrowserContext]:
    """A browser in which Alice is signed in, on a desk and on a phone."""
    context = chromium.new_context(base_url=site, viewport=WIDTHS[width], color_scheme="light")  # type: ignore[arg-type]
    context.set_default_timeout(15_000)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session_of(alice), "url": site}])
    yield context
    context.close()
