"""GoHighLevel among the simulated CRMs."""

from leadloom.sandbox.gohighlevel.grants import GoHighLevelGrants
from leadloom.sandbox.gohighlevel.limits import BURST, INTERVAL_S
from leadloom.sandbox.gohighlevel.location import GoHighLevel
from leadloom.sandbox.gohighlevel.staff import LOCATION
from leadloom.sandbox.gohighlevel.tokens import CLIENT_ID, CLIENT_SECRET, PRIVATE_TOKEN, REFRESH_TOKEN
from leadloom.sandbox.kinds import Kind

KIND = Kind(
    make=GoHighLevel,
    grants=lambda crm: GoHighLevelGrants(crm.hub),
    allowed_per_s={"api": BURST / INTERVAL_S},
    company="companyName",
    token=PRIVATE_TOKEN,
    told={"locationId": LOCATION},
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    refresh_token=REFRESH_TOKEN,
)
