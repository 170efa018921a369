"""HubSpot among the simulated CRMs."""

from leadloom.sandbox.hubspot.grants import HubSpotGrants
from leadloom.sandbox.hubspot.portal import HubSpot
from leadloom.sandbox.hubspot.tokens import CLIENT_ID, CLIENT_SECRET, PRIVATE_TOKEN, REFRESH_TOKEN
from leadloom.sandbox.kinds import Kind

KIND = Kind(
    make=HubSpot,
    grants=lambda hubspot: HubSpotGrants(hubspot.hub),
    allowed_per_s={"api": 11.0, "search": 5.0},
    pool_of=lambda path: "search" if path.endswith("/search") else "api",
    token=PRIVATE_TOKEN,
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    refresh_token=REFRESH_TOKEN,
)
