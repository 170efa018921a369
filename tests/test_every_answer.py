"""What holds for every answer of the site, on routes that are found and not listed: no forged change, no framing, no
way out to another site, and nothing that anybody can send ends in a 5xx."""

import hashlib
import hmac
import json
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from tests.factories import make_connection, make_lead, make_member, make_run
from tests.routes import UNSAFE, Page, names_read_by_pages, operations, pages

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.accounts.tokens import issue_token
from leadloom.leads.models import Undo

pytestmark = pytest.mark.django_db

EVIL = "https://evil.example/"
SIGNED = {"/api/webhooks/nango"}  # proves itself by a signature over its body, and no cookie signs in to it
STREAMED = {"live"}  # needs a server with an event loop: tests/live


@pytest.fixture
def alice() -> Member:
    return make_member()


@pytest.fixture
def values(alice: Member) -> dict[str, object]:
    """For every parameter of an address: something of Alice's where a page shows it, or an id that is as good."""
    connection = make_connection(alice.account)
    run, lead = make_run(connection), make_lead(alice.account)
    with account_scope(alice.account_id):
        undo = Undo.objects.create(account=alice.account, run=run)
    ids = {"connection_id": connection.pk, "run_id": run.pk, "lead_id": lead.pk, "undo_id": undo.pk}
    return {"member_id": alice.pk, "token_id": 1, "invitation_id": 1, "delivery_id": 1, "secret": "x" * 43, **ids}


def answering() -> list[Page]:
    return [page for page in pages() if page.name not in STREAMED]


