"""Pipedrive among the simulated CRMs."""

from leadloom.sandbox.kinds import Kind
from leadloom.sandbox.pipedrive.company import Pipedrive
from leadloom.sandbox.pipedrive.grants import PipedriveGrants
from leadloom.sandbox.pipedrive.limits import PLANS, WINDOW_S
from leadloom.sandbox.pipedrive.tokens import API_TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN

_real = PLANS["real"]
assert _real is not None

KIND = Kind(
    make=Pipedrive,
    grants=lambda pipedrive: PipedriveGrants(pipedrive.hub),
    allowed_per_s={"api": _real.burst_private / WINDOW_S},
    company="company",
    token=API_TOKEN,
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    refresh_token=REFRESH_TOKEN,
)
