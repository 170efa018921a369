"""The texting service: records deliveries, checks signatures, fails when told to."""

import base64
import json
from datetime import UTC, datetime

import httpx2
from standardwebhooks import Webhook

from leadloom.sandbox import Sandbox

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


def deliver(box: Sandbox, body: dict[str, object], *, message: str = "msg_1", secret: str = SECRET) -> int:
    text = json.dumps(body)
    now = datetime.now(UTC)
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, now, text),
        "content-type": "application/json",
    }
    return httpx2.post(box.texting_url, content=text, headers=headers, trust_env=False).status_code


def test_a_delivery_is_recorded_with_headers_and_body(box: Sandbox) -> None:
    assert deliver(box, {"lead": "Zoë"}) == 202
    (one,) = box.texting()
    assert one.body == {"lead": "Zoë"}
    assert one.headers["webhook-id"] == "msg_1"
    assert one.status == 202


def test_with_a_secret_only_signed_deliveries_are_accepted(box: Sandbox) -> None:
    box.set_texting(secret=SECRET)
    assert deliver(box, {"n": 1}) == 202
    assert deliver(box, {"n": 2}, secret="whsec_" + base64.b64encode(b"another secret, same len").decode()) == 401
    assert httpx2.post(box.texting_url, json={}, trust_env=False).status_code == 401
    assert [one.status for one in box.texting()] == [202, 401, 401]


def test_it_fails_as_often_as_told_and_knows_a_repeat(box: Sandbox) -> None:
    box.set_texting(fail_next=2, status=503)
    assert [deliver(box, {"n": 1}) for _ in range(4)] == [503, 503, 202, 202]
    assert [one.repeated for one in box.texting()] == [False, False, False, True]
