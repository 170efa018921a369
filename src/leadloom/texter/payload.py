"""What the receiver gets: the body of an event, and its signature after Standard Webhooks. Asks neither
database nor network.

docs/ai-texter.md shows the same payload to whoever writes the receiver.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from leadloom.contact import JSON
from leadloom.leads.models import Lead

EXCERPT = 160  # characters of a refusal that are kept: enough for an error message, too little for a page
EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
NUMBER = re.compile(r"\+?\d[\d\s().\-]{5,}\d")


def lead_created(lead: Lead) -> bytes:
    return _event(
        "lead.created",
        lead.created_at,
        {
            "id": lead.pk,
            "name": lead.name,
            "phone": lead.phone,
            "email": lead.email,
            "company": lead.company,
            "status": lead.status,
            "leadType": lead.lead_type,
            "source": lead.crm_source or "manual",
            "crmId": lead.crm_id,
            "crmUrl": lead.crm_url,
            "owner": lead.crm_owner,
            "ownerEmail": lead.crm_owner_email,
            "crmStatus": lead.crm_status,
            "crmStage": lead.crm_stage,
            "notes": lead.crm_description[:4000],
            "createdAt": _iso(lead.created_at),
        },
    )


def test_message(at: datetime) -> bytes:
    """Carries nobody: a receiver may throw it away, and must not text anyone for it."""
    return _event("test", at, {"message": "Leadloom can reach you. This is a test: nobody is to be texted."})


def signed_headers(*, webhook_id: str, at: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """One signature for each secret that is valid now: while a secret is being changed, either one will do."""
    text = body.decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "Leadloom-AI-Texter/1",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(webhook_id, at.astimezone(UTC), text) for secret in secrets),
    }


def masked_excerpt(reply: bytes, known: Iterable[str]) -> str:
    """The beginning of a refusal, without what it may repeat of the lead: known values, e-mails, long numbers."""
    text = reply[:4096].decode("utf-8", errors="replace")
    for value in sorted({value for value in known if len(value) > 1}, key=len, reverse=True):
        # A short name such as "Al" must not blank out half of every word.
        pattern = re.escape(value) if len(value) > 3 else rf"(?<!\w){re.escape(value)}(?!\w)"
        text = re.sub(pattern, "…", text, flags=re.IGNORECASE)
    text = NUMBER.sub("…", EMAIL.sub("…", text))
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def personal_values(lead: Lead) -> list[str]:
    """What must not come back into the log with a receiver's reply."""
    whole = [lead.name, lead.phone or "", lead.email, lead.company, lead.crm_owner, lead.crm_owner_email]
    return [*whole, *lead.name.split(), lead.crm_description[:200]]


def _event(kind: str, at: datetime, data: dict[str, JSON]) -> bytes:
    return json.dumps({"type": kind, "timestamp": _iso(at), "data": data}, ensure_ascii=False).encode()


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
