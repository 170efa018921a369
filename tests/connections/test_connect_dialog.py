"""The Connect CRM dialog: every CRM is there, says what it needs, and needs no more than that."""

import re
from html import unescape

import pytest
from django.test import Client
from pytest_django import Settings
from tests.factories import make_member

from leadloom.providers.base import Provider
from leadloom.providers.catalogue import all_providers

pytestmark = pytest.mark.django_db

providers = pytest.mark.parametrize("crm", [pytest.param(one, id=one.slug) for one in all_providers()])


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(make_member().user)
    return client


def dialog(browser: Client) -> str:
    return unescape(browser.get("/connect", HTTP_HX_REQUEST="true").content.decode())


def part_of(page: str, crm: Provider) -> str:
    """What the dialog says of one CRM."""
    parts = re.findall(r'<details name="crm".*?</li>', page, re.DOTALL)
    [found] = [part for part in parts if f"<b>{crm.name}</b>" in part]
    return str(found)


@providers
def test_a_crm_is_offered_with_its_mark_and_says_what_it_needs(
    browser: Client, crm: Provider, settings: Settings
) -> None:
    settings.NANGO_SECRET_KEY = ""
    part = part_of(dialog(browser), crm)
    assert f'aria-label="{crm.name}"' in part
    if crm.token_help is None:
        assert "signing in" in part
        assert 'name="token"' not in part
        return
    assert crm.token_help.label in part
    assert crm.token_help.where in part
    for scope in crm.token_help.scopes:
        assert f"<code>{scope}</code>" in part
    for asked in crm.token_help.asks:
        assert asked.label in part
        assert asked.where in part
        assert f'name="typed-{asked.name}"' in part


@providers
def test_where_nango_is_set_up_every_crm_has_a_button_to_sign_in(
    browser: Client, crm: Provider, settings: Settings
) -> None:
    settings.NANGO_SECRET_KEY = "a key"
    assert f'data-nango="{crm.slug}"' in part_of(dialog(browser), crm)


@providers
def test_the_sandbox_is_offered_for_the_crm_that_it_simulates_and_no_other(
    browser: Client, crm: Provider, settings: Settings
) -> None:
    settings.SANDBOX_URL, settings.SANDBOX_CRM = "http://127.0.0.1:1", crm.slug
    page = dialog(browser)
    for one in all_providers():
        assert ("Connect the sandbox" in part_of(page, one)) == (one.slug == crm.slug)
