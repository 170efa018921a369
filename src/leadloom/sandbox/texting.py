"""A texting service that takes what AI Texter hands over: records deliveries, checks signatures, fails on request."""

import json

import msgspec
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from leadloom.sandbox.http import Json, Reply, Request, json_reply

INBOX = "/_texting/inbox"


class TextingSettings(msgspec.Struct):
    """Only what is given changes. An empty secret stops the checking."""

    secret: str | None = None
    fail_next: int | None = None
    status: int = 500


class TextingService:
    """``POST /_texting/inbox`` answers 202 once the delivery is recorded. Repeats are recorded too, marked as such."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._secret = ""
        self._failures: list[int] = []
        self._seen: set[str] = set()
        self.deliveries: list[dict[str, Json]] = []

    def set(self, wanted: TextingSettings) -> None:
        if wanted.secret is not None:
            self._secret = wanted.secret
        if wanted.fail_next is not None:
            self._failures = [wanted.status] * wanted.fail_next

    def answer(self, request: Request) -> Reply:
        if request.method != "POST" or request.path != INBOX:
            return json_reply(404, {"error": "not found"})
        if self._failures:
            status = self._failures.pop()
            self._record(request, status)
            return json_reply(status, {"error": "failing because it was told to"})
        if self._secret and (reason := self._refuses(request)):
            self._record(request, 401)
            return json_reply(401, {"error": reason})
        self._record(request, 202)
        return json_reply(202, {"accepted": True})

    def _refuses(self, request: Request) -> str:
        try:
            Webhook(self._secret).verify(request.body, request.headers, json_parse=False)
        except WebhookVerificationError as error:
            return str(error)
        return ""

    def _record(self, request: Request, status: int) -> None:
        message = request.headers.get("webhook-id", "")
        accepted = 200 <= status < 300
        try:
            body: Json = json.loads(request.body)
        except ValueError:
            body = None
        self.deliveries.append(
            {
                "headers": request.headers,
                "body": body,
                "text": request.body.decode(errors="replace"),
                "status": status,
                "repeated": bool(message) and message in self._seen,
            }
        )
        if accepted and message:
            self._seen.add(message)
