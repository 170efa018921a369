"""``Sandbox``: starts a simulated CRM and steers it, for tests, the demo and benchmarks.

with Sandbox(contacts=500, seed=1) as box:
    box.change(next(box.contacts()).id, phone="+1 212 736 5000")
    ...  # talk to box.url with the bearer box.token
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

import httpx2
import uvicorn

from leadloom.sandbox.faults import Kind
from leadloom.sandbox.kinds import kind
from leadloom.sandbox.nango import KEY, SIGNING_KEY
from leadloom.sandbox.server import listen, make_server
from leadloom.sandbox.serving import make_app


@dataclass(frozen=True, slots=True)
class TrueContact:
    """What the CRM really holds: every property that is not empty."""

    id: str
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class SandboxStats:
    requests: int
    paths: dict[str, int]
    """Counts by method and path, ids replaced by ``{id}``."""
    statuses: dict[int, int]
    """Counts by status; 0 for requests that got no complete reply."""
    refused: int
    peak_per_second: int
    peak_per_ten_seconds: int
    most_at_once: int
    faults: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook that reached the texting service."""

    headers: dict[str, str]
    body: Any
    text: str
    status: int
    repeated: bool


class Sandbox:
    """A simulated CRM on a free port of 127.0.0.1, in a thread of this process or in a process of its own.

    The same arguments give the same contacts, if ``now_ms`` is given too; without it the newest contact was made four
    minutes before the start. ``limits`` is ``none``, ``real``, ``private`` or ``private-pro``. ``remembers``: a list
    given out once costs next to nothing the second time, so that a benchmark has the processor to itself.
    """

    def __init__(
        self,
        crm: str = "hubspot",
        *,
        contacts: int = 100,
        latency_ms: float = 0,
        limits: str = "none",
        seed: int = 1,
        now_ms: int | None = None,
        awkward: bool = False,
        own_process: bool = False,
        remembers: bool = False,
    ) -> None:
        self.crm = crm
        self._settings: dict[str, Any] = {
            "contacts": contacts, "latency_ms": latency_ms, "limits": limits, "seed": seed, "now_ms": now_ms,
            "remembers": remembers,
        }  # fmt: skip
        self._awkward = awkward
        self._own_process = own_process
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        simulated = kind(crm)
        self.token = simulated.token
        self.nango_key = KEY
        self.nango_signing_key = SIGNING_KEY
        self.client_id = simulated.client_id
        self.client_secret = simulated.client_secret
        self.refresh_token = simulated.refresh_token
        self.awkward_ids: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        sock = listen(0)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        if self._own_process:
            self._start_process(sock.fileno())
            sock.close()
        else:
            self._server = make_server(make_app(self.crm, **self._settings))
            self._thread = threading.Thread(target=self._server.run, args=([sock],), daemon=True)
            self._thread.start()
        self._http = httpx2.Client(base_url=self.url, timeout=120, trust_env=False)
        self._wait()
        if self._awkward:
            self.add_awkward()
        return self

    def stop(self) -> None:
        self._http.close()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(10)
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def _start_process(self, descriptor: int) -> None:
        settings = json.dumps({"crm": self.crm, "descriptor": descriptor, **self._settings})
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "leadloom.sandbox", settings], pass_fds=[descriptor]
        )

    def _wait(self) -> None:
        """The socket queues connections until the server is up: one request tells."""
        deadline = monotonic() + 30
        while True:
            try:
                self._http.get("/_control/stats").raise_for_status()
                return
            except httpx2.TransportError:
                if monotonic() > deadline:
                    raise
                sleep(0.05)

    @property
    def pid(self) -> int:
        """Of the process that serves it: ours, unless it has one of its own."""
        return self._process.pid if self._process else os.getpid()

    # Contacts

    def create(self, *, companies: Sequence[int] = (), created_ms: int | None = None, **properties: str | None) -> str:
        """A new contact, with whatever values; returns its id."""
        body = {"properties": properties, "companies": list(companies), "created_ms": created_ms}
        return str(self._post("contacts", body)["id"])

    def change(self, contact_id: str, *, at_ms: int | None = None, **properties: str | None) -> int:
        """Returns the new ``lastmodifieddate`` in milliseconds."""
        return int(
            self._post("contacts/change", {"id": contact_id, "properties": properties, "at_ms": at_ms})["modified_ms"]
        )

    def bulk_change(self, count: int, *, at_ms: int | None = None, **properties: str | None) -> list[str]:
        """Changes so many contacts at one identical ``lastmodifieddate``; returns their ids."""
        body = {"count": count, "properties": properties, "at_ms": at_ms}
        return [str(one) for one in self._post("contacts/bulk-change", body)["ids"]]

    def archive(self, contact_id: str) -> None:
        self._post("contacts/archive", {"id": contact_id})

    def restore(self, contact_id: str) -> None:
        self._post("contacts/restore", {"id": contact_id})

    def gdpr_delete(self, contact_id: str) -> None:
        self._post("contacts/gdpr-delete", {"id": contact_id})

    def merge(self, primary: str, other: str) -> str:
        """Returns the id of the contact that both became."""
        return str(self._post("contacts/merge", {"primary": primary, "other": other})["id"])

    def add_awkward(self) -> dict[str, str]:
        """Adds the hand-made contacts, each a known trap; returns their ids by name. Once per sandbox."""
        self.awkward_ids = dict(self._post("contacts/awkward", {})["ids"])
        return self.awkward_ids

    def contacts(self, page: int = 1000) -> Iterator[TrueContact]:
        """Every live contact as it is now, by ascending id: no limits, no lag, no faults."""
        after: str | None = "0"
        while after is not None:
            body = self._get(f"truth?after={after}&limit={page}")
            for one in body["results"]:
                yield TrueContact(one["id"], one["properties"])
            after = body["after"]

    def count(self) -> int:
        """How many contacts are live now."""
        return int(self._get("truth?limit=1")["total"])

    # Credentials

    def new_token(
        self, *, scopes: Sequence[str] | None = None, lifetime_s: float | None = None, private: bool = False
    ) -> tuple[str, str | None]:
        """A new access token, and its grant's refresh token unless it is a private app's."""
        body = {"scopes": None if scopes is None else list(scopes), "lifetime_s": lifetime_s, "private": private}
        made = self._post("tokens", body)
        return made["access_token"], made["refresh_token"]

    def new_code(self) -> str:
        """An authorization code, as the consent page would send back."""
        return str(self._post("tokens/code", {})["code"])

    def expire_token(self, token: str | None = None, *, after_requests: int = 0) -> None:
        """At once, or after so many more requests: 401 EXPIRED_AUTHENTICATION."""
        self._post("tokens/expire", {"token": token or self.token, "after_requests": after_requests})

    def revoke_token(self, token: str | None = None) -> None:
        """An access token turns unknown (401 INVALID_AUTHENTICATION); a refresh token turns BAD_REFRESH_TOKEN."""
        self._post("tokens/revoke", {"token": token or self.token})

    def uninstall(self, refresh_token: str | None = None) -> None:
        """The customer removed the app: refreshes answer BAD_HUB."""
        self._post("tokens/uninstall", {"refresh_token": refresh_token or self.refresh_token})

    def set_scopes(self, scopes: Sequence[str], token: str | None = None) -> None:
        """What the token's grant may do from now on; the rest answers 403 MISSING_SCOPES."""
        self._post("tokens/scopes", {"token": token or self.token, "scopes": list(scopes)})

    # Weather

    def fault(
        self,
        kind: Kind,
        *,
        times: int | None = 1,
        path: str = "",
        method: str = "",
        skip: int = 0,
        probability: float = 1.0,
        retry_after: int | None = None,
        seconds: float = 30.0,
    ) -> None:
        """Spoils the next ``times`` requests (None: all) to paths that begin with ``path``; ``skip`` pass first."""
        self._post(
            "faults",
            {
                "kind": kind,
                "times": times,
                "path": path,
                "method": method,
                "skip": skip,
                "probability": probability,
                "retry_after": retry_after,
                "seconds": seconds,
            },
        )

    def clear_faults(self) -> None:
        self._http.delete("/_control/faults").raise_for_status()

    def set_latency(self, ms: float) -> None:
        self._post("latency", {"ms": ms})

    def set_limits(self, limits: str, *, burst: int | None = None, searches: int | None = None) -> None:
        """``burst`` (per 10 s) and ``searches`` (per second) replace the numbers of the mode."""
        self._post("settings", {"limits": limits, "burst": burst, "searches": searches})

    def set_index_lag(self, seconds: float) -> None:
        """How long the search index takes to see a change made from now on."""
        self._post("settings", {"index_lag_s": seconds})

    def set_token_lifetime(self, seconds: int) -> None:
        self._post("settings", {"token_lifetime_s": seconds})

    def advance(self, seconds: float) -> int:
        """Moves the vendor's clock on and returns its milliseconds: tokens age, the index catches up, limits refill."""
        return int(self._post("clock", {"advance_s": seconds})["now_ms"])

    def skew_date(self, seconds: float) -> None:
        """Makes only the ``Date`` header wrong."""
        self._post("clock", {"date_skew_s": seconds})

    def now_ms(self) -> int:
        return self.advance(0)

    def stats(self) -> SandboxStats:
        body = self._get("stats")
        body["statuses"] = {int(status): count for status, count in body["statuses"].items()}
        return SandboxStats(**body)

    def reset_stats(self) -> None:
        self._post("stats/reset", {})

    def reset(self) -> None:
        """Contacts, credentials, faults, counts and deliveries as at the start; latency, limits and clock stay."""
        self._post("reset", {})
        self.awkward_ids = {}

    # The texting service

    @property
    def texting_url(self) -> str:
        return f"{self.url}/_texting/inbox"

    def texting(self) -> list[Delivery]:
        """Everything that was delivered, refused deliveries too."""
        return [Delivery(**one) for one in self._get("texting")["deliveries"]]

    def set_texting(self, *, secret: str | None = None, fail_next: int | None = None, status: int = 500) -> None:
        """``secret`` (``whsec_…``) turns the check of Standard Webhooks signatures on, an empty one off."""
        self._post("texting", {"secret": secret, "fail_next": fail_next, "status": status})

    # Nango

    @property
    def nango_url(self) -> str:
        return f"{self.url}/_nango"

    def nango_connect(
        self,
        tags: Mapping[str, str],
        *,
        connection_id: str | None = None,
        provider_config_key: str | None = None,
        end_user: Mapping[str, str] | None = None,
    ) -> str:
        """A connection as if somebody had gone through the dance; returns its id. An id that exists is overwritten."""
        body = {
            "tags": dict(tags),
            "connection_id": connection_id,
            "provider_config_key": provider_config_key,
            "end_user": None if end_user is None else dict(end_user),
        }
        return str(self._post("nango/connections", body)["connection_id"])

    def nango_revoke(self, connection_id: str) -> None:
        """The customer withdraws the grant: Nango's next refresh fails. Tokens already issued live on."""
        self._post("nango/revoke", {"connection_id": connection_id})

    def nango_expire(self, connection_id: str) -> None:
        """The access token runs out now: the CRM refuses it, and Nango refreshes at the next read."""
        self._post("nango/expire", {"connection_id": connection_id})

    def set_nango(
        self,
        *,
        webhook_url: str | None = None,
        per_minute: int | None = None,
        failing_refreshes: int | None = None,
    ) -> None:
        """Where its webhooks go, its own rate limit (0: none), and how many refreshes fail for no lasting reason."""
        body = {"webhook_url": webhook_url, "per_minute": per_minute, "failing_refreshes": failing_refreshes}
        self._post("nango/settings", body)

    def send_nango_webhook(
        self,
        url: str,
        *,
        connection_id: str | None = None,
        operation: str = "creation",
        body: Mapping[str, Any] | None = None,
    ) -> int:
        """Sends a signed webhook, a connection's ``auth`` event or any body; returns the status, 0 for no answer."""
        asked = {"url": url, "connection_id": connection_id, "operation": operation}
        return int(self._post("nango/webhook", {**asked, "body": None if body is None else dict(body)})["status"])

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._read(self._http.post(f"/_control/{path}", json=dict(body)))

    def _get(self, path: str) -> dict[str, Any]:
        return self._read(self._http.get(f"/_control/{path}"))

    def _read(self, reply: httpx2.Response) -> dict[str, Any]:
        if reply.status_code >= 400:
            raise ValueError(f"the sandbox refused: {reply.status_code} {reply.text[:500]}")
        body: dict[str, Any] = reply.json()
        return body