def browser(member: Member, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(member.user)
    return client


def undone(client: Client, method: str, path: str, body: str | bytes, content_type: str) -> Any:
    """An answer whose deeds are undone, the end of the session too: the next request finds all as it was."""
    cookies = SimpleCookie(client.cookies)
    with transaction.atomic():
        answer = client.generic(method, path, body, content_type)
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer


def test_no_page_takes_a_change_that_another_site_forged(alice: Member, values: dict[str, object]) -> None:
    client = browser(alice, enforce_csrf_checks=True)
    for page in answering():
        for method in UNSAFE:
            status = getattr(client, method)(page.at(values)).status_code
            assert status == 403, f"{method} {page.path} without a CSRF token: {status}"


def test_a_token_that_another_site_planted_is_not_enough(alice: Member, values: dict[str, object]) -> None:
    """A neighbour under the same domain can set cookies; it cannot send our Origin."""
    client = browser(alice, enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "a" * 32
    planted = {"X-CSRFToken": "a" * 32, "Origin": "https://evil.example"}
    for page in answering():
        assert client.post(page.at(values), headers=planted).status_code == 403, page.path
    for one in operations():
        if one.method in UNSAFE and one.path not in SIGNED:
            status = client.generic(one.method.upper(), one.path, "{}", "application/json", headers=planted).status_code
            assert status == 403, one.name


def test_no_operation_takes_a_change_by_cookie_alone(alice: Member) -> None:
    client = browser(alice, enforce_csrf_checks=True)
    unsafe = [one for one in operations() if one.method in UNSAFE]
    assert len(unsafe) >= 6
    for one in unsafe:
        path = one.path.replace("{", "").replace("}", "")
        status = client.generic(one.method.upper(), path, "{}", "application/json").status_code
        assert status == (401 if one.path in SIGNED else 403), one.name


def test_every_answer_forbids_framing_and_guessing_of_types(alice: Member, values: dict[str, object]) -> None:
    """Also answers to strangers, errors, and what the API says when it has no such address."""
    addresses = [page.at(values) for page in answering()]
    addresses += [one.path.replace("{run_id}", str(values["run_id"])) for one in operations()]
    addresses += ["/nothing/here", "/api/nothing/here", "/api/openapi.json", "/api/docs"]
    for client in (browser(alice), Client()):
        for address in addresses:
            for method in ("get", "post"):
                answer = getattr(client, method)(address)
                assert answer.headers.get("X-Frame-Options") == "DENY", f"{method} {address}"
                assert answer.headers.get("X-Content-Type-Options") == "nosniff", f"{method} {address}"
                assert answer.headers.get("Referrer-Policy") == "same-origin", f"{method} {address}"
                assert "frame-ancestors 'none'" in answer.headers.get("Content-Security-Policy", ""), address


@pytest.mark.parametrize(
    "to", [EVIL, "//evil.example/", "/\\evil.example", "https:evil.example", "\thttps://evil.example"]
)
def test_no_answer_leads_to_another_site(alice: Member, values: dict[str, object], to: str) -> None:
    asked = {"next": to, "redirect": to, "url": to, "return_to": to}
    headers = {"HX-Request": "true", "HX-Current-URL": to}
    for client in (browser(alice), Client()):
        for page in answering():
            for how in ({}, headers):
                for answer in (client.get(page.at(values), asked, headers=how), client.post(page.at(values), asked)):
                    for name in ("Location", "HX-Redirect", "HX-Location"):
                        told = urlsplit(answer.headers.get(name, ""))
                        assert told.netloc in ("", "testserver"), f"{page.path} leads to {answer.headers[name]}"
                        assert "evil.example" not in told.path, f"{page.path} leads to {answer.headers[name]}"


# As they stand in a form's body.
ODD = {
    "NUL": "%00",
    "a lone surrogate": "%ED%A0%80",
    "no UTF-8": "%FF%FE",
    "more digits than Python reads": "9" * 5000,
    "a digit that is none": quote("²"),
    "quotes": "'" * 3000,
    "a new header": "%0D%0AX:+y",
    "a way up": "../..",
    "brackets": "[" * 20_000,
}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that reaches a CRM reaches nobody's."""
    monkeypatch.setenv("CRM_HUBSPOT_BASE_URL", "http://127.0.0.1:9")


@pytest.mark.parametrize("what", ODD)
def test_no_form_breaks_a_page(alice: Member, values: dict[str, object], offline: None, what: str) -> None:
    names = names_read_by_pages() | {"name", "email", "phone", "company", "role", "old_password", "new_password1"}
    filled = "&".join(f"{name}={ODD[what]}" for name in sorted(names))
    connecting = "&".join(f"{name}={ODD[what]}" for name in sorted(names - {"provider"})) + "&provider=hubspot"
    client = browser(alice)
    for page in answering():
        for body in (filled, connecting):
            answer = undone(client, "POST", page.at(values), body, "application/x-www-form-urlencoded")
            assert answer.status_code < 500, f"{page.path}: {answer.status_code}"


HEADERS = (
    ("HX-Current-URL", "http://["),
    ("HX-Current-URL", "\x00"),
    ("Accept", "text/html;q=nonsense, /, ;;;"),
    ("Referer", "http://["),
    ("Origin", "http://["),
    ("Host", "evil.example"),
    ("X-Forwarded-For", "999.1.1.1, ::::"),
    ("Authorization", "Bearer \xff\xfe"),
    ("Authorization", "Bearer " + "x" * 10_000),
    ("X-Nango-Hmac-Sha256", "\xff"),
    ("Cookie", 'leadloom_session="\\000aaaaaaaaaaaaaaa"; csrftoken="\\000"; messages="\\000"'),
    ("Cookie", "leadloom_session=" + "x" * 5000 + "; messages=" + "[" * 3000),
    ("Content-Type", "multipart/form-data; boundary=\xff"),
    ("Content-Type", "application/x-www-form-urlencoded; charset=nonsense"),
)


@pytest.mark.parametrize(("name", "value"), HEADERS, ids=lambda text: repr(text[:24]))
def test_no_header_breaks_an_answer(alice: Member, values: dict[str, object], name: str, value: str) -> None:
    addresses = [page.at(values) for page in answering()] + [one.path for one in operations()]
    for client in (browser(alice), Client()):
        for address in addresses:
            for method in ("GET", "POST"):
                for fragment in ({}, {"HX-Request": "true"}):
                    headers = {name: value, **fragment}
                    content_type = value if name == "Content-Type" else "application/x-www-form-urlencoded"
                    status = client.generic(method, address, b"a=b", content_type, headers=headers).status_code
                    assert status < 500, f"{method} {address}: {status}"


DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
BODIES = {
    "deeply nested": DEEP,
    "a list without end": b"[" * 400_000,
    "larger than anybody needs": b'{"connectionId": "' + b"x" * 1_100_000 + b'"}',
    "not UTF-8": b"\xff\xfe\x00",
    "a lone surrogate": b'{"provider": "\\ud800"}',
    "a number without end": b'{"connectionId": ' + b"9" * 100_000 + b"}",
    "an unfinished string": b'{"a": "',
    "NaN": b'{"wait": NaN}',
    "a NUL where Nango names a connection": b'{"type": "auth", "operation": "override", "connectionId": "a\\u0000b"}',
}


@pytest.mark.parametrize("what", BODIES)
def test_no_body_breaks_an_operation(alice: Member, settings: Any, offline: None, what: str) -> None:
    """Of anybody: a program, a stranger, Nango with a good signature and the scheduler with the good secret."""
    settings.CRON_SECRET = settings.NANGO_WEBHOOK_KEY = "a-secret-of-a-test"
    signature = hmac.new(b"a-secret-of-a-test", BODIES[what], hashlib.sha256).hexdigest()
    with account_scope(alice.account_id):
        _, token = issue_token(account=alice.account, member=alice, name="Zapier")
    for bearer in (token, settings.CRON_SECRET, "ll_nobodys"):
        headers = {"Authorization": f"Bearer {bearer}", "X-Nango-Hmac-Sha256": signature}
        for one in operations():
            path = one.path.replace("{run_id}", "1")
            answer = Client(headers=headers).generic(one.method.upper(), path, BODIES[what], "application/json")
            if one.method == "get" or (answer.status_code == 200 and one.path in SIGNED):  # an event we know nothing of
                assert answer.status_code < 500, one.name
            else:
                assert 400 <= answer.status_code < 500, f"{one.name}: {answer.status_code}"
                assert answer.json()["success"] is False


def test_no_operation_takes_a_nul_in_its_body(alice: Member) -> None:
    """PostgreSQL keeps none. Refused before anything is looked at, written out or not, in a word or in a name."""
    with account_scope(alice.account_id):
        _, token = issue_token(account=alice.account, member=alice, name="Zapier")
    program = Client(headers={"Authorization": f"Bearer {token}"})
    asking = [one for one in operations() if one.method in UNSAFE and one.in_body]
    assert len(asking) >= 7
    for one in asking:
        path = one.path.replace("{lead_id}", "1")
        for name in sorted(one.in_body):
            for body in ({name: "zan\0zibar"}, {name: {"typed": {"zan\0zibar": "x"}}}, {name: "x", "zan\0zibar": 1}):
                for written in (json.dumps(body), json.dumps(body).replace("\\u0000", "\0")):
                    answer = program.generic(one.method.upper(), path, written, "application/json")
                    assert answer.status_code == 400, f"{one.name} {written!r}: {answer.status_code}"


def test_no_nul_in_an_address_breaks_an_answer(alice: Member, values: dict[str, object]) -> None:
    """A page may pass over it, an operation refuses it. Single names of pages: test_odd_words_in_an_address_…"""
    client = browser(alice)
    addresses = [page.at(values) for page in answering()]
    query = "&".join(f"{name}=a%00b" for name in sorted(names_read_by_pages()))
    asked = [address + told for address in addresses for told in (f"?{query}", "%00")]
    for address in (*asked, "/invitations/a%00b", "/static/%00"):
        assert client.get(address).status_code < 500, address
    for one in operations():
        path = one.path.replace("{run_id}", str(values["run_id"])).replace("{lead_id}", str(values["lead_id"]))
        wrong = [f"{path}?{name}=a%00b" for name in sorted(one.in_query)]
        for address in (*wrong, f"{path}%00", *(one.path.replace(f"{{{name}}}", "a%00b") for name in one.in_path)):
            status = client.generic(one.method.upper(), address, "{}", "application/json").status_code
            assert 400 <= status < 500, f"{one.method} {address}: {status}"


def test_what_is_too_large_is_refused_for_that_however_sound_it_is(alice: Member) -> None:
    """A few words and a megabyte of nothing: whoever read it all would find nothing wrong with it."""
    with account_scope(alice.account_id):
        _, token = issue_token(account=alice.account, member=alice, name="Zapier")
    program = Client(headers={"Authorization": f"Bearer {token}"})
    reading = [one for one in operations() if one.method in UNSAFE and (one.in_body or one.path in SIGNED)]
    assert reading
    for one in reading:  # the others look at no body, however large
        answer = program.generic(one.method.upper(), one.path, b"{}" + b" " * 1_100_000, "application/json")
        assert answer.status_code == 413, f"{one.name}: {answer.status_code}"


@pytest.mark.parametrize("what", BODIES)
def test_no_body_breaks_a_page(alice: Member, values: dict[str, object], what: str) -> None:
    client = browser(alice)
    for page in answering():
        for content_type in (
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ):
            status = undone(client, "POST", page.at(values), BODIES[what], content_type).status_code
            assert status < 500, f"{page.path}: {status}"


def test_more_form_fields_than_anybody_needs_are_refused(alice: Member, values: dict[str, object]) -> None:
    """For their number: the token that is wrong too would be refused with 403, after all of them were read."""
    many = b"&".join(b"f%d=1" % number for number in range(2000))
    client = browser(alice, enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "a" * 32
    for page in answering():
        status = client.generic("POST", page.at(values), many, "application/x-www-form-urlencoded").status_code
        assert status == 400, f"{page.path}: {status}"
