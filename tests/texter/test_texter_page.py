"""The AI Texter page: what it shows, who may change it, and that it works without JavaScript."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from tests.factories import make_connection, make_lead, make_member, make_run
from tests.texter.situation import Texting

from leadloom.accounts.scope import account_scope
from leadloom.leads.models import Lead
from leadloom.texter import services
from leadloom.texter.models import Delivery

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{40,}")


@pytest.fixture
def alice(texting: Texting, client: Client) -> Client:
    client.force_login(texting.member.user)
    return client


@pytest.fixture
def bob(texting: Texting) -> Client:
    member = make_member("bob@example.com", role="member", account=texting.account)
    client = Client()
    client.force_login(member.user)
    return client


@pytest.fixture
def charlie(db: None) -> Client:
    client = Client()
    client.force_login(make_member("charlie@example.net", "Charlie & Co").user)
    return client


def test_a_newcomer_is_led_from_the_address_to_the_switch(db: None, client: Client, settings: Any) -> None:
    settings.ALLOW_PRIVATE_URLS = True
    client.force_login(make_member().user)
    page = client.get("/texter/").text
    assert "Enter the webhook address of your texting service first, then switch on here" in page
    shown = client.post("/texter/address", {"address": "http://127.0.0.1:8081/leads"})
    assert SECRET.search(shown.text)
    assert "no-store" in shown["Cache-Control"]
    page = client.post("/texter/switch", {"to": "on"}, follow=True).text
    assert "New leads are handed over" in page
    assert not SECRET.search(page)


def test_an_address_that_cannot_be_used_is_explained_beside_the_field_and_kept(alice: Client) -> None:
    answer = alice.post("/texter/address", {"address": "https://169.254.169.254/latest"})
    assert answer.status_code == 422
    assert "private network" in answer.text
    assert "https://169.254.169.254/latest" in answer.text


def test_a_new_secret_is_shown_once(alice: Client, texting: Texting) -> None:
    shown = alice.post("/texter/secret")
    secret = SECRET.search(shown.text)
    assert secret
    assert secret[0] != texting.secret
    assert secret[0] not in alice.get("/texter/").text


def test_the_switch_switches(alice: Client, texting: Texting) -> None:
    alice.post("/texter/switch", {"to": "off"})
    assert not texting.settings().is_on
    assert "Off since" in alice.get("/texter/").text
    alice.post("/texter/switch", {"to": "on"})
    assert texting.settings().is_on


def test_the_result_of_a_test_is_shown(alice: Client, texting: Texting) -> None:
    answer = alice.post("/texter/test", follow=True)
    assert "Sending a test" in answer.text
    with account_scope(texting.account.pk):
        delivery = Delivery.objects.get(event="test")
    texting.deliver(delivery)
    assert "The test arrived" in alice.get(f"/texter/?test={delivery.pk}").text
    fragment = alice.get(f"/texter/deliveries/{delivery.pk}", headers={"HX-Request": "true"}).text
    assert "The test arrived" in fragment
    assert "<html" not in fragment


def test_a_test_that_failed_says_why(alice: Client, texting: Texting) -> None:
    texting.service.status, texting.service.reply = 401, b"unknown signature"
    with account_scope(texting.account.pk):
        delivery = services.send_test(member=texting.member)
    texting.deliver(delivery)
    page = alice.get(f"/texter/?test={delivery.pk}").text
    assert "did not accept the signature" in page
    assert "unknown signature" in page


def test_who_is_held_back_is_listed_with_the_reason(alice: Client, texting: Texting) -> None:
    first = make_run(make_connection(texting.account), is_first=True, state="done")
    texting.lead(name="Nora Nophone", phone=None)
    texting.lead(name="Otto Optout", opted_out=True)
    texting.lead(name="Fiona First", created_run_id=first.pk)
    texting.lead(name="Ella Earlier", created_at=timezone.now() - timezone.timedelta(days=2))
    texting.lead(name="Gina Go")
    page = alice.get("/texter/").text
    for name in ("Nora Nophone", "Otto Optout", "Fiona First"):
        assert name in page
    for name in ("Ella Earlier", "Gina Go"):
        assert name not in page
    assert "1 earlier lead" in page
    only = alice.get("/texter/?reason=opted_out").text
    assert "Otto Optout" in only
    assert "Nora Nophone" not in only


def test_a_long_list_has_pages_that_show_everybody_once(alice: Client, texting: Texting) -> None:
    names = {texting.lead(name=f"Nobody {number:02}", phone=None).name for number in range(60)}
    seen: list[str] = []
    address: str | None = "/texter/"
    while address:
        page = alice.get(address).text
        seen += re.findall(r"Nobody \d\d", page)
        older = re.search(r'href="(/texter/\?reason=&amp;before=\d+)#held"', page)
        address = older[1].replace("&amp;", "&") if older else None
    assert len(seen) == 60
    assert set(seen) == names


def test_a_first_import_is_released_from_the_page(alice: Client, texting: Texting) -> None:
    crm = make_connection(texting.account)
    texting.lead(created_run_id=make_run(crm, is_first=True, state="done").pk)
    assert "Release 1 lead" in alice.get("/texter/").text
    alice.post(f"/texter/release/{crm.pk}")
    assert "Release 1 lead" not in alice.get("/texter/").text
    assert texting.collect() == 1


def test_the_log_tells_of_every_attempt_and_offers_another(alice: Client, texting: Texting) -> None:
    delivery = texting.queue(name="Petra Pending")
    with account_scope(texting.account.pk):
        Delivery.objects.filter(pk=delivery.pk).update(attempts=7)
    texting.service.status = 500
    texting.deliver(delivery)
    page = alice.get("/texter/").text
    assert "Given up" in page
    assert "problem of its own" in page
    assert "500" in alice.get(f"/texter/deliveries/{delivery.pk}").text
    alice.post(f"/texter/deliveries/{delivery.pk}/again")
    assert texting.again(delivery).state == "queued"


def test_members_may_look(bob: Client, texting: Texting) -> None:
    texting.lead(name="Nora Nophone", phone=None)
    page = bob.get("/texter/").text
    assert "Nora Nophone" in page
    assert "Switch off" not in page
    assert texting.service.url not in page


@pytest.mark.parametrize(
    "path", ["switch", "address", "secret", "test", "release/{crm}", "deliveries/{delivery}/again"]
)
def test_members_may_not_change(bob: Client, texting: Texting, path: str) -> None:
    ids = {"crm": make_connection(texting.account).pk, "delivery": texting.queue().pk}
    answer = bob.post("/texter/" + path.format(**ids), {"to": "off", "address": "https://1.1.1.1/"})
    assert answer.status_code == 403
    assert texting.settings().is_on
    assert texting.settings().url == texting.service.url


@pytest.mark.parametrize("path", ["release/{crm}", "deliveries/{delivery}/again"])
def test_another_accounts_rows_are_not_there_to_change(charlie: Client, texting: Texting, path: str) -> None:
    ids = {"crm": make_connection(texting.account).pk, "delivery": texting.queue().pk}
    assert charlie.post("/texter/" + path.format(**ids)).status_code == 404


def test_another_accounts_delivery_is_not_there_to_see(charlie: Client, texting: Texting) -> None:
    delivery = texting.queue(name="Private Person")
    assert charlie.get(f"/texter/deliveries/{delivery.pk}").status_code == 404
    assert "Private Person" not in charlie.get(f"/texter/?test={delivery.pk}").text


def test_strangers_are_sent_to_the_sign_in(texting: Texting, client: Client) -> None:
    assert client.get("/texter/").status_code == 302
    assert client.post("/texter/switch", {"to": "off"}).status_code == 302
    assert texting.settings().is_on


def test_a_forged_form_is_refused(texting: Texting) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(texting.member.user)
    assert client.post("/texter/switch", {"to": "off"}).status_code == 403
    assert texting.settings().is_on


def test_nonsense_in_the_address_bar_does_no_harm(alice: Client) -> None:
    for query in ("before=x", "before=99999999999999999999", "log=-1", "test=%00", "reason=%27", "log=5", "test=5"):
        assert alice.get(f"/texter/?{query}").status_code == 200


def test_names_are_shown_as_text(alice: Client, texting: Texting) -> None:
    make_lead(texting.account, name="<script>alert(1)</script>", phone=None)
    assert "<script>alert(1)" not in alice.get("/texter/").text
    with account_scope(texting.account.pk):
        assert Lead.objects.count() == 1


def test_the_figures_count_leads_and_no_tests(alice: Client, texting: Texting) -> None:
    texting.deliver(texting.queue())
    with account_scope(texting.account.pk):
        test = services.send_test(member=texting.member)
    texting.deliver(test)
    assert "<dt>handed over</dt><dd>1</dd>" in alice.get("/texter/").text
