"""What a torture is asked for and what it answers."""

from dataclasses import asdict, dataclass, field, fields
from importlib import import_module

from bench.report import Row

SHOWN = 20  # differences printed of each torture: the first ones tell


@dataclass(frozen=True, slots=True)
class Wish:
    """Sizes somebody asked for; 0 and nothing leave the choice to the torture."""

    seed: int = 1
    contacts: int = 0
    kills: int = 0
    rounds: int = 0
    accounts: int = 0
    refreshes: int = 0
    minutes: int = 0
    crm: str = ""
    short: bool = False

    @classmethod
    def options(cls) -> dict[str, int | str | bool]:
        """Their names and what they are when nobody asks."""
        return {one.name: getattr(cls(), one.name) for one in fields(cls)}


@dataclass(slots=True)
class Verdict:
    """Figures, and every promise that was found broken. None broken is the only good end."""

    rows: list[Row] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def tell(self, what: str, figure: str, target: str = "-") -> None:
        self.rows.append(Row(what, figure, target))
        print(f"  {self.rows[-1]}", flush=True)

    def require(self, is_kept: bool, promise: str) -> None:
        if not is_kept:
            self.broken.append(promise)

    def as_json(self) -> dict[str, object]:
        return {"figures": [asdict(row) for row in self.rows], "broken": self.broken}


def suffer(name: str, wish: Wish) -> Verdict:
    """What one torture of this folder finds."""
    verdict: Verdict = import_module(f"torture.{name}").suffer(wish)
    return verdict
