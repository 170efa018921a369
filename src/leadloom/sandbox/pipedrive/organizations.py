"""The companies that persons belong to. Those there are from the start are the firms of the population."""

from dataclasses import dataclass, replace

from leadloom.sandbox.http import Json
from leadloom.sandbox.names import FIRMS

FIRST_ORGANIZATION = 4001
COUNTRY = "United States"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    id: int
    name: str
    owner_id: int
    has_address: bool
    created_ms: int
    modified_ms: int
    deleted_ms: int | None = None


class Organizations:
    """By id, and by name for whoever types one."""

    def __init__(self, owners: tuple[int, ...], made_ms: int) -> None:
        self._owner = owners[0]
        self.by_id = {
            FIRST_ORGANIZATION + firm: Organization(
                id=FIRST_ORGANIZATION + firm,
                name=name,
                owner_id=owners[firm % len(owners)],
                has_address=firm % 3 > 0,
                created_ms=made_ms + firm * 60_000,
                modified_ms=made_ms + firm * 60_000,
            )
            for firm, name in enumerate(FIRMS)
        }
        self._ids = {one.name: one.id for one in self.by_id.values()}

    def named(self, name: str, now_ms: int) -> Organization:
        """One that is made for a name typed by hand, if there is none of this name."""
        if name not in self._ids:
            self._put(
                Organization(
                    id=FIRST_ORGANIZATION + len(self.by_id),
                    name=name,
                    owner_id=self._owner,
                    has_address=False,
                    created_ms=now_ms,
                    modified_ms=now_ms,
                )
            )
        return self.by_id[self._ids[name]]

    def rename(self, one: Organization, name: str, now_ms: int) -> None:
        del self._ids[one.name]
        self._put(replace(one, name=name, modified_ms=now_ms))

    def name_of(self, own_id: Json) -> str | None:
        found = self.by_id.get(own_id) if isinstance(own_id, int) else None
        return None if found is None else found.name

    def _put(self, one: Organization) -> None:
        self.by_id[one.id] = one
        self._ids[one.name] = one.id
