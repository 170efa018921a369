"""Tokens that Leadloom meets and the library does not know, by their shape."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class TokensMetHere(RegexBasedDetector):
    secret_type = "Token of Leadloom, a CRM or the texting service"  # noqa: S105
    denylist = (
        re.compile(r"\bll_[\w-]{40,}"),  # ours
        re.compile(r"\bwhsec_[\w+/=-]{32,}"),  # signs what goes to the texting service
        re.compile(r"\b(?:pat-(?:na|eu|ap)\d|pit)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),  # HubSpot, GoHighLevel
        re.compile(r"\b00D\w{12,15}![\w.]{40,}"),  # Salesforce
        re.compile(r"\b1000\.[0-9a-f]{32}\.[0-9a-f]{32}"),  # Zoho CRM
    )
