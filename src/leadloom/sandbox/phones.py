"""Telephone numbers that are valid and unique, and the many ways people type them.

Number S of a country is a permutation of S over the country's number space, so different serials never collide.
Digits are drawn from real ranges, because the fictional ones (555-01xx) are far too few; nobody's number is meant.
"""

from collections.abc import Callable
from dataclasses import dataclass

type Style = Callable[[str], str]

_US_AREAS = (
    "201", "205", "206", "212", "213", "214", "215", "216", "217", "281", "303", "305", "310", "312", "313",
    "314", "317", "402", "404", "407", "408", "410", "412", "414", "415", "417", "501", "502", "503", "504",
    "512", "513", "515", "602", "603", "605", "607", "608", "609", "612", "615", "616", "617", "702", "704",
    "713", "714", "716", "718", "719", "801", "802", "804", "805", "806", "808", "813", "816", "817", "818",
)  # fmt: skip
_EXCHANGES = [str(n) for n in range(200, 1000) if n % 100 != 11 and n not in {555, 950, 958, 959, 976}]
_SCATTER = 1_000_000_007  # a prime larger than any factor of the spaces below


@dataclass(frozen=True, slots=True)
class Plan:
    """One country's numbers. ``national`` are digits without trunk prefix."""

    region: str
    prefix: str
    names: tuple[str, ...]
    space: int
    national: Callable[[int], str]
    local: tuple[Style, ...]
    """Styles that need the country to be known."""
    abroad: tuple[Style, ...]
    """Styles that carry the country code."""

    def number(self, serial: int, salt: int) -> str:
        """The national digits of this serial; two serials below ``space`` never give the same."""
        return self.national((serial * _SCATTER + salt) % self.space)


def _us(n: int) -> str:
    rest, area = divmod(n, len(_US_AREAS))
    line, exchange = divmod(rest, len(_EXCHANGES))
    return f"{_US_AREAS[area]}{_EXCHANGES[exchange]}{line:04}"


def _gb(n: int) -> str:
    return f"7{100_000_000 + n:09}"


def _de(n: int) -> str:
    block, rest = divmod(n, 10_000_000)
    return f"{('1511', '1512', '1514', '1515', '1516', '1517', '1522', '1523')[block]}{rest:07}"


def _fr(n: int) -> str:
    return f"6{10_000_000 + n:08}"


def _in(n: int) -> str:
    return f"98{n:08}"


PLANS = (
    Plan(
        "US",
        "+1",
        ("United States", "USA", "United States of America", "US"),
        len(_US_AREAS) * len(_EXCHANGES) * 10_000,
        _us,
        local=(
            lambda n: f"({n[:3]}) {n[3:6]}-{n[6:]}",
            lambda n: f"{n[:3]}-{n[3:6]}-{n[6:]}",
            lambda n: f"{n[:3]}.{n[3:6]}.{n[6:]}",
            lambda n: n,
            lambda n: f"1-{n[:3]}-{n[3:6]}-{n[6:]}",
            lambda n: f"({n[:3]}){n[3:6]} {n[6:]}",
        ),
        abroad=(
            lambda n: f"+1 {n[:3]}-{n[3:6]}-{n[6:]}",
            lambda n: f"+1{n}",
            lambda n: f"+1 ({n[:3]}) {n[3:6]}-{n[6:]}",
        ),
    ),
    Plan(
        "GB",
        "+44",
        ("United Kingdom", "UK", "GB", "Great Britain"),
        290_000_000,
        _gb,
        local=(
            lambda n: f"0{n[:4]} {n[4:]}",
            lambda n: f"0{n[:4]} {n[4:7]} {n[7:]}",
            lambda n: f"0{n}",
            lambda n: f"0044 {n[:4]} {n[4:]}",
        ),
        abroad=(
            lambda n: f"+44 {n[:4]} {n[4:]}",
            lambda n: f"+44 (0){n[:4]} {n[4:]}",
            lambda n: f"+44{n}",
        ),
    ),
    Plan(
        "DE",
        "+49",
        ("Germany", "Deutschland", "DE"),
        80_000_000,
        _de,
        local=(
            lambda n: f"0{n[:3]} {n[3:]}",
            lambda n: f"0{n[:3]}/{n[3:]}",
            lambda n: f"0{n[:3]}-{n[3:7]}-{n[7:]}",
            lambda n: f"0049 {n[:3]} {n[3:]}",
        ),
        abroad=(
            lambda n: f"+49 {n[:3]} {n[3:]}",
            lambda n: f"+49 (0) {n[:3]} {n[3:]}",
            lambda n: f"+49{n}",
        ),
    ),
    Plan(
        "FR",
        "+33",
        ("France", "FR"),
        80_000_000,
        _fr,
        local=(
            lambda n: f"0{n[0]} {n[1:3]} {n[3:5]} {n[5:7]} {n[7:]}",
            lambda n: f"0{n[0]}.{n[1:3]}.{n[3:5]}.{n[5:7]}.{n[7:]}",
        ),
        abroad=(lambda n: f"+33 {n[0]} {n[1:3]} {n[3:5]} {n[5:7]} {n[7:]}", lambda n: f"+33{n}"),
    ),
    Plan(
        "IN",
        "+91",
        ("India", "IN"),
        100_000_000,
        _in,
        local=(lambda n: f"{n[:5]} {n[5:]}", lambda n: f"0{n}"),
        abroad=(lambda n: f"+91 {n[:5]} {n[5:]}", lambda n: f"+91-{n}"),
    ),
)

EXTENSIONS: tuple[str, ...] = (" ext. {}", " x{}", ";ext={}")
UNPARSEABLE = (
    "call office",
    "n/a",
    "unknown",
    "ask Maria",
    "12",
    "-",
    "see notes",
    "tbd",
    "WhatsApp only",
    "000",
)
