"""Salesforce among the simulated CRMs."""

from leadloom.sandbox.kinds import Kind
from leadloom.sandbox.salesforce.grants import SalesforceGrants
from leadloom.sandbox.salesforce.org import Salesforce
from leadloom.sandbox.salesforce.tokens import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TOKEN

KIND = Kind(
    make=Salesforce,
    grants=lambda crm: SalesforceGrants(crm.hub),
    allowed_per_s={},  # it allows so many a day, and as many a second as it can answer
    company="Company",
    token=TOKEN,
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    refresh_token=REFRESH_TOKEN,
)
