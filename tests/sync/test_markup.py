"""Anybody can write a name into a contact form. Whatever a CRM hands on arrives whole and is text on every page."""

from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from django.test import Client
from tests.routes import pages
from tests.sync.conftest import Connect

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.leads.models import Lead, LeadChange, SourceContact, Undo, UndoStep
from leadloom.sandbox import Sandbox

# Out of text, out of an attribute in either quotes, out of a comment, a title and a template.
MARKUP = (
    "<probe-text onprobe=1>",
    "\"'><probe-attribute onprobe=1>",
    "--></title></textarea></script><probe-title onprobe=1>",
    "' onprobe='1",
    '" onprobe="1" autofocus x="',
    "{{ 7|probe }}{% csrf_token %}",
    "javascript:probe(1)",
    "&lt;probe-entity onprobe=1&gt;",
)
FIELDS = ("firstname", "lastname", "company", "message", "hs_lead_status", "lifecyclestage", "hubspot_owner_id")


class Probes(HTMLParser):
    """Elements, attributes and links that came out of a text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag.startswith("probe-") or any(name == "onprobe" for name, _ in attrs):
            self.found.append(self.get_starttag_text() or tag)
        for name, value in attrs:
            address = "".join((value or "").split()).lower()
            if name in ("href", "src", "action", "formaction") and address.startswith(("javascript:", "data:text")):
                self.found.append(f"{name}={value}")

    def handle_data(self, data: str) -> None:
        self.text += data


def read(client: Client, address: str, **headers: str) -> Probes:
    answer = client.get(address, headers=headers)
    assert answer.status_code in (200, 404, 405, 302), address
    told = Probes()
    told.feed(answer.content.decode())
    return told


@pytest.mark.long
def test_whatever_a_crm_says_is_text_on_every_page(alice: Member, box: Sandbox, connect: Connect) -> None:
    for number, markup in enumerate(MARKUP):
        box.create(
            **dict.fromkeys(FIELDS, markup), phone=f"+1 212 736 51{number:02}", email=f"probe{number}@example.com"
        )
        box.create(**dict.fromkeys(FIELDS, markup), phone=markup)  # left out, and listed with what it said
    connection, run = connect(box)
    with account_scope(alice.account_id):
        leads = list(Lead.objects.filter(email__startswith="probe"))
        assert len(leads) == len(MARKUP)
        assert {lead.crm_description for lead in leads} == set(MARKUP)
        assert SourceContact.objects.filter(outcome="skipped", name__contains="probe").count() >= 4
        undo = Undo.objects.create(account=alice.account, run=run, step=UndoStep.DONE, archived=len(leads))
        for lead in leads:
            told = {"company": lead.company, "archived": True}
            LeadChange.objects.create(account=alice.account, lead=lead, undo=undo, before={"company": ""}, after=told)
    browser = Client()
    browser.force_login(alice.user)
    shown = 0
    for lead in leads:
        ids = {"connection_id": connection.pk, "run_id": run.pk, "lead_id": lead.pk, "member_id": alice.pk}
        values = {"token_id": 1, "invitation_id": 1, "delivery_id": 1, "undo_id": undo.pk, "secret": "x", **ids}
        for page in pages():
            if page.is_stream or (page.needs and "lead_id" not in page.needs and lead is not leads[0]):
                continue
            for headers in ({}, {"HX-Request": "true"}):
                told = read(browser, page.at(values), **headers)
                assert told.found == [], page.path
                shown += "probe" in told.text
    assert "probe" in read(browser, f"/undos/{undo.pk}").text
    for outcome in ("skipped", "created"):
        told = read(browser, f"/runs/{run.pk}?outcome={outcome}")
        assert told.found == []
        shown += "probe" in told.text
    for markup in MARKUP:
        assert read(browser, f"/?{urlencode({'search': markup})}").found == []
    assert shown > 30


@pytest.mark.parametrize(
    "address", ["javascript:probe(1)", " JavaScript:probe(1)", "data:text/html,<script>", "//evil.example"]
)
def test_a_link_into_a_crm_is_one_of_the_webs_or_none(
    alice: Member, box: Sandbox, connect: Connect, address: str
) -> None:
    connect(box)
    with account_scope(alice.account_id):
        lead = Lead.objects.all()[0]
        Lead.objects.filter(pk=lead.pk).update(crm_url=address)
    browser = Client()
    browser.force_login(alice.user)
    page = browser.get(f"/leads/{lead.pk}").content.decode()
    assert "Open in" not in page
    assert address.strip() not in page
