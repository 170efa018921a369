"""Zoho CRM among the simulated CRMs."""

from leadloom.sandbox.kinds import Kind
from leadloom.sandbox.zoho.grants import ZohoGrants
from leadloom.sandbox.zoho.org import Zoho
from leadloom.sandbox.zoho.tokens import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TOKEN

KIND = Kind(
    make=Zoho,
    grants=lambda zoho: ZohoGrants(zoho.hub),
    allowed_per_s={"api": 10 / 0.15},  # ten at once, at the 150 ms of latency that are measured with
    company="Company",
    token=TOKEN,
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    refresh_token=REFRESH_TOKEN,
)
