"""What the count proof says of a connection, for people: is everybody whom the CRM has accounted for? Pure.

The numbers are the last ones counted (``sync/count.py``); nothing is asked here.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from leadloom.connections.models import Connection
from leadloom.site.templatetags.look import crm_name


class Standing(StrEnum):
    EQUAL = "equal"
    SEEN_ONCE = "seen_once"
    """They differ, and are counted again at the next check: somebody may have come in between."""
    SOUGHT = "sought"
    """They differ, and everybody is read again to find out who it is."""
    HELD = "held"
    """Those who were not there are known, and a person must say whether they have left."""
    UNEXPLAINED = "unexplained"
    """They differ though everybody was read since."""


@dataclass(frozen=True, slots=True)
class Proof:
    provider: str
    crm: int
    ours: int
    counted_at: datetime
    standing: Standing

    @property
    def difference(self) -> int:
        """How many, whichever way."""
        return abs(self.crm - self.ours)

    @property
    def is_explained(self) -> bool:
        """Nothing is wrong, or it is known who makes the difference, or it is too early to say."""
        return self.standing in (Standing.EQUAL, Standing.SEEN_ONCE, Standing.HELD)

    @property
    def headline(self) -> str:
        if self.standing == Standing.EQUAL:
            return f"{self.ours:,} of {self.crm:,} accounted for"
        return f"{self.difference:,} {'differs' if self.difference == 1 else 'differ'}"

    @property
    def sentence(self) -> str:
        crm = crm_name(self.provider)
        if self.standing == Standing.EQUAL:
            return f"{crm} has as many contacts as we account for."
        way = "more" if self.crm > self.ours else "fewer"
        told = f"{crm} counts {self.crm:,} contacts, {self.difference:,} {way} than the {self.ours:,} we account for."
        return f"{told} {self._what_comes(crm)}"

    def _what_comes(self, crm: str) -> str:
        match self.standing:
            case Standing.SEEN_ONCE:
                return "Somebody may have come or gone meanwhile: they are counted again at the next check."
            case Standing.SOUGHT:
                return "Everybody is read again within a day, to find out who it is."
            case Standing.HELD:
                return "Who was not there at the last full read is listed: say whether they have left."
        if self.crm > self.ours:
            hidden = f"Everybody was read since: {crm} counts contacts that it does not show us."
            return f"{hidden} Look at what our sign-in may see there."
        return f"Everybody was read since: {crm} shows us contacts that it does not count."


def proof_of(connection: Connection) -> Proof | None:
    """None where the CRM does not tell how many contacts it has, or was not asked yet."""
    if connection.counted_crm is None or connection.counted_ours is None or connection.counted_at is None:
        return None
    return Proof(
        provider=connection.provider,
        crm=connection.counted_crm,
        ours=connection.counted_ours,
        counted_at=connection.counted_at,
        standing=_standing(connection),
    )


def _standing(connection: Connection) -> Standing:
    since = connection.differs_since
    if since is None:
        return Standing.EQUAL
    if connection.held_run_id is not None:
        return Standing.HELD
    if connection.counted_at == since:
        return Standing.SEEN_ONCE
    if connection.swept_at is None or connection.swept_at < since:
        return Standing.SOUGHT
    return Standing.UNEXPLAINED
