"""What is remembered of Bulk Read jobs, and how they go: see ``bulk.py``."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from leadloom.sandbox.pace import RollingWindow

if TYPE_CHECKING:
    from leadloom.sandbox.zoho.bulk import Job

type Order = Literal["asc", "desc", "none"]

PER_PAGE = 200_000
DOWNLOADS, DOWNLOADS_PER_S = 10, 60
_FIRST = 4876876000030000000


class Exports:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self.jobs: dict[int, Job] = {}
        self.takes_s = 1.0
        self.fails = False
        self.per_page = PER_PAGE
        self.order: Order = "asc"
        self.refused: list[str] = []
        """Fields that cannot be had in a file."""
        self.downloads = RollingWindow(DOWNLOADS, DOWNLOADS_PER_S, now_s)

    def new_id(self) -> int:
        return _FIRST + len(self.jobs)

    def sort(self, ids: list[int]) -> None:
        if self.order == "none":
            ids.sort(key=lambda own_id: own_id * 2654435761 % 4294967296)
        else:
            ids.sort(reverse=self.order == "desc")
