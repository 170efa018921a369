"""The portal's companies: one for each firm of the population, never changing."""

from leadloom.sandbox.clock import DAY_MS, iso
from leadloom.sandbox.http import Json
from leadloom.sandbox.names import FIRMS

FIRST_ID = 9_000_000_001
_STEP = 17


def company_id(firm: int) -> int:
    return FIRST_ID + firm * _STEP


def firm_of(company: int) -> int | None:
    firm, rest = divmod(company - FIRST_ID, _STEP)
    return firm if rest == 0 and 0 <= firm < len(FIRMS) else None


def company_row(firm: int, names: tuple[str, ...], *, epoch_ms: int, portal: int) -> dict[str, Json]:
    own = str(company_id(firm))
    domain = "".join(letter for letter in FIRMS[firm].lower() if letter.isascii() and letter.isalnum())
    created = iso(epoch_ms - (1100 - firm) * DAY_MS)
    values = {
        "city": ("Austin", "Leeds", "Köln")[firm % 3],
        "country": ("United States", "United Kingdom", "Germany")[firm % 3],
        "createdate": created,
        "domain": f"{domain}.example.com",
        "hs_lastmodifieddate": created,
        "hs_object_id": own,
        "name": FIRMS[firm],
        "phone": None,
    }
    return {
        "id": own,
        "properties": {name: values.get(name) for name in names},
        "createdAt": created,
        "updatedAt": created,
        "archived": False,
        "url": f"https://app.hubspot.com/contacts/{portal}/record/0-2/{own}",
    }
