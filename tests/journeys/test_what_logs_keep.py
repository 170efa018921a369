"""A whole journey with everything logged that can be, and then the logs searched: for every secret that was used on
the way, and for every person."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.conf import settings
from tests.web import web_process

from leadloom.accounts.setup import setup_path
from leadloom.sandbox import Sandbox

PASSWORD = "quince marmalade forty"
WRONG_PASSWORD = "medlar jelly thirty"
CRON_SECRET = "cron-kept-by-the-scheduler-alone"
PASTED = "quillfeather pasted what is no token"  # has no shape by which the last wall of the logs would know it
METRICS_TOKEN = "metrics-kept-by-prometheus-alone"
OWNER, COLLEAGUE, STRANGER = "zenobia@quillfeather.example", "barnaby@quillfeather.example", "mallory@evil.example"
CONTACT = {
    "firstname": "Wilhelmina", "lastname": "Oystercatcher", "email": "mina@oystercatcher.example",
    "phone": "+1 212 736 5088", "company": "Oystercatcher Piano Movers", "message": "owes us for the harpsichord",
}  # fmt: skip

pytestmark = [pytest.mark.journey, pytest.mark.usefixtures("committed")]


class Browser:
    """A person's: keeps cookies, and sends the form's token with every form."""

    def __init__(self, address: str) -> None:
        self.http = httpx2.Client(base_url=address, follow_redirects=True, timeout=60)
        self.cookies: set[str] = set()

    def get(self, path: str, **query: str) -> httpx2.Response:
        return self._kept(self.http.get(path, params=query or None))

    def post(self, path: str, **fields: str) -> httpx2.Response:
        return self._kept(self.http.post(path, data={"csrfmiddlewaretoken": self._csrf(), **fields}))

    def _csrf(self) -> str:
        return self.http.cookies.get("csrftoken") or ""

    def _kept(self, response: httpx2.Response) -> httpx2.Response:
        self.cookies |= {str(value) for value in dict(self.http.cookies).values()}
        return response


@contextmanager
def worker(log: Any, **environment: str) -> Iterator[None]:
    command = [sys.executable, "-m", "leadloom.site", "worker"]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_no_log_of_a_whole_journey_holds_a_secret_or_a_person(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with Sandbox(contacts=60, seed=7) as box, file.open("wb") as log:
        box.create(**CONTACT)
        everything = {
            "LEADLOOM_LOG_LEVEL": "debug",
            "LEADLOOM_LOG_FORMAT": "json",
            "CRM_HUBSPOT_BASE_URL": box.url,
            "NANGO_HOST": box.nango_url,
            "NANGO_SECRET_KEY": box.nango_key,
            "CRON_SECRET": CRON_SECRET,
            "METRICS_TOKEN": METRICS_TOKEN,
            "LEADLOOM_ALLOW_PRIVATE_URLS": "true",
        }
        with web_process(log=log, **everything) as web, worker(log, **everything):
            secrets = journey(web.address, box)
        people = [contact.properties for contact in box.contacts()]
        secrets |= {box.token, box.nango_key, CRON_SECRET, METRICS_TOKEN, settings.SECRET_KEY}
    written = file.read_text()
    assert "sync.begin" in written
    assert "texter" in written
    assert "[cron/sync-crm] done" in written
    assert '"status": 422' in written
    found = sorted(secret for secret in secrets if secret in written)
    assert not found, [line for line in written.splitlines() if found[0] in line][:3]
    assert named_in(written, people) == []


def journey(address: str, box: Sandbox) -> set[str]:
    """Everything people, programs and strangers do. Answers what was secret on the way."""
    owner, colleague, stranger = Browser(address), Browser(address), Browser(address)
    secrets = {PASSWORD, WRONG_PASSWORD, PASTED, PASTED.replace(" ", "-")}
    path = setup_path()
    assert path
    secrets.add(path.partition("code=")[2])
    stranger.get("/setup", code="guessed-by-mallory")
    owner.get(path)
    owner.post(path, name="Zenobia", account_name="Quillfeather", email=OWNER, password=PASSWORD)
    owner.post("/sign-out")
    owner.get("/sign-in", next=f"/?search={CONTACT['lastname']}")
    owner.post("/sign-in", username=OWNER, password=WRONG_PASSWORD)
    assert "Recent Threads" in owner.post("/sign-in", username=OWNER, password=PASSWORD).text
    stranger.get("/sign-in")
    for password in ("guess one", WRONG_PASSWORD):
        stranger.post("/sign-in", username=STRANGER, password=password)

    link = found(r"(/invitations/[\w-]{20,})", owner.post("/members", email=COLLEAGUE, role="member"))
    secrets.add(link.rpartition("/")[2])
    colleague.get(link)
    colleague.post(link, name="Barnaby", password=PASSWORD + " b")
    token = found(r"(ll_[\w-]{40,})", owner.post("/tokens", name="Zapier for Oystercatcher", scope="full"))
    secrets.add(token)

    program = httpx2.Client(base_url=f"{address}/api", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    wrong = {"provider": "hubspot", "credentials": {"token": [box.token]}}
    assert program.post("/crm/connect", json=wrong).status_code == 422
    connected = program.post("/crm/connect", json={"provider": "hubspot", "credentials": {"token": box.token}}).json()
    until_done(program, connected["runId"])
    for pasted in (PASTED, PASTED.replace(" ", "-")):
        owner.post("/connect", provider="hubspot", method="token", token=pasted)
        program.post("/crm/connect", json={"provider": "hubspot", "credentials": {"token": pasted}})
    for kind in ("500", "html", "drop"):
        box.fault(kind, times=1)
    box.change(next(one.id for one in box.contacts()), firstname="Wilhelmina")
    refreshed = program.post("/crm/sync", json={"wait": 5}).json()
    until_done(program, refreshed["runId"])

    lead = program.get("/threads", params={"search": CONTACT["email"]}).json()["threads"][0]
    page = f"/leads/{lead['leadId']}"
    for query in (CONTACT["phone"], CONTACT["email"], CONTACT["lastname"]):
        owner.get("/", search=query)
    owner.get(page)
    owner.post(f"{page}/edit", name="Wilhelmina O.", phone=CONTACT["phone"], email=CONTACT["email"], company="")
    owner.post("/leads/new", name="Wilhelmina again", phone=CONTACT["phone"], email="", company="")
    owner.post("/leads/new", name="Nobody", phone="not a number 212 736", email="x@oystercatcher.example", company="")
    program.get(f"/runs/{connected['runId']}/records", params={"format": "csv"})

    owner.post("/texter/address", address="http://169.254.169.254/latest/meta-data?for=quillfeather")
    shown = owner.post("/texter/address", address=f"{box.texting_url}?key=texter-query-secret")
    secrets |= {found(r"(whsec_[\w+/=]{20,})", shown), "texter-query-secret"}
    owner.post("/texter/switch", to="on", with_missed="yes")
    owner.post(f"/texter/release/{connected['connectionId']}")
    owner.post("/texter/test")
    owner.post(f"{page}/opt-out")

    stranger.get(f"/nothing/{CONTACT['email']}", phone=CONTACT["phone"])
    stranger.get("/invitations/guessed-by-mallory-0123456789")
    event = json.dumps({"type": "auth", "endUser": {"name": "Zenobia", "email": OWNER}}).encode()
    for key in (box.nango_key, "guessed"):
        signature = hmac.new(key.encode(), event, hashlib.sha256).hexdigest()
        told = stranger.http.post("/api/webhooks/nango", content=event, headers={"X-Nango-Hmac-Sha256": signature})
        assert told.status_code == (401 if key == "guessed" else 200)
    for bearer in ("guessed", CRON_SECRET):
        stranger.http.get("/api/cron/sync-crm?wait=1", headers={"Authorization": f"Bearer {bearer}"})
    stranger.http.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    box.revoke_token()
    program.post("/crm/sync", json={"wait": 10})
    colleague.post(f"{page}/archive")
    program.post("/crm/disconnect", json={})
    return secrets | {cookie for one in (owner, colleague, stranger) for cookie in one.cookies if len(cookie) > 12}


def found(pattern: str, response: httpx2.Response) -> str:
    told = re.search(pattern, response.text)
    assert told, (response.status_code, response.text[:2000])
    return told[1]


def until_done(program: httpx2.Client, run: int, *, within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while (told := program.get(f"/runs/{run}").json()["run"])["state"] not in ("done", "failed", "stopped"):
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def named_in(written: str, people: list[dict[str, str]]) -> list[str]:
    """Everybody's full name, addresses and numbers, however a number is written; and what is told of them."""
    digits = re.sub(r"(?<=\d)[ ().+/-]+(?=\d)", "", written)
    words = {OWNER, COLLEAGUE, STRANGER, "Zenobia", "Barnaby", "Oystercatcher", "Wilhelmina", "harpsichord"}
    for person in people:
        full = f"{person.get('firstname', '')} {person.get('lastname', '')}"
        words |= {full.strip(), person.get("email", ""), *person.get("hs_additional_emails", "").split(";")}
        words |= {person.get(name, "") for name in ("phone", "mobilephone")}
    told = sorted(word for word in words if len(word) > 5 and word.lower() in written.lower())
    numbers = {re.sub(r"\D", "", person.get("phone", ""))[-10:] for person in people}  # without the country's code
    return told + sorted(number for number in numbers if len(number) >= 9 and number in digits)
